"""What each command does: one file per noun, functions that read and return plain values, functions that print."""
