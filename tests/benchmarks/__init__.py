"""What the bench measures the hub against; not part of the product."""
