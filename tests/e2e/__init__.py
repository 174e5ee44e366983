"""The command line as a person uses it, from arguments to exit code."""
