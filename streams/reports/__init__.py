"""Reports: figures kept per claim, brought up to date from the outbox when somebody asks, and what is counted."""
