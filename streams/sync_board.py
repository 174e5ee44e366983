"""The sync board: per department and claim, the newest version sent and the newest the department has seen.

Kafka says up to which record a department's group has read `claims.status`; that record's number says which of the
outbox's rows it has seen. What it acknowledged one by one stands in the claims. Versions are counted: a claim's n-th
status row, resyncs left out, is its version n.

What it costs: one request to Kafka for all departments and one for each, and one record of each lane it is behind in;
then one query for each lane and place somebody is behind at, over the rows not seen, at most MOST of them. A department
that is level costs the ledger nothing, however many claims there are. One that only acknowledges, and whose group never
commits, costs a look at all that was ever sent.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from msgspec import Struct
from sqlalchemy import Connection, Engine, func, select

from monitoring.clock import SystemClock
from sinks.clients import KafkaClients
from sinks.deliveries import Place
from sinks.ledger.streaming import snapshot
from sinks.ledger.tables import claims, outbox
from sinks.read_back import LogReader
from sinks.topic_check import name_of, published_marks
from streams.cluster import KafkaCluster
from streams.rules.departments import departments
from streams.rules.sync import RESYNC, STATUS

MOST: Final = 10_000
"""Status rows of a lane that are looked at for one department. One that is further behind is so by `at_least`."""

_CHUNK: Final = 1000


class Drift(Struct, frozen=True):
    """How far a department is behind: claims whose newest version it has not seen, and since when in seconds, by the
    broker's time. `at_least` when there may be more claims; `alarm` when it is longer than the department's limit."""

    department: str
    group: str
    claims_behind: int
    at_least: bool
    oldest_s: int
    limit_s: int
    alarm: bool


class Seen(Struct, frozen=True):
    """The newest version of a claim that was sent, and that a department has seen: `read` by its group, or
    `acknowledged`; 0 is none."""

    department: str
    sent: int
    seen: int
    read: int
    acknowledged: int

    @property
    def behind(self) -> bool:
        """Whether there is a newer version than the department has seen."""
        return self.seen < self.sent


class _Unread(NamedTuple):
    """What a group has not read of a lane: all from the number `since`. `seq`, `offset` and `at_ms` are of the first
    such record that is still in the log, `end` is the log's."""

    since: int
    seq: int
    offset: int
    at_ms: int
    end: int


class _OfLane(NamedTuple):
    """How far a department is behind in one lane."""

    claims: int
    whole: bool
    oldest_ms: int


class _Behind(NamedTuple):
    """The claims that some of a lane's unread rows are of; `more` is the number to go on from, if there may be more."""

    claims: list[tuple[str, int, int, Mapping[str, int]]]
    more: int | None


def read_drift(
    engine: Engine, cluster: KafkaCluster, lanes: Sequence[int], names: Iterable[str], now_ms: int, most: int = MOST
) -> list[Drift]:
    """How far each of these departments is behind in these lanes. Raises ClusterUnavailable, LogUnreadable."""
    marks = published_marks(engine)  # before the logs' ends are asked for, and so below them
    with _open_log(cluster) as log, engine.connect() as connection:
        ends = log.ends([(STATUS, lane) for lane in lanes])
        unread = {name: _unread(cluster, log, departments()[name].group, ends) for name in names}
        found: dict[str, list[_OfLane]] = {name: [] for name in unread}
        for lane in lanes:
            known: dict[int, _Behind] = {}  # shared by departments that are behind at one place; gone with the lane
            for name, places in unread.items():
                if (place := places.get(lane)) is not None:
                    if place.since not in known:
                        known[place.since] = _behind(connection, lane, place.since, marks.get(lane, 0), most)
                    behind, waiting = _not_seen(connection, lane, known[place.since], name, marks.get(lane, 0), most)
                    if waiting:
                        oldest_ms = _sent_at_ms(log, lane, min(waiting), place)
                        found[name].append(_OfLane(len(waiting), behind.more is None, oldest_ms))
    return [_drift(name, of_lanes, now_ms) for name, of_lanes in found.items()]


def read_seen(engine: Engine, cluster: KafkaCluster, claim: str) -> list[Seen] | None:
    """The versions of one claim, department by department; None when there is no such claim.

    Raises ClusterUnavailable, LogUnreadable.
    """
    marks = published_marks(engine)
    with snapshot(engine) as connection:
        query = select(claims.c.lane, claims.c.state["acknowledged"]).where(claims.c.claim == claim)
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        lane, acknowledged = row
        numbers = _versions(connection, [claim])[claim]
    sent = sum(number <= marks.get(lane, 0) for number in numbers)
    found = []
    with _open_log(cluster) as log:
        ends = log.ends([(STATUS, lane)])
        for name, department in departments().items():
            unread = _unread(cluster, log, department.group, ends).get(lane)
            read = sent if unread is None else sum(number < unread.since for number in numbers[:sent])
            said = (acknowledged or {}).get(name, 0)
            found.append(Seen(name, sent, min(sent, max(read, said)), read, said))
    return found


@contextmanager
def _open_log(cluster: KafkaCluster) -> Iterator[LogReader]:
    log = LogReader(KafkaClients(cluster.options), SystemClock())
    try:
        yield log
    finally:
        log.close()


