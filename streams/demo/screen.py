"""What the demo shows while it runs: a live table on a terminal, a line for each record otherwise."""

from datetime import UTC, datetime
from typing import Final, Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from schemas.money import format_minor
from streams.commands.show import masked
from streams.demo.finance import Paid
from streams.demo.handled import DEAD, DONE, PARKED, RELEASED, Handled
from streams.demo.stories import Story

STYLES: Final = {DONE: "green", RELEASED: "cyan", PARKED: "yellow", DEAD: "red"}
FIXED: Final = (("UTC", 11), ("from", 22), ("claim", 8))
"""Columns of the table that are never cut, with their widths; outcome and targets share the rest."""
NARROW: Final = 60
"""With less left than this there is no room for the targets."""
_AROUND_THE_TABLE: Final = 6  # lines of a terminal that are not rows


class Screen(Protocol):
    """Where the demo tells what happens."""

    def begin(self, story: Story) -> None:
        """A story begins."""

    def handled(self, record: Handled) -> None:
        """The hub has dealt with a record."""

    def paid(self, paid: Paid) -> None:
        """Finance has paid."""

    def close(self) -> None:
        """Nothing more will happen."""


def open_screen(console: Console) -> Screen:
    """The screen that fits where the console writes to."""
    return LiveTable(console) if console.is_terminal else PlainLines(console)


class PlainLines:
    """A line for each event."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def begin(self, story: Story) -> None:
        """See Screen."""
        self._console.print(f"\n{story.claim}: {story.title}", soft_wrap=True)

    def handled(self, record: Handled) -> None:
        """See Screen."""
        time, source, claim, outcome, targets = _cells(record)
        arrow = f" -> {targets}" if targets else ""
        self._console.print(f"{time}  {source} -> {claim} {outcome}{arrow}", soft_wrap=True)

    def paid(self, paid: Paid) -> None:
        """See Screen."""
        instruction = paid.instruction
        line = f"{_time(instruction.issued_at_ms)}  finance -> {instruction.claim} {_in_words(paid)}"
        self._console.print(line, soft_wrap=True)

    def close(self) -> None:
        """See Screen."""


class LiveTable:
    """A table that grows; as many of its last rows as fit, and all of them in the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: list[tuple[tuple[str, ...], str]] = []
        self._live = Live(console=console, transient=True, get_renderable=self._last_rows)
        self._live.start()

    def begin(self, story: Story) -> None:
        """See Screen."""
        self._rows.append((("", "", story.claim, story.title, ""), "bold"))

    def handled(self, record: Handled) -> None:
        """See Screen."""
        self._rows.append((_cells(record), STYLES.get(record.outcome, "")))

    def paid(self, paid: Paid) -> None:
        """See Screen."""
        time, claim = _time(paid.instruction.issued_at_ms), paid.instruction.claim
        self._rows.append(((time, "finance", claim, _in_words(paid), ""), "bold green"))

    def close(self) -> None:
        """See Screen."""
        self._live.stop()
        self._console.print(self._table(self._rows))

    def _last_rows(self) -> Table:
        return self._table(self._rows[-max(1, self._console.height - _AROUND_THE_TABLE) :])

    def _table(self, rows: list[tuple[tuple[str, ...], str]]) -> Table:
        table = Table(box=None, pad_edge=False)
        left = max(20, self._console.width - sum(width + 2 for _, width in FIXED))
        shared = (("outcome", left),) if left < NARROW else (("outcome", left * 3 // 5), ("to", left * 2 // 5 - 2))
        for heading, width in (*FIXED, *shared):
            table.add_column(heading, no_wrap=True, overflow="ellipsis", width=width)
        for cells, style in rows:
            table.add_row(*map(Text, cells[: len(table.columns)]), style=style)
        return table


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%m-%d %H:%M}"


def _cells(record: Handled) -> tuple[str, str, str, str, str]:
    rule = f" {record.rule}" if record.rule else f": {record.reason}"
    targets = ", ".join(_short(topic) + (f" x{count}" if count > 1 else "") for topic, count in record.sent.items())
    return _time(record.at_ms), _short(record.topic), record.subject, record.outcome + rule, targets


def _short(topic: str) -> str:
    return topic.rpartition(".")[0]


def _in_words(paid: Paid) -> str:
    """The payment without its payee: of the account the last four digits."""
    instruction = paid.instruction
    amount = format_minor(instruction.amount_minor, instruction.currency)
    return f"paid {amount} to {masked(instruction.payee.account)}, answered {', '.join(paid.answers)}"
