"""Bytes to records and back: exact, fast to refuse, and silent about values."""

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from typing import Any
from uuid import UUID

import fastavro
import msgspec
import pytest
from confluent_kafka.schema_registry.serde import SchemaId
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from connectors.registry import EmbeddedRegistry
from schemas.codec import CODES, SCHEMA_HEADER, Codec, Undecodable, UnknownSchema
from schemas.records import BankAccount, Record, Wake, WakeKind
from schemas.topics import TOPICS, avro_schema
from tests.unit.schemas.examples import example_files, record
from tests.unit.schemas.strategies import FREE, values

WAKE = "hub.wake.v1"
GUID = "6fa9b2a8-7b9d-4f0e-9a53-0e6b2b3c9d11"
Schema = dict[str, Any]


class Written:
    """A registry that knows one more schema: id 7 and GUID, whatever a test wants it to be."""

    def __init__(self, schema: object = None) -> None:
        self._text = schema if isinstance(schema, str) else json.dumps(schema)
        self._own = EmbeddedRegistry()

    def schema_by_id(self, schema_id: int) -> str:
        return self._text if schema_id == 7 else self._own.schema_by_id(schema_id)

    def schema_by_guid(self, guid: str) -> str:
        if guid != GUID:
            raise UnknownSchema(guid)
        return self._text

    def id_of(self, topic: str) -> int:
        return self._own.id_of(topic)


def codec(schema: object = None) -> Codec:
    return Codec(Written(schema), max_bytes=10_000)


def body(schema: Any, value: Any) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue()


def wake_schema() -> Schema:
    return copy.deepcopy(avro_schema(WAKE))


def refused(decode: Callable[[], Record]) -> Undecodable:
    with pytest.raises(Undecodable) as caught:
        decode()
    assert caught.value.code in CODES
    return caught.value


def outcome(decode: Callable[[], Record]) -> str:
    """`record`, `unknown`, or the code of Undecodable."""
    try:
        decode()
    except Undecodable as error:
        return error.code
    except UnknownSchema:
        return "unknown"
    return "record"


WOKEN = Wake(claim="CLM-1", kind=WakeKind.RETRY, at_ms=1_772_503_200_000)
WOKEN_FIELDS = {"claim": "CLM-1", "kind": "retry", "policy_number": None, "at_ms": 1_772_503_200_000}


@pytest.mark.parametrize("file", example_files("pass"))
def test_an_example_survives_the_wire(file: str) -> None:
    """Every pass example of every topic is the same record after encode and decode."""
    topic, example = record(file)
    wire = codec()

    value = wire.encode(topic, example)

    assert value[0] == 0 and int.from_bytes(value[1:5], "big") == EmbeddedRegistry().id_of(topic)
    assert wire.decode(topic, value, ()) == example


@given(st.data(), st.sampled_from(FREE))
def test_any_record_survives_the_wire(data: st.DataObject, topic: str) -> None:
    """Whatever its fields may hold, the record read is the record written."""
    kind = inspect.type_info(TOPICS[topic].record)
    sent = msgspec.convert(data.draw(values(kind)), TOPICS[topic].record)
    wire = codec()

    assert wire.decode(topic, wire.encode(topic, sent), ()) == sent


@given(st.binary(max_size=200), st.sampled_from(sorted(TOPICS)), st.booleans())
def test_any_bytes_are_a_record_undecodable_or_of_an_unknown_schema(junk: bytes, topic: str, framed: bool) -> None:
    """Nothing else ever escapes, framed or not."""
    wire = codec()
    head = b"\x00" + EmbeddedRegistry().id_of(topic).to_bytes(4, "big") if framed else b""

    assert outcome(lambda: wire.decode(topic, head + junk, ())) in CODES | ({"record"} if framed else {"unknown"})


@given(st.data(), st.sampled_from(example_files("pass")))
def test_a_damaged_record_never_crashes_the_hub(data: st.DataObject, file: str) -> None:
    """One byte changed anywhere in the body: a record still, or Undecodable."""
    topic, example = record(file)
    wire = codec()
    value = bytearray(wire.encode(topic, example))
    value[data.draw(st.integers(5, len(value) - 1))] = data.draw(st.integers(0, 255))

    end = outcome(lambda: wire.decode(topic, bytes(value), ()))

    assert end in {"record", "bad-body", "trailing-bytes", "bad-field"}


@pytest.mark.parametrize("by", ["id", "guid"])
@pytest.mark.parametrize("where", ["value", "header"])
def test_id_and_guid_are_read_before_the_body_and_in_the_header(by: str, where: str) -> None:
    """All four forms that Confluent's own client writes."""
    named = SchemaId("AVRO", 7, GUID)
    frame = named.id_to_bytes() if by == "id" else named.guid_to_bytes()
    avro = body(avro_schema(WAKE), WOKEN_FIELDS)
    wire = codec(avro_schema(WAKE))

    if where == "value":
        assert wire.decode(WAKE, frame + avro, [("ce_id", b"1")]) == WOKEN
    else:
        assert wire.decode(WAKE, avro, [("ce_id", b"1"), (SCHEMA_HEADER, frame)]) == WOKEN


def test_an_unknown_schema_is_not_poison() -> None:
    """By id and by GUID it is UnknownSchema, and its text says what to do."""
    wire = codec()
    for frame in ((99_999).to_bytes(5, "big"), b"\x01" + UUID(int=1).bytes):
        with pytest.raises(UnknownSchema, match="register it"):
            wire.decode(WAKE, frame + b"x", ())


