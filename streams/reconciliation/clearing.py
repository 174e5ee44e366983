"""How people clear a break: somebody owns it, one person proposes how it ends, and another one confirms that.

What they do stands in `break_actions`, a row each, numbered from 1, and none is ever changed. Of two calls at the same
moment one is told to look again. Clearing moves no money: it only says what became of a payment that nobody told of.
"""

from collections import defaultdict

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from sinks.ledger.bank_tables import break_actions
from sinks.payments.book import BreakAction, Resolution
from sinks.payments.people import same_person


class Refused(Exception):
    """A break cannot be cleared like that. The text says why, and what can be done."""


class Action(Struct, frozen=True, kw_only=True):
    """What one person did: a row of `break_actions`. Of a resolution `proposed_by` is the other person."""

    break_id: str
    number: int
    action: BreakAction
    person: str
    owner: str | None = None
    resolution: Resolution | None = None
    proposed_by: str | None = None
    reason: str
    at_ms: int


class Standing(Struct, frozen=True):
    """How far people have come with one break: all that they did, in order."""

    actions: tuple[Action, ...] = ()

    @property
    def owner(self) -> str | None:
        """Who it was given to last."""
        return next((it.owner for it in reversed(self.actions) if it.owner), None)

    @property
    def resolved(self) -> Action | None:
        """How it ended, by whom."""
        return next((it for it in self.actions if it.action is BreakAction.RESOLVED), None)

    @property
    def proposed(self) -> Action | None:
        """What waits for another person; a later proposal takes the place of an earlier one."""
        if self.resolved is not None:
            return None
        return next((it for it in reversed(self.actions) if it.action is BreakAction.PROPOSED), None)

    @property
    def next(self) -> int:
        """The number of the next action."""
        return len(self.actions) + 1


def assign(standing: Standing, break_id: str, person: str, owner: str, reason: str, at_ms: int) -> Action:
    """Give a break to somebody. Raises Refused once it has ended."""
    _check_open(standing, break_id)
    return Action(
        break_id=break_id,
        number=standing.next,
        action=BreakAction.ASSIGNED,
        person=person,
        owner=owner,
        reason=reason,
        at_ms=at_ms,
    )


def resolve(standing: Standing, break_id: str, person: str, end: Resolution, reason: str, at_ms: int) -> Action:
    """Propose how a break ends, or confirm the proposal when it is another person's and says the same.

    Raises Refused once it has ended, and when the same person would confirm it.
    """
    _check_open(standing, break_id)
    waiting = standing.proposed
    confirms = waiting is not None and waiting.resolution is end
    if confirms and waiting is not None and same_person(waiting.person, person):
        raise Refused(f"{waiting.person} has proposed that {break_id} ends as {end}: another person has to confirm it")
    return Action(
        break_id=break_id,
        number=standing.next,
        action=BreakAction.RESOLVED if confirms else BreakAction.PROPOSED,
        person=person,
        resolution=end,
        proposed_by=waiting.person if confirms and waiting is not None else None,
        reason=reason,
        at_ms=at_ms,
    )


def read_standings(connection: Connection, break_id: str | None = None) -> dict[str, Standing]:
    """How far people have come with each break that they did something about, or with one."""
    c = break_actions.c
    query = select(break_actions).order_by(c.break_id, c.number)
    if break_id is not None:
        query = query.where(c.break_id == break_id)
    found: dict[str, list[Action]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        end = row["resolution"]
        values = {**row, "action": BreakAction(row["action"]), "resolution": Resolution(end) if end else None}
        found[row["break_id"]].append(Action(**values))
    return {id_: Standing(tuple(actions)) for id_, actions in found.items()}


def keep(connection: Connection, action: Action) -> None:
    """Write an action down. Raises Refused when somebody else did something about the break at the same moment."""
    try:
        connection.execute(insert(break_actions).values(asdict(action)))
    except IntegrityError:
        raise Refused(
            f"somebody else did something about {action.break_id} at the same moment. Nothing was changed; "
            f"see: claimhub breaks show {action.break_id}"
        ) from None


def _check_open(standing: Standing, break_id: str) -> None:
    if ended := standing.resolved:
        people = f"{ended.proposed_by} and {ended.person}"
        raise Refused(f"{break_id} was resolved as {ended.resolution} by {people}, and that is final")
