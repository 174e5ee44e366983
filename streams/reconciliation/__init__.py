"""What the bank says against what we say: matching, what does not fit, and how people clear it."""