@pytest.mark.parametrize(
    ("value", "headers", "code"),
    [
        (None, [], "empty"),
        (b"", [], "empty"),
        (b"\x00" * 10_001, [], "too-large"),
        (b"{}", [], "not-framed"),
        (b"\x00\x00\x00", [], "not-framed"),
        (b"\x01" + b"x" * 15, [], "not-framed"),
        (b"xx", [(SCHEMA_HEADER, b"\x00\x00")], "not-framed"),
        (b"xx", [(SCHEMA_HEADER, b"\x00\x00\x00\x00\x07\x07")], "not-framed"),
    ],
)
def test_bytes_in_no_known_form_are_refused(value: bytes | None, headers: list[tuple[str, bytes]], code: str) -> None:
    """Each with its own code, before any schema is asked for."""
    assert refused(lambda: codec().decode(WAKE, value, headers)).code == code


def test_bytes_after_the_body_are_refused() -> None:
    """A body is read to its end, neither short nor long."""
    wire = codec()
    value = wire.encode(WAKE, WOKEN)

    assert refused(lambda: wire.decode(WAKE, value + b"\x00", ())).code == "trailing-bytes"
    assert refused(lambda: wire.decode(WAKE, value[:-1], ())).code == "bad-body"


def test_a_bad_field_is_named_without_its_value() -> None:
    """Also for an enum, whose value msgspec would repeat."""
    secret = "13800000000 - at `$.phone`"
    avro = body(avro_schema(WAKE), {**WOKEN_FIELDS, "kind": secret})

    error = refused(lambda: codec(avro_schema(WAKE)).decode(WAKE, b"\x00\x00\x00\x00\x07" + avro, ()))

    assert error.code == "bad-field"
    assert error.reason == "Not one of the values allowed - at `$.kind`"


def test_an_older_or_newer_writer_is_resolved_to_our_schema() -> None:
    """A field the writer lacks takes its default, one we do not know is dropped, an int becomes a long."""
    theirs = wake_schema()
    fields = {field["name"]: field for field in theirs["fields"]}
    theirs["fields"] = [fields["at_ms"], {"name": "extra", "type": "string"}, fields["kind"], fields["claim"]]
    datum = {"claim": "CLM-1", "kind": "retry", "extra": "?", "at_ms": 1_772_503_200_000}

    assert codec(theirs).decode(WAKE, b"\x00\x00\x00\x00\x07" + body(theirs, datum), ()) == WOKEN


def _with_field(kind: object) -> Schema:
    schema = wake_schema()
    schema["fields"].append({"name": "extra", "type": kind})
    return schema


def _with_micros() -> Schema:
    schema = wake_schema()
    schema["fields"][-1]["type"]["logicalType"] = "timestamp-micros"
    return schema


@pytest.mark.parametrize(
    ("schema", "code", "why"),
    [
        (_with_field(["null", "claimhub.hub.v1.Wake"]), "unsafe-schema", "recursive"),
        (_with_field({"type": "array", "items": "null"}), "unsafe-schema", "no bytes"),
        (_with_field({"type": "record", "name": "Nothing", "fields": []}), "unsafe-schema", "no bytes"),
        (_with_field({"type": "fixed", "name": "Nothing", "size": 0}), "unsafe-schema", "no bytes"),
        (_with_micros(), "incompatible-schema", r"\$\.at_ms: logicalType changes"),
        (avro_schema("repair.invoice.v1"), "incompatible-schema", "cannot be read"),
        ("syntax = proto3", "bad-schema", "not an Avro schema"),
        ({"type": "record"}, "bad-schema", "not an Avro schema"),
        (["Nowhere"], "bad-schema", "not an Avro schema"),
        ("[" * 100_000, "bad-schema", "not an Avro schema"),
    ],
)
def test_a_writer_schema_that_would_harm_is_refused(schema: object, code: str, why: str) -> None:
    """Recursion and types of no bytes, other meanings, and what is no schema at all; the reason says where."""
    error = refused(lambda: codec(schema).decode(WAKE, b"\x00\x00\x00\x00\x07\x00\x00", ()))

    assert error.code == code
    assert re.search(why, error.reason)


def test_types_that_are_used_twice_are_not_recursive() -> None:
    """The same named type in two fields is fine."""
    schema = _with_field({"type": "record", "name": "Twice", "fields": [{"name": "a", "type": "int"}]})
    schema["fields"].append({"name": "again", "type": ["null", "Twice"]})
    avro = body(schema, {**WOKEN_FIELDS, "extra": {"a": 1}, "again": {"a": 2}})

    assert codec(schema).decode(WAKE, b"\x00\x00\x00\x00\x07" + avro, ()) == WOKEN


def test_a_record_of_another_topic_or_shape_is_not_written() -> None:
    """The message names record and topic, never a value."""
    account = BankAccount(name="投保人甲", account="6200000000000000018", bank_code="102100099996")
    for wrong in (account, Wake(claim=4711, kind=WakeKind.RETRY, at_ms=0)):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=f"this {type(wrong).__name__} does not fit the schema of hub.wake") as no:
            codec().encode(WAKE, wrong)
        assert "4711" not in str(no.value)


def test_a_record_that_would_fit_another_topic_by_chance_is_not_written() -> None:
    """Its class decides, not its fields."""
    with pytest.raises(ValueError, match="this Wake does not fit"):
        codec().encode("hub.policy-wanted.v1", Wake(claim="C", kind=WakeKind.RETRY, policy_number="P", at_ms=0))


@pytest.mark.parametrize("attempt", range(6))
def test_threads_that_meet_a_record_first_at_the_same_moment_do_not_end_the_process(attempt: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.schemas.first_use"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
