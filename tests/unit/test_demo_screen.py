"""What the demo shows while it runs, on a terminal and in a pipe."""

from io import StringIO

import pytest
from rich.console import Console

from streams.demo.handled import DONE, Handled
from streams.demo.screen import LiveTable, PlainLines, open_screen

RECORD = Handled(
    at_ms=1_772_412_720_000,
    topic="reporting.loss-notice.v1",
    partition=2,
    offset=0,
    subject="C26-0001",
    outcome=DONE,
    rule="intake.registered",
    reason="first notice of loss",
    sent={"customer.notice.v1": 2, "claims.status.v1": 1},
)


def console(width: int, *, terminal: bool) -> tuple[Console, StringIO]:
    """A console, and what it writes."""
    out = StringIO()
    return Console(file=out, width=width, height=10, force_terminal=terminal, color_system=None), out


def test_a_pipe_gets_a_line_for_each_record() -> None:
    """Time, from topic, claim, outcome and rule, to topics with their counts; never wrapped."""
    pipe, out = console(40, terminal=False)
    screen = open_screen(pipe)
    screen.handled(RECORD)
    screen.close()

    assert isinstance(screen, PlainLines)
    line = "reporting.loss-notice -> C26-0001 done intake.registered -> customer.notice x2, claims.status"
    assert out.getvalue() == f"03-02 00:52  {line}\n"


@pytest.mark.parametrize(("width", "targets"), [(120, True), (80, False)])
def test_a_terminal_gets_a_table_that_ends_with_every_row(width: int, targets: bool) -> None:
    """The last table has all rows, more than fit the screen; a narrow terminal does without the targets."""
    terminal, out = console(width, terminal=True)
    screen = open_screen(terminal)
    for _ in range(25):
        screen.handled(RECORD)
    screen.close()

    assert isinstance(screen, LiveTable)
    last = out.getvalue().rpartition("UTC")[2]
    assert last.count("reporting.loss-notice   C26-0001  done intake.registered") == 25
    assert ("customer.notice x2" in last) is targets
