"""The words of finance's book of payments: what its tables hold in their columns of state and kind.

What the bank says may come in any order, and nothing goes back: see RANK (design: payments and reconciliation).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class BankState(StrEnum):
    """Where a payment stands between finance and the bank. `refused` ones have no valid signature and are never paid;
    `sent` ones stand in a payment file; of `unknown` ones nobody knows the end; `booked` ones are on a statement."""

    REFUSED = "refused"
    DUE = "due"
    HELD = "held"
    CANCELLED = "cancelled"
    SENT = "sent"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    SETTLED = "settled"
    REJECTED = "rejected"
    BOOKED = "booked"
    RETURNED = "returned"


RANK: Final[Mapping[BankState, int]] = {
    BankState.REFUSED: 0,
    BankState.DUE: 0,
    BankState.HELD: 0,
    BankState.SENT: 1,
    BankState.ACCEPTED: 2,
    BankState.REJECTED: 3,
    BankState.CANCELLED: 3,
    BankState.UNKNOWN: 4,
    BankState.SETTLED: 5,
    BankState.BOOKED: 6,
    BankState.RETURNED: 7,
}
"""What the bank says moves a payment to a higher rank only, as it does in the payment's claim: where it contradicts
itself nobody knows, and a statement stands above a status. Only two people end what nobody knows as rejected."""


class PaymentAction(StrEnum):
    """What people do about a payment that is due: hold it, and release it, as another person."""

    HELD = "held"
    RELEASED = "released"


class CancellationState(StrEnum):
    """What became of a claim's wish not to have a payment made. An `asked` one is new; it was `done` before the payment
    was in a file; else the bank is `to-ask`, and was asked when it is `sent`; `too-late` ones had ended already."""

    ASKED = "asked"
    DONE = "done"
    TO_ASK = "to-ask"
    SENT = "sent"
    TOO_LATE = "too-late"


class MessageKind(StrEnum):
    """What a file to the bank says: to pay (pain.001), or not to pay what an earlier one said (camt.055)."""

    PAYMENTS = "pain.001"
    CANCELLATIONS = "camt.055"


class EntryKind(StrEnum):
    """What a booked line of a statement was found to be. `other` ones are none of our payments and no break: fees,
    interest, money that came in."""

    PAYMENT = "payment"
    RETURN = "return"
    BREAK = "break"
    OTHER = "other"


class BreakAction(StrEnum):
    """What people do about a break: name its owner, propose how it ends, and confirm that, as another person."""

    ASSIGNED = "assigned"
    PROPOSED = "proposed"
    RESOLVED = "resolved"


class Resolution(StrEnum):
    """How a break ends. `paid` and `not-paid` say what became of the payment it is about, and its claim hears of it;
    `explained` leaves the payment as it stands."""

    PAID = "paid"
    NOT_PAID = "not-paid"
    EXPLAINED = "explained"
