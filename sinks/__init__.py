"""Where it lands: the ledger, and what leaves the hub."""
