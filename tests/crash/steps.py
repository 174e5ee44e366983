"""The named steps of a worker at which it can be killed or frozen: from outside, by wrapping what does them.

This table is all that knows the product's inner names. A step is the moment just before or just after a call.
"""

import functools
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final, Literal, NamedTuple

from sinks.ledger import postgres
from sinks.ledger.postgres import PostgresLedger
from sinks.read_back import LogReader
from sinks.relay import Relay
from streams import intake
from streams.decide import Decider
from streams.intake import Intake
from streams.lanes import LaneProcessor


class Step(NamedTuple):
    """A call of `owner.name`, before or after it; `only` asks for one of its arguments (by place) to be this object.

    `needs` says when a worker comes here: under load, while it takes lanes over, or while it must give some away.
    """

    owner: type | ModuleType
    name: str
    side: Literal["before", "after"]
    needs: Literal["load", "taking", "giving"] = "load"
    only: tuple[int, object] | None = None


STEPS: Final[Mapping[str, Step]] = {
    "intake: lanes are assigned": Step(Intake, "_on_assign", "before", "taking"),
    "intake: about to take lanes": Step(intake, "take_lanes", "before", "taking"),
    "intake: topics are prepared": Step(PostgresLedger, "prepare", "after", "taking"),
    "intake: tokens are raised": Step(PostgresLedger, "take", "after", "taking"),
    "intake: lanes are taken, nothing is read": Step(Intake, "_apply_assignment", "before", "taking"),
    "intake: lanes are revoked": Step(Intake, "_on_revoke", "before", "giving"),
    "intake: revoked lanes are let go": Step(Intake, "_on_revoke", "after", "giving"),
    "intake: about to let go in the ledger": Step(PostgresLedger, "let_go", "before", "giving"),
    "batch: handed out": Step(LaneProcessor, "process", "before"),
    "batch: about to decide": Step(Decider, "decide", "before"),
    "batch: decided": Step(Decider, "decide", "after"),
    "commit: about to begin": Step(PostgresLedger, "commit", "before"),
    "commit: fenced": Step(postgres, "_check", "after"),
    "commit: journal said": Step(postgres, "_insert", "after", "load", (1, postgres._JOURNAL)),
    "commit: about to COMMIT": Step(postgres, "_insert", "after", "load", (1, postgres._OUTBOX)),
    "commit: done, nobody knows": Step(PostgresLedger, "commit", "after"),
    "commit: intake is about to hear": Step(Intake, "_committed", "before"),
    "relay: about to look at the log": Step(Relay, "_read_back", "before", "taking"),
    "relay: reading back": Step(LogReader, "ends", "after", "taking"),
    "relay: read back": Step(Relay, "_read_back", "after", "taking"),
    "relay: about to produce": Step(Relay, "_send_page", "before"),
    "relay: places are known": Step(Relay, "_know_places", "after"),
    "relay: produced, no report yet": Step(Relay, "_send_page", "after"),
    "relay: reported, about to mark": Step(PostgresLedger, "mark_published", "before"),
    "relay: marked": Step(PostgresLedger, "mark_published", "after"),
}


def wrap(passes: Callable[[str], None]) -> None:
    """Call `passes` with a step's name whenever this process comes to it."""
    for name, step in STEPS.items():
        setattr(step.owner, step.name, _wrapped(getattr(step.owner, step.name), name, step, passes))


def _wrapped(call: Callable[..., Any], name: str, step: Step, passes: Callable[[str], None]) -> Callable[..., Any]:
    @functools.wraps(call)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        here = step.only is None or args[step.only[0]] is step.only[1]
        if here and step.side == "before":
            passes(name)
        result = call(*args, **kwargs)
        if here and step.side == "after":
            passes(name)
        return result

    return wrapped
