"""A ledger in memory, held to the same contract as the real ones, with the row locks a frozen owner leaves behind."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from sinks.ledger.port import (
    Asked,
    ClaimRow,
    CoverUseRow,
    DeadRow,
    Found,
    JournalRow,
    Lane,
    LaneCommit,
    LedgerRefused,
    LedgerUnavailable,
    OutboxRow,
    ParkedRow,
    PaymentRow,
    PeerLimitRow,
    PolicyRow,
    PositionMoved,
    Published,
    StaleToken,
    TopicChanged,
    TopicIdentity,
    TraceRow,
    UsedMeanwhile,
)

_LOCK_TIMEOUT_S: Final = 8.0
_IDLE_IN_TRANSACTION_S: Final = 5.0
_YOUNG_S: Final = 1.5
_STATEMENT_S: Final = 0.05

RowPlace = tuple[str, int, int, int]


class Link(Protocol):
    """The way from one process to the database."""

    def step(self, doing: str) -> None:
        """Something is on its way: others may go on meanwhile. Raises LedgerUnavailable when it is lost."""

    def monotonic(self) -> float:
        """The time in seconds."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""

    def lost_commit(self, commit: Callable[[], None], roll_back: Callable[[], None]) -> None:
        """The client is gone while its COMMIT was on its way: see to it that one of the two is called, now or later."""

    def in_copy(self) -> bool:
        """Whether the server, when it waits for this client, waits for rows: no time limit ends that."""


class DirectLink:
    """Nothing happens on the way."""

    def step(self, doing: str) -> None:
        """See Link."""

    def monotonic(self) -> float:
        """See Link."""
        return 0.0

    def sleep(self, seconds: float) -> None:
        """See Link."""
        raise LedgerUnavailable("the lane's row is locked")

    def lost_commit(self, commit: Callable[[], None], roll_back: Callable[[], None]) -> None:
        """See Link."""
        roll_back()

    def in_copy(self) -> bool:
        """See Link."""
        return False


class LaneRow:
    """A row of the table `lanes`, and who has locked it."""

    def __init__(self) -> None:
        self.token = self.seq = self.entry = self.deaths = 0
        self.owner = ""
        self.suspect: str | None = None
        self.locked_by: Transaction | None = None


