"""Whether a schema may follow another: Avro's resolution rules, and ours for what a change would silently mean."""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

import fastavro

Schema = dict[str, Any] | list[Any] | str
"""An Avro schema as parsed JSON."""

_PROMOTIONS: Final[Mapping[str, frozenset[str]]] = {
    "int": frozenset({"long", "float", "double"}),
    "long": frozenset({"float", "double"}),
    "float": frozenset({"double"}),
    "string": frozenset({"bytes"}),
    "bytes": frozenset({"string"}),
}
_NAMED: Final = frozenset({"record", "enum", "fixed"})
_UNIT: Final = re.compile(r"_(minor|bp|days|hours|minutes|s|ms|us|ns|bytes|pct)$")


class Level(StrEnum):
    """Who must read whom: new readers old records, or also old readers new records; always all released versions."""

    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"


class Incompatibility(NamedTuple):
    """What is wrong, and where: `path` names fields from the top, as `$.lines[].amount_minor`."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def lint(old: Schema, new: Schema, level: Level) -> list[Incompatibility]:
    """Everything that forbids `new` as a successor of `old`; empty when it may follow.

    Avro's own rules (specification: schema resolution) are applied as the level asks; on top, at every level, no change
    of logical type, decimal scale, unit, namespace or order of enum symbols, and no whole number that becomes a float.
    Raises fastavro.schema.SchemaParseException when one is not an Avro schema.
    """
    found = unreadable(old, new)
    if level is Level.FULL_TRANSITIVE:
        found += [Incompatibility(path, f"for readers of the old schema, {why}") for path, why in unreadable(new, old)]
    return found + changed_meanings(old, new)


def unreadable(writer: Schema, reader: Schema) -> list[Incompatibility]:
    """Why a reader cannot take everything this writer may write, by Avro's rules alone."""
    walk = _Resolution(writer, reader)
    return list(walk.faults(walk.left.root, walk.right.root, "$"))


def changed_meanings(old: Schema, new: Schema) -> list[Incompatibility]:
    """What Avro would read without complaint and take for something else, by our rules."""
    walk = _Meaning(old, new)
    return list(walk.changes(walk.left.root, walk.right.root, "$"))


class _Types:
    """One schema with every name made full, and its named types by that name."""

    def __init__(self, schema: Schema) -> None:
        self._named: dict[str, dict[str, Any]] = {}
        self.root: Schema = fastavro.parse_schema(schema, named_schemas=self._named, _force=True)

    def of(self, schema: Schema) -> dict[str, Any] | list[Any]:
        """The definition a schema stands for: a union as a list, everything else as an object with `type`."""
        if isinstance(schema, str):
            return self._named.get(schema, {"type": schema})
        return schema


class _Walk:
    """Two schemas walked side by side; a pair of named types is visited once, so recursive schemas end."""

    def __init__(self, left: Schema, right: Schema) -> None:
        self.left = _Types(left)
        self.right = _Types(right)
        self._visited: set[tuple[str, str]] = set()

    def _first_visit(self, left: dict[str, Any], right: dict[str, Any]) -> bool:
        names = (left["name"], right["name"])
        seen = names in self._visited
        self._visited.add(names)
        return not seen


class _Resolution(_Walk):
    """Avro's rules: left is the writer, right the reader."""

    def faults(self, writer: Schema, reader: Schema, path: str) -> Iterator[Incompatibility]:
        w, r = self.left.of(writer), self.right.of(reader)
        if isinstance(w, list):
            for branch in w:
                yield from self.faults(branch, r, path)
        elif isinstance(r, list):
            yield from self._no_branch(w, r, path)
        elif w["type"] != r["type"]:
            if r["type"] not in _PROMOTIONS.get(w["type"], ()):
                yield Incompatibility(path, f"a {w['type']} cannot be read as a {r['type']}")
        elif w["type"] == "array":
            yield from self.faults(w["items"], r["items"], f"{path}[]")
        elif w["type"] == "map":
            yield from self.faults(w["values"], r["values"], f"{path}{{}}")
        elif w["type"] in _NAMED:
            yield from self._named(w, r, path)

    def _no_branch(self, w: dict[str, Any], r: list[Any], path: str) -> Iterator[Incompatibility]:
        same_type: list[Incompatibility] = []
        for branch in r:
            visited = set(self._visited)
            found = list(self.faults(w, branch, path))
            if not found:
                return
            self._visited = visited
            if _type(self.right.of(branch)) == w["type"]:
                same_type = found
        yield from same_type or [Incompatibility(path, f"no branch of the reader's union reads a {w['type']}")]

    def _named(self, w: dict[str, Any], r: dict[str, Any], path: str) -> Iterator[Incompatibility]:
        if _short(w["name"]) != _short(r["name"]) and not {w["name"], _short(w["name"])} & set(r.get("aliases", ())):
            yield Incompatibility(path, f"{w['type']} {w['name']} cannot be read as {r['name']}")
        if w["type"] == "fixed" and w["size"] != r["size"]:
            yield Incompatibility(path, f"fixed of {w['size']} bytes cannot be read as {r['size']} bytes")
        if w["type"] == "enum" and "default" not in r and (gone := [s for s in w["symbols"] if s not in r["symbols"]]):
            yield Incompatibility(path, f"the reader knows no enum symbols {', '.join(gone)} and has no default")
        if w["type"] == "record" and self._first_visit(w, r):
            for field in r["fields"]:
                here = f"{path}.{field['name']}"
                written = _written_field(w, field)
                if written is not None:
                    yield from self.faults(written["type"], field["type"], here)
                elif "default" not in field:
                    yield Incompatibility(here, "the writer does not know this field and it has no default")


