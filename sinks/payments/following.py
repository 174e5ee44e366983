"""Reads a topic for finance into the book, page by page: what a page says and where it ends are one transaction."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from confluent_kafka import Message
from sqlalchemy import Connection, Engine, select, update

from schemas.records import BreakKind
from sinks.ledger.bank_tables import bank_positions
from sinks.ledger.port import TopicChanged
from sinks.payments.new_rows import insert_new
from sinks.read_back import LogReader

_PAGE: Final = 1000
T = TypeVar("T")


class TopicNow(NamedTuple):
    """A topic as it stands: its id, and by partition the first offset and the one after the last. A `memory_only` one
    begins anew, with another id, each time its broker starts."""

    topic: str
    topic_id: str
    bounds: Mapping[int, tuple[int, int]]
    memory_only: bool


class RecordsGone(Exception):
    """Records of a topic were deleted before finance read them, or the log is shorter than it was."""


def follow(
    engine: Engine, log: LogReader, now: TopicNow, take: Callable[[Connection, Sequence[Message]], T]
) -> Iterator[T]:
    """Take in what came since the last time, up to the ends in `now`; what `take` made of each page.

    Somebody else may do the same meanwhile: each page is taken once. Raises LogUnreadable, TopicChanged, RecordsGone,
    and whatever `take` raises; the page at hand is then as if it had not been read.
    """
    with engine.begin() as book:
        _prepare(book, now)
    behind = True
    while behind:
        behind = yield from _pages(engine, log, now, take)


def _pages(
    engine: Engine, log: LogReader, now: TopicNow, take: Callable[[Connection, Sequence[Message]], T]
) -> Generator[T, None, bool]:
    """Page by page up to the ends; whether somebody else has taken some of it, so that it has to be looked at anew."""
    with engine.begin() as book:
        places = _places(book, now)
    records = log.records({(now.topic, at): (next_, now.bounds[at][1]) for at, next_ in places.items()})
    while page := list(islice(records, _PAGE)):
        with engine.connect() as book, book.begin() as transaction:
            if not _moved(book, now, places, page):
                transaction.rollback()
                return True
            taken = take(book, page)
        yield taken
    return False


def place_of(message: Message) -> str:
    """Where a record stands in Kafka."""
    return f"{message.topic()}/{message.partition()}/{message.offset()}"


def unreadable(id_: str, message: Message, why: str, now_ms: int) -> dict[str, Any]:
    """The break that a record which cannot be read is: it is passed over, and a person has to look."""
    return {
        "break_id": id_,
        "kind": BreakKind.UNREADABLE,
        "about": place_of(message),
        "since_ms": now_ms,
        "at_ms": now_ms,
        "reason": f"a record of {message.topic()} cannot be read: {why}",
    }


def _prepare(book: Connection, now: TopicNow) -> None:
    """A place in each partition, the log's beginning at first."""
    rows = [
        {"topic": now.topic, "partition": partition, "topic_id": now.topic_id, "next": first}
        for partition, (first, _) in now.bounds.items()
    ]
    insert_new(book, bank_positions, rows)
    c = bank_positions.c
    if now.memory_only:
        renewed = update(bank_positions).where(c.topic == now.topic, c.topic_id != now.topic_id)
        book.execute(renewed.values(topic_id=now.topic_id, next=0))


def _places(book: Connection, now: TopicNow) -> dict[int, int]:
    """Where each partition is to be read on."""
    c = bank_positions.c
    places = {}
    for partition, topic_id, next_ in book.execute(
        select(c.partition, c.topic_id, c.next).where(c.topic == now.topic).order_by(c.partition)
    ):
        if topic_id != now.topic_id or partition not in now.bounds:
            raise TopicChanged(
                f"topic {now.topic} was deleted and created again: the payment book has read another one of this name. "
                "Nothing was taken in. Connect to the cluster that the book belongs to"
            )
        first, end = now.bounds[partition]
        if not first <= next_ <= end:
            raise RecordsGone(
                f"{now.topic} partition {partition} is read up to {next_}, and its log holds {first} to {end}: "
                "records that finance has not seen are gone. Nothing was taken in. Restore the topic, or compare "
                "`claimhub payments ls` with the book"
            )
        places[partition] = next_
    return places


def _moved(book: Connection, now: TopicNow, places: dict[int, int], page: Sequence[Message]) -> bool:
    """Move the places to behind this page; False when somebody else has taken some of it."""
    ends = {message.partition() or 0: (message.offset() or 0) + 1 for message in page}
    c = bank_positions.c
    for partition, end in sorted(ends.items()):
        place = update(bank_positions).where(
            c.topic == now.topic,
            c.topic_id == now.topic_id,
            c.partition == partition,
            c.next == places[partition],
        )
        if book.execute(place.values(next=end)).rowcount != 1:
            return False
    places.update(ends)
    return True
