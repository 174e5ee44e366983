"""The ledger's tables. Columns stand in the order of the rows in `port.py`; every table's rows are reachable by lane.

The journal and the accepted losses refuse UPDATE and DELETE by a trigger (see the migrations that make them).
"""

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from sinks.ledger.metadata import Word, metadata

VERSION: Final = "0013"
"""The newest migration: what these tables are."""


def _place() -> list[Column[int] | Column[str]]:
    """The columns that say where a record stood: its identity in the ledger. `offset` is unique in its partition."""
    return [
        Column("topic", Word, primary_key=True),
        Column("generation", Integer, primary_key=True, autoincrement=False),
        Column("partition", Integer, primary_key=True, autoincrement=False),
        Column("offset", BigInteger, primary_key=True, autoincrement=False),
    ]


topics: Final = Table(
    "topics",
    metadata,
    Column("topic", Word, primary_key=True),
    Column("id", Text, nullable=False),
    Column("partitions", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
)

# `owner` is empty when nobody holds the lane. `deaths` and `suspect` are about the records that end a process: see
# `Ledger.take` and `Ledger.name_suspect`.
lanes: Final = Table(
    "lanes",
    metadata,
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("token", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("entry", BigInteger, nullable=False),
    Column("owner", Text, nullable=False),
    Column("deaths", Integer, nullable=False, server_default="0"),
    Column("suspect", Text),
)

# A lane is one partition number of every topic. `first` is where reading began, `next` the next offset to read.
positions: Final = Table(
    "positions",
    metadata,
    Column("topic", Word, primary_key=True),
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("first", BigInteger, nullable=False),
    Column("next", BigInteger, nullable=False),
)

# Records from `first` up to `next` were deleted before they were read, and somebody decided to go on without them.
accepted_losses: Final = Table(
    "accepted_losses",
    metadata,
    Column("topic", Word, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("next", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("accepted_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

journal: Final = Table(
    "journal",
    metadata,
    *_place(),
    Column("lane", Integer, nullable=False),
    Column("entry", BigInteger, nullable=False),
    Column("subject", Word, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("inputs", Text),
    Column("headers", LargeBinary, nullable=False),
    Column("value", LargeBinary),
    Index("journal_subject", "subject"),
)

# No index on the stage: it changes with the state, and an indexed change costs every row a new index entry (no HOT).
# `due_at_ms` changes a few times in a claim's life; it is when the claim's next tick is due, if any is.
claims: Final = Table(
    "claims",
    metadata,
    Column("claim", Word, primary_key=True),
    Column("lane", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("stage", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("due_at_ms", BigInteger),
    Column("state", JSON, nullable=False),
    Index(
        "claims_due",
        "lane",
        "due_at_ms",
        postgresql_where=text("due_at_ms IS NOT NULL"),
        sqlite_where=text("due_at_ms IS NOT NULL"),
    ),
)

policies: Final = Table(
    "policies",
    metadata,
    Column("number", Word, primary_key=True),
    Column("lane", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("plate", Word, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("state", JSON, nullable=False),
    Index("policies_plate", "plate"),
)

# What a claim left for others to find: 64 bits of a digest, and when the claim was notified. The newest of each stand
# together.
traces: Final = Table(
    "traces",
    metadata,
    Column("digest", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("claim", Word, primary_key=True),
    Column("lane", Integer, nullable=False),
)

# What claims use of covers that their policy has for a year. Who writes a policy's next `number` has seen all before.
cover_uses: Final = Table(
    "cover_uses",
    metadata,
    Column("policy", Word, primary_key=True),
    Column("claim", Word, primary_key=True),
    Column("cover", Word, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("lane", Integer, nullable=False),
    Column("loss_at_ms", BigInteger, nullable=False),
    Column("paid_minor", BigInteger, nullable=False),
    Column("deductible_minor", BigInteger, nullable=False),
    UniqueConstraint("policy", "number", name="cover_uses_in_turn"),
)

USE_CHANGES: Final = ("number", "loss_at_ms", "paid_minor", "deductible_minor")
IN_TURN: Final = "cover_uses_in_turn"

# What nearly all claims of a line come to with a provider of a kind, for the rules to compare with. `claimhub reports
# peers --publish` writes it, whole, and nothing else does.
peer_limits: Final = Table(
    "peer_limits",
    metadata,
    Column("kind", Word, primary_key=True),
    Column("line", Word, primary_key=True),
    Column("currency", Word, primary_key=True),
    Column("claims", BigInteger, nullable=False),
    Column("per_cent", Integer, nullable=False),
    Column("limit_minor", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

outbox: Final = Table(
    "outbox",
    metadata,
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("topic", Word, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("key", Word, nullable=False),
    Column("subject", Word, nullable=False),
    Column("cause", Word, nullable=False),
    Column("rule", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Index("outbox_subject", "subject"),
    Index(
        "outbox_breaks",
        "at_ms",
        postgresql_where=text("topic = 'hub.break.v1'"),
        sqlite_where=text("topic = 'hub.break.v1'"),
    ),
)

relay: Final = Table(
    "relay",
    metadata,
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("published", BigInteger, nullable=False),
)

relay_next: Final = Table(
    "relay_next",
    metadata,
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("topic", Word, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next", BigInteger, nullable=False),
)

payments: Final = Table(
    "payments",
    metadata,
    Column("id", Word, primary_key=True),
    Column("claim", Word, nullable=False),
    Column("lane", Integer, nullable=False),
    Column("settlement_version", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("cause", Word, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    UniqueConstraint("claim", "settlement_version", "attempt"),
    CheckConstraint("approved_by <> proposed_by", name="two_people"),
    # One payment: a second attempt can stand only once the first is rejected.
    Index(
        "payments_one_effective",
        "claim",
        "settlement_version",
        unique=True,
        postgresql_where=text("state <> 'rejected'"),
        sqlite_where=text("state <> 'rejected'"),
    ),
)

parked: Final = Table(
    "parked",
    metadata,
    *_place(),
    Column("lane", Integer, nullable=False),
    Column("entry", BigInteger, nullable=False),
    Column("subject", Word, nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("since_ms", BigInteger),
    Column("headers", LargeBinary, nullable=False),
    Column("value", LargeBinary),
    Index("parked_subject", "subject"),
    Index(
        "parked_since",
        "lane",
        "since_ms",
        postgresql_where=text("since_ms IS NOT NULL"),
        sqlite_where=text("since_ms IS NOT NULL"),
    ),
)

dead_letters: Final = Table(
    "dead_letters",
    metadata,
    *_place(),
    Column("lane", Integer, nullable=False),
    Column("entry", BigInteger, nullable=False),
    Column("subject", Word, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("key", LargeBinary),
    Column("headers", LargeBinary, nullable=False),
    Column("value", LargeBinary),
    Column("redriven_at_ms", BigInteger),
)

# What reports count. `claimhub reports` writes these tables and nothing else does: from the outbox, up to the mark of
# each lane. See `streams/reports/claim_figures.py` for what the columns say.
report_marks: Final = Table(
    "report_marks",
    metadata,
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
)

report_claims: Final = Table(
    "report_claims",
    metadata,
    Column("claim", Word, primary_key=True),
    Column("lane", Integer, nullable=False),
    Column("stage", Word, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("line", Word, nullable=False),
    Column("cause", Word, nullable=False),
    Column("region", Word, nullable=False),
    Column("currency", Word, nullable=False),
    Column("loss_month", Integer, nullable=False),
    Column("outcome", Word, nullable=False),
    Column("reported_day", Integer),
    Column("registered_day", Integer),
    Column("not_accepted_day", Integer),
    Column("decided_day", Integer),
    Column("paid_day", Integer),
    Column("closed_day", Integer),
    Column("reopened_day", Integer),
    Column("estimated_minor", BigInteger, nullable=False),
    Column("payable_minor", BigInteger, nullable=False),
    Column("paid_minor", BigInteger, nullable=False),
    Column("touchless", Boolean, nullable=False),
    Column("document_notices", Integer, nullable=False),
    Column("clocks", Word, nullable=False),
    Column("waits", Word, nullable=False),
    Column("reported_s", BigInteger),
    Column("registered_s", BigInteger),
    Column("investigating_s", BigInteger),
    Column("assessing_s", BigInteger),
    Column("decided_s", BigInteger),
    Column("agreed_s", BigInteger),
    Column("paying_s", BigInteger),
    Column("approved_minor", BigInteger, nullable=False),
    Column("instructed_minor", BigInteger, nullable=False),
)

report_providers: Final = Table(
    "report_providers",
    metadata,
    Column("claim", Word, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", Word, nullable=False),
    Column("provider", Word, nullable=False),
    Column("supplements", Integer, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Word, nullable=False),
    Column("days", Integer),
)

report_movements: Final = Table(
    "report_movements",
    metadata,
    Column("kind", Word, primary_key=True),
    Column("line", Word, primary_key=True),
    Column("currency", Word, primary_key=True),
    Column("loss_month", Integer, primary_key=True, autoincrement=False),
    Column("month", Integer, primary_key=True, autoincrement=False),
    Column("amount_minor", BigInteger, nullable=False),
)

report_liabilities: Final = Table(
    "report_liabilities",
    metadata,
    Column("kind", Word, primary_key=True),
    Column("line", Word, primary_key=True),
    Column("currency", Word, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("amount_minor", BigInteger, nullable=False),
)

report_people: Final = Table(
    "report_people",
    metadata,
    Column("person", Word, primary_key=True),
    Column("role", Word, primary_key=True),
    Column("action", Word, primary_key=True),
    Column("month", Integer, primary_key=True, autoincrement=False),
    Column("decisions", BigInteger, nullable=False),
)


def row_columns(table: Table) -> list[Column[Any]]:
    """The columns a commit writes, in the order of its rows: all but what an operator adds later. Bytes stand last."""
    return [column for column in table.columns if column is not dead_letters.c.redriven_at_ms]
