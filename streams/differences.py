"""In what a replay differs from what was written: the field, and its values only where they cannot be personal."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec import Struct

from schemas.signing import KEY_ID, SIGNATURE
from sinks.ledger.port import DeadRow, JournalRow, OutboxRow
from sinks.ledger.written import read_written
from streams.received import unpack_headers
from streams.replay import Again, Ended

_OPEN: Final = frozenset({"outcome", "rule", "reason", "code", "until", "topic", "partition", "cause", "seq", "at_ms"})
_BY_PLACE: Final = frozenset({"seq", "header seq", "header ce_id", f"header {KEY_ID}", f"header {SIGNATURE}"})


class Difference(Struct, frozen=True):
    """A field of a record's end or outputs that a replay does not have as it was written. `was` and `now` are None
    where they could tell of a person, and where there is nothing."""

    claim: str
    record: str
    field: str
    was: str | None = None
    now: str | None = None


class Because(Struct, frozen=True):
    """The rule and the reason of an output."""

    rule: str
    reason: str


class Change(Struct, frozen=True):
    """An output that today's rules would not send as it was sent: `added`, `missing` or `changed`, and then in which
    fields. `record` is the causing record. Of what is missing, `now` is what that record comes to today."""

    kind: str
    claim: str
    record: str
    topic: str
    key: str
    fields: tuple[str, ...]
    was: Because | None
    now: Because | None


def first_difference(was: Ended, again: Again, sent: Sequence[OutboxRow]) -> Difference | None:
    """The first field in which a record's end or its outputs are not what was written; None when all is the same."""
    claim, ref = was.subject, ref_of(was)
    if type(was) is not type(again.end):
        return Difference(claim, ref, "end", _end(was), _end(again.end))
    for field, before, after in _fields(was, again.end):
        return Difference(claim, ref, field, before, after)
    for number, (one, other) in enumerate(zip(sent, again.outputs, strict=False), 1):
        for field, before, after in _fields(one, other):
            return Difference(claim, ref, f"output {number} {one.topic} {field}", before, after)
    if len(sent) == len(again.outputs):
        return None
    next_ = min(len(sent), len(again.outputs))
    return Difference(claim, ref, f"output {next_ + 1}", _nth(sent, next_), _nth(again.outputs, next_))


def changes(sent: Sequence[OutboxRow], again: Sequence[OutboxRow], end: Ended | None) -> Iterator[Change]:
    """How the outputs of one record differ from those sent for it; `end` is what the record comes to today.

    What an output gets by its place among others (`seq`, `ce_id`, the signature) does not count.
    """
    left = list(again)
    for was in sent:
        now = next((row for row in left if (row.topic, row.key) == (was.topic, was.key)), None)
        if now is None:
            yield _change("missing", was, was, None if end is None else _because(end))
            continue
        left.remove(now)
        if fields := tuple(field for field, _, _ in _fields(was, now) if field not in _BY_PLACE):
            yield _change("changed", was, was, _because(now), fields)
    for now in left:
        yield _change("added", now, None, _because(now))


def ref_of(row: Ended) -> str:
    """Where a record stood: topic/generation/partition/offset."""
    return f"{row.topic}/{row.generation}/{row.partition}/{row.offset}"


def _change(
    kind: str, output: OutboxRow, was: OutboxRow | None, now: Because | None, fields: tuple[str, ...] = ()
) -> Change:
    before = None if was is None else _because(was)
    return Change(kind, output.subject, output.cause, output.topic, output.key, fields, before, now)


def _because(row: Ended | OutboxRow) -> Because:
    if isinstance(row, JournalRow | OutboxRow):
        return Because(row.rule, row.reason)
    return Because(f"engine.{row.code}" if isinstance(row, DeadRow) else "engine.parked", row.reason)


def _end(row: Ended) -> str:
    because = _because(row)
    outcome = row.outcome if isinstance(row, JournalRow) else "dead letter" if isinstance(row, DeadRow) else "parked"
    return f"{outcome}: {because.reason} [{because.rule}]"


def _nth(outputs: Sequence[OutboxRow], number: int) -> str | None:
    return f"{outputs[number].topic} {outputs[number].key} [{outputs[number].rule}]" if number < len(outputs) else None


def _fields(was: Ended | OutboxRow, now: Ended | OutboxRow) -> Iterator[tuple[str, str | None, str | None]]:
    """The fields that differ, and both values where they may be shown."""
    columns: Iterator[tuple[str, Any, Any]] = zip(was._fields, was, now, strict=True)
    for name, before, after in columns:
        if before == after:
            continue
        if name == "headers":
            yield from ((f"header {header}", None, None) for header in _headers(before, after))
        elif name == "value" and isinstance(was, OutboxRow):
            yield from ((inside, None, None) for inside in _inside(was.topic, before, after))
        else:
            yield (name, str(before), str(after)) if name in _OPEN else (name, None, None)


def _headers(was: bytes, now: bytes) -> list[str]:
    """The names of the headers that one has and the other has not, or otherwise."""
    unlike = {*unpack_headers(was)} ^ {*unpack_headers(now)}
    return sorted({name for name, _ in unlike}) or ["order"]


def _inside(topic: str, was: bytes, now: bytes) -> list[str]:
    """The fields of two outputs that differ. Their schema ids may: those are the registry's affair."""
    before, after = read_written(topic, was), read_written(topic, now)
    if before is None or after is None:
        return ["value"]
    return [f"value.{name}" for name in after if before.get(name) != after[name]]
