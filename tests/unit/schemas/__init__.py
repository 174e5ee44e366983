"""Tests of what is said: money, identifiers, records, schemas, wire."""
