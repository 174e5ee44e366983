"""Other programs that do the hub's work on the same records."""
