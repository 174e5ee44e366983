"""What is seen: metrics, health, logs."""
