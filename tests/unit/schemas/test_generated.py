"""The generated readers and writers against fastavro, for every topic's schema."""

from io import BytesIO
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, inspect

from schemas.codec import compiled
from schemas.generated import reader, writer
from schemas.records import Record
from schemas.topics import TOPICS, avro_schema
from tests.unit.schemas.examples import example_files, record
from tests.unit.schemas.strategies import FREE, values

LONG: Any = {"type": "record", "name": "Many", "fields": [{"name": "many", "type": {"type": "array", "items": "long"}}]}


class Many(Struct):
    many: tuple[int, ...]


def by_fastavro(schema: Any, fields: object) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, compiled(schema), fields)
    return out.getvalue()


def from_fastavro(schema: Any, body: bytes) -> tuple[Any, int]:
    source = BytesIO(body)
    return fastavro.schemaless_reader(source, compiled(schema), None), source.tell()


@given(st.data(), st.sampled_from(FREE))
def test_any_record_becomes_the_bytes_that_fastavro_makes_of_it_and_back(data: st.DataObject, topic: str) -> None:
    """Byte for byte and field for field, for whatever the record's fields may hold."""
    kind = TOPICS[topic].record
    compare(topic, msgspec.convert(data.draw(values(inspect.type_info(kind))), kind))


@pytest.mark.parametrize("file", example_files("pass"))
def test_an_example_becomes_the_bytes_that_fastavro_makes_of_it_and_back(file: str) -> None:
    """The same for every topic, those too whose fields must agree with each other."""
    compare(*record(file))


def compare(topic: str, sent: Record) -> None:
    schema, plain = avro_schema(topic), msgspec.to_builtins(sent, builtin_types=(bytes,))
    body = writer(schema)(sent)
    assert body == by_fastavro(schema, plain)
    assert reader(schema)(b"12345" + body, 5) == (from_fastavro(schema, body)[0], 5 + len(body))


@given(st.data(), st.sampled_from(example_files("pass")))
def test_broken_bytes_are_refused_or_read_as_fastavro_reads_them(data: st.DataObject, file: str) -> None:
    """A few bytes of a body are changed, taken out or added: IndexError, ValueError, an end beyond the bytes, or
    fastavro's own reading of them."""
    topic, example = record(file)
    body = bytearray(writer(avro_schema(topic))(example))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body)))
        body[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    broken = bytes(body)

    try:
        read, end = reader(avro_schema(topic))(broken, 0)
    except (IndexError, ValueError):
        return
    if end <= len(broken):
        assert (read, end) == from_fastavro(avro_schema(topic), broken)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_integers_of_any_size_are_written_and_read(many: list[int]) -> None:
    """All of 64 bits, against fastavro."""
    body = writer(LONG)(Many(tuple(many)))

    assert body == by_fastavro(LONG, {"many": many})
    assert reader(LONG)(body, 0) == ({"many": many}, len(body))


@pytest.mark.parametrize("value", [1.0, 1.5, "1", None, 2**63, -(2**63) - 1])
def test_what_is_no_long_is_refused(value: object) -> None:
    """A float is no integer, not even a whole one, and nothing is cut to size."""
    with pytest.raises((TypeError, OverflowError)):
        writer(LONG)(Many((value,)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "many"),
    [
        (b"\x03\x04\x02\x04\x00", [1, 2]),  # a block of -2 items, followed by its size
        (b"\x02\x02\x02\x04\x00", [1, 2]),  # two blocks
        (b"\x02\x82\x00\x00", [1]),  # an integer with more bytes than it needs
    ],
)
def test_other_writers_ways_to_say_the_same_are_read(body: bytes, many: list[int]) -> None:
    """Blocks and integers need not be as short as ours."""
    assert reader(LONG)(body, 0) == ({"many": many}, len(body))


@pytest.mark.parametrize("body", [b"", b"\x02", b"\x02\x02", b"\x02" + b"\xff" * 10 + b"\x01\x00"])
def test_what_ends_early_or_never_is_refused(body: bytes) -> None:
    """An empty body, a block without items, items without an end, an integer of more than 64 bits."""
    with pytest.raises((IndexError, ValueError)):
        reader(LONG)(body, 0)


@pytest.mark.parametrize(
    "kind", ["double", ["null", "string", "long"], ["string", "null"], {"type": "fixed", "size": 2}]
)
def test_a_type_without_generated_code_is_named(kind: object) -> None:
    """Nothing is generated that was never compared with fastavro."""
    schema = {"type": "record", "name": "Other", "fields": [{"name": "it", "type": kind}]}

    for make in (reader, writer):
        with pytest.raises(ValueError, match="no generated code"):
            make(schema)
