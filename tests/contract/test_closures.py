"""What two people say of a payment while the bank's answer comes in: the one that came first stands."""

import pytest
from sqlalchemy import Connection, Engine, event, select, update

from sinks.ledger.bank_tables import bank_payments, bank_records
from sinks.ledger.open import read_engine
from sinks.payments.book import BankState, BreakAction, Resolution
from streams.reconciliation.clearing import Action, Refused
from streams.reconciliation.closures import check_end, close
from tests import book as make
from tests.claims import CLAIM


def resolved(end: Resolution = Resolution.PAID) -> Action:
    """What the second person confirmed."""
    return Action(
        break_id="BK-1",
        number=2,
        action=BreakAction.RESOLVED,
        person="treasurer-02",
        resolution=end,
        proposed_by="cashier-01",
        reason="seen with the bank",
        at_ms=1,
    )


def state(book: Engine) -> str:
    """Where the payment stands."""
    with book.connect() as connection:
        return str(connection.execute(select(bank_payments.c.state)).scalar_one())


def test_a_payment_that_moves_meanwhile_is_not_closed(postgres_ledger: str) -> None:
    """The bank books it between the look and the change: nothing is changed, and nobody is told."""
    book, bank = read_engine(postgres_ledger), read_engine(postgres_ledger)
    with book.begin() as connection:
        make.payment(connection, state=BankState.UNKNOWN)

    def books(connection: Connection, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE bank_payments"):
            with bank.begin() as other:
                other.execute(update(bank_payments).values(state=BankState.BOOKED))

    event.listen(book, "before_cursor_execute", books)
    with pytest.raises(Refused, match="moved at the same moment"), book.begin() as connection:
        close(connection, "PI-1", resolved(), "voucher")
    event.remove(book, "before_cursor_execute", books)

    assert state(book) == "booked"
    with book.connect() as connection:
        assert connection.execute(select(bank_records)).all() == []
    book.dispose()
    bank.dispose()


@pytest.mark.parametrize(
    ("end", "before", "after"),
    [
        (Resolution.PAID, BankState.DUE, "settled"),
        (Resolution.PAID, BankState.REJECTED, "settled"),
        (Resolution.PAID, BankState.BOOKED, "booked"),
        (Resolution.PAID, BankState.RETURNED, None),
        (Resolution.PAID, BankState.REFUSED, None),
        (Resolution.NOT_PAID, BankState.SENT, "rejected"),
        (Resolution.NOT_PAID, BankState.CANCELLED, "cancelled"),
        (Resolution.NOT_PAID, BankState.BOOKED, None),
        (Resolution.NOT_PAID, BankState.SETTLED, None),
        (Resolution.EXPLAINED, BankState.SENT, "sent"),
    ],
)
def test_where_a_payment_stands_that_two_people_close(
    book: Engine, end: Resolution, before: BankState, after: str | None
) -> None:
    """One that is not in a file yet is never sent; what the bank booked stands above what people say."""
    with book.begin() as connection:
        make.payment(connection, state=before)
    if after is None:
        with pytest.raises(Refused, match="can only be explained"), book.begin() as connection:
            check_end(connection, "PI-1", end)
        return
    with book.begin() as connection:
        close(connection, "PI-1", resolved(end), "voucher")
        close(connection, "PI-1", resolved(end), "voucher")
    with book.connect() as connection:
        told = connection.execute(select(bank_records.c.key, bank_records.c.sent_at_ms)).all()

    assert state(book) == after
    assert [tuple(it) for it in told] == ([] if end is Resolution.EXPLAINED else [(CLAIM, None)])
