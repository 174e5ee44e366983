"""The rules: pure decisions, tested as values."""
