"""The crash matrix: workers and services are killed, frozen and cut off while records come, and nothing may differ."""
