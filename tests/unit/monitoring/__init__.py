"""Tests of metrics, health and logging."""
