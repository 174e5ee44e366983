"""`claimhub reports`: brings the figures up to date, then answers from them; as a table, JSON or CSV."""

import csv
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Connection, Engine, text

from schemas.money import format_minor
from sinks.ledger.open import POSTGRES
from streams.commands import show
from streams.commands.deliver import Outgoing
from streams.commands.failures import WrongInput
from streams.commands.ledger import open_engine
from streams.commands.send import encoded, open_codec
from streams.reports import peers
from streams.reports.days import Days
from streams.reports.kinds import REPORTS
from streams.reports.refresh import behind, refresh
from streams.settings import Settings

LIST: Final = "ls"
PEERS: Final = "peers"
PEER_FIGURES: Final = "operations.peer-figures.v1"
_DAY_MS: Final = 86_400_000
_LONG: Final = 100_000
"""Outbox rows that take so long to read that a person wants to see how far it is."""
_ROOM: Final = "SET LOCAL work_mem = '128MB'"
"""For groups and sorts over all claims: with what a server gives by itself they would go through its disk."""


class ReportView(Struct, frozen=True):
    """A report's columns and its rows in their order."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def read_report(settings: Settings, name: str, since: str | None, until: str | None) -> ReportView:
    """A report over days like 2026-03-31, both included; `ls` names the reports there are.

    Raises WrongInput for a report or a day that is none, LedgerUnavailable.
    """
    if name == LIST:
        return ReportView(("report", "about"), [(key, kind.about) for key, kind in REPORTS.items()])
    if name not in REPORTS:
        raise WrongInput(f"there is no report {name}. Reports: {', '.join(REPORTS)}")
    days, kind = _days(since, until), REPORTS[name]
    with open_engine(settings) as engine, _up_to_date(settings, engine) as connection:
        return ReportView(kind.columns, [tuple(row) for row in kind.rows(connection, days)])


def publish_peers(settings: Settings, since: str | None, until: str | None, *, dry_run: bool = False) -> list[Outgoing]:
    """Keep what nearly all claims come to with a shop or hospital, so that every record to come is compared with it,
    unless this is a `dry_run`; what to tell the open claims that are above it. Told twice in a day it is the same.

    Raises WrongInput for a day that is none, LedgerUnavailable.
    """
    days, codec = _days(since, until), open_codec(settings)
    now_ms = time.time_ns() // 1_000_000
    with open_engine(settings) as engine:
        with _up_to_date(settings, engine) as connection:
            limits = peers.limits(connection, days)
            told = list(peers.above(connection, days, limits, now_ms // _DAY_MS * _DAY_MS))
        if not dry_run:
            with engine.begin() as connection:
                peers.keep(connection, limits, now_ms)
    return [encoded(codec, PEER_FIGURES, it.claim, it) for it in told]


def print_report(report: ReportView, *, as_csv: bool, as_json: bool) -> None:
    """Print a report as CSV, as JSON, or for people."""
    if as_csv:
        _write_csv(report)
    elif as_json:
        show.as_json(as_objects(report))
    else:
        _show(report)


def as_objects(report: ReportView) -> list[dict[str, Any]]:
    """The rows by the names of their columns."""
    return [dict(zip(report.columns, row, strict=True)) for row in report.rows]


def _show(report: ReportView) -> None:
    """Print a report for people: amounts with their currency, shares in per cent."""
    headings = [name.removesuffix("_minor").removesuffix("_bp").replace("_", " ") for name in report.columns]
    rows = [[_for_people(name, row[name], row) for name in report.columns] for row in as_objects(report)]
    show.table(headings, rows, "nothing to report")


def _write_csv(report: ReportView) -> None:
    """Print a report as CSV; no spreadsheet takes a text of it for a formula."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(report.columns)
    writer.writerows([_cell(value) for value in row] for row in report.rows)


@contextmanager
def _up_to_date(settings: Settings, engine: Engine) -> Iterator[Connection]:
    """The ledger, once its figures are of all that was sent up to now."""
    with engine.begin() as connection:
        waiting = sum(lane.end - lane.seq for lane in behind(connection))
    if waiting:
        _follow(refresh(engine, open_codec(settings)), waiting)
    with engine.begin() as connection:
        if connection.dialect.name == POSTGRES:
            connection.execute(text(_ROOM))
        yield connection


def _days(since: str | None, until: str | None) -> Days:
    days = Days(_day(since, "--from", Days().first), _day(until, "--to", Days().last))
    if days.first > days.last:
        raise WrongInput("--from is after --to")
    return days


def _follow(pages: Any, waiting: int) -> None:  # noqa: ANN401
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=waiting < _LONG or not console.is_terminal, transient=True) as progress:
        task = progress.add_task("reading what was sent since the last report", total=waiting)
        for rows in pages:
            progress.advance(task, rows)


def _day(text: str | None, option: str, otherwise: int) -> int:
    if text is None:
        return otherwise
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise WrongInput(f"{option} is not a day like 2026-03-31") from None
    return day.year * 10_000 + day.month * 100 + day.day


def _for_people(column: str, value: Any, row: dict[str, Any]) -> object:  # noqa: ANN401 - whatever a report counts
    if value is None or isinstance(value, str):
        return value
    if column.endswith("_minor"):
        return format_minor(value, row["currency"])
    if column.endswith("_bp"):
        return f"{value / 100:.2f} %"
    if column == "day":
        return f"{value // 10_000}-{value // 100 % 100:02d}-{value % 100:02d}"
    if column.endswith("month") and value > 1_00_00:
        return f"{value // 100}-{value % 100:02d}"
    return ("no", "yes")[value] if isinstance(value, bool) else value


def _cell(value: object) -> object:
    """A text that begins like a formula begins with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
