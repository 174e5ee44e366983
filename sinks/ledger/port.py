"""What the engine asks of a ledger. PostgreSQL and SQLite both answer; one contract suite holds them to it.

Headers travel as MessagePack of a list of (name, bytes or nil): exact, and cheap to write.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct


class StaleToken(Exception):
    """Another owner has taken this lane: nothing was written. Let go of the lane."""


class PositionMoved(Exception):
    """A lane's position is not the one this batch continues: nothing was written. Never guess: leave the process."""


class LedgerUnavailable(Exception):
    """The database went away, was too slow or ended the session, a COMMIT in flight included. Drop the lane, take it
    again, read positions."""


class UsedMeanwhile(LedgerUnavailable):
    """Another lane has written what one of a policy's covers was used for since this batch looked: nothing was written.
    The batch is decided again with it, as after any failure that passes."""


class LedgerRefused(Exception):
    """The database will never take this statement (a constraint, a value, a missing table): nothing was written, and
    trying again would end the same. A fault of the program: leave the process. `constraint` is its name, if it has one.
    """

    def __init__(self, reason: str, constraint: str | None = None) -> None:
        super().__init__(reason)
        self.constraint = constraint


class TopicChanged(Exception):
    """A topic is not the one this ledger knows: it was created anew, or its partition count differs."""


class TopicIdentity(NamedTuple):
    """A topic as the broker names it now; `id` changes when a topic is deleted and created again."""

    topic: str
    id: str
    partitions: int


class Lane(NamedTuple):
    """A lane just taken. `token` fences every later write; `seq` is the last outbox number used, `entry` the last
    journal entry number; `positions` maps each inbound topic to the next offset to read, `generations` each topic
    to the incarnation of its log; `parked` counts its waiting records. `deaths` counts the processes that ended while
    they held the lane, since it last took a record; once a `suspect` is named (the ref of the record that was being
    taken alone), since that was."""

    lane: int
    token: int
    seq: int
    entry: int
    positions: dict[str, int]
    generations: dict[str, int]
    parked: int
    deaths: int = 0
    suspect: str | None = None


class JournalRow(NamedTuple):
    """One applied record (outcome `done`, `duplicate`, `retry` or `noted`). Key: topic, generation, partition, offset.

    `subject` is the claim or policy number, `entry` the lane's gapless order of application, `inputs` the captured
    look-ups as JSON (or None), `headers` MessagePack.
    """

    topic: str
    generation: int
    partition: int
    offset: int
    lane: int
    entry: int
    subject: str
    event_id: str
    outcome: str
    rule: str
    reason: str
    at_ms: int
    timestamp_ms: int
    inputs: str | None
    headers: bytes
    value: bytes | None


class ClaimRow(NamedTuple):
    """A claim's newest state, JSON in UTF-8; `due_at_ms` is when its next tick is due, if any is."""

    claim: str
    lane: int
    version: int
    stage: str
    at_ms: int
    due_at_ms: int | None
    state: bytes


class PolicyRow(NamedTuple):
    """A policy's newest state, JSON in UTF-8."""

    number: str
    lane: int
    version: int
    plate: str
    at_ms: int
    state: bytes


class TraceRow(NamedTuple):
    """Something a claim left for other claims to find: 64 bits of its digest, signed, and when the claim was notified.
    Key: digest, at_ms, claim."""

    digest: int
    at_ms: int
    claim: str
    lane: int


class PeerLimitRow(NamedTuple):
    """Of `claims` of a line with providers of a kind, `per_cent` come to at most `limit_minor`, as a report has counted
    them. Key: kind, line, currency."""

    kind: str
    line: str
    currency: str
    claims: int
    per_cent: int
    limit_minor: int


class CoverUseRow(NamedTuple):
    """What one claim uses of a policy's cover now, in minor units. Key: policy, claim, cover; `number` is one more for
    each write of the policy's rows, and no two writes have the same."""

    policy: str
    claim: str
    cover: str
    number: int
    lane: int
    loss_at_ms: int
    paid_minor: int
    deductible_minor: int


