"""Bytes to records and back: Avro in the Confluent wire format, checked at every step, nothing personal in an error."""

import json
import re
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import fastavro
import msgspec
from fastavro.schema import to_parsing_canonical_form

from schemas import generated
from schemas.compatibility import Level, Schema, lint
from schemas.generated import Read, Write
from schemas.records import Record
from schemas.topics import TOPICS, avro_schema
from schemas.unsafe import UnsafeSchema, refuse_unsafe

SCHEMA_HEADER: Final = "__value_schema_id"
"""Header in which Confluent clients put the schema id when it does not stand before the body."""

_BY_ID, _BY_GUID = b"\x00", b"\x01"
_ID_END, _GUID_END = 5, 17
_ENUM_VALUE: Final = re.compile(r"Invalid enum value .*( - at `[^`]*`)", re.DOTALL)

Headers = Sequence[tuple[str, bytes | None]]

_PREPARED: Final = [msgspec.json.Decoder(topic.record) for topic in TOPICS.values()]
"""Makes msgspec learn every record here, where one thread imports: two that do it at once end the interpreter."""


class Undecodable(Exception):
    """The bytes can never become a record of this topic: a dead letter.

    `code` is one of CODES, `reason` says what is wrong and in which field, never its value.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


CODES: Final = frozenset(
    {"empty", "too-large", "not-framed", "bad-schema", "unsafe-schema", "incompatible-schema"}
    | {"bad-body", "trailing-bytes", "bad-field"}
)
"""Every code of Undecodable; metrics label it."""


class UnknownSchema(Exception):
    """The registry does not know this schema (yet): the record is parked, it is not poison."""

    def __init__(self, schema_id: int | str) -> None:
        super().__init__(f"schema {schema_id} is not in the registry: register it, then retry the record")
        self.schema_id = schema_id


class RegistryUnavailable(Exception):
    """The registry does not answer, or refuses to. Its text names the URL without credentials."""


class SchemaSource(Protocol):
    """Where schemas come from. Every method may raise RegistryUnavailable; answers for an id never change."""

    def schema_by_id(self, schema_id: int) -> str:
        """The schema's JSON text. Raises UnknownSchema."""

    def schema_by_guid(self, guid: str) -> str:
        """The schema's JSON text by its GUID (36 characters). Raises UnknownSchema."""

    def id_of(self, topic: str) -> int:
        """The id of our current schema of a topic, under its subject. Raises UnknownSchema when not registered."""


class _Reader(NamedTuple):
    """What reads a topic's bodies of one writer's schema, and the record they become. `schema` is its id or GUID."""

    schema: int | str
    record: type[Record]
    read: Read


class _Writer(NamedTuple):
    record: type[Record]
    frame: bytes
    write: Write


