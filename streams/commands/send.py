"""`claimhub send`: records from JSON or NDJSON to a department's topic; all of them, or none when one is wrong."""

import hashlib
import sys
from pathlib import Path
from typing import Final

import msgspec

from schemas.codec import Codec, without_value
from schemas.records import Record
from schemas.topics import INBOUND, TOPICS, Key
from streams.commands import show
from streams.commands.deliver import Headers, Outgoing
from streams.commands.failures import WrongInput
from streams.commands.json_rows import Row, read_rows
from streams.settings import Settings

SOURCE: Final = "claimhub-send"
KEY_FIELDS: Final = {Key.CLAIM: "claim", Key.POLICY: "policy_number"}
EXAMPLE_FIELDS: Final = {"key", "record", "why"}
"""The fields of an example in `schemas/examples`; `why` says what is wrong with one that must fail."""

OWN_TIMES: Final = (
    "at_ms",
    "notified_at_ms",
    "received_at_ms",
    "issued_at_ms",
    "found_at_ms",
    "decided_at_ms",
    "booked_at_ms",
)
"""The field that tells when a record came to be: every inbound record has one of these."""


def read_file(file: str) -> tuple[str, str]:
    """The text of a file, `-` for standard input, and the name to call it by. Raises WrongInput."""
    try:
        if file == "-":
            return sys.stdin.buffer.read().decode("utf-8-sig"), "standard input"
        return Path(file).read_text(encoding="utf-8-sig"), file
    except OSError as error:
        raise WrongInput(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise WrongInput(f"{file} is not UTF-8 text (byte {error.start})") from None


def read_records(topic: str, text: str, name: str) -> list[tuple[str, Record]]:
    """Key and record of every row of a text: one record, a list, NDJSON, each plain or as `{"key", "record"}`.

    Raises WrongInput naming file, row and field, never a value.
    """
    if topic not in INBOUND:
        why = "is written by the hub alone" if topic in TOPICS else "is not a topic of the hub"
        raise WrongInput(f"{topic} {why}. What can be sent to: {', '.join(INBOUND)}")
    rows = read_rows(text, name)
    if not rows:
        raise WrongInput(f"{name} holds no record")
    return [_read_row(topic, row) for row in rows]


def open_codec(settings: Settings) -> Codec:
    """The codec of the registry the settings name."""
    from streams.app import open_registry  # brings the whole hub with it: a second

    return Codec(open_registry(settings), settings.max_record_bytes)


def outgoing(
    settings: Settings, topic: str, records: list[tuple[str, Record]], key: str | None = None
) -> list[Outgoing]:
    """The Kafka records of what was read, all under `key` if it is given.

    Raises WrongInput, RegistryUnavailable, UnknownSchema.
    """
    codec = open_codec(settings)
    found = []
    for number, (own, record) in enumerate(records, 1):
        try:
            found.append(encoded(codec, topic, key or own, record))
        except ValueError as error:  # half a surrogate pair, a number the schema has no room for
            why = f"record {number} does not fit the schema of {topic} ({type(error).__name__}). Nothing was sent"
            raise WrongInput(why) from None
    return found


def encoded(codec: Codec, topic: str, key: str, record: Record) -> Outgoing:
    """One record with its CloudEvents headers. The id comes from key and content: sent twice it is a duplicate."""
    content = msgspec.json.encode(record)
    identity = hashlib.sha256(b"\0".join((topic.encode(), key.encode(), content))).hexdigest()[:32]
    at_ms = next(getattr(record, name) for name in OWN_TIMES if hasattr(record, name))
    headers = event_headers(identity, SOURCE, topic, key, at_ms)
    return Outgoing(topic, key.encode(), codec.encode(topic, record), headers)


def event_headers(id_: str, source: str, topic: str, key: str, at_ms: int) -> Headers:
    """The CloudEvents headers of a record; with the same source and id it is the same event."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", id_.encode()),
        ("ce_source", source.encode()),
        ("ce_type", topic.encode()),
        ("ce_time", show.time(at_ms).encode()),
        ("ce_subject", key.encode()),
    ]


def _read_row(topic: str, row: Row) -> tuple[str, Record]:
    value, given = row.value, None
    if isinstance(value, dict) and {"key", "record"} <= value.keys() <= EXAMPLE_FIELDS:
        given, value = value["key"], value["record"]
    record = _converted(topic, row.where, value)
    field = KEY_FIELDS[TOPICS[topic].key]
    own: str = getattr(record, field)
    if given not in (None, own):
        raise WrongInput(f"{row.where}: the key and the field {field} differ. Nothing was sent")
    return own, record


def _converted(topic: str, where: str, value: object) -> Record:
    try:
        return msgspec.convert(value, TOPICS[topic].record)
    except msgspec.ValidationError as error:
        raise WrongInput(f"{where}: {without_value(error)}. Nothing was sent") from None
