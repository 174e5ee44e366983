"""`claimhub positions`: where the hub stands in each log, and going on where records were deleted before it came."""

import os
import pwd
import time
from typing import Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, insert, select, text, update

from schemas.topics import INBOUND
from sinks.ledger.prepare import check_topics
from sinks.ledger.tables import accepted_losses, lanes, positions, topics
from streams.cluster import KafkaCluster
from streams.commands import show
from streams.commands.failures import Failed, WrongInput
from streams.commands.ledger import open_connection
from streams.settings import Settings

_same_topic: Final = positions.c.topic == topics.c.topic


class PositionRow(Struct, frozen=True):
    """One lane's place in one topic's log. `lost` counts the records that were deleted before they were read."""

    place: str
    position: int
    log_start: int
    log_end: int
    waiting: int
    lost: int


class Loss(Struct, frozen=True):
    """Records `first` to `last` of a place, which `by` gives up; nothing is done yet unless `accepted`."""

    place: str
    first: int
    last: int
    count: int
    by: str
    reason: str
    accepted: bool


def read_positions(settings: Settings) -> list[PositionRow]:
    """Every place, in the order of topics and lanes. Raises ClusterUnavailable."""
    with open_connection(settings) as connection:
        at = {(row.topic, row.lane): row for row in connection.execute(select(positions))}
    bounds = _cluster(settings).bounds(INBOUND, range(settings.lanes))
    rows = []
    for (topic, lane), (start, end) in sorted(bounds.items()):
        position = at[topic, lane].next if (topic, lane) in at else start
        lost = max(0, start - position)
        rows.append(PositionRow(f"{topic}/{lane}", position, start, end, end - max(position, start), lost))
    return rows


def show_positions(rows: list[PositionRow]) -> None:
    """Print every place."""
    cells = [(row.place, row.position, row.log_start, row.log_end, row.waiting, row.lost) for row in rows]
    show.table(("place", "position", "log start", "log end", "waiting", "lost"), cells, "no positions")


def accept_loss(settings: Settings, place: str, reason: str, *, yes: bool) -> Loss:
    """Move a place's position to where its log begins now, and keep who gave up what lay between, when and why.

    Without `yes` nothing is changed. The lane's token goes up, so that nobody who still thinks to own it can write.
    Raises WrongInput; Failed when nothing is lost there or a worker holds the lane; TopicChanged, ClusterUnavailable.
    """
    topic, lane = _place(settings, place)
    if not reason.strip():
        raise WrongInput("--reason is empty: say why these records may be given up")
    cluster = _cluster(settings)
    (identity,) = cluster.identities([topic])
    start, _ = cluster.bounds([topic], [lane])[topic, lane]
    with open_connection(settings) as connection:
        check_topics(lambda sql: connection.execute(text(sql)).all(), [identity])
        query = select(positions.c.next, topics.c.generation).join_from(positions, topics, _same_topic)
        known = connection.execute(query.where(*_at(topic, lane))).one_or_none()
        if known is None:
            raise Failed(f"nothing is lost in {place}: the hub has not come to it yet, and begins where its log does")
        position, generation = known
        if position >= start:
            raise Failed(f"nothing is lost in {place}: it is read up to {position}, and its log begins at {start}")
        if holder := cluster.holder(settings.group, topic, lane):
            raise Failed(f"{place} is held by the worker {holder} of the group {settings.group}. Stop it first")
        loss = Loss(place, position, start - 1, start - position, _user(), reason.strip(), accepted=yes)
        if yes:
            _accept(connection, loss, topic, lane, generation)
        return loss


def show_loss(loss: Loss) -> None:
    """Print what is given up, or would be."""
    what = f"records {loss.first} to {loss.last} of {loss.place} ({loss.count}), deleted before they were read"
    if loss.accepted:
        show.line(f"given up: {what}; noted with the name {loss.by}. Start the workers again")
    else:
        show.line(f"would be given up: {what}")
        show.note("claimhub: nothing was changed; to go on without them, say it again with --yes")


def _accept(connection: Connection, loss: Loss, topic: str, lane: int, generation: int) -> None:
    connection.execute(update(lanes).where(lanes.c.lane == lane).values(token=lanes.c.token + 1, owner=""))
    moved = update(positions).where(*_at(topic, lane), positions.c.next == loss.first).values(next=loss.last + 1)
    if connection.execute(moved).rowcount != 1:
        raise Failed(f"the position of {loss.place} has moved meanwhile. Nothing was changed; run the command again")
    values = {"first": loss.first, "next": loss.last + 1, "at_ms": time.time_ns() // 1_000_000}
    place = {"topic": topic, "generation": generation, "lane": lane}
    connection.execute(insert(accepted_losses).values(**place, **values, accepted_by=loss.by, reason=loss.reason))


def _place(settings: Settings, place: str) -> tuple[str, int]:
    topic, _, lane = place.rpartition("/")
    if topic not in INBOUND or not lane.isdecimal() or int(lane) >= settings.lanes:
        raise WrongInput(f"{place} is not a place: an inbound topic, a slash and a lane. See: claimhub positions ls")
    return topic, int(lane)


def _cluster(settings: Settings) -> KafkaCluster:
    if settings.embedded_kafka:
        raise WrongInput("the embedded broker deletes nothing that is unread, and begins anew with each start")
    return KafkaCluster(settings.kafka_client())


def _at(topic: str, lane: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return positions.c.topic == topic, positions.c.lane == lane


def _user() -> str:
    """The name of the operating system's user; no environment variable can change it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
