"""The book of what goes to the bank and comes back: finance's own tables, which no lane writes.

They stand beside the ledger's, so that one transaction keeps a file, what it says and what follows from it. Amounts are
minor units, below zero when money leaves the account; what the columns of a file's content say is in
`connectors/bank/messages.py`.
"""

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, Index, Integer, LargeBinary, Table, Text, text

from sinks.ledger.metadata import Word, metadata

# How far the topics for finance were read. A topic that was deleted and created again has another `topic_id`.
bank_positions: Final = Table(
    "bank_positions",
    metadata,
    Column("topic", Word, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("topic_id", Word, nullable=False),
    Column("next", BigInteger, nullable=False),
)

# A payment as finance has it: one row an instruction id, taken in at `at_ms`, its record as it came in `headers`
# (msgpack) and `value`. `state` is one of `sinks.payments.book.BankState`; `held_by` and `reason` say who holds it and
# why, or why it was refused; `key_id` names the key that its signature was made with.
bank_payments: Final = Table(
    "bank_payments",
    metadata,
    Column("instruction_id", Word, primary_key=True),
    Column("claim", Word, nullable=False),
    Column("lane", Integer, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Word, nullable=False),
    Column("value_on", Date, nullable=False),
    Column("uetr", Word, nullable=False),
    Column("state", Word, nullable=False),
    Column("message_id", Word),
    Column("held_by", Word),
    Column("reason", Text),
    Column("key_id", Word),
    Column("at_ms", BigInteger, nullable=False),
    Column("headers", LargeBinary),
    Column("value", LargeBinary, nullable=False),
    Index("bank_payments_claim", "claim"),
    Index("bank_payments_message", "message_id"),
    Index("bank_payments_uetr", "uetr"),
    Index("bank_payments_state", "state", "value_on"),
)

# What people did about a payment, in order; `action` is one of `sinks.payments.book.PaymentAction`. Who holds a payment
# does not release it.
bank_payment_actions: Final = Table(
    "bank_payment_actions",
    metadata,
    Column("instruction_id", Word, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("action", Word, nullable=False),
    Column("person", Word, nullable=False),
    Column("held_by", Word),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    CheckConstraint("held_by <> person", name="two_people"),
)

# A payment that its claim asks back: `state` is one of `sinks.payments.book.CancellationState`, `message_id` the file
# in which the bank is asked, `value` the request as it came.
bank_cancellations: Final = Table(
    "bank_cancellations",
    metadata,
    Column("instruction_id", Word, primary_key=True),
    Column("claim", Word, nullable=False),
    Column("state", Word, nullable=False),
    Column("message_id", Word),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Index("bank_cancellations_state", "state"),
)

# A file to the bank: of which account, how many payments, what sum. `kind` is one of `sinks.payments.book.MessageKind`.
# It is written once this is committed: `content` are its bytes, until the file is known to be there.
bank_messages: Final = Table(
    "bank_messages",
    metadata,
    Column("message_id", Word, primary_key=True),
    Column("kind", Word, nullable=False),
    Column("payment_information_id", Word, unique=True),
    Column("account", Word, nullable=False),
    Column("currency", Word, nullable=False),
    Column("execute_on", Date, nullable=False),
    Column("transactions", Integer, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("sha256", Word, nullable=False),
    Column("file", Text, nullable=False),
    Column("written_at_ms", BigInteger, nullable=False),
    Column("content", LargeBinary),
)

# A file from the bank, by the digest of its bytes; `content` are the bytes, compressed with zlib.
bank_files: Final = Table(
    "bank_files",
    metadata,
    Column("sha256", Word, primary_key=True),
    Column("name", Text, nullable=False),
    Column("message", Word, nullable=False),
    Column("version", Word),
    Column("bank_message_id", Word),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("warnings", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

# What the bank said of a payment, in the order of each file: `number` from 1, `line` in the file.
bank_statuses: Final = Table(
    "bank_statuses",
    metadata,
    Column("sha256", Word, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("instruction_id", Word, nullable=False),
    Column("level", Word, nullable=False),
    Column("code", Word, nullable=False),
    Column("reason_code", Word),
    Column("line", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("bank_statuses_instruction", "instruction_id"),
)

# A statement (camt.053) of one account; `number` is its place in the file. A notification (camt.054) is none.
bank_statements: Final = Table(
    "bank_statements",
    metadata,
    Column("sha256", Word, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("account", Word, nullable=False),
    Column("currency", Word, nullable=False),
    Column("sequence", Integer),
    Column("page", Integer),
    Column("day", Date, nullable=False),
    Column("opening_minor", BigInteger, nullable=False),
    Column("closing_minor", BigInteger, nullable=False),
    Column("line", Integer, nullable=False),
    Index("bank_statements_account", "account", "day"),
)

# A booked line of a statement; one that names several transactions is a row for each (`part` from 1, 0 for the whole
# of one that does not). `kind` is one of `sinks.payments.book.EntryKind`.
bank_entries: Final = Table(
    "bank_entries",
    metadata,
    Column("sha256", Word, primary_key=True),
    Column("statement", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("account", Word, nullable=False),
    Column("day", Date, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Word, nullable=False),
    Column("kind", Word, nullable=False),
    Column("instruction_id", Word),
    Column("matched_by", Word),
    Column("break_id", Word),
    Column("reference", Text),
    Column("line", Integer, nullable=False),
    Index("bank_entries_instruction", "instruction_id"),
    Index("bank_entries_account", "account", "day"),
)

# What does not fit between the book and the bank. Where it was found: file, line and element, if it was in a file.
bank_breaks: Final = Table(
    "bank_breaks",
    metadata,
    Column("break_id", Word, primary_key=True),
    Column("kind", Word, nullable=False),
    Column("account", Word),
    Column("day", Date),
    Column("instruction_id", Word),
    Column("claim", Word),
    Column("about", Text, nullable=False),
    Column("sha256", Word),
    Column("line", Integer),
    Column("element", Text),
    Column("expected_minor", BigInteger),
    Column("found_minor", BigInteger),
    Column("currency", Word),
    Column("since_ms", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Index("bank_breaks_instruction", "instruction_id"),
)

# What people did about a break, whoever raised it, in order; `action` is one of `sinks.payments.book.BreakAction`. The
# table refuses UPDATE and DELETE by a trigger, and a resolution that one person alone stands for.
break_actions: Final = Table(
    "break_actions",
    metadata,
    Column("break_id", Word, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("action", Word, nullable=False),
    Column("person", Word, nullable=False),
    Column("owner", Word),
    Column("resolution", Word),
    Column("proposed_by", Word),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    CheckConstraint("action <> 'resolved' OR (proposed_by IS NOT NULL AND proposed_by <> person)", name="two_people"),
)

# What the claims' lanes are to hear of it, until Kafka has it: a record each, sent in the order of `number`.
bank_records: Final = Table(
    "bank_records",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("event_id", Word, nullable=False, unique=True),
    Column("topic", Word, nullable=False),
    Column("key", Word, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("sent_at_ms", BigInteger),
    Index(
        "bank_records_unsent",
        "number",
        postgresql_where=text("sent_at_ms IS NULL"),
        sqlite_where=text("sent_at_ms IS NULL"),
    ),
)
