"""`verify` over finance's book: a sound one passes, and each way to break it is named with its place."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine, delete, insert, update

from schemas.records import BreakKind
from sinks.ledger.bank_tables import bank_breaks, bank_entries, bank_messages, bank_payments, bank_statements
from sinks.ledger.tables import payments
from sinks.ledger.verify import verify
from sinks.payments.book import BankState, EntryKind
from tests import book as make
from tests import claims

Change = Callable[[Connection], object]
CHECKED = ("book-as-instructed", "files-add-up", "statements-add-up", "cents-matched")


def sound(book: Connection) -> None:
    """Two payments in one file; one is booked, the other came back; a fee, and a line that is a break."""
    for number, amount in ((1, 2_800_00), (2, 1_200_00)):
        book.execute(
            insert(payments).values(
                id=f"PI-{number}",
                claim=claims.CLAIM,
                lane=0,
                settlement_version=number,
                attempt=1,
                amount_minor=amount,
                currency="CNY",
                state="booked" if number == 1 else "returned",
                proposed_by="hub:settlement",
                approved_by="handler-07",
                cause="adjuster.decision.v1/1/0/1",
                at_ms=claims.LOSS_MS,
            )
        )
    make.message(book, transactions=2, total_minor=4_000_00)
    make.payment(book, state=BankState.BOOKED)
    make.payment(book, instruction_id="PI-2", uetr="u2", amount_minor=1_200_00, state=BankState.RETURNED)
    make.file(book)
    make.statement(book, closing_minor=7_199_00 - 33)
    make.entry(book)
    make.entry(book, number=2, instruction_id="PI-2", amount_minor=-1_200_00, line=50)
    make.entry(book, number=3, instruction_id="PI-2", amount_minor=1_200_00, kind=EntryKind.RETURN, line=58)
    make.entry(book, number=4, instruction_id=None, amount_minor=-1_00, kind=EntryKind.OTHER, line=66)
    orphan = make.raised(book, BreakKind.ORPHAN, about="ST-9", instruction_id=None, claim=None)
    make.entry(book, number=5, instruction_id=None, amount_minor=-33, kind=EntryKind.BREAK, break_id=orphan, line=74)


def failing(book: Engine) -> dict[str, tuple[str, ...]]:
    return {check.name: check.rows for check in verify(book).checks if check.name in CHECKED and not check.ok}


def test_a_sound_book_keeps_every_promise(book: Engine) -> None:
    """Whatever kinds of lines it has."""
    with book.begin() as connection:
        sound(connection)

    assert failing(book) == {}


def _is(table: object, column: str, value: object) -> Change:
    return lambda book: book.execute(update(table).values({column: value}))  # type: ignore[arg-type]


def _of(number: int, **values: object) -> Change:
    return lambda book: book.execute(update(bank_entries).where(bank_entries.c.number == number).values(values))


WRONG = {
    "a payment nobody instructed": (
        lambda book: make.payment(book, instruction_id="PI-3", uetr="u3", message_id=None),
        {"book-as-instructed": ("payment PI-3: no claim has instructed it",)},
    ),
    "another amount than instructed": (
        lambda book: book.execute(update(payments).where(payments.c.id == "PI-1").values(amount_minor=1)),
        {"book-as-instructed": ("payment PI-1: the claim instructed other money",)},
    ),
    "a refused one in a file": (
        _is(bank_payments, "state", BankState.REFUSED),
        {
            "book-as-instructed": (
                "payment PI-1: it stands in a file though it was not to be paid",
                "payment PI-2: it stands in a file though it was not to be paid",
            )
        },
    ),
    "a file of another sum": (
        _is(bank_messages, "total_minor", 4_000_01),
        {"files-add-up": ("file PM-1: 2 payments of 400001 in minor units, the book has 2 of 400000",)},
    ),
    "a file of another count": (
        _is(bank_messages, "transactions", 3),
        {"files-add-up": ("file PM-1: 3 payments of 400000 in minor units, the book has 2 of 400000",)},
    ),
    "a statement that does not add up": (
        _is(bank_statements, "closing_minor", 0),
        {"statements-add-up": ("statement 1 of file abababababab: 1000000 + -280133 is not 0, in minor units",)},
    ),
    "a line of other money": (
        lambda book: (_of(1, amount_minor=-2_800_01)(book), _is(bank_statements, "closing_minor", 7_198_66)(book)),
        {"cents-matched": ("line 42 of file abababababab: a payment that is not the money of one of our payments",)},
    ),
    "a line of no payment": (
        _of(1, instruction_id="PI-9"),
        {"cents-matched": ("line 42 of file abababababab: a payment that is not the money of one of our payments",)},
    ),
    "a break nobody is told of": (
        lambda book: book.execute(delete(bank_breaks)),
        {"cents-matched": ("line 74 of file abababababab: a break that nobody is told of",)},
    ),
    "a payment booked twice": (
        lambda book: (
            _of(4, kind=EntryKind.PAYMENT, instruction_id="PI-1", amount_minor=-2_800_00)(book),
            _is(bank_statements, "closing_minor", 4_400_00 - 33)(book),
        ),
        {"cents-matched": ("payment PI-1: 2 lines of the statement are its payment",)},
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_way_to_break_it_is_named(book: Engine, name: str) -> None:
    """With the payment, the file or the line, and nothing else fails."""
    change, expected = WRONG[name]
    with book.begin() as connection:
        sound(connection)
        change(connection)  # type: ignore[no-untyped-call]

    assert failing(book) == expected


def test_an_advice_beside_its_statement_is_no_second_payment(book: Engine) -> None:
    """The bank tells of the same money twice."""
    with book.begin() as connection:
        sound(connection)
        make.file(connection, sha256="ef" * 32, message="camt.054", bank_message_id="ADVICE-1")
        make.entry(connection, sha256="ef" * 32)

    assert failing(book) == {}


def test_a_balance_that_is_a_break_is_no_failure(book: Engine) -> None:
    """Somebody has been told of it."""
    with book.begin() as connection:
        sound(connection)
        _is(bank_statements, "closing_minor", 0)(connection)
        make.raised(connection, BreakKind.BALANCE, about=f"{make.FILE} 1")

    assert failing(book) == {}
