"""`claimhub clocks`: what must be done by when, and of one claim how each clock came to where it stands."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, select

from sinks.ledger.streaming import stream
from sinks.ledger.tables import claims
from streams.commands import show
from streams.commands.claim import read_state
from streams.commands.why import record_at
from streams.rules.claim import Claim, Clock, Mark
from streams.rules.clocks import WARN_PER_CENT, due_day, source_of


class OpenClock(Struct, frozen=True):
    """A clock that has not ended. It is due by the end of `due_day`, which is `due`; `stands` says whether it is
    running, paused or breached, `warned` the per cents it was warned at."""

    claim: str
    kind: str
    about: str
    stands: str
    started: str
    days: int
    source: str
    due_day: str
    due: str
    warned: list[int]


class Step(Struct, frozen=True):
    """Something that became of a clock: start, pause, resume, warning, breach or end, with the record it rests on and
    what the hub made of that."""

    at: str
    step: str
    cause: str
    reason: str


class ExplainedClock(Struct, frozen=True):
    """One clock of a claim from its start on; `stands` is running, paused, breached or ended."""

    kind: str
    about: str
    stands: str
    days: int
    source: str
    due_day: str
    due: str
    steps: list[Step]


def read_open_clocks(connection: Connection) -> list[OpenClock]:
    """The clocks that have not ended, the first due first."""
    c = claims.c
    notice = c.state["notice"]
    query = select(c.claim, c.state["clocks"], notice).where(c.state["clocks"].as_string().is_not(None))
    found = []
    for number, clocks, said in stream(connection, query):
        claim = msgspec.convert({"number": number, "clocks": clocks, "notice": said}, Claim)
        found += [(clock.due_at_ms, _open(claim, clock)) for clock in claim.clocks if clock.ended is None]
    return [clock for _, clock in sorted(found, key=lambda one: (one[0], one[1].claim, one[1].kind, one[1].about))]


def show_open_clocks(clocks: list[OpenClock]) -> None:
    """Print the open clocks."""
    rows = [
        (c.due_day, c.claim, f"{c.kind} {c.about}".rstrip(), c.stands, _per_cents(c.warned), c.days, c.source)
        for c in clocks
    ]
    headings = ("due by the end of", "claim", "clock", "stands", "warned at", "days", "source")
    show.table(headings, rows, "no clock is running")


def explain_clocks(connection: Connection, number: str) -> list[ExplainedClock]:
    """Every clock of a claim, oldest first. Raises Failed when there is no such claim."""
    claim = read_state(connection, number)
    return [_explained(connection, claim, clock) for clock in claim.clocks]


def show_explained(clocks: Iterable[ExplainedClock]) -> None:
    """Print each clock and, below it, what became of it."""
    none = True
    for clock in clocks:
        none = False
        name = f"{clock.kind} {clock.about}".rstrip()
        show.line(f"{name}: {clock.stands}, {clock.days} days, due by the end of {clock.due_day} ({clock.source})")
        for step in clock.steps:
            show.line(f"   {step.step} at {step.at} by {step.cause}: {step.reason}")
    if none:
        show.note("no clock has run for the claim")


def _open(claim: Claim, clock: Clock) -> OpenClock:
    source, day = _source_and_day(claim, clock)
    return OpenClock(
        claim=claim.number,
        kind=clock.kind,
        about=clock.about,
        stands=_stands(clock),
        started=show.time(clock.started.at_ms),
        days=clock.days,
        source=source,
        due_day=day,
        due=show.time(clock.due_at_ms),
        warned=list(WARN_PER_CENT[: len(clock.warned)]),
    )


def _explained(connection: Connection, claim: Claim, clock: Clock) -> ExplainedClock:
    source, day = _source_and_day(claim, clock)
    steps = [Step(show.time(m.at_ms), step, m.cause, _reason(connection, m.cause)) for step, m in _steps(clock)]
    return ExplainedClock(
        kind=clock.kind,
        about=clock.about,
        stands=_stands(clock),
        days=clock.days,
        source=source,
        due_day=day,
        due=show.time(clock.due_at_ms),
        steps=steps,
    )


def _steps(clock: Clock) -> Iterator[tuple[str, Mark]]:
    """What became of a clock, in the order of time."""
    steps = [("start", clock.started)]
    for pause in clock.pauses:
        steps.append(("pause", pause.began))
        if pause.ended is not None:
            steps.append(("resume", pause.ended))
    steps += [(f"warning at {per_cent} %", mark) for per_cent, mark in zip(WARN_PER_CENT, clock.warned, strict=False)]
    if clock.extended is not None:
        steps.append(("extension", clock.extended))
    if clock.breached is not None:
        steps.append(("breach", clock.breached))
    if clock.ended is not None:
        steps.append(("end", clock.ended))
    yield from sorted(steps, key=lambda step: step[1].at_ms)


def _stands(clock: Clock) -> str:
    if clock.ended is not None:
        return "ended"
    if clock.breached is not None:
        return "breached"
    return "paused" if clock.pauses and clock.pauses[-1].ended is None else "running"


def _source_and_day(claim: Claim, clock: Clock) -> tuple[str, str]:
    assert claim.notice is not None, "no clock runs before there is a notice"
    return source_of(clock, claim.notice), due_day(clock, claim.notice).isoformat()


def _reason(connection: Connection, ref: str) -> str:
    """What the hub made of a record."""
    row: tuple[Any, ...] | None = record_at(connection, ref)
    return "the record is not in this ledger" if row is None else f"{row[3]} [{row[2]}]"


def _per_cents(warned: list[int]) -> str:
    return ", ".join(f"{per_cent} %" for per_cent in warned)
