"""What two people say became of a payment: the book has it at once, and its claim is told."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, select, update

from schemas.records import ClosureResult, PaymentClosure
from sinks.ledger.bank_tables import bank_payments
from sinks.ledger.tables import payments
from sinks.payments.book import BankState, Resolution
from sinks.payments.records import add_records, record_row
from streams.reconciliation.clearing import Action, Refused
from streams.rules.derived import derived_id

TOPIC: Final = "finance.payment-closure.v1"

ENDS: Final[Mapping[Resolution, BankState]] = {
    Resolution.PAID: BankState.SETTLED,
    Resolution.NOT_PAID: BankState.REJECTED,
}
"""The resolutions that say what became of a payment, and where it stands in the book then."""

_SAYS_SO: Final[Mapping[Resolution, frozenset[str]]] = {
    Resolution.PAID: frozenset({BankState.SETTLED, BankState.BOOKED}),
    Resolution.NOT_PAID: frozenset({BankState.REJECTED, BankState.CANCELLED}),
}
"""Where a payment stands that has this end already: it stays there."""

_SAYS_OTHERWISE: Final[Mapping[Resolution, frozenset[str]]] = {
    # One that was rejected or cancelled may be paid all the same: by hand.
    Resolution.PAID: frozenset({BankState.REFUSED, BankState.RETURNED}),
    Resolution.NOT_PAID: frozenset({BankState.REFUSED, BankState.SETTLED, BankState.BOOKED, BankState.RETURNED}),
}
"""Where a payment stands, in the book or in its claim, of which nobody can say that it has this end."""


class _Payment(Struct, frozen=True):
    """A payment; its state in finance's book and in its claim, None where it is not there."""

    claim: str
    amount_minor: int
    currency: str
    state: str | None
    state_in_claim: str | None


def check_end(book: Connection, instruction_id: str | None, end: Resolution) -> None:
    """Raise Refused when what a break is about cannot end like that."""
    if end in ENDS:
        _payment(book, instruction_id, end)


def close(book: Connection, instruction_id: str | None, ended: Action, evidence: str) -> None:
    """Move a payment to where two people say it is, and put down what its claim is to hear; nothing for a resolution
    that leaves the payment as it stands.

    Raises Refused when it cannot end like that, or was moved at the same moment.
    """
    end = ended.resolution
    if end is None or end not in ENDS or instruction_id is None or ended.proposed_by is None:
        return
    payment = _payment(book, instruction_id, end)
    if payment.state is not None and payment.state not in _SAYS_SO[end]:
        c = bank_payments.c
        moved = update(bank_payments).where(c.instruction_id == instruction_id, c.state == payment.state)
        if book.execute(moved.values(state=ENDS[end])).rowcount != 1:
            raise Refused(f"payment {instruction_id} moved at the same moment. Nothing was changed; say it again")
    closure = PaymentClosure(
        claim=payment.claim,
        instruction_id=instruction_id,
        result=ClosureResult(end),
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        proposed_by=ended.proposed_by,
        confirmed_by=ended.person,
        evidence=evidence,
        at_ms=ended.at_ms,
    )
    add_records(book, [record_row(derived_id("CE", ended.break_id), TOPIC, payment.claim, closure, ended.at_ms)])


def _payment(book: Connection, instruction_id: str | None, end: Resolution) -> _Payment:
    if instruction_id is None:
        raise Refused(f"this break is about no payment of ours: it cannot end as {end}, only as explained")
    found = _find(book, instruction_id)
    if found is None:
        raise Refused(f"no payment has the id {instruction_id}: its break can only be explained")
    for state in (found.state, found.state_in_claim):
        if state in _SAYS_OTHERWISE[end]:
            raise Refused(f"payment {instruction_id} is {state}: it cannot be {end}, its break can only be explained")
    return found


def _find(book: Connection, instruction_id: str) -> _Payment | None:
    """From the book, and from the claim that gave it: finance may pay without this book, straight from the topic."""
    ours, theirs = bank_payments.c, payments.c
    query = select(ours.claim, ours.amount_minor, ours.currency, ours.state)
    known = book.execute(query.where(ours.instruction_id == instruction_id)).one_or_none()
    query = select(theirs.claim, theirs.amount_minor, theirs.currency, theirs.state)
    given = book.execute(query.where(theirs.id == instruction_id)).one_or_none()
    either = known or given
    if either is None:
        return None
    return _Payment(*either[:3], known.state if known else None, given.state if given else None)