class MemoryTables:
    """The tables. Changes are made whole: `MemoryLedger` lets nobody see half of one.

    `went_back` names what must only grow and did not.
    """

    def __init__(self) -> None:
        self.topics: dict[str, tuple[TopicIdentity, int]] = {}
        self.lanes: dict[int, LaneRow] = {}
        self.positions: dict[tuple[str, int], int] = {}
        self.journal: dict[RowPlace, JournalRow] = {}
        self.parked: dict[RowPlace, ParkedRow] = {}
        self.dead_letters: dict[RowPlace, DeadRow] = {}
        self.claims: dict[str, ClaimRow] = {}
        self.policies: dict[str, PolicyRow] = {}
        self.traces: dict[tuple[int, int, str], TraceRow] = {}
        self.cover_uses: dict[tuple[str, str, str], CoverUseRow] = {}
        self.peer_limits = [PeerLimitRow("shop", "motor", "CNY", 30, 95, 1_00)]
        self.payments: dict[str, PaymentRow] = {}
        self.outbox: dict[int, list[OutboxRow]] = {}
        self.published: dict[int, int] = {}
        self.out_next: dict[tuple[int, str, int], int] = {}
        self.transactions: list[Transaction] = []
        self.went_back: list[str] = []

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """A table's rows, as the columns stand in the port's rows."""
        if table == "outbox":
            return [row for lane in sorted(self.outbox) for row in self.outbox[lane]]
        rows: Mapping[Any, tuple[Any, ...]] = getattr(self, table)
        return [rows[key] for key in sorted(rows)]

    def refuse(self, commit: LaneCommit) -> None:
        """Raise LedgerRefused where a constraint of the tables would."""
        gone = set(commit.parked_gone)
        if not gone <= self.parked.keys():
            raise LedgerRefused(f"lane {commit.lane} releases records that are not parked", "parked")
        for name, table, rows in (
            ("journal", self.journal, commit.journal),
            ("parked", self.parked.keys() - gone, commit.parked),
            ("dead_letters", self.dead_letters, commit.dead),
        ):
            places = [row[:4] for row in rows]
            if len(set(places)) < len(places) or any(place in table for place in places):
                raise LedgerRefused(f"committing a batch of lane {commit.lane}: twice in {name}", f"{name}_pk")
        numbers = {row.seq for row in commit.outbox} | {row.seq for row in self.outbox.get(commit.lane, ())}
        if len(numbers) < len(commit.outbox) + len(self.outbox.get(commit.lane, ())):
            raise LedgerRefused(f"committing a batch of lane {commit.lane}: a number twice in outbox", "outbox_pk")
        turns = {(row.policy, row.number) for row in self.cover_uses.values()}
        if any((row.policy, row.number) in turns for row in commit.cover_uses):
            raise UsedMeanwhile(f"committing a batch of lane {commit.lane}: a turn twice in cover_uses")
        self._refuse_payments(commit)

    def apply(self, commit: LaneCommit) -> None:
        """Write all that one batch writes."""
        lane = self.lanes[commit.lane]
        lane.seq += commit.seq_used
        lane.entry += commit.entries_used
        if commit.entries_used:
            lane.deaths, lane.suspect = 0, None
        for topic, before, after in commit.positions:
            if after <= before:
                self.went_back.append(f"position {topic}/{commit.lane} from {before} to {after}")
            self.positions[topic, commit.lane] = after
        for place in commit.parked_gone:
            del self.parked[place]
        for place in commit.overdue:
            if place in self.parked:
                self.parked[place] = self.parked[place]._replace(since_ms=None)
        for claim in commit.ticked:
            self.claims[claim] = self.claims[claim]._replace(due_at_ms=None)
        self.journal.update((row[:4], row) for row in commit.journal)
        self.parked.update((row[:4], row) for row in commit.parked)
        self.dead_letters.update((row[:4], row) for row in commit.dead)
        self.claims.update((row.claim, row) for row in commit.claims)
        self.policies.update((row.number, row) for row in commit.policies)
        for trace in commit.traces:
            self.traces.setdefault(trace[:3], trace)
        self.cover_uses.update((row[:3], row) for row in commit.cover_uses)
        for row in commit.payments:
            self.payments[row.id] = self._paid(row)
        if commit.outbox:
            kept = self.outbox.setdefault(commit.lane, [])
            kept.extend(commit.outbox)
            kept.sort(key=lambda row: row.seq)

    def _paid(self, row: PaymentRow) -> PaymentRow:
        known = self.payments.get(row.id)
        return row if known is None else known._replace(state=row.state, cause=row.cause, at_ms=row.at_ms)

    def _refuse_payments(self, commit: LaneCommit) -> None:
        if not commit.payments:
            return
        after = dict(self.payments)
        for row in commit.payments:
            if row.approved_by == row.proposed_by:
                raise LedgerRefused("two_people: it was approved by who proposed it", "payments_two_people")
            after[row.id] = self._paid(row)
        attempts = [(row.claim, row.settlement_version, row.attempt) for row in after.values()]
        effective = [
            attempt[:2] for attempt, row in zip(attempts, after.values(), strict=True) if row.state != "rejected"
        ]
        for name, keys in (("payments_claim_key", attempts), ("payments_one_effective", effective)):
            if len(set(keys)) < len(keys):
                raise LedgerRefused(f"committing a batch of lane {commit.lane}: a second payment", name)


