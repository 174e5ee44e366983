"""The ledger, without a database."""