class _Meaning(_Walk):
    """Our rules: left is the old schema, right the new one. Only pairs that Avro would match are compared."""

    def changes(self, old: Schema, new: Schema, path: str) -> Iterator[Incompatibility]:
        o, n = self.left.of(old), self.right.of(new)
        if isinstance(o, list) or isinstance(n, list):
            for before in o if isinstance(o, list) else [o]:
                for after in n if isinstance(n, list) else [n]:
                    was, becomes = _type(self.left.of(before)), _type(self.right.of(after))
                    if was == becomes or becomes in _PROMOTIONS.get(was, ()):
                        yield from self.changes(before, after, path)
            return
        for attribute in ("logicalType", "precision", "scale"):
            if o.get(attribute) != n.get(attribute):
                yield Incompatibility(path, f"{attribute} changes from {o.get(attribute)} to {n.get(attribute)}")
        if o["type"] in ("int", "long") and n["type"] in ("float", "double"):
            yield Incompatibility(path, f"a whole number becomes a {n['type']}")
        if o["type"] != n["type"]:
            return
        if o["type"] == "array":
            yield from self.changes(o["items"], n["items"], f"{path}[]")
        elif o["type"] == "map":
            yield from self.changes(o["values"], n["values"], f"{path}{{}}")
        elif o["type"] in _NAMED:
            yield from self._named(o, n, path)

    def _named(self, o: dict[str, Any], n: dict[str, Any], path: str) -> Iterator[Incompatibility]:
        if not self._first_visit(o, n):
            return
        before, after = o["name"].rpartition(".")[0], n["name"].rpartition(".")[0]
        if before != after:
            yield Incompatibility(path, f"namespace changes from {before or 'none'} to {after or 'none'}")
        if o["type"] == "enum":
            kept = [s for s in o["symbols"] if s in n["symbols"]]
            if [s for s in n["symbols"] if s in o["symbols"]] != kept:
                yield Incompatibility(path, "the order of enum symbols changes")
        if o["type"] == "record":
            yield from self._fields(o, n, path)

    def _fields(self, o: dict[str, Any], n: dict[str, Any], path: str) -> Iterator[Incompatibility]:
        units = {_UNIT.sub("", name): name for name in (field["name"] for field in o["fields"])}
        for field in n["fields"]:
            name = field["name"]
            here = f"{path}.{name}"
            before = _written_field(o, field)
            if before is not None:
                if _unit(before["name"]) != _unit(name):
                    yield Incompatibility(here, f"unit changes from that of {before['name']}")
                yield from self.changes(before["type"], field["type"], here)
            elif (twin := units.get(_UNIT.sub("", name))) is not None:
                yield Incompatibility(here, f"this is {twin} in another unit: give it another name")


def _type(definition: dict[str, Any] | list[Any]) -> str:
    return "union" if isinstance(definition, list) else str(definition["type"])


def _short(full_name: str) -> str:
    return full_name.rpartition(".")[2]


def _unit(field: str) -> str:
    found = _UNIT.search(field)
    return found[1] if found else ""


def _written_field(writer: dict[str, Any], field: dict[str, Any]) -> dict[str, Any] | None:
    """The writer's field that a reader's field takes its value from: by its name, else by its aliases."""
    fields: dict[str, dict[str, Any]] = {written["name"]: written for written in writer["fields"]}
    return next((fields[name] for name in (field["name"], *field.get("aliases", ())) if name in fields), None)
