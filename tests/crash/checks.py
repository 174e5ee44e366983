"""What must hold after a round, each check a list of what differs."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Engine, select, union_all

from schemas.topics import INBOUND, OUTBOUND
from sinks.envelope import headers_of
from sinks.ledger import business_hash as hashing
from sinks.ledger.port import OutboxRow
from sinks.ledger.tables import dead_letters, journal, outbox, parked, payments
from sinks.ledger.verify import verify
from tests.crash.finance import Booked
from tests.crash.reference import Logged, Reference
from tests.crash.workload import MARK, Told

MOST = 10
"""Lines a check says of what differs."""


class Found(NamedTuple):
    """What the checks of one round found. `problems` are sentences; none means that all holds."""

    lost: int
    double_effect: int
    hash_equal: bool
    problems: list[str]


def check(engine: Engine, reference: Reference, log: Sequence[Logged], booked: Iterable[Booked]) -> Found:
    """Everything at once, over all rounds since the topics were made."""
    verified = verify(engine)
    hash_equal = verified.ledger_hash == reference.hash()
    problems = [f"verify {it.name}: {row}" for it in verified.checks for row in it.rows]
    if not hash_equal:
        problems += ["the ledger's hash differs from the undisturbed run's", *_differences(engine, reference.engine)]
    unended = list(_without_end(engine, log))
    payable, lacking, doubled = _settlements(reference.engine), [], []
    effective = Counter((it.claim, it.settlement_version, it.amount_minor, it.currency) for it in booked)
    for settlement in sorted(payable | effective.keys()):
        if effective[settlement] < (settlement in payable):
            lacking.append(f"finance never paid {settlement}")
        elif effective[settlement] > (settlement in payable):
            doubled.append(f"finance paid {effective[settlement]} times {settlement}")
    for found in (unended, lacking, doubled, list(_topics_and_outbox(engine, log))):
        problems += found[:MOST]
    return Found(len(unended) + len(lacking), len(doubled), hash_equal, problems)


def plan_in_log(told: Sequence[Told], log: Sequence[Logged]) -> dict[int, Logged]:
    """The records of a round as they stand in the log, by their number in the plan; each once, or ValueError."""
    marks = {dict(one.headers)[MARK]: one.number for one in told}
    found = [(number, it) for it in log if (number := marks.get(dict(it.headers).get(MARK) or b"")) is not None]
    if sorted(number for number, _ in found) != sorted(marks.values()):
        raise ValueError(f"{len(marks)} records were sent, {len(found)} are in the log")
    return dict(found)


def needless_repeats(log: Sequence[Logged]) -> list[str]:
    """Outputs that stand in the log twice though all before them were there already when they first were.

    Behind a gap the relay sends everything again, in order. Without one it must not: reading back had shown them.
    """
    first: dict[tuple[int, int], int] = {}
    repeated: dict[tuple[int, int], Logged] = {}
    for it in log:
        headers = dict(it.headers)
        if it.topic in OUTBOUND and MARK not in headers:
            number = int(headers["lane"] or b""), int(headers["seq"] or b"")
            if number in first:
                repeated[number] = it
            else:
                first[number] = it.timestamp_ms
    latest: dict[int, int] = defaultdict(int)
    needless = []
    for number in sorted(first):
        if number in repeated and latest[number[0]] <= first[number]:
            it = repeated[number]
            needless.append(f"{it.topic}/{it.partition}/{it.offset} repeats outbox {number}, and nobody was frozen")
        latest[number[0]] = max(latest[number[0]], first[number])
    return needless[:MOST]


def _without_end(engine: Engine, log: Sequence[Logged]) -> Iterator[str]:
    """Records the ledger has neither applied nor parked nor buried; that none has two ends is for `verify`."""
    ends = union_all(*(select(t.c.topic, t.c.partition, t.c.offset) for t in (journal, parked, dead_letters)))
    with engine.connect() as connection:
        ended = {tuple(row) for row in connection.execute(ends)}
    there = {(it.topic, it.partition, it.offset) for it in log if it.topic in INBOUND}
    for place in sorted(there - ended):
        yield f"{place} is in the log and nowhere in the ledger"
    for place in sorted(ended - there):
        yield f"{place} is in the ledger and not in the log"


def _settlements(engine: Engine) -> set[tuple[str, int, int, str]]:
    p = payments.c
    with engine.connect() as connection:
        rows = connection.execute(select(p.claim, p.settlement_version, p.amount_minor, p.currency))
        return {(row[0], row[1], row[2], row[3]) for row in rows}


def _topics_and_outbox(engine: Engine, log: Sequence[Logged]) -> Iterator[str]:
    """Every outbox row is on its topic with its bytes, a repeat is the same bytes, and nothing else is there; a
    partition sees the numbers of a lane for the first time in their order."""
    rows: dict[tuple[int, int], tuple[Any, ...]] = {}
    with engine.connect() as connection:
        for row in connection.execute(select(outbox)):
            written = OutboxRow(*row)
            said = written.topic, written.partition, written.key.encode(), headers_of(written), written.value
            rows[written.lane, written.seq] = said
    seen: set[tuple[int, int]] = set()
    highest: dict[tuple[str, int, int], int] = defaultdict(int)
    for it in log:
        headers = dict(it.headers)
        if it.topic not in OUTBOUND or MARK in headers:
            continue
        number = int(headers["lane"] or b""), int(headers["seq"] or b"")
        place = it.topic, it.partition, number[0]
        if rows.get(number) != (it.topic, it.partition, it.key, list(it.headers), it.value):
            yield f"{it.topic}/{it.partition}/{it.offset} is not what outbox {number} says"
        if number not in seen and number[1] < highest[place]:
            yield f"{it.topic}/{it.partition}/{it.offset}: outbox {number} came after {highest[place]}"
        highest[place] = max(highest[place], number[1])
        seen.add(number)
    for number in sorted(rows.keys() - seen):
        yield f"outbox {number} is not on {rows[number][0]}"


def _differences(engine: Engine, reference: Engine) -> Iterator[str]:
    """The first rows that only one of the two hashes covers."""
    with engine.connect() as disturbed, reference.connect() as quiet:
        there, meant = (
            Counter(map(hashing.business_line, hashing._rows(connection))) for connection in (disturbed, quiet)
        )
    for name, rows in (("only there", there - meant), ("only in the undisturbed run", meant - there)):
        for row in list(rows)[:MOST]:
            yield f"{name}: {row.decode()}"
