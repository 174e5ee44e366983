"""The headers of a record the hub sends: CloudEvents 1.0 in binary form, its cause, its number in the outbox."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from msgspec import msgpack

from sinks.ledger.port import OutboxRow

Headers = list[tuple[str, bytes]]

_SPECVERSION: Final = ("ce_specversion", b"1.0")
_SOURCE: Final = ("ce_source", b"claimhub")
_unpack = msgpack.Decoder(Headers).decode


def headers_of(row: OutboxRow) -> Headers:
    """All headers of an outbox row's record: those that its columns say, and those that it keeps. Receivers see a
    repeat by `lane` and `seq`."""
    return [
        _SPECVERSION,
        _SOURCE,
        ("ce_type", row.topic.encode()),
        ("ce_subject", row.key.encode()),
        ("ce_time", _rfc3339(row.at_ms)),
        ("correlationid", row.subject.encode()),
        ("lane", b"%d" % row.lane),
        ("seq", b"%d" % row.seq),
        *kept_headers(row),
    ]


def kept_headers(row: OutboxRow) -> Headers:
    """The headers that do not follow from a row's columns."""
    return _unpack(row.headers)


def _rfc3339(at_ms: int) -> bytes:
    seconds, ms = divmod(at_ms, 1000)
    return b"%s.%03dZ" % (_to_the_second(seconds), ms)


@lru_cache(1024)
def _to_the_second(seconds: int) -> bytes:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}".encode()
