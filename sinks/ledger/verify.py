"""The promises a ledger can prove by itself, checked on any database: reads only, in one snapshot, row by row.

A check yields one line for each row that breaks it: places, numbers and ids, never what a record says of a person.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby, islice
from typing import Any, Final, ParamSpec

import msgspec
from sqlalchemy import Connection, Engine, and_, func, or_, select, union_all

from schemas.topics import TOPICS, Key
from sinks.ledger.bank_checks import book_as_instructed, cents_matched, files_add_up, statements_add_up
from sinks.ledger.business_hash import business_hash
from sinks.ledger.money_checks import (
    PAYMENT_STATES,
    instructed_once,
    one_effective_payment,
    payments_as_claimed,
    sums_agree,
    two_people,
)
from sinks.ledger.streaming import snapshot, stream
from sinks.ledger.tables import (
    accepted_losses,
    claims,
    dead_letters,
    journal,
    lanes,
    outbox,
    parked,
    payments,
    positions,
    relay,
    topics,
)

P = ParamSpec("P")

MOST_ROWS: Final = 20
STAGES: Final = frozenset(
    (
        "reported",
        "not-accepted",
        "registered",
        "investigating",
        "assessing",
        "decided",
        "agreed",
        "paying",
        "paid",
        "closed",
    )
)
_ENDS: Final = (journal, parked, dead_letters)
_CHUNK: Final = 2000


class Check(msgspec.Struct, frozen=True):
    """One promise: its name, what it says, and the rows that break it (the first 20, then "and more")."""

    name: str
    promise: str
    ok: bool
    rows: tuple[str, ...]


class AcceptedLoss(msgspec.Struct, frozen=True):
    """Records of a log (topic/generation/partition), from offset `first` to `last`, that were deleted before they were
    read; `by` decided to go on without them."""

    log: str
    first: int
    last: int
    by: str
    at_ms: int
    reason: str


class Verification(msgspec.Struct, frozen=True):
    """The outcome. `ledger_hash` is the same for the same input; `holes` counts, by topic/generation/partition, the
    offsets below the position that have no record and are no accepted loss: legal, where transactions leave control
    records."""

    ok: bool
    ledger_hash: str
    checks: tuple[Check, ...]
    holes: dict[str, int]
    accepted_losses: tuple[AcceptedLoss, ...] = ()


def verify(engine: Engine) -> Verification:
    """Check a migrated ledger, in use or not."""
    with snapshot(engine) as connection:
        checks = tuple(run(name, check, connection) for name, check in CHECKS.items())
        losses = _accepted_losses(connection)
        holes = _holes(connection, losses)
        return Verification(all(check.ok for check in checks), business_hash(connection), checks, holes, losses)


def run(name: str, check: Callable[P, Iterable[str]], *given: P.args, **more: P.kwargs) -> Check:
    """Make one check: its docstring is the promise, what it yields breaks that."""
    rows = list(islice(check(*given, **more), MOST_ROWS + 1))
    if len(rows) > MOST_ROWS:
        rows[MOST_ROWS] = "and more"
    return Check(name, " ".join((check.__doc__ or "").split()), not rows, tuple(rows))


def below_positions(connection: Connection) -> Iterator[str]:
    """Every record taken stands below its lane's position, in its own lane."""
    for table in _ENDS:
        r = table.c
        there = positions.c.next.is_not(None) & (topics.c.generation >= r.generation) & (r.lane == r.partition)
        query = (
            select(r.topic, r.generation, r.partition, r.offset)
            .join_from(table, topics, topics.c.topic == r.topic, isouter=True)
            .join(positions, and_(positions.c.topic == r.topic, positions.c.lane == r.partition), isouter=True)
            .where(
                or_(
                    func.coalesce(~there, True), and_(topics.c.generation == r.generation, r.offset >= positions.c.next)
                )
            )
        )
        for row in stream(connection, query):
            yield f"{table.name} {_ref(row)}"


def one_end(connection: Connection) -> Iterator[str]:
    """No record is in two of journal, parked and dead letters."""
    for one, other in ((parked, journal), (dead_letters, journal), (dead_letters, parked)):
        a, b = one.c, other.c
        same = and_(a.topic == b.topic, a.generation == b.generation, a.partition == b.partition, a.offset == b.offset)
        for row in stream(connection, select(a.topic, a.generation, a.partition, a.offset).join_from(one, other, same)):
            yield f"{_ref(row)} in {other.name} and {one.name}"


