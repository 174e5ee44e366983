"""The system of record: tables, one atomic commit per batch, and the checks that hold it to its promises."""