class Transaction:
    """One transaction of one session: `owner` is the session's name. `ended` when the server has put it out."""

    def __init__(self, database: MemoryTables, owner: str, link: Link, *, in_copy: bool) -> None:
        self.database = database
        self.owner = owner
        self.ended = False
        self.commit: Callable[[], None] | None = None
        self._link = link
        self.began_at = self._heard_at = link.monotonic()
        self._in_copy = in_copy
        database.transactions.append(self)

    def try_lock(self, number: int) -> bool:
        """Lock a lane's row, unless another transaction holds it."""
        row = self.database.lanes[number]
        if row.locked_by is not None:
            row.locked_by.expire(self._link.monotonic())
        if row.locked_by is not None and row.locked_by is not self:
            return False
        row.locked_by = self
        return True

    def lock(self, number: int) -> None:
        """Lock a lane's row as soon as it is free."""
        end = self._link.monotonic() + _LOCK_TIMEOUT_S
        while not self.try_lock(number):
            if self._link.monotonic() > end:
                raise LedgerUnavailable("canceling statement due to lock timeout")
            self._link.sleep(_STATEMENT_S)
            self.check()
        self.heard()

    def heard(self) -> None:
        """A statement came from the client. Raises LedgerUnavailable when the server has ended the session."""
        self.check()
        self._heard_at = self._link.monotonic()

    def check(self) -> None:
        """Raise LedgerUnavailable when the server has ended the session."""
        self.expire(self._link.monotonic())
        if self.ended:
            raise LedgerUnavailable("terminating connection")

    def expire(self, now: float) -> None:
        """End the session when it stood idle in its transaction for too long."""
        if not self._in_copy and now - self._heard_at > _IDLE_IN_TRANSACTION_S:
            self.end()

    def end(self) -> None:
        """Roll back, if that is still possible."""
        if self in self.database.transactions:
            self.ended = True
            self._close()

    def finish(self) -> None:
        """Do what `commit` says, unless the session was ended."""
        if self in self.database.transactions:
            if self.commit is not None:
                self.commit()
            self._close()

    def _close(self) -> None:
        self.database.transactions.remove(self)
        for row in self.database.lanes.values():
            if row.locked_by is self:
                row.locked_by = None


