"""`claimhub breaks assign` and `resolve`: one person gives a break to somebody, two say how it ends."""

import time

from sqlalchemy import Connection

from streams.commands.breaks import RaisedBreak, read_break
from streams.commands.failures import Failed, WrongInput
from streams.commands.ledger import open_book
from streams.reconciliation.clearing import Standing, assign, keep
from streams.settings import Settings

_LONGEST_NAME = 64
_LONGEST_REASON = 256


def assign_break(settings: Settings, id_: str, *, owner: str, person: str, reason: str) -> RaisedBreak:
    """Give a break to a department or a person; the break as it stands then.

    Raises WrongInput; Failed when there is no such break or it has ended; Refused.
    """
    owner, person, reason = _given("--to", owner), _given("--person", person), _given("--reason", reason)
    with open_book(settings) as book:
        found = _open_break(book, id_)
        keep(book, assign(Standing(found.actions), id_, person, owner, reason, _now_ms()))
        return read_break(book, id_)


def _open_break(book: Connection, id_: str) -> RaisedBreak:
    found = read_break(book, id_)
    if not found.open:
        raise Failed(f"{id_} has ended: {found.ended}. See: claimhub breaks show {id_}")
    return found


def _given(option: str, text: str) -> str:
    """What was given, without blanks around it. Raises WrongInput when that is nothing, or too much to keep."""
    text, longest = text.strip(), _LONGEST_REASON if option == "--reason" else _LONGEST_NAME
    if not 0 < len(text) <= longest:
        raise WrongInput(f"{option} has {len(text)} characters: give it 1 to {longest}. Nothing was changed")
    return text


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
