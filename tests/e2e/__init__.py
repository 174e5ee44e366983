"""Tests of the whole program, as a person starts it."""
