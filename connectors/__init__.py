"""Edges in: where records come from."""
