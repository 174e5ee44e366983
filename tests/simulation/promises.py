"""What must hold of a ledger and a log at the end of a seed, one sentence for each way in which it does not."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any, Final, NamedTuple

from msgspec import json, msgpack

from schemas.topics import DEAD_LETTERS, INBOUND, TOPICS, Direction
from sinks.envelope import headers_of
from sinks.ledger.business_hash import INTERNAL, business_line, business_state
from sinks.ledger.port import OutboxRow
from sinks.ledger.written import read_written
from streams.rules.claim import Claim
from streams.rules.clocks import next_at_ms
from tests.simulation.ledger import MemoryTables
from tests.simulation.log import Log, Record

_INSTRUCTION: Final = "finance.payment-instruction.v1"
_claim = json.Decoder(Claim).decode
_written = lru_cache(50_000)(read_written)


class Ledgered(NamedTuple):
    """The business a ledger holds: equal for the same input, whatever happened on the way."""

    business: tuple[bytes, ...]
    ends: Mapping[tuple[Any, ...], tuple[str, str]]
    """Of each record of a department by topic, generation, partition and offset: how it ended, and why."""


def ledgered(database: MemoryTables) -> Ledgered:
    """What of a ledger must not depend on what happened."""
    ends = {
        **{place: (row.outcome, row.rule) for place, row in database.journal.items()},
        **{place: ("parked", row.reason) for place, row in database.parked.items()},
        **{place: ("dead", row.code) for place, row in database.dead_letters.items()},
    }
    said = {place: end for place, end in ends.items() if TOPICS[place[0]].direction is Direction.IN}
    return Ledgered(tuple(_business(database)), said)


def broken(database: MemoryTables, log: Log, undisturbed: Ledgered) -> Iterator[str]:
    """Every promise that does not hold."""
    yield from database.went_back
    yield from log.wrong
    yield from _one_end(database, log)
    yield from _same_as(undisturbed, ledgered(database))
    yield from _in_order(database)
    yield from _numbered(database)
    yield from _published(database, log)
    yield from _paid_once(database, log)
    yield from _told_when_due(database)


def _one_end(database: MemoryTables, log: Log) -> Iterator[str]:
    """Every record sent is in exactly one of journal, parked and dead letters, and nothing else is."""
    counts = Counter(chain(database.journal, database.parked, database.dead_letters))
    sent = {
        (topic, 1, partition, offset)
        for (topic, partition), records in log.partitions.items()
        if topic in INBOUND
        for offset, record in enumerate(records)
        if record is not None
    }
    for place in sorted(sent | counts.keys()):
        if place not in sent or counts[place] != 1:
            yield f"record {place} was {'sent' if place in sent else 'never sent'} and has {counts[place]} ends"


def _same_as(undisturbed: Ledgered, now: Ledgered) -> Iterator[str]:
    """The business is that of the undisturbed run of the same input."""
    for line in sorted(set(undisturbed.business) - set(now.business)):
        yield f"only in the undisturbed run: {line.decode()}"
    for line in sorted(set(now.business) - set(undisturbed.business)):
        yield f"not in the undisturbed run: {line.decode()}"
    if Counter(undisturbed.business) == Counter(now.business) and undisturbed.business != now.business:
        yield "outputs of one subject and topic came in another order than in the undisturbed run"
    for place in sorted(undisturbed.ends.keys() | now.ends.keys()):
        before, after = undisturbed.ends.get(place), now.ends.get(place)
        if before != after:
            yield f"record {place}: {after} instead of {before}"


def _in_order(database: MemoryTables) -> Iterator[str]:
    """A claim's records of one topic are applied in the order they were sent in."""
    last: dict[tuple[str, str], int] = {}
    for row in sorted(database.journal.values(), key=lambda row: (row.lane, row.entry)):
        if row.offset <= last.get((row.subject, row.topic), -1):
            yield f"{row.subject}: {row.topic} {row.offset} was applied after {last[row.subject, row.topic]}"
        last[row.subject, row.topic] = row.offset