class Asked(NamedTuple):
    """What the rules of one batch look up: the policies with these numbers or, as newest version, these plates; all
    that was left with these digests, of each at most `most`, the newest (of one time those of the highest claim
    numbers, in bytes' order); if `peers`, every limit; and what is used of the covers of the policies in `shared`."""

    numbers: Sequence[str] = ()
    plates: Sequence[str] = ()
    digests: Sequence[int] = ()
    most: int = 0
    peers: bool = False
    shared: Sequence[str] = ()

    @property
    def statements(self) -> int:
        """How many statements answer it: one for each kind of row that is asked for."""
        return bool(self.numbers or self.plates) + bool(self.digests) + self.peers + bool(self.shared)


class Found(NamedTuple):
    """The answer to Asked: states (JSON) by policy number, traces, limits, uses of covers."""

    policies: dict[str, bytes]
    traces: list[TraceRow]
    peers: list[PeerLimitRow]
    uses: list[CoverUseRow]


class OutboxRow(NamedTuple):
    """A record to publish. Key: lane, seq (gapless per lane). `cause` is the causing record's ref; `headers`, as
    MessagePack, are those that do not follow from the other columns (see `sinks/envelope.py`)."""

    lane: int
    seq: int
    topic: str
    partition: int
    key: str
    subject: str
    cause: str
    rule: str
    reason: str
    at_ms: int
    headers: bytes
    value: bytes


class PaymentRow(NamedTuple):
    """One payment attempt as it stands now; the table forbids `approved_by` = `proposed_by` and a second row of the
    same (claim, settlement_version, attempt)."""

    id: str
    claim: str
    lane: int
    settlement_version: int
    attempt: int
    amount_minor: int
    currency: str
    state: str
    proposed_by: str
    approved_by: str
    cause: str
    at_ms: int


class ParkedRow(NamedTuple):
    """A waiting record, in the order of arrival (`entry`). `until` is a space-separated list of topics. It has waited
    `since_ms`; None when that was told as a break, or it only waits behind another."""

    topic: str
    generation: int
    partition: int
    offset: int
    lane: int
    entry: int
    subject: str
    reason: str
    until: str
    at_ms: int
    timestamp_ms: int
    since_ms: int | None
    headers: bytes
    value: bytes | None


class DeadRow(NamedTuple):
    """A record that could not be taken, with its original bytes."""

    topic: str
    generation: int
    partition: int
    offset: int
    lane: int
    entry: int
    subject: str
    code: str
    reason: str
    at_ms: int
    timestamp_ms: int
    key: bytes | None
    headers: bytes
    value: bytes | None


class LaneCommit(Struct, kw_only=True):
    """All that one batch of one lane writes, in one transaction.

    `seq` and `entry` are the lane's values before the batch; `positions` holds (topic, before, after) of the topics
    that moved; `parked_gone` the (topic, generation, partition, offset) of released records, taken away before `parked`
    is added, so a record may be in both; the breaks of those in `overdue` are in `outbox`. A claim, policy, payment or
    use of a cover stands in its list once; a trace may stand there again, and be there already: the first stays. For
    the claims in `ticked` nothing is due any more, since their tick is in `outbox`, unless `claims` says so anew.
    """

    lane: int
    token: int
    seq: int
    seq_used: int = 0
    entry: int
    entries_used: int = 0
    positions: list[tuple[str, int, int]]
    ticked: list[str] = []
    journal: list[JournalRow] = []
    claims: list[ClaimRow] = []
    policies: list[PolicyRow] = []
    traces: list[TraceRow] = []
    cover_uses: list[CoverUseRow] = []
    outbox: list[OutboxRow] = []
    payments: list[PaymentRow] = []
    parked: list[ParkedRow] = []
    parked_gone: list[tuple[str, int, int, int]] = []
    overdue: list[tuple[str, int, int, int]] = []
    dead: list[DeadRow] = []

    @property
    def statements(self) -> int:
        """How many statements this commit is: BEGIN, the fence with the positions, COMMIT, one for each kind of row."""
        kinds = (self.ticked, self.overdue, self.parked_gone, self.journal, self.parked, self.dead, self.outbox)
        states = (self.claims, self.policies, self.traces, self.cover_uses, self.payments)
        return 3 + sum(map(bool, (*kinds, *states)))


