"""The lint: what may follow what, with path and reason; Avro's own checker agrees where only Avro's rules matter."""

import copy
import json
from collections.abc import Callable
from typing import Any

import avro.compatibility
import avro.schema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.compatibility import Incompatibility, Level, lint, unreadable
from schemas.topics import TOPICS, avro_schema, released_schemas

BACKWARD, FULL = Level.BACKWARD_TRANSITIVE, Level.FULL_TRANSITIVE
Schema = Any


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_the_current_schema_may_follow_every_released_one(topic: str) -> None:
    """At the level of its subject, as a registry would check it; every fault is printed with its path."""
    level = Level(TOPICS[topic].compatibility)
    faults = [
        f"v{version}: {fault}"
        for version, released in enumerate(released_schemas(topic), start=1)
        for fault in lint(released, avro_schema(topic), level)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_the_current_schema_is_the_last_released_one(topic: str) -> None:
    """A changed schema is released by copying it to schemas/avro/released/<record>.v<next>.avsc."""
    assert released_schemas(topic)[-1] == avro_schema(topic)


def base() -> Schema:
    money = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
    line = {"type": "record", "name": "Line", "fields": [{"name": "amount_minor", "type": "long"}]}
    return {
        "type": "record",
        "name": "Paper",
        "namespace": "a.b",
        "fields": [
            {"name": "at_ms", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["X", "Y"]}},
            {"name": "note", "type": ["null", "string"], "default": None},
            {"name": "lines", "type": {"type": "array", "items": line}},
            {"name": "rate", "type": money},
            {"name": "best", "type": ["null", "Line"], "default": None},
            {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 4}},
            {"name": "more", "type": {"type": "map", "values": "int"}},
        ],
    }


def field(schema: Schema, name: str) -> Schema:
    return next(field for field in schema["fields"] if field["name"] == name)


def change(edit: Callable[[Schema], object]) -> Schema:
    schema = base()
    edit(schema)
    return schema


def amount(schema: Schema) -> Schema:
    return field(schema, "lines")["type"]["items"]["fields"][0]


ALLOWED: dict[str, Callable[[Schema], object]] = {
    "a doc": lambda s: field(s, "note").update(doc="why"),
    "a new field with a default": lambda s: s["fields"].append({"name": "x", "type": "int", "default": 0}),
    "a removed field with a default": lambda s: s["fields"].remove(field(s, "note")),
}
ALLOWED_BACKWARD: dict[str, Callable[[Schema], object]] = {
    "an int that becomes a long": lambda s: field(s, "more").update(type={"type": "map", "values": "long"}),
    "a new enum symbol": lambda s: field(s, "kind")["type"]["symbols"].append("Z"),
    "a removed field without default": lambda s: s["fields"].remove(field(s, "hash")),
    "a wider union": lambda s: field(s, "note")["type"].append("int"),
    "a field that may now be null": lambda s: field(s, "hash").update(type=["null", field(s, "hash")["type"]]),
}
FORBIDDEN: dict[str, tuple[Callable[[Schema], object], str, str]] = {
    "a new field without default": (lambda s: s["fields"].append({"name": "x", "type": "int"}), "$.x", "no default"),
    "another type": (lambda s: field(s, "note").update(type=["null", "int"]), "$.note", "no branch"),
    "another type in a record in an array": (
        lambda s: amount(s).update(type="string"),
        "$.lines[].amount_minor",
        "a long cannot be read as a string",
    ),
    "a removed enum symbol": (lambda s: field(s, "kind")["type"].update(symbols=["X"]), "$.kind", "enum symbols Y"),
    "another order of enum symbols": (lambda s: field(s, "kind")["type"].update(symbols=["Y", "X"]), "$.kind", "order"),
    "another record name": (lambda s: s.update(name="Sheet"), "$", "cannot be read as a.b.Sheet"),
    "another namespace": (lambda s: s.update(namespace="a.c"), "$", "namespace changes from a.b to a.c"),
    "another size": (lambda s: field(s, "hash")["type"].update(size=5), "$.hash", "4 bytes"),
    "another logical type": (
        lambda s: field(s, "at_ms")["type"].update(logicalType="timestamp-micros"),
        "$.at_ms",
        "logicalType",
    ),
    "no logical type": (lambda s: field(s, "at_ms").update(type="long"), "$.at_ms", "logicalType"),
    "another scale": (lambda s: field(s, "rate")["type"].update(scale=3), "$.rate", "scale changes from 2 to 3"),
    "a float for an amount": (lambda s: amount(s).update(type="double"), "$.lines[].amount_minor", "whole number"),
    "another unit by alias": (
        lambda s: field(s, "at_ms").update(name="at_s", aliases=["at_ms"]),
        "$.at_s",
        "unit changes",
    ),
    "another unit by a new field": (
        lambda s: s["fields"].append({"name": "at_us", "type": "long", "default": 0}),
        "$.at_us",
        "another unit",
    ),
    "a map of another type": (
        lambda s: field(s, "more").update(type={"type": "map", "values": "string"}),
        "$.more{}",
        "a int",
    ),
    "a union that loses null": (lambda s: field(s, "note").update(type="string", default=""), "$.note", "a null"),
}


