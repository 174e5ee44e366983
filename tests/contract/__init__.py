"""One suite over the fake and the real thing."""
