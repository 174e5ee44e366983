"""`claimhub dead-letters`: records that could not be taken; their bytes are kept, and can be sent once more."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, and_, func, select, update

from sinks.ledger.tables import dead_letters
from streams.commands import show
from streams.commands.deliver import Headers, Outgoing
from streams.commands.failures import Failed, WrongInput
from streams.received import unpack_headers

SOURCE: Final = "claimhub-redrive"

Place = tuple[str, int, int, int]


class DeadLetterRow(Struct, frozen=True):
    """A record that could not be taken: where it stood and why."""

    id: str
    subject: str
    code: str
    reason: str
    at: str
    size_bytes: int
    redriven_at: str | None


class DeadLetterDetail(Struct, frozen=True):
    """One dead letter without any of its values: what it is, why it is here, the names and sizes of what it holds."""

    id: str
    topic: str
    generation: int
    partition: int
    offset: int
    subject: str
    code: str
    reason: str
    at: str
    received_at: str
    key_bytes: int | None
    value_bytes: int | None
    headers: dict[str, int | None]
    redriven_at: str | None


def read_dead_letters(connection: Connection) -> list[DeadLetterRow]:
    """All dead letters, oldest first."""
    c = dead_letters.c
    size = func.coalesce(func.length(c.value), 0)
    query = select(
        c.topic, c.generation, c.partition, c.offset, c.subject, c.code, c.reason, c.at_ms, size, c.redriven_at_ms
    ).order_by(c.at_ms, c.topic, c.partition, c.offset)
    return [
        DeadLetterRow(_name(row[:4]), *row[4:7], show.time(row[7]), row[8], _time(row[9]))
        for row in connection.execute(query)
    ]


def show_dead_letters(rows: list[DeadLetterRow]) -> None:
    """Print the dead letters."""
    cells = [(row.id, row.subject, row.code, row.reason, row.at, row.redriven_at or "") for row in rows]
    show.table(("dead letter", "key", "code", "reason", "time", "redriven"), cells, "no dead letters")


def read_dead_letter(connection: Connection, name: str) -> DeadLetterDetail:
    """One dead letter. Raises WrongInput, Failed."""
    row = _row(connection, name)
    return DeadLetterDetail(
        id=name,
        topic=row.topic,
        generation=row.generation,
        partition=row.partition,
        offset=row.offset,
        subject=row.subject,
        code=row.code,
        reason=row.reason,
        at=show.time(row.at_ms),
        received_at=show.time(row.timestamp_ms),
        key_bytes=_length(row.key),
        value_bytes=_length(row.value),
        headers={header: _length(value) for header, value in unpack_headers(row.headers)},
        redriven_at=_time(row.redriven_at_ms),
    )


def show_dead_letter(detail: DeadLetterDetail) -> None:
    """Print one dead letter."""
    headers = ", ".join(f"{name} ({size} bytes)" for name, size in detail.headers.items()) or "none"
    show.pairs(
        [
            ("dead letter", detail.id),
            ("key", detail.subject or f"{detail.key_bytes or 0} bytes"),
            ("code", detail.code),
            ("reason", detail.reason),
            ("time", detail.at),
            ("received", detail.received_at),
            ("value", f"{detail.value_bytes or 0} bytes"),
            ("headers", headers),
            ("redriven", detail.redriven_at),
        ]
    )


def save_value(connection: Connection, name: str, file: Path) -> int:
    """Write the original bytes to a file readable by its owner alone; how many. Raises WrongInput, Failed."""
    value = _row(connection, name).value or b""
    try:
        file.touch(mode=0o600)
        file.write_bytes(value)
    except OSError as error:
        raise WrongInput(f"{file} cannot be written: {error.strerror}") from None
    return len(value)


def redrive(connection: Connection, names: list[str], *, again: bool) -> list[Outgoing]:
    """The original records, to be sent once more. Raises Failed when one is not there, or was redriven and not `again`.

    A record without a CloudEvents id gets one made of its place, so that a second redrive is a duplicate.
    """
    records = []
    for name in names:
        row = _row(connection, name)
        if row.redriven_at_ms is not None and not again:
            raise Failed(
                f"dead letter {name} was redriven at {show.time(row.redriven_at_ms)}. Nothing was sent; "
                "to send it once more: --again"
            )
        headers = unpack_headers(row.headers)
        records.append(Outgoing(row.topic, row.key, row.value, _with_id(headers, name), row.partition))
    return records


def mark_redriven(connection: Connection, names: list[str]) -> None:
    """Note that dead letters were sent once more, now."""
    now_ms = time.time_ns() // 1_000_000
    for name in names:
        connection.execute(update(dead_letters).where(_at(_place(name))).values(redriven_at_ms=now_ms))


def _with_id(headers: Headers, name: str) -> Headers:
    named = {header for header, value in headers if value is not None}
    if {"ce_id", "ce_source"} <= named:
        return headers
    return [*headers, ("ce_id", name.encode()), ("ce_source", SOURCE.encode())]


def _row(connection: Connection, name: str) -> Row[Any]:
    row = connection.execute(select(dead_letters).where(_at(_place(name)))).one_or_none()
    if row is None:
        raise Failed(f"there is no dead letter {name}. See: claimhub dead-letters ls")
    return row


def _at(place: Place) -> ColumnElement[bool]:
    c = dead_letters.c
    topic, generation, partition, offset = place
    return and_(c.topic == topic, c.generation == generation, c.partition == partition, c.offset == offset)


def _place(name: str) -> Place:
    try:
        topic, generation, partition, offset = name.split("/")
        return topic, int(generation), int(partition), int(offset)
    except ValueError:
        raise WrongInput(
            f"{name} is not the id of a dead letter: topic/generation/partition/offset. See: claimhub dead-letters ls"
        ) from None


def _name(place: Iterable[object]) -> str:
    return "/".join(map(str, place))


def _length(data: bytes | None) -> int | None:
    return None if data is None else len(data)


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else show.time(at_ms)