def losses_passed(connection: Connection) -> Iterator[str]:
    """An accepted loss stands below its lane's position, and no record taken stands in it."""
    a, t, p = accepted_losses.c, topics.c, positions.c
    at = and_(p.topic == a.topic, p.lane == a.lane)
    known = select(a.topic, a.generation, a.lane, a.first).join_from(accepted_losses, topics, t.topic == a.topic)
    ahead = known.join(positions, at).where(t.generation == a.generation, p.next < a.next)
    for row in connection.execute(ahead):
        yield f"{row.topic}/{row.generation}/{row.lane}/{row.first}: the position is not behind it"
    for table in _ENDS:
        r = table.c
        log = and_(r.topic == a.topic, r.generation == a.generation, r.partition == a.lane)
        query = select(r.topic, r.generation, r.partition, r.offset).join_from(table, accepted_losses, log)
        for row in stream(connection, query.where(r.offset >= a.first, r.offset < a.next)):
            yield f"{table.name} {_ref(row)}: taken, and accepted as lost"


def outbox_gapless(connection: Connection) -> Iterator[str]:
    """A lane's outbox numbers run from 1 to the lane's seq without a gap."""
    o = outbox.c
    numbers = select(o.lane, func.count().label("rows"), func.max(o.seq).label("last"), func.min(o.seq).label("first"))
    n = numbers.group_by(o.lane).subquery()
    query = select(lanes.c.lane, lanes.c.seq, n.c.rows, n.c.first, n.c.last).join_from(
        lanes, n, n.c.lane == lanes.c.lane, isouter=True
    )
    for lane, seq, rows, first, last in connection.execute(query):
        if (rows or 0, first or 1, last or 0) != (seq, 1, seq):
            yield f"lane {lane}: seq is {seq}, outbox has {rows or 0} rows from {first} to {last}"
    for (lane,) in connection.execute(select(o.lane).distinct().where(o.lane.not_in(select(lanes.c.lane)))):
        yield f"lane {lane}: outbox has rows of a lane that is not there"


def entries_unique(connection: Connection) -> Iterator[str]:
    """A lane's entry numbers are used once, and none is above the lane's."""
    every = union_all(*(select(table.c.lane, table.c.entry) for table in _ENDS)).subquery()
    e = every.c
    twice = select(e.lane, e.entry).group_by(e.lane, e.entry).having(func.count() > 1)
    for lane, entry in stream(connection, twice):
        yield f"lane {lane} entry {entry}: used twice"
    above = select(e.lane, e.entry).join_from(every, lanes, lanes.c.lane == e.lane).where(e.entry > lanes.c.entry)
    for lane, entry in stream(connection, above):
        yield f"lane {lane} entry {entry}: above the lane's"


def published_written(connection: Connection) -> Iterator[str]:
    """Nothing is published that was not written: a lane's mark is not above its seq."""
    query = select(relay.c.lane, relay.c.published, lanes.c.seq).join_from(relay, lanes, relay.c.lane == lanes.c.lane)
    for lane, published, seq in connection.execute(query.where(relay.c.published > lanes.c.seq)):
        yield f"lane {lane}: published {published}, seq {seq}"


def versions_counted(connection: Connection) -> Iterator[str]:
    """A claim's version is the number of records applied to it, in its row and in its state."""
    keyed = [topic.name for topic in TOPICS.values() if topic.key is Key.CLAIM]
    j, c = journal.c, claims.c
    done = (
        select(j.subject, func.count().label("records"))
        .where(j.outcome == "done", j.topic.in_(keyed))
        .group_by(j.subject)
        .subquery()
    )
    stated, records = func.coalesce(c.state["version"].as_integer(), 0), func.coalesce(done.c.records, 0)
    query = (
        select(c.claim, c.version, stated, records)
        .join_from(claims, done, c.claim == done.c.subject, isouter=True)
        .where(or_(records != c.version, stated != c.version))
    )
    for claim, version, in_state, applied in stream(connection, query):
        yield f"claim {claim}: version {version}, in its state {in_state}, records applied {applied}"
    missing = select(done.c.subject).join_from(done, claims, c.claim == done.c.subject, isouter=True)
    for (claim,) in stream(connection, missing.where(c.claim.is_(None))):
        yield f"claim {claim}: records applied, but no claim"


