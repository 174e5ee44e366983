"""The demo: three claims played through the hub in one process, on the embedded broker and a SQLite ledger."""
