"""Payment instructions on their way to the bank."""