def states_legal(connection: Connection) -> Iterator[str]:
    """Every claim stands at a stage, and every payment in a state, that exists."""
    for (claim,) in stream(connection, select(claims.c.claim).where(claims.c.stage.not_in(STAGES))):
        yield f"claim {claim}: unknown stage"
    for (id_,) in stream(connection, select(payments.c.id).where(payments.c.state.not_in(PAYMENT_STATES))):
        yield f"payment {id_}: unknown state"


def outputs_explained(connection: Connection) -> Iterator[str]:
    """Every output names its rule, its reason and a cause that is in the journal, parked or a dead letter."""
    o = outbox.c
    rows = stream(connection, select(o.lane, o.seq, o.cause, o.rule, o.reason).order_by(o.lane, o.seq))
    while chunk := list(islice(rows, _CHUNK)):
        known = _known(connection, {row.cause for row in chunk})
        for row in chunk:
            if row.cause not in known:
                yield f"outbox {row.lane}/{row.seq}: its cause is in no table"
            if not row.rule or not row.reason:
                yield f"outbox {row.lane}/{row.seq}: no rule or no reason"


CHECKS: Final[Mapping[str, Callable[[Connection], Iterator[str]]]] = {
    "below-positions": below_positions,
    "one-end": one_end,
    "losses-passed": losses_passed,
    "outbox-gapless": outbox_gapless,
    "entries-unique": entries_unique,
    "published-written": published_written,
    "versions-counted": versions_counted,
    "states-legal": states_legal,
    "outputs-explained": outputs_explained,
    "one-effective-payment": one_effective_payment,
    "instructed-once": instructed_once,
    "payments-as-claimed": payments_as_claimed,
    "sums-agree": sums_agree,
    "two-people": two_people,
    "book-as-instructed": book_as_instructed,
    "files-add-up": files_add_up,
    "statements-add-up": statements_add_up,
    "cents-matched": cents_matched,
}


def _accepted_losses(connection: Connection) -> tuple[AcceptedLoss, ...]:
    a = accepted_losses.c
    query = select(a.topic, a.generation, a.lane, a.first, a.next, a.accepted_by, a.at_ms, a.reason)
    return tuple(
        AcceptedLoss(f"{topic}/{generation}/{lane}", first, next_ - 1, by, at_ms, reason)
        for topic, generation, lane, first, next_, by, at_ms, reason in connection.execute(query.order_by(a.at_ms))
    )


def _holes(connection: Connection, losses: Iterable[AcceptedLoss]) -> dict[str, int]:
    """How many offsets between the first and the position have no record and are no loss, where there are any."""
    every = union_all(*(select(t.c.topic, t.c.generation, t.c.partition) for t in _ENDS)).subquery()
    e, p, t = every.c, positions.c, topics.c
    counts = select(e.topic, e.generation, e.partition, func.count().label("records"))
    n = counts.group_by(e.topic, e.generation, e.partition).subquery()
    here = and_(n.c.topic == p.topic, n.c.partition == p.lane, n.c.generation == t.generation)
    query = select(p.topic, t.generation, p.lane, p.next - p.first - func.coalesce(n.c.records, 0))
    joined = (
        query.join_from(positions, topics, p.topic == t.topic).join(n, here, isouter=True).order_by(p.topic, p.lane)
    )
    holes = {
        f"{topic}/{generation}/{lane}": int(count) for topic, generation, lane, count in connection.execute(joined)
    }
    for loss in losses:
        if loss.log in holes:
            holes[loss.log] -= loss.last - loss.first + 1
    return {log: count for log, count in holes.items() if count}


def _known(connection: Connection, causes: set[str]) -> set[str]:
    """Those of the refs whose record is in one of the tables."""
    known: set[str] = set()
    for log, refs in groupby(sorted(causes), key=lambda ref: ref.rpartition("/")[0]):
        topic, *numbers = log.rsplit("/", 2)
        offsets = {ref.rpartition("/")[2] for ref in refs}
        if len(numbers) != 2 or not all(number.isdecimal() for number in (*numbers, *offsets)):
            continue
        generation, partition = map(int, numbers)
        sought = set(map(int, offsets))
        for table in _ENDS:
            c = table.c
            here = and_(c.topic == topic, c.generation == generation, c.partition == partition, c.offset.in_(sought))
            found = set(connection.execute(select(c.offset).where(here)).scalars()) if sought else set()
            known.update(f"{log}/{offset}" for offset in found)
            sought -= found
    return known


def _ref(row: Any) -> str:  # noqa: ANN401 - a row of any of the three tables
    return f"{row.topic}/{row.generation}/{row.partition}/{row.offset}"
