"""A record as it came from Kafka, and what reading its envelope makes of it."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from confluent_kafka import Message

from schemas.codec import Codec, Undecodable, UnknownSchema, frame_of
from schemas.partitioner import partition_for
from schemas.records import Forward, LossNotice, Record
from schemas.topics import TOPICS, Direction, Key
from sinks.ledger.port import DeadRow, JournalRow, ParkedRow
from streams.outcomes import Dead, Park
from streams.rules.decision import Cause

Headers = Sequence[tuple[str, bytes | None]]

pack_headers = msgspec.msgpack.Encoder().encode
unpack_headers = msgspec.msgpack.Decoder(list[tuple[str, bytes | None]]).decode
_LONGEST_KEY = 64
_KEY_FIELD = {Key.CLAIM: "claim", Key.POLICY: "policy_number"}
_FIELD_OF = {name: _KEY_FIELD.get(topic.key, "") for name, topic in TOPICS.items()}
_KIND_OF = {name: "policy " if topic.key is Key.POLICY else "" for name, topic in TOPICS.items()}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Received(NamedTuple):
    """One Kafka record, untouched."""

    topic: str
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


def from_kafka(message: Message) -> Received:
    """The record in a message that holds no error: such a message has a topic, an offset and bytes in its headers."""
    return Received(
        message.topic(),  # type: ignore[arg-type]
        message.offset(),  # type: ignore[arg-type]
        message.key(),
        message.value(),
        message.headers() or (),  # type: ignore[arg-type]
        message.timestamp()[1],
    )


class Parsed(msgspec.Struct, gc=False):
    """A record with its envelope read. `problem` says why `record` is None: Dead is final, Park may pass.

    `subject` is the claim or policy number it concerns, `entity` the same told apart from other kinds of number;
    `entry` is set once it has been parked, and `since_ms` as in ParkedRow.
    """

    topic: str
    generation: int
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: bytes
    timestamp_ms: int
    subject: str
    entity: str
    event_id: str
    cause: Cause
    trace: bytes | None
    record: Record | None
    problem: Dead | Park | None
    entry: int = 0
    reason: str = ""
    until: frozenset[str] = frozenset()
    since_ms: int | None = None

    @property
    def place(self) -> tuple[str, int, int, int]:
        """Topic, generation, partition, offset: the record's identity in the ledger."""
        return self.topic, self.generation, self.partition, self.offset


