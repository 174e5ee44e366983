"""How values are printed: JSON for programs, a table on a terminal, plain aligned lines in a pipe. Data on stdout."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

_SENTENCE: Final = 20
"""Columns of the terminal that a sentence gets at least."""


def as_json(value: object) -> None:
    """Print a value (records, mappings, lists) as indented JSON."""
    sys.stdout.write(json.dumps(msgspec.to_builtins(value), ensure_ascii=False, indent=2) + "\n")


def line(text: str = "") -> None:
    """Print a line of data."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Tell a person something beside the data."""
    sys.stderr.write(text + "\n")


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], none: str) -> None:
    """Print rows in columns; `none` is told when there are no rows."""
    if not rows:
        note(none)
        return
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _rich_table(headings, cells)
    else:
        _plain_table(headings, cells)


def pairs(rows: Sequence[tuple[str, object]]) -> None:
    """Print names and values, one pair a line."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        line(f"{name:<{width}}  {'-' if value is None else value}")


def time(at_ms: int) -> str:
    """Milliseconds since 1970 as `2026-03-03T10:00:00.000Z`."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"


def age(age_s: int) -> str:
    """Seconds as whole days and hours."""
    hours = age_s // 3600
    return f"{hours // 24} d {hours % 24} h"


def masked(account: str) -> str:
    """An account number by its last four digits."""
    return f"…{account[-4:]}"


def _rich_table(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Sentences wrap; an id is never cut, since it is there to be copied."""
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, column in zip(headings, zip(*cells, strict=True), strict=True):
        widest = max(map(cell_len, (heading, *column)))
        sentence = any(" " in cell.strip() for cell in column)
        grid.add_column(heading, no_wrap=not sentence, min_width=min(widest, _SENTENCE) if sentence else widest)
    for row in cells:
        grid.add_row(*(Text(cell) for cell in row))
    least = sum((column.min_width or 0) + 3 for column in grid.columns)
    console = Console()
    console.width = max(console.width, least)
    console.print(grid)


def _plain_table(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.cells import cell_len  # a Chinese character is two columns wide

    lines = [list(headings), *map(list, cells)]
    widths = [max(cell_len(row[column]) for row in lines) for column in range(len(headings))]
    for row in lines:
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        line("  ".join(padded).rstrip())
