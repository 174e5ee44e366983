"""Sends what the book has for the claims to Kafka, in order; what is sent again after a crash is the same event."""

from typing import Any, Final

import msgspec
from sqlalchemy import Engine, select, update

from schemas.codec import Codec
from schemas.topics import TOPICS
from sinks.ledger.bank_tables import bank_records
from streams.cluster import ClientOptions
from streams.commands.deliver import Outgoing, deliver
from streams.commands.send import event_headers

SOURCE: Final = "claimhub-bank"
_PAGE: Final = 5_000


def publish(engine: Engine, codec: Codec, options: ClientOptions, now_ms: int) -> int:
    """Send every record that Kafka has not confirmed yet, and mark those it does; how many it took.

    Raises Unavailable when Kafka does not take a page in whole: that page is sent again next time.
    """
    sent = 0
    while page := _unsent(engine):
        deliver(options, [outgoing(codec, row) for row in page])
        numbers = [row["number"] for row in page]
        with engine.begin() as connection:
            marked = update(bank_records).where(bank_records.c.number.in_(numbers))
            connection.execute(marked.values(sent_at_ms=now_ms))
        sent += len(page)
    return sent


def waiting(engine: Engine) -> bool:
    """Whether there is a record that Kafka has not confirmed yet."""
    query = select(bank_records.c.number).where(bank_records.c.sent_at_ms.is_(None)).limit(1)
    with engine.connect() as connection:
        return connection.execute(query).first() is not None


def _unsent(engine: Engine) -> list[dict[str, Any]]:
    c = bank_records.c
    query = select(c.number, c.event_id, c.topic, c.key, c.at_ms, c.value).where(c.sent_at_ms.is_(None))
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(query.order_by(c.number).limit(_PAGE)).mappings()]


def outgoing(codec: Codec, row: dict[str, Any]) -> Outgoing:
    """The Kafka record of a row; its id is the row's, so that the claims' lanes know it when it comes again."""
    topic, key = row["topic"], row["key"]
    record = msgspec.json.decode(row["value"], type=TOPICS[topic].record)
    headers = event_headers(row["event_id"], SOURCE, topic, key, row["at_ms"])
    return Outgoing(topic, key.encode(), codec.encode(topic, record), headers)
