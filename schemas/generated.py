"""Avro bodies by generated code: for our own schemas, one plain Python function each to write and to read.

Avro 1.12, binary encoding. A general library walks the schema for every record; here the schema is walked once, and
what comes out is the straight line of code one would write by hand: twice as fast. What another schema wrote is read by
fastavro.

Known are null or a type, string, bytes, boolean, int, long, array, map and record: what the registry of topics uses.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

Schema = Any
"""An Avro schema as JSON has it: a name, a list or an object."""
Write = Callable[[Any], bytes]
"""Makes the body of a record: an object with the schema's fields as attributes."""
Read = Callable[[bytes, int], tuple[dict[str, Any], int]]
"""Reads the body at an offset; gives the fields, and the offset after the body, which is beyond the bytes when they end
too early. Raises IndexError or ValueError for what is no such body."""


# The last one or two bytes of an integer below 2**14, and two bytes of a larger one, of which more follow.
_LAST: Final = [bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7)) for n in range(1 << 14)]
_MORE: Final = [bytes((n & 127 | 128, n >> 7 | 128)) for n in range(1 << 14)]


_SMALL: Final = {twice: _LAST[twice] for twice in range(0, 4096, 2)}
_MOST_KEPT: Final = 20_000


class _Varints(dict[int, bytes]):
    """Variable-length zig-zag integers, by twice their value: shifting refuses whatever is no integer.

    Larger ones are kept for a while: all that one record leads to has its time and its amounts.
    """

    def __init__(self, bits: int) -> None:
        super().__init__(_SMALL)
        self._end = 1 << bits

    def __missing__(self, twice: int) -> bytes:
        rest = twice if twice >= 0 else ~twice
        if rest >= self._end:
            raise OverflowError("too large for its Avro type")
        out = b""
        while rest > 16383:
            out += _MORE[rest & 16383]
            rest >>= 14
        if len(self) > _MOST_KEPT:
            self.clear()
            self.update(_SMALL)
        made = self[twice] = out + _LAST[rest]
        return made