class Parser:
    """Reads the envelopes of one lane's records: key, CloudEvents headers, Avro body."""

    def __init__(
        self, codec: Codec, lane: int, lanes: int, generations: dict[str, int], known: Collection[str]
    ) -> None:
        """`known` holds entities already seen in this lane: their partition need not be computed again."""
        self._codec = codec
        self._lane = lane
        self._lanes = lanes
        self._generations = generations
        self._known = known
        self._unknown_schemas: dict[bytes, Park] = {}

    def parse(self, received: Received) -> Parsed:
        """Never raises for a bad record: the problem is in the result. RegistryUnavailable passes through."""
        topic, offset, key, value, headers, timestamp_ms = received
        return self._parse(topic, self._generations[topic], offset, key, value, headers, timestamp_ms)

    def ref(self, received: Received) -> str:
        """Where a record stands: topic/generation/partition/offset."""
        return f"{received.topic}/{self._generations[received.topic]}/{self._lane}/{received.offset}"

    def undecoded(self, received: Received, dead: Dead) -> Parsed:
        """The envelope of a record that must not be read. Without an entity nothing of its claim is touched either."""
        return _unread(self.parse(received._replace(value=None)), received.value, dead)

    def undecoded_again(self, row: DeadRow) -> Parsed:
        """The same of one that the ledger holds."""
        return _unread(self.parse_taken(row._replace(value=None)), row.value, Dead(row.code, row.reason))

    def parse_taken(self, row: JournalRow | ParkedRow | DeadRow) -> Parsed:
        """A record that the ledger holds, read again: a schema that was unknown may be known by now."""
        return self._parse(
            row.topic,
            row.generation,
            row.offset,
            row.key if isinstance(row, DeadRow) else row.subject.encode(),
            row.value,
            unpack_headers(row.headers),
            row.timestamp_ms,
        )

    def parse_parked(self, row: ParkedRow) -> Parsed:
        """A parked record read again, with what the ledger says of its wait."""
        parsed = self.parse_taken(row)
        parsed.entry, parsed.reason, parsed.until = row.entry, row.reason, frozenset(row.until.split())
        parsed.since_ms = row.since_ms
        return parsed

    def again(self, parked: Parsed) -> Parsed:
        """The same parked record decoded once more."""
        parked.record, parked.problem = self._decode(
            parked.topic, parked.key, parked.subject, parked.value, unpack_headers(parked.headers)
        )
        if type(parked.record) is Forward:
            parked.record, parked.problem = self._inside(parked.record)
        return parked

    def _parse(
        self,
        topic: str,
        generation: int,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        timestamp_ms: int,
    ) -> Parsed:
        ref = f"{topic}/{generation}/{self._lane}/{offset}"
        event_id, at_ms, trace = _cloud_event(headers, ref, timestamp_ms)
        record: Record | None = None
        problem: Dead | Park | None = None
        try:
            subject, entity = self._subject(topic, key)
        except Dead as dead:
            subject, entity, problem = "", "", dead
        else:
            record, problem = self._decode(topic, key, subject, value, headers)
            if type(record) is Forward:
                event_id = record.event_id
                record, problem = self._inside(record)
        return Parsed(
            topic=topic,
            generation=generation,
            partition=self._lane,
            offset=offset,
            key=key,
            value=value,
            headers=pack_headers(headers),
            timestamp_ms=timestamp_ms,
            subject=subject,
            entity=entity,
            event_id=event_id,
            cause=Cause(ref, topic, at_ms),
            trace=trace,
            record=record,
            problem=problem,
        )

    def _subject(self, topic: str, key: bytes | None) -> tuple[str, str]:
        if not key:
            raise Dead("bad-key", "the record has no key; the sender must key it by its claim or policy number")
        try:
            subject = key.decode()
        except UnicodeDecodeError:
            raise Dead("bad-key", "the key is not UTF-8 text") from None
        entity = _KIND_OF[topic] + subject
        if entity in self._known:
            return subject, entity
        if len(subject) > _LONGEST_KEY or not subject.isprintable() or " " in subject:
            raise Dead("bad-key", f"the key is longer than {_LONGEST_KEY} characters or has spaces or unprintable ones")
        right = partition_for(key, self._lanes)
        if right != self._lane:
            raise Dead(
                "wrong-partition",
                f"the key belongs in partition {right} of {self._lanes}, not {self._lane}; "
                "the sender must use Kafka's default partitioner (librdkafka: partitioner=murmur2_random)",
            )
        return subject, entity

    def _inside(self, forward: Forward) -> tuple[Record | None, Dead | Park | None]:
        """What was forwarded, as said for the claim it is handed to; a notice stays the other claim's."""
        topic = TOPICS.get(forward.topic)
        if topic is None or topic.direction is not Direction.IN or topic.key is not Key.CLAIM:
            return None, Dead("bad-forward", "topic: nothing that is said for a claim comes on it")
        headers = list(forward.headers.items())
        record, problem = self._decode(forward.topic, None, forward.other, forward.value, headers)
        if record is None or isinstance(record, LossNotice):
            return record, problem
        return msgspec.structs.replace(record, claim=forward.claim), None

    def _decode(
        self, topic: str, key: bytes | None, subject: str, value: bytes | None, headers: Headers
    ) -> tuple[Record | None, Dead | Park | None]:
        if self._unknown_schemas:  # the registry is asked once a batch, not once a record
            known = self._unknown_schemas.get(frame_of(value or b"", headers)[0])
            if known is not None:
                return None, known
        try:
            record = self._codec.decode(topic, value, headers)
        except Undecodable as error:
            return None, Dead(error.code, error.reason)
        except UnknownSchema as error:
            why = f"schema {error.schema_id} is not in the registry; register it, then: claimhub parked retry"
            park = self._unknown_schemas[frame_of(value or b"", headers)[0]] = Park(why, ())
            return None, park
        field = _FIELD_OF[topic]
        if getattr(record, field) != subject:
            return None, Dead("key-mismatch", f"the key and the field {field} differ")
        return record, None


def _unread(parsed: Parsed, value: bytes | None, dead: Dead) -> Parsed:
    parsed.value, parsed.entity, parsed.record, parsed.problem = value, "", None, dead
    return parsed


def _cloud_event(headers: Headers, ref: str, timestamp_ms: int) -> tuple[str, int, bytes | None]:
    """Event id, time and trace from CloudEvents binary headers; what is missing comes from where the record stands."""
    said = dict(headers)
    source, event, time = said.get("ce_source"), said.get("ce_id"), said.get("ce_time")
    at_ms = timestamp_ms if time is None else _time_ms(time, timestamp_ms)
    if source is None or event is None:
        return ref, at_ms, said.get("traceparent")
    event_id = (source + b" " + event).decode(errors="replace").replace("\0", "\ufffd")
    return event_id, at_ms, said.get("traceparent")


def _time_ms(value: bytes, otherwise: int) -> int:
    try:
        at = datetime.fromisoformat(value.decode("ascii"))
    except ValueError:
        return otherwise
    if at.tzinfo is None:
        return otherwise
    return (at - _EPOCH) // _MILLISECOND