def _drift(name: str, of_lanes: Sequence[_OfLane], now_ms: int) -> Drift:
    department = departments()[name]
    oldest_s = max(0, now_ms - min((one.oldest_ms for one in of_lanes), default=now_ms)) // 1000
    return Drift(
        department=name,
        group=department.group,
        claims_behind=sum(one.claims for one in of_lanes),
        at_least=not all(one.whole for one in of_lanes),
        oldest_s=oldest_s,
        limit_s=department.drift_limit_s,
        alarm=oldest_s > department.drift_limit_s,
    )


def _unread(cluster: KafkaCluster, log: LogReader, group: str, ends: Mapping[Place, int]) -> dict[int, _Unread]:
    """What a group has still to read, by lane. A lane that it has read to the end is not there."""
    committed = cluster.committed(group, STATUS, [lane for _, lane in ends])
    found = {}
    ranges = {place: (committed.get(place[1], 0), end) for place, end in ends.items()}
    for place, (seq, offset, at_ms) in _first(log, ranges).items():
        lane = place[1]
        found[lane] = _Unread(seq if lane in committed else 0, seq, offset, at_ms, ends[place])
    return found


def _first(log: LogReader, ranges: Mapping[Place, tuple[int, int]]) -> dict[Place, tuple[int, int, int]]:
    """Number, offset and time of the hub's first record in [start, end) of each place that has one."""
    found = {}
    while ranges:
        passed = {}
        for message in log.records(ranges, first_only=True):
            place, offset, name = (
                (message.topic() or "", message.partition() or 0),
                message.offset() or 0,
                name_of(message),
            )
            if name is None:  # not the hub's: the next one may be
                passed[place] = offset + 1, ranges[place][1]
            else:
                found[place] = name[1], offset, message.timestamp()[1]
        ranges = passed
    return found


def _behind(connection: Connection, lane: int, since: int, until: int, most: int) -> _Behind:
    """The claims of the status rows from `since` to `until`: claim, number of the first such row, the claim's version
    and what departments acknowledged of it."""
    o, c = outbox.c, claims.c
    rows = (
        select(o.key, o.seq)
        .where(o.lane == lane, o.seq >= since, o.seq <= until, o.topic == STATUS, o.rule != RESYNC)
        .order_by(o.seq)
        .limit(most)
        .subquery()
    )
    numbers = rows.c.seq
    of_claim = (
        select(
            rows.c.key, func.min(numbers).label("first"), func.max(numbers).label("last"), func.count().label("count")
        )
        .group_by(rows.c.key)
        .subquery()
    )
    f = of_claim.c
    query = select(f.key, f.first, c.version, c.state["acknowledged"], f.last, f.count)
    found = connection.execute(query.join_from(of_claim, claims, c.claim == f.key)).all()
    more = None if sum(row[5] for row in found) < most else max(row[4] for row in found) + 1
    return _Behind([(*row[:3], row[3] or {}) for row in found], more)


def _not_seen(
    connection: Connection, lane: int, behind: _Behind, name: str, until: int, most: int
) -> tuple[_Behind, list[int]]:
    """The first claims of a lane that the department has not seen: as `_waiting`, past those it acknowledged."""
    waiting = _waiting(connection, behind, name, until)
    while not waiting and behind.more is not None:
        behind = _behind(connection, lane, behind.more, until, most)
        waiting = _waiting(connection, behind, name, until)
    return behind, waiting


def _waiting(connection: Connection, behind: _Behind, name: str, until: int) -> list[int]:
    """Number of the first row that the department has not seen, of each claim whose newest one it has not."""
    numbers: list[int] = []
    partly: dict[str, tuple[int, int]] = {}
    for claim, first, version, acknowledged in behind.claims:
        said = acknowledged.get(name, 0)
        if said == 0:
            numbers.append(first)
        elif said < version:
            partly[claim] = said, first
    claims_partly = list(partly)
    for at in range(0, len(claims_partly), _CHUNK):
        for claim, known in _versions(connection, claims_partly[at : at + _CHUNK]).items():
            said, first = partly[claim]
            if known[said] <= until:
                numbers.append(max(first, known[said]))
    return numbers


def _versions(connection: Connection, numbers: Sequence[str]) -> Mapping[str, list[int]]:
    """By claim the numbers of its status rows, version 1 first."""
    o = outbox.c
    query = select(o.subject, o.seq).where(o.subject.in_(numbers), o.topic == STATUS, o.rule != RESYNC).order_by(o.seq)
    found: dict[str, list[int]] = defaultdict(list)
    for claim, seq in connection.execute(query):
        found[claim].append(seq)
    return found


def _sent_at_ms(log: LogReader, lane: int, seq: int, unread: _Unread) -> int:
    """When the row of this number came to the topic: numbers grow with offsets, so halving finds it."""
    if seq <= unread.seq:
        return unread.at_ms
    place = (STATUS, lane)
    low, high, at_ms = unread.offset + 1, unread.end, unread.at_ms
    while low < high:
        middle = (low + high) // 2
        found = _first(log, {place: (middle, high)}).get(place)
        if found is not None and found[0] < seq:
            low = found[1] + 1
        else:
            high = middle
            at_ms = found[2] if found is not None else at_ms
    return at_ms
