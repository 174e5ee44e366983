"""Which topics a ledger knows, and the rows it needs for them; the same on every database."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from sinks.ledger.port import TopicChanged, TopicIdentity

Rows = Sequence[tuple[Any, ...]]
Query = Callable[[str], Rows]
"""Runs a SELECT."""
Write = Callable[[str, Rows], object]
"""Runs a statement with `?` placeholders once per row."""

_TOPICS: Final = "SELECT topic, id, partitions FROM topics"


def check_topics(query: Query, topics: Iterable[TopicIdentity]) -> None:
    """Raise TopicChanged for a topic the ledger does not know, or knows otherwise."""
    known = _known(query)
    for topic in topics:
        if topic.topic not in known:
            raise TopicChanged(f"topic {topic.topic} is not in the ledger. Start the hub again to add it")
        if _renewed(known[topic.topic], topic):
            raise TopicChanged(
                f"topic {topic.topic} was deleted and created again: its offsets no longer mean what the ledger knows. "
                "Connect the hub to the cluster this ledger belongs to, or start with a new ledger"
            )


def prepare(
    query: Query,
    write: Write,
    inbound: Sequence[TopicIdentity],
    outbound: Sequence[TopicIdentity],
    log_start: Mapping[tuple[str, int], int],
    memory_only: bool,
) -> None:
    """See Ledger.prepare. To be called inside a transaction that no other `prepare` runs beside."""
    known = _known(query)
    topics = {topic.topic: topic for topic in (*inbound, *outbound)}
    if memory_only:
        renewed = [t for t in topics.values() if t.topic in known and _renewed(known[t.topic], t)]
        names = [(t.topic,) for t in renewed]
        write(
            "UPDATE topics SET id = ?, generation = generation + 1 WHERE topic = ?", [(t.id, t.topic) for t in renewed]
        )
        write("UPDATE positions SET first = 0, next = 0 WHERE topic = ?", names)
        write("UPDATE relay_next SET next = 0 WHERE topic = ?", names)
    else:
        check_topics(query, (t for t in topics.values() if t.topic in known))
    write(
        "INSERT INTO topics (topic, id, partitions, generation) VALUES (?, ?, ?, 1)",
        [(t.topic, t.id, t.partitions) for t in topics.values() if t.topic not in known],
    )
    lanes = {lane for (lane,) in query("SELECT lane FROM lanes")}
    new = [(lane,) for lane in range(max((t.partitions for t in inbound), default=0)) if lane not in lanes]
    write("INSERT INTO lanes (lane, token, seq, entry, owner) VALUES (?, 0, 0, 0, '')", new)
    write("INSERT INTO relay (lane, published) VALUES (?, 0)", new)
    positions = {(topic, lane) for topic, lane in query("SELECT topic, lane FROM positions")}
    places = [(t.topic, lane) for t in inbound for lane in range(t.partitions) if (t.topic, lane) not in positions]
    write(
        "INSERT INTO positions (topic, lane, first, next) VALUES (?, ?, ?, ?)",
        [(*place, log_start[place], log_start[place]) for place in places],
    )


def _known(query: Query) -> dict[str, TopicIdentity]:
    return {topic: TopicIdentity(topic, id_, partitions) for topic, id_, partitions in query(_TOPICS)}


def _renewed(known: TopicIdentity, now: TopicIdentity) -> bool:
    """Whether the topic was created anew. Raises TopicChanged when it has another partition count."""
    if known.partitions != now.partitions:
        raise TopicChanged(
            f"topic {now.topic} has {now.partitions} partitions, the ledger knows {known.partitions}: a claim's "
            f"records would reach another lane. The count is fixed: create the topic with {known.partitions} partitions"
        )
    return known.id != now.id
