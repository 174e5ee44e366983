"""The engine over a log and a ledger in memory: one seed decides all that happens, and tells it again."""
