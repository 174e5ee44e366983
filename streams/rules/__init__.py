"""What the claims department decides, as pure functions: no I/O, no clock, no framework."""