def _varint(data: bytes, first: int, at: int) -> tuple[int, int]:
    """The rest of an integer whose `first` byte says that more follow, still zig-zag; and the offset after it."""
    value = first & 127
    for shift in range(7, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value >= 1 << 64:
                break
            return value, at
    raise ValueError("an integer is longer than 64 bits")


def _length(data: bytes, first: int, at: int) -> tuple[int, int]:
    """A length that is not a single byte; never negative."""
    value, at = _varint(data, first, at) if first > 127 else (first, at)
    if value & 1:
        raise ValueError("a length is negative")
    return value, at


def _count(data: bytes, at: int) -> tuple[int, int]:
    """The number of items in the next block of an array or map; a negative one is followed by the block's size."""
    first = data[at]
    count, at = _varint(data, first, at + 1) if first > 127 else (first, at + 1)
    if not count & 1:
        return count >> 1, at
    size = data[at]
    _, at = _length(data, size, at + 1)
    return (count + 1) >> 1, at


_TOOLS: Final = {"_LONG": _Varints(64), "_INT": _Varints(32), "_varint": _varint, "_length": _length, "_count": _count}


def writer(schema: Schema) -> Write:
    """The function that writes bodies of this record schema."""
    names = _Names()
    return _written(schema, names)


def reader(schema: Schema) -> Read:
    """The function that reads bodies of this record schema."""
    names = _Names()
    lines = "".join(f"\n    {line}" for line in _read(schema, "value", names))
    read: Read = _define(f"def read(data, at):{lines}\n    return value, at\n", "read", names)
    return read


class _Names:
    """Names not used yet, and the functions that code rests on."""

    def __init__(self) -> None:
        self._last = 0
        self.scope: dict[str, Any] = dict(_TOOLS)

    def new(self) -> str:
        self._last += 1
        return f"v{self._last}"

    def keep(self, function: Write) -> str:
        """A name under which code may call this function."""
        name = self.new()
        self.scope[name] = function
        return name


def _define(source: str, name: str, names: _Names) -> Any:  # noqa: ANN401 - a function of either kind
    exec(compile(source, f"<{name} by {__name__}>", "exec"), names.scope)  # noqa: S102 - made above, of our schemas
    return names.scope[name]


def _written(schema: Schema, names: _Names) -> Write:
    """A function that writes one value of a schema."""
    parts = "".join(f"\n        {part}," for part in _parts(schema, "value", names))
    write: Write = _define(f"def write(value):\n    return b''.join(({parts}\n    ))\n", "write", names)
    return write


def _parts(schema: Schema, value: str, names: _Names) -> Iterator[str]:
    """Expressions of the bytes, in order, that a value becomes."""
    if isinstance(schema, list):
        kept = names.new()
        inner = ", ".join(_parts(_nullable(schema), kept, names))
        yield f"*((b'\\0',) if ({kept} := {value}) is None else (b'\\2', {inner}))"
        return
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "string":
        kept = names.new()
        yield f"_LONG[len({kept} := {value}.encode()) << 1]"
        yield kept
    elif kind == "bytes":
        yield f"_LONG[len({value}) << 1]"
        yield value
    elif kind in {"int", "long"}:
        yield f"_{kind.upper()}[{value} << 1]"
    elif kind == "boolean":
        yield f"(b'\\0', b'\\1')[{value}]"
    elif kind == "record":
        for field in schema["fields"]:
            yield from _parts(field["type"], f"{value}.{field['name']}", names)
    elif kind == "array":
        one = names.keep(_written(schema["items"], names))
        yield f"*((_LONG[len({value}) << 1], *map({one}, {value}), b'\\0') if {value} else (b'\\0',))"
    elif kind == "map":
        key, one = names.keep(_written("string", names)), names.keep(_written(schema["values"], names))
        both = f"*[{key}(name) + {one}(one) for name, one in {value}.items()]"
        yield f"*((_LONG[len({value}) << 1], {both}, b'\\0') if {value} else (b'\\0',))"
    else:
        raise ValueError(f"schemas of type {kind} have no generated code")


def _read(schema: Schema, name: str, names: _Names) -> Iterator[str]:
    """Lines that move `at` over a value in `data` and leave it in the variable `name`."""
    if isinstance(schema, list):
        yield f"{name} = None"
        yield "n = data[at]; at += 1"
        yield "if n == 2:"
        yield from _deeper(_read(_nullable(schema), name, names))
        yield "elif n: raise ValueError('no such branch of a union')"
        return
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind in {"string", "bytes"}:
        yield "n = data[at]; at += 1"
        yield "if n & 129: n, at = _length(data, n, at)"
        yield "end = at + (n >> 1)"
        yield f"{name} = data[at:end]" + (".decode()" if kind == "string" else "")
        yield "at = end"
    elif kind in {"int", "long"}:
        yield "n = data[at]; at += 1"
        yield "if n > 127: n, at = _varint(data, n, at)"
        yield f"{name} = n >> 1 ^ -(n & 1)"
    elif kind == "boolean":
        yield f"{name} = data[at] != 0; at += 1"
    elif kind == "record":
        fields = {field["name"]: names.new() for field in schema["fields"]}
        for field in schema["fields"]:
            yield from _read(field["type"], fields[field["name"]], names)
        yield f"{name} = {{{', '.join(f'{field!r}: {variable}' for field, variable in fields.items())}}}"
    elif kind in {"array", "map"}:
        yield from _read_many(schema, name, names)
    else:
        raise ValueError(f"schemas of type {kind} have no generated code")


def _read_many(schema: Schema, name: str, names: _Names) -> Iterator[str]:
    left, one = names.new(), names.new()
    array = schema["type"] == "array"
    yield f"{name} = {'[]' if array else '{}'}"
    yield f"{left}, at = _count(data, at)"
    yield f"while {left}:"
    if array:
        yield from _deeper(_read(schema["items"], one, names))
        yield f"    {name}.append({one})"
    else:
        key = names.new()
        yield from _deeper(_read("string", key, names))
        yield from _deeper(_read(schema["values"], one, names))
        yield f"    {name}[{key}] = {one}"
    yield f"    {left} -= 1"
    yield f"    if not {left}: {left}, at = _count(data, at)"


def _deeper(lines: Iterator[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)


def _nullable(union: Schema) -> Schema:
    """The type of a field that may be missing."""
    if len(union) != 2 or union[0] != "null":
        raise ValueError("unions other than of null and one type have no generated code")
    return union[1]
