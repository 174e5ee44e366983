"""`claimhub breaks assign` and `resolve`: one person gives a break to somebody, two say how it ends."""

import time

from sqlalchemy import Connection

from schemas.codec import RegistryUnavailable
from sinks.payments.book import BreakAction, Resolution
from streams.commands import broker, show
from streams.commands.breaks import RaisedBreak, read_break
from streams.commands.failures import Failed, Unavailable
from streams.commands.given import given
from streams.commands.ledger import open_book, open_engine
from streams.reconciliation.clearing import Standing, assign, keep, resolve
from streams.reconciliation.closures import ENDS, check_end, close
from streams.settings import Settings


def assign_break(settings: Settings, id_: str, *, owner: str, person: str, reason: str) -> RaisedBreak:
    """Give a break to a department or a person; the break as it stands then.

    Raises WrongInput; Failed when there is no such break or it has ended; Refused.
    """
    owner, person, reason = given("--to", owner), given("--person", person), given("--reason", reason)
    with open_book(settings) as book:
        found = _open_break(book, id_)
        keep(book, assign(Standing(found.actions), id_, person, owner, reason, _now_ms()))
        return read_break(book, id_)


def resolve_break(settings: Settings, id_: str, *, end: Resolution, person: str, reason: str) -> RaisedBreak:
    """Propose how a break ends, or as another person confirm that: then its payment's claim is told, if it ends as paid
    or not paid. The break as it stands then.

    Raises WrongInput; Failed when there is no such break or it has ended; Refused; Unavailable when it was resolved and
    Kafka does not take what the claim is to hear.
    """
    person, reason = given("--person", person), given("--reason", reason)
    with open_book(settings) as book:
        found = _open_break(book, id_)
        before = Standing(found.actions)
        did = resolve(before, id_, person, end, reason, _now_ms())
        check_end(book, found.instruction, end)
        keep(book, did)
        if did.action is BreakAction.RESOLVED and before.proposed is not None:
            close(book, found.instruction, did, before.proposed.reason)
        found = read_break(book, id_)
    if did.action is BreakAction.PROPOSED:
        show.note(f"claimhub: {id_} ends as {end} once another person says so as well")
    elif end in ENDS:
        _tell(settings)
    return found


def _tell(settings: Settings) -> None:
    """Send what the claim is to hear. Raises Unavailable when that has to wait."""
    from streams.commands.send import open_codec
    from streams.reconciliation.publish import publish

    try:
        options, codec = broker.client_options(settings), open_codec(settings)
        with open_engine(settings) as engine:
            publish(engine, codec, options, _now_ms())
    except (Unavailable, RegistryUnavailable) as error:
        raise Unavailable(
            f"the break is resolved, and the claim is not told yet: {error}. Then run: claimhub reconcile run"
        ) from None


def _open_break(book: Connection, id_: str) -> RaisedBreak:
    found = read_break(book, id_)
    if not found.open:
        raise Failed(f"{id_} has ended: {found.ended}. See: claimhub breaks show {id_}")
    return found


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