class Published(NamedTuple):
    """How far a lane's outbox is out: the last contiguous `seq` delivered, and per (topic, partition) the offset
    after the last delivered record."""

    seq: int
    out_next: dict[tuple[str, int], int]


class Ledger(Protocol):
    """The engine's whole view of the database. Every method may raise LedgerUnavailable and may be called from any
    thread; no method is called twice at once for one lane. No message holds a value of a row."""

    def prepare(
        self,
        inbound: Sequence[TopicIdentity],
        outbound: Sequence[TopicIdentity],
        log_start: Mapping[tuple[str, int], int],
        memory_only: bool,
    ) -> None:
        """Make rows for topics, lanes, positions and relay that are not there yet; a first position is `log_start`.

        A topic known under another id is TopicChanged, unless `memory_only`: then its generation goes up and its
        positions and relay offsets start at 0. A known topic with another partition count is TopicChanged.
        """

    def check_topics(self, topics: Iterable[TopicIdentity]) -> None:
        """Raise TopicChanged when a topic's id or partition count is not the known one."""

    def take(self, owner: str, lanes: Sequence[int]) -> tuple[list[Lane], list[int]]:
        """Raise the token of each free lane, then read its positions. Lanes whose row is locked come back second.

        A lane that another owner still holds is one more of its `deaths`. One that this owner holds itself is none:
        it lived through whatever failed, so `deaths` are 0 and nobody is suspect. One that was let go keeps both.
        Raises TopicChanged for a lane that `prepare` has not made.
        """

    def let_go(self, tokens: Mapping[int, int]) -> None:
        """Nobody holds these lanes any more (their tokens by lane): no process has died. A stale token does nothing."""

    def name_suspect(self, lane: int, token: int, ref: str) -> None:
        """Note that this record is now taken alone; `deaths` start anew unless it was the suspect before. Raises
        StaleToken."""

    def end_frozen_owner(self, lanes: Sequence[int]) -> int:
        """End the sessions of owners that keep these lanes' rows locked; how many were ended."""

    def load_claims(self, claims: Sequence[str]) -> tuple[dict[str, bytes], list[ParkedRow]]:
        """States (JSON) of those that exist, and all records parked for them, in `entry` order."""

    def load_policies(self, numbers: Sequence[str], plates: Sequence[str]) -> dict[str, bytes]:
        """States (JSON) by policy number of the policies with these numbers or, as newest version, these plates."""

    def look_up(self, asked: Asked) -> Found:
        """All that the rules of one batch look up, with `asked.statements` statements; what is not asked for is
        empty."""

    def due_claims(self, lane: int, until_ms: int, limit: int) -> list[bytes]:
        """States (JSON) of a lane's claims whose tick is due by then, the longest due first."""

    def overdue(self, lane: int, since_ms: int, limit: int) -> list[ParkedRow]:
        """A lane's records that have waited since then or longer, the longest first."""

    def commit(self, commit: LaneCommit) -> None:
        """Write everything or nothing. When a record was taken `deaths` are 0 after it and nobody is suspect: what a
        lane sends by itself as time passes, or the offsets it steps over, say nothing of the records that end a
        process. Raises StaleToken, PositionMoved, UsedMeanwhile or LedgerRefused."""

    def published(self, lanes: Sequence[int]) -> dict[int, Published]:
        """How far each lane's outbox is known to be out."""

    def outbox_after(self, lane: int, token: int, seq: int, limit: int) -> list[OutboxRow]:
        """The next rows to publish in `seq` order; none when the token is stale."""

    def mark_published(self, published: Mapping[int, Published]) -> None:
        """Move the marks forward; never back."""

    def cancel(self) -> None:
        """Cancel statements still running, from any thread; their callers get LedgerUnavailable."""

    def close(self) -> None:
        """Close all connections."""