def _numbered(database: MemoryTables) -> Iterator[str]:
    """Each lane's outbox is numbered from 1 to its seq, and each entry number stands once."""
    for number, lane in database.lanes.items():
        numbers = [row.seq for row in database.outbox.get(number, ())]
        if numbers != list(range(1, lane.seq + 1)):
            yield f"lane {number}: seq is {lane.seq}, the outbox has {numbers}"
    entries = Counter(
        [
            *((row.lane, row.entry) for row in database.journal.values()),
            *((row.lane, row.entry) for row in database.parked.values()),
            *((row.lane, row.entry) for row in database.dead_letters.values()),
        ]
    )
    for (number, entry), count in entries.items():
        if count > 1 or entry > database.lanes[number].entry:
            yield f"lane {number}: entry {entry} stands {count} times"


def _published(database: MemoryTables, log: Log) -> Iterator[str]:
    """Every outbox row is on its topic, in the order of its lane's numbers, and nothing else is; a repeat has the same
    bytes."""
    rows = {(row.lane, row.seq): row for row in chain.from_iterable(database.outbox.values())}
    found: Counter[tuple[int, int]] = Counter()
    for (topic, partition), records in log.partitions.items():
        highest: dict[int, int] = defaultdict(int)
        for record in records:
            number = None if record is None else _number(record)
            if record is None or number is None:
                continue
            row = rows.get(number)
            if row is None or not _same(record, row):
                yield f"{topic}/{partition}: {number} is not what the outbox says"
                continue
            found[number] += 1
            lane, seq = number
            if found[number] == 1 and seq < highest[lane]:
                yield f"{topic}/{partition}: {number} came after {highest[lane]}"
            highest[lane] = max(highest[lane], seq)
    for number in rows.keys() - found.keys():
        yield f"outbox row {number} was never published"


def _paid_once(database: MemoryTables, log: Log) -> Iterator[str]:
    """Each payment has one instruction in the outbox and on the topic, and each instruction its payment."""
    wanted = Counter(database.payments.keys())
    written: Counter[str] = Counter()
    for row in chain.from_iterable(database.outbox.values()):
        if row.topic == _INSTRUCTION:
            written[dict(msgpack.decode(row.headers))["instruction_id"].decode()] += 1
    seen = {
        dict(record.headers() or [])["instruction_id"]
        for (topic, _), records in log.partitions.items()
        if topic == _INSTRUCTION
        for record in records
        if record is not None
    }
    if written != wanted:
        yield f"payments {sorted(wanted)} have the instructions {sorted(written.elements())}"
    if {(name or b"").decode() for name in seen} != wanted.keys():
        yield f"payments {sorted(wanted)} have the instructions {sorted(map(str, seen))} on the topic"


def _told_when_due(database: MemoryTables) -> Iterator[str]:
    """With nothing on its way, each claim's row says when the next moment of its clocks is due."""
    for row in database.claims.values():
        due = next_at_ms(_claim(row.state))
        if due != row.due_at_ms:
            yield f"claim {row.claim}: its next moment is {due}, its row says {row.due_at_ms}"


def _business(database: MemoryTables) -> Iterator[bytes]:
    for claim in sorted(database.claims.values()):
        yield business_line(("claim", claim.claim, claim.version, claim.stage, business_state(claim.state)))
    for policy in sorted(database.policies.values()):
        yield business_line(("policy", policy.number, policy.version, policy.plate, business_state(policy.state)))
    for payment in sorted(database.payments.values()):
        yield business_line(("payment", *payment._replace(lane=0, at_ms=0)))
    outputs = sorted(chain.from_iterable(database.outbox.values()), key=_by_subject)
    for row in outputs:
        if row.topic in INTERNAL:
            continue
        value = _written(row.topic, row.value) or row.value
        yield business_line(("output", row.subject, row.topic, row.key, row.cause, row.rule, row.reason, value))


def _by_subject(row: OutboxRow) -> tuple[str, str, str, int, int]:
    """Dead letters of several topics meet in one lane in any order: they stand by cause."""
    return row.subject, row.topic, row.cause if row.topic == DEAD_LETTERS else "", row.lane, row.seq


def _number(record: Record) -> tuple[int, int] | None:
    headers = dict(record.headers() or [])
    lane, seq = headers.get("lane"), headers.get("seq")
    return None if lane is None or seq is None else (int(lane), int(seq))


def _same(record: Record, row: OutboxRow) -> bool:
    place = row.topic, row.partition
    return (place, row.key.encode(), row.value, headers_of(row)) == (
        (record.topic(), record.partition()),
        record.key(),
        record.value(),
        record.headers(),
    )
