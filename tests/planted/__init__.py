"""Bugs planted on purpose in a copy of the project, each of which a named test must catch."""
