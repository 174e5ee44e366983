"""Writer schemas that are refused before anything is decoded by them, however valid Avro finds them."""

from typing import Any

import fastavro

from schemas.compatibility import Schema


class UnsafeSchema(Exception):
    """A schema that would crash the decoder, or let a few bytes stand for endless values."""


def refuse_unsafe(schema: Schema) -> None:
    """Raise UnsafeSchema for a recursive schema (the decoder's stack) and for types that take no bytes (its memory).

    With every value at least one byte long, a record holds no more values than it has bytes.
    Raises fastavro.schema.SchemaParseException when this is not an Avro schema.
    """
    named: dict[str, dict[str, Any]] = {}
    _walk(fastavro.parse_schema(schema, named_schemas=named, _force=True), named, set(), set())


def _walk(schema: Schema, named: dict[str, dict[str, Any]], within: set[str], safe: set[str]) -> None:
    if isinstance(schema, list):
        for branch in schema:
            if branch not in ("null", {"type": "null"}):
                _walk(branch, named, within, safe)
        return
    definition: dict[str, Any] = named.get(schema, {"type": schema}) if isinstance(schema, str) else schema
    kind = definition["type"]
    if kind == "null" or definition.get("fields") == [] or definition.get("size") == 0:
        raise UnsafeSchema(f"has a {kind} that takes no bytes")
    if kind == "array":
        _walk(definition["items"], named, within, safe)
    elif kind == "map":
        _walk(definition["values"], named, within, safe)
    elif kind == "record":
        name = definition["name"]
        if name in within:
            raise UnsafeSchema(f"is recursive: {name} contains itself")
        if name not in safe:
            for field in definition["fields"]:
                _walk(field["type"], named, within | {name}, safe)
            safe.add(name)