class MemoryLedger:
    """The Ledger of `port.py` over a database in memory; one per process."""

    def __init__(self, database: MemoryTables, owner: str = "", link: Link | None = None) -> None:
        self._database = database
        self._owner = owner
        self._link = link or DirectLink()
        self._closed = False

    def prepare(
        self,
        inbound: Sequence[TopicIdentity],
        outbound: Sequence[TopicIdentity],
        log_start: Mapping[tuple[str, int], int],
        memory_only: bool,
    ) -> None:
        self._step("prepare: sent")
        database = self._database
        topics = [*inbound, *outbound]
        renewed = [topic for topic in topics if topic.topic in database.topics and self._renewed(topic)]
        if renewed and not memory_only:
            raise TopicChanged(f"topic {renewed[0].topic} was deleted and created again")
        for topic in renewed:
            database.topics[topic.topic] = topic, database.topics[topic.topic][1] + 1
            database.positions.update((place, 0) for place in database.positions if place[0] == topic.topic)
            database.out_next.update((place, 0) for place in database.out_next if place[1] == topic.topic)
        for topic in topics:
            database.topics.setdefault(topic.topic, (topic, 1))
        for topic in inbound:
            for number in range(topic.partitions):
                database.lanes.setdefault(number, LaneRow())
                database.published.setdefault(number, 0)
                place = topic.topic, number
                if place not in database.positions:
                    database.positions[place] = log_start[place]
        self._step("prepare: answered")

    def check_topics(self, identities: Iterable[TopicIdentity]) -> None:
        self._step("check topics")
        for topic in identities:
            if topic.topic not in self._database.topics:
                raise TopicChanged(f"topic {topic.topic} is not in the ledger")
            if self._renewed(topic):
                raise TopicChanged(f"topic {topic.topic} was deleted and created again")

    def take(self, owner: str, lanes: Sequence[int]) -> tuple[list[Lane], list[int]]:
        self._step("take: sent")
        database = self._database
        with self._transaction() as transaction:
            if unknown := set(lanes) - database.lanes.keys():
                raise TopicChanged(f"lanes {sorted(unknown)} are not in the ledger")
            free = [number for number in sorted(set(lanes)) if transaction.try_lock(number)]
            self._step("take: lanes locked")
            transaction.heard()
            taken = [self._taken(number, owner) for number in free]

            def raise_tokens() -> None:
                for lane in taken:
                    if lane.token != database.lanes[lane.lane].token + 1:
                        database.went_back.append(f"token of lane {lane.lane} to {lane.token}")
                    row = database.lanes[lane.lane]
                    row.token, row.owner, row.deaths, row.suspect = lane.token, owner, lane.deaths, lane.suspect

            transaction.commit = raise_tokens
            self._step("take: COMMIT on its way")
            transaction.check()
            transaction.finish()
        self._step("take: answered")
        return taken, sorted(set(lanes) - set(free))

    def let_go(self, tokens: Mapping[int, int]) -> None:
        self._step("let go: sent")
        with self._transaction() as transaction:
            for number, token in tokens.items():
                row = self._database.lanes[number]
                if row.token == token:
                    transaction.lock(number)
                    row.owner = "" if row.token == token else row.owner
            transaction.finish()
        self._step("let go: answered")

    def name_suspect(self, lane: int, token: int, ref: str) -> None:
        self._step("name suspect: sent")
        with self._transaction() as transaction:
            row = self._database.lanes[lane]
            if row.token == token:
                transaction.lock(lane)
            if row.token != token:
                raise StaleToken(f"lane {lane} is no longer held under token {token}")
            row.deaths, row.suspect = (row.deaths if row.suspect == ref else 0), ref
            transaction.finish()
        self._step("name suspect: answered")

    def end_frozen_owner(self, lanes: Sequence[int]) -> int:
        self._step("end frozen owner")
        database, now = self._database, self._link.monotonic()
        owners = {database.lanes[number].owner for number in lanes} - {""}
        frozen = [it for it in database.transactions if it.owner in owners and now - it.began_at > _YOUNG_S]
        for transaction in frozen:
            transaction.end()
        return len(frozen)

    def load_claims(self, claims: Sequence[str]) -> tuple[dict[str, bytes], list[ParkedRow]]:
        self._step("load claims")
        database, wanted = self._database, set(claims)
        states = {claim: database.claims[claim].state for claim in claims if claim in database.claims}
        self._step("load parked")
        parked = [row for row in database.parked.values() if row.subject in wanted]
        return states, sorted(parked, key=lambda row: (row.lane, row.entry))

    def load_policies(self, numbers: Sequence[str], plates: Sequence[str]) -> dict[str, bytes]:
        self._step("load policies")
        return {
            row.number: row.state
            for row in self._database.policies.values()
            if row.number in numbers or row.plate in plates
        }

    def look_up(self, asked: Asked) -> Found:
        policies = self.load_policies(asked.numbers, asked.plates)
        self._step("load traces and limits")
        rows = sorted(self._database.traces.values(), key=lambda row: (row.at_ms, row.claim), reverse=True)
        traces = [
            row for digest in set(asked.digests) for row in [one for one in rows if one.digest == digest][: asked.most]
        ]
        uses = [row for row in self._database.cover_uses.values() if row.policy in asked.shared]
        return Found(policies, traces, list(self._database.peer_limits) if asked.peers else [], uses)

    def due_claims(self, lane: int, until_ms: int, limit: int) -> list[bytes]:
        self._step("ask for due claims")
        waiting = [row for row in self._database.claims.values() if row.lane == lane and row.due_at_ms is not None]
        due = sorted((row.due_at_ms, row.claim, row.state) for row in waiting if (row.due_at_ms or 0) <= until_ms)
        return [state for _, _, state in due[:limit]]

    def overdue(self, lane: int, since_ms: int, limit: int) -> list[ParkedRow]:
        self._step("ask for overdue records")
        waiting = [row for row in self._database.parked.values() if row.lane == lane and row.since_ms is not None]
        return sorted(
            [row for row in waiting if (row.since_ms or 0) <= since_ms], key=lambda row: (row.since_ms, row.entry)
        )[:limit]

    def commit(self, commit: LaneCommit) -> None:
        self._step("commit: sent")
        database = self._database
        with self._transaction(in_copy=self._link.in_copy()) as transaction:
            if commit.lane in database.lanes:
                transaction.lock(commit.lane)
            self._fence(commit)
            self._step("commit: rows on their way")
            transaction.heard()
            database.refuse(commit)
            transaction.commit = lambda: database.apply(commit)
            self._step("commit: COMMIT on its way")
            transaction.check()
            transaction.finish()
        self._step("commit: answered")

    def published(self, lanes: Sequence[int]) -> dict[int, Published]:
        self._step("read marks")
        database = self._database
        found = {lane: Published(database.published[lane], {}) for lane in lanes}
        self._step("read offsets")
        for (lane, topic, partition), next_ in database.out_next.items():
            if lane in found:
                found[lane].out_next[topic, partition] = next_
        return found

    def outbox_after(self, lane: int, token: int, seq: int, limit: int) -> list[OutboxRow]:
        self._step("read outbox")
        if self._database.lanes[lane].token != token:
            return []
        return [row for row in self._database.outbox.get(lane, ()) if row.seq > seq][:limit]

    def mark_published(self, published: Mapping[int, Published]) -> None:
        self._step("mark: sent")
        database = self._database
        for lane, mark in published.items():
            database.published[lane] = max(database.published[lane], mark.seq)
            for (topic, partition), next_ in mark.out_next.items():
                known = database.out_next.get((lane, topic, partition), 0)
                database.out_next[lane, topic, partition] = max(known, next_)
        self._step("mark: answered")

    def cancel(self) -> None:
        """End what this process has under way."""
        for transaction in [it for it in self._database.transactions if it.owner == self._owner and it.commit is None]:
            transaction.end()

    def close(self) -> None:
        self._closed = True

    def _fence(self, commit: LaneCommit) -> None:
        lane = self._database.lanes[commit.lane]
        if (lane.token, lane.seq, lane.entry) != (commit.token, commit.seq, commit.entry):
            raise StaleToken(f"lane {commit.lane} is no longer held under token {commit.token}")
        if any(self._database.positions.get((topic, commit.lane)) != before for topic, before, _ in commit.positions):
            raise PositionMoved(f"lane {commit.lane} is not where this batch begins: {commit.positions}")

    def _taken(self, number: int, owner: str) -> Lane:
        database, row = self._database, self._database.lanes[number]
        positions = {topic: next_ for (topic, lane), next_ in database.positions.items() if lane == number}
        generations = {topic: database.topics[topic][1] for topic in positions}
        parked = sum(row.lane == number for row in database.parked.values())
        mine = row.owner == owner
        deaths = 0 if mine else row.deaths + (row.owner != "")
        suspect = None if mine else row.suspect
        return Lane(number, row.token + 1, row.seq, row.entry, positions, generations, parked, deaths, suspect)

    def _renewed(self, now: TopicIdentity) -> bool:
        known, _ = self._database.topics[now.topic]
        if known.partitions != now.partitions:
            raise TopicChanged(
                f"topic {now.topic} has {now.partitions} partitions, the ledger knows {known.partitions}"
            )
        return known.id != now.id

    def _step(self, doing: str) -> None:
        if self._closed:
            raise LedgerUnavailable("the ledger is closed")
        self._link.step(doing)

    @contextmanager
    def _transaction(self, *, in_copy: bool = False) -> Iterator[Transaction]:
        """A transaction that is rolled back, unless it is finished or its COMMIT has left."""
        transaction = Transaction(self._database, self._owner, self._link, in_copy=in_copy)
        try:
            yield transaction
        except BaseException:
            if transaction.commit is None:
                transaction.end()
            else:
                self._link.lost_commit(transaction.finish, transaction.end)
            raise
