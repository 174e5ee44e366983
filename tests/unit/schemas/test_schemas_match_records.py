"""An Avro schema and its record class say the same: names, types, nullability, defaults, closed sets."""

import re
from enum import EnumMeta
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from schemas.topics import TOPICS, avro_schema

_TIME = {"type": "long", "logicalType": "timestamp-millis"}
_DAY = {"type": "int", "logicalType": "date"}


def avro_of(kind: inspect.Type, schema: Any, named: dict[str, Any]) -> None:
    """Assert that an Avro type is how a Python type is written."""
    if isinstance(schema, str) and schema in named:
        schema = named[schema]
    match kind:
        case inspect.UnionType():
            inner = [part for part in kind.types if not isinstance(part, inspect.NoneType)]
            assert isinstance(schema, list) and schema[0] == "null" and len(schema) == 2 and len(inner) == 1
            avro_of(inner[0], schema[1], named)
        case inspect.VarTupleType():
            assert schema["type"] == "array"
            avro_of(kind.item_type, schema["items"], named)
        case inspect.DictType():
            assert schema["type"] == "map"
            avro_of(kind.value_type, schema["values"], named)
        case inspect.StructType():
            assert schema["type"] == "record" and schema["name"] == kind.cls.__name__
            named[schema["name"]] = schema
            record_matches(kind, schema, named)
        case inspect.StrType() | inspect.EnumType():
            assert schema == "string"
        case inspect.BoolType():
            assert schema == "boolean"
        case inspect.BytesType():
            assert schema == "bytes"
        case inspect.IntType():
            assert schema in ("int", "long", _TIME, _DAY)
        case _:
            raise AssertionError(f"no Avro type for {kind}")


def record_matches(kind: inspect.StructType, schema: dict[str, Any], named: dict[str, Any]) -> None:
    """Assert that a record schema has the class's fields in order."""
    assert [field["name"] for field in schema["fields"]] == [field.name for field in kind.fields]
    for field, written in zip(kind.fields, schema["fields"], strict=True):
        assert written["doc"], field.name
        avro_of(field.type, written["type"], named)
        assert ("default" in written) == (not field.required), field.name
        if not field.required:
            default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
            assert written["default"] == msgspec.to_builtins(list(default) if isinstance(default, tuple) else default)
        if (members := _members(field.type)) is not None:
            assert written["doc"].endswith(f"One of: {', '.join(members)}."), field.name
        if field.name.endswith("_ms"):
            assert written["type"] in (_TIME, ["null", _TIME]), field.name
        if field.name.endswith("_on"):
            assert written["type"] in (_DAY, ["null", _DAY]), field.name
        if field.name.endswith("_minor"):
            assert "long" in written["type"], field.name


def _members(kind: inspect.Type) -> list[str] | None:
    if isinstance(kind, inspect.EnumType):
        assert isinstance(kind.cls, EnumMeta)
        return [member.value for member in kind.cls]
    return _members(kind.item_type) if isinstance(kind, inspect.VarTupleType) else None


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_schema_and_record_say_the_same(topic: str) -> None:
    """Field by field, nested records too; amounts are long, times are timestamp-millis, closed sets are in the doc."""
    kind = inspect.type_info(TOPICS[topic].record)
    assert isinstance(kind, inspect.StructType)

    avro_of(kind, avro_schema(topic), {})


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_no_amount_or_time_without_its_unit(topic: str) -> None:
    """Every long is an amount in minor units, a time in milliseconds or an offset; no float anywhere."""
    text = str(avro_schema(topic))
    assert not re.search(r"'(float|double)'", text)
    longs = re.findall(r"'name': '(\w+)', 'type': (?:\['null', )?(?:'long'|\{'type': 'long')", text)
    assert all(name.endswith(("_minor", "_ms")) or name == "offset" for name in longs)