@pytest.mark.parametrize("what", ALLOWED)
def test_what_may_follow_at_every_level(what: str) -> None:
    """Readers on both sides agree."""
    assert lint(base(), change(ALLOWED[what]), FULL) == []


@pytest.mark.parametrize("what", ALLOWED_BACKWARD)
def test_what_only_new_readers_take_is_backward_but_not_full(what: str) -> None:
    """And the fault at the full level says whom it hurts."""
    assert lint(base(), change(ALLOWED_BACKWARD[what]), BACKWARD) == []

    faults = lint(base(), change(ALLOWED_BACKWARD[what]), FULL)
    assert faults and all("for readers of the old schema" in fault.reason for fault in faults)


@pytest.mark.parametrize("what", FORBIDDEN)
def test_what_may_not_follow_is_named_with_path_and_reason(what: str) -> None:
    """One fault, at the right place (a namespace is that of the nested types too)."""
    edit, path, reason = FORBIDDEN[what]

    faults = lint(base(), change(edit), BACKWARD)

    assert [fault for fault in faults if fault.path == path and reason in fault.reason], faults
    assert len({fault.reason for fault in faults}) == 1, faults


def test_a_recursive_schema_is_compared_to_its_end() -> None:
    """Each pair of named types is visited once."""
    tree = {"type": "record", "name": "Tree", "fields": [{"name": "kids", "type": {"type": "array", "items": "Tree"}}]}
    taller = copy.deepcopy(tree)
    taller["fields"].append({"name": "height", "type": "int"})  # type: ignore[attr-defined]

    assert lint(tree, tree, FULL) == []
    assert lint(tree, taller, BACKWARD) == [
        Incompatibility("$.height", "the writer does not know this field and it has no default")
    ]


def test_a_pair_that_fails_inside_a_union_fails_again_outside_it() -> None:
    """What another branch of the union makes good is still a fault elsewhere."""

    def paper(namespace: str, *fields: Schema) -> Schema:
        return {"type": "record", "name": "Paper", "namespace": namespace, "fields": list(fields)}

    number, extra = {"name": "number", "type": "int"}, {"name": "extra", "type": "int"}
    writer = _record([paper("old", number), "old.Paper"])
    reader = _record([[paper("new", number, extra), paper("newer", number)], "new.Paper"])

    assert [fault.path for fault in unreadable(writer, reader)] == ["$.b.extra"]


PRIMITIVES = st.sampled_from(["null", "boolean", "int", "long", "float", "double", "string", "bytes"])
ENUMS = st.sampled_from(
    [{"type": "enum", "name": "E", "symbols": list(symbols)} for symbols in ("AB", "BA", "ABC", "C")]
)
FIXED = st.sampled_from([{"type": "fixed", "name": name, "size": size} for name in "FG" for size in (1, 2)])


def _record(kinds: list[Schema]) -> Schema:
    fields = [{"name": name, "type": kind} for name, kind in zip("abc", kinds, strict=False)]
    return {"type": "record", "name": "R", "fields": fields}


ITEMS = PRIMITIVES | ENUMS | FIXED
SCHEMAS = st.one_of(
    ITEMS,
    ITEMS.map(lambda items: {"type": "array", "items": items}),
    ITEMS.map(lambda kind: {"type": "map", "values": kind}),
    st.lists(PRIMITIVES, min_size=1, max_size=3, unique=True),
    st.lists(st.lists(PRIMITIVES, min_size=1, max_size=3, unique=True) | PRIMITIVES, max_size=3).map(_record),
)


@given(SCHEMAS, SCHEMAS)
def test_avros_own_checker_agrees(writer: Schema, reader: Schema) -> None:
    """The `avro` package's compatibility checker is the oracle for the rules that are Avro's."""
    checker = avro.compatibility.ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    theirs = checker.get_compatibility(
        reader=avro.schema.parse(json.dumps(reader)), writer=avro.schema.parse(json.dumps(writer))
    )
    agreed = theirs.compatibility is avro.compatibility.SchemaCompatibilityType.compatible

    assert (unreadable(writer, reader) == []) == agreed