class Codec:
    """Reads and writes the records of every topic. Compiled schemas are kept; threads may share one.

    `max_bytes` is the largest value that is decoded at all.
    """

    def __init__(self, registry: SchemaSource, max_bytes: int) -> None:
        self._registry = registry
        self._max_bytes = max_bytes
        self._readers: dict[tuple[str, bytes], _Reader] = {}
        self._writers: dict[str, _Writer] = {}

    def decode(self, topic: str, value: bytes | None, headers: Headers) -> Record:
        """The record in a Kafka value. Raises Undecodable, UnknownSchema or RegistryUnavailable.

        The schema's id or GUID stands before the body, or in the header SCHEMA_HEADER and then the value is all body.
        """
        if not value:
            raise Undecodable("empty", "the record has no value")
        if len(value) > self._max_bytes:
            raise Undecodable("too-large", f"the value has {len(value)} bytes, the limit is {self._max_bytes}")
        frame, start = frame_of(value, headers)
        reader = self._readers.get((topic, frame)) or self._compile(topic, frame)
        schema = reader.schema
        try:
            fields, end = reader.read(value, start)
        except Exception as error:  # poison makes a reader raise almost anything, and its texts may hold values
            why = f"the body does not follow its schema {schema} ({type(error).__name__})"
            raise Undecodable("bad-body", why) from None
        left = len(value) - end
        if left < 0:
            raise Undecodable("bad-body", f"the body does not follow its schema {schema}: {-left} bytes are missing")
        if left > 0:
            raise Undecodable("trailing-bytes", f"{left} bytes are left after the body by its schema {schema}")
        try:
            return msgspec.convert(fields, reader.record)
        except msgspec.ValidationError as error:
            raise Undecodable("bad-field", without_value(error)) from None

    def encode(self, topic: str, record: Record) -> bytes:
        """The Kafka value of a record: zero byte, schema id (4 bytes, big-endian), Avro body.

        Raises UnknownSchema or RegistryUnavailable; ValueError when the record does not fit the topic's schema.
        """
        writer = self._writers.get(topic) or self._prepare(topic)
        try:
            if type(record) is not writer.record:
                raise TypeError
            return writer.frame + writer.write(record)
        except Exception as error:  # such a text may hold the value it complains of
            why = f"this {type(record).__name__} does not fit the schema of {topic} ({type(error).__name__})"
            raise ValueError(why) from None

    def _prepare(self, topic: str) -> _Writer:
        frame = _BY_ID + self._registry.id_of(topic).to_bytes(4, "big")
        made = _Writer(TOPICS[topic].record, frame, generated.writer(avro_schema(topic)))
        writer = self._writers[topic] = made
        return writer

    def _compile(self, topic: str, frame: bytes) -> _Reader:
        """Read a writer's schema from the registry and refuse what would crash, misread or never end."""
        schema, registry = _schema_of(frame), self._registry
        text = registry.schema_by_id(schema) if isinstance(schema, int) else registry.schema_by_guid(schema)
        ours = avro_schema(topic)
        try:
            theirs = json.loads(text)
            refuse_unsafe(theirs)
            faults = lint(theirs, ours, Level.BACKWARD_TRANSITIVE)
            written, resolved = compiled(theirs), compiled(ours)
            same = to_parsing_canonical_form(written) == to_parsing_canonical_form(resolved)
        except UnsafeSchema as error:
            raise Undecodable("unsafe-schema", f"schema {schema} {error}") from None
        except Exception as error:  # whatever a registry returns that is not an Avro schema
            raise Undecodable("bad-schema", f"schema {schema} is not an Avro schema ({type(error).__name__})") from None
        if faults:
            raise Undecodable("incompatible-schema", f"schema {schema} cannot be read as {topic}: {faults[0]}")
        read = generated.reader(ours) if same else _resolving(written, resolved)
        reader = self._readers[topic, frame] = _Reader(schema, TOPICS[topic].record, read)
        return reader


def _resolving(written: Schema, resolved: Schema) -> Read:
    """Reads what another schema wrote, as ours sees it."""

    def read(value: bytes, start: int) -> tuple[dict[str, Any], int]:
        body = BytesIO(value)
        body.seek(start)
        fields: Any = fastavro.schemaless_reader(body, written, resolved)
        return fields, body.tell()

    return read


def without_value(error: msgspec.ValidationError) -> str:
    """What a record's field broke, without the value: msgspec repeats one only of an enum."""
    return _ENUM_VALUE.sub(r"Not one of the values allowed\1", str(error))


def frame_of(value: bytes, headers: Headers) -> tuple[bytes, int]:
    """The bytes that name the writer's schema, from a header or from before the body; and where the body starts."""
    framed = dict(headers).get(SCHEMA_HEADER)
    if framed is not None:
        return framed, 0
    end = _GUID_END if value[:1] == _BY_GUID else _ID_END
    return value[:end], end


def _schema_of(frame: bytes) -> int | str:
    """The schema's id (a zero byte and 4 bytes) or GUID (a one and 16 bytes)."""
    if len(frame) == _ID_END and frame[:1] == _BY_ID:
        return int.from_bytes(frame[1:], "big")
    if len(frame) == _GUID_END and frame[:1] == _BY_GUID:
        return str(UUID(bytes=frame[1:]))
    raise Undecodable("not-framed", "no schema id stands before the body or in its header (Confluent wire format)")


def compiled(schema: Schema) -> Schema:
    """A schema ready for fastavro, without logical types: times stay the integers they are on the wire."""
    parsed: Schema = fastavro.parse_schema(_without_logical_types(schema))
    return parsed


def _without_logical_types(schema: Schema) -> Schema:
    if isinstance(schema, dict):
        return {key: _without_logical_types(part) for key, part in schema.items() if key != "logicalType"}
    return [_without_logical_types(part) for part in schema] if isinstance(schema, list) else schema
