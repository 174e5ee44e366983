"""A bank's file taken into the book, on each kind of database: what it says of which payment, and what is a break."""

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from lxml import etree
from sqlalchemy import Engine, Table, select

from connectors.bank.messages import Read, read
from connectors.bank.xml import BadXml
from schemas.records import PaymentStatus, StatementLine
from sinks.ledger.bank_tables import (
    bank_breaks,
    bank_entries,
    bank_files,
    bank_payments,
    bank_records,
    bank_statements,
    bank_statuses,
)
from sinks.ledger.verify import verify
from sinks.payments.book import BankState
from streams.demo import bank_says as bank
from streams.demo.bank_says import ACCOUNT, Entry, Said, Tx
from streams.reconciliation import bank_file
from streams.reconciliation import take as taking
from streams.reconciliation.take import Taken, take
from tests import book as make
from tests import claims
from tests.contract.test_bank_samples import samples
from tests.iso20022 import schema

OURS: Final = {(ACCOUNT, "CNY")}
NOW_MS: Final = claims.LOSS_MS + 9 * claims.DAY_MS
AMOUNT: Final = 2_800_00
_KINDS: Final[dict[str, type[StatementLine | PaymentStatus]]] = {
    "finance.statement-line.v1": StatementLine,
    "finance.payment-status.v1": PaymentStatus,
}
CHECKED: Final = ("statements-add-up", "cents-matched")


def pay(book: Engine, *ids: str, **changes: object) -> None:
    """One payment file with these payments, each of 2 800.00 CNY."""
    with book.begin() as connection:
        make.message(connection, transactions=len(ids), total_minor=AMOUNT * len(ids))
        for id_ in ids:
            make.payment(connection, instruction_id=id_, uetr=f"uetr-{id_.lower()}", **changes)


def take_in(book: Engine, folder: Path, *contents: str) -> list[Taken]:
    """Take files; after each the book keeps its promises."""
    taken = []
    for number, content in enumerate(contents):
        taken.append(take(book, bank.put(folder, f"bank-{number}.xml", content), OURS, NOW_MS))
        assert not [it for it in verify(book).checks if it.name in CHECKED and not it.ok]
    return taken


def rows(book: Engine, table: Table, *fields: str) -> list[tuple[Any, ...]]:
    with book.connect() as connection:
        return [tuple(row) for row in connection.execute(select(*(table.c[it] for it in fields)).order_by(*fields))]


def states(book: Engine) -> dict[str, str]:
    return dict(rows(book, bank_payments, "instruction_id", "state"))


def told(book: Engine) -> list[tuple[str, str, str | None]]:
    """What the claims are to hear, in order: instruction, what, and its reason code."""
    with book.connect() as connection:
        query = select(bank_records.c.topic, bank_records.c.value).order_by(bank_records.c.number)
        found = [(_KINDS[topic], value) for topic, value in connection.execute(query)]
    said = [msgspec.json.decode(value, type=kind) for kind, value in found]
    return [(it.instruction_id, it.kind if isinstance(it, StatementLine) else it.status, it.reason_code) for it in said]


def breaks(book: Engine) -> list[tuple[Any, ...]]:
    """Kind, instruction, what was expected and what was found."""
    return rows(book, bank_breaks, "kind", "instruction_id", "expected_minor", "found_minor")


# -- statuses


@pytest.mark.parametrize(
    ("said", "state", "records"),
    [
        ([Said("ACCP", "PI-1")], "accepted", ["ACCP"]),
        ([Said("ACSC", instruction_id="PI-1")], "settled", ["ACSC"]),
        ([Said("ACSC", uetr="UETR-PI-1")], "settled", ["ACSC"]),
        ([Said("ACSC", "NOTPROVIDED", instruction_id="PI-1")], "settled", ["ACSC"]),
        ([Said("RJCT", "PI-1", "AC01")], "rejected", ["RJCT"]),
        ([Said("CANC", "PI-1")], "cancelled", ["CANC"]),
        ([Said("ACSC", "PI-1"), Said("ACCP", "PI-1")], "settled", ["ACSC", "ACCP"]),
        ([Said("ACSP", "PI-1"), Said("RJCT", "PI-1", "AC01")], "unknown", ["ACSP", "RJCT"]),
        ([Said("RJCT", "PI-1", "AC01"), Said("ACSP", "PI-1")], "unknown", ["RJCT", "ACSP"]),
        ([Said("RJCT", "PI-1", "AC01"), Said("ACSC", "PI-1")], "settled", ["RJCT", "ACSC"]),
        ([Said("ACSC", "PI-1"), Said("RJCT", "PI-1", "AC01")], "settled", ["ACSC", "RJCT"]),
        ([Said("RJCT", "PI-1", "AM05"), Said("RJCT", "PI-1", "AC01")], "unknown", ["RJCT", "RJCT"]),
        ([Said("ACWP", "PI-1")], "sent", []),
    ],
)
def test_a_status_moves_a_payment_by_rank_and_its_claim_hears_of_it(
    book: Engine, tmp_path: Path, said: Sequence[Said], state: str, records: list[str]
) -> None:
    """In one file or in one each; a code that nothing follows from is kept."""
    pay(book, "PI-1", "PI-2")
    files = [bank.report([it], message_id=f"R{number}") for number, it in enumerate(said)]
    take_in(book, tmp_path, *files)

    assert states(book) == {"PI-1": state, "PI-2": "sent"}
    assert [(id_, code) for id_, code, _ in told(book)] == [("PI-1", code) for code in records]
    assert Counter(rows(book, bank_statuses, "code")) == Counter((it.code,) for it in said)


def test_in_one_file_statuses_count_in_its_order(book: Engine, tmp_path: Path) -> None:
    """A rejection after ACSP leaves nobody knowing; each payment moves to a state of its own."""
    pay(book, "PI-1", "PI-2", "PI-3")
    said = [Said("ACSP", "PI-1"), Said("ACSC", "PI-2"), Said("RJCT", "PI-1", "AC01"), Said("RJCT", "PI-3", "AC01")]
    take_in(book, tmp_path, bank.report(said))

    assert states(book) == {"PI-1": "unknown", "PI-2": "settled", "PI-3": "rejected"} and breaks(book) == []


def test_a_status_of_the_whole_is_that_of_each_payment_not_named_itself(book: Engine, tmp_path: Path) -> None:
    """Of a payment information before that of the message."""
    pay(book, "PI-1", "PI-2", "PI-3")
    take_in(book, tmp_path, bank.report([Said("RJCT", "PI-2", "AC01")], group="ACSC"))
    assert states(book) == {"PI-1": "settled", "PI-2": "rejected", "PI-3": "settled"}
    assert rows(book, bank_statuses, "instruction_id", "level") == [
        ("PI-1", "group"),
        ("PI-2", "transaction"),
        ("PI-3", "group"),
    ]


def test_a_rejected_payment_information_is_all_of_its_payments(book: Engine, tmp_path: Path) -> None:
    """With its reason; a message that was taken in part says nothing by itself."""
    pay(book, "PI-1", "PI-2")
    take_in(book, tmp_path, bank.report([Said("RJCT", reason="AC06")], group="PART"))

    assert states(book) == {"PI-1": "rejected", "PI-2": "rejected"}
    assert told(book) == [("PI-1", "RJCT", "AC06"), ("PI-2", "RJCT", "AC06")]


@pytest.mark.parametrize("code", ["AM05", "DUPL", "DU01", "DU03", "DU05"])
def test_a_rejection_as_a_duplicate_leaves_the_end_unknown(book: Engine, tmp_path: Path, code: str) -> None:
    """An earlier send has probably landed: never another send, and the claim that hears of it raises the break."""
    pay(book, "PI-1")
    take_in(book, tmp_path, bank.report([Said("RJCT", "PI-1", code)]))

    assert states(book) == {"PI-1": "unknown"} and told(book) == [("PI-1", "RJCT", code)]
    assert breaks(book) == []


@pytest.mark.parametrize(
    ("said", "group", "kind"),
    [
        ([Said("ACSC", "PI-9")], None, "orphan"),
        ([Said("ACSC")], None, "orphan"),
        ([], "RJCT", "orphan"),
        ([Said("ACSC", "PI-1", minor=AMOUNT + 1)], None, "amount"),
        ([Said("ACSC", "PI-1", minor=AMOUNT, currency="USD")], None, "amount"),
    ],
)
def test_a_status_that_is_not_of_our_money_is_a_break(
    book: Engine, tmp_path: Path, said: Sequence[Said], group: str | None, kind: str
) -> None:
    """An id we do not know, at each level, and another amount or currency: nothing moves, no claim hears of it."""
    pay(book, "PI-1")
    of = "PM-1" if kind == "amount" else "PM-9"
    (taken,) = take_in(book, tmp_path, bank.report(said, of=of, group=group))

    assert taken.breaks == {kind: 1} and states(book) == {"PI-1": "sent"} and told(book) == []
    assert [it[0] for it in rows(book, bank_breaks, "kind")] == [kind]
    assert all(line > 1 and element for line, element in rows(book, bank_breaks, "line", "element"))


# -- lines


@pytest.mark.parametrize(
    ("entries", "state", "records", "raised", "kinds"),
    [
        ([bank.paid(AMOUNT, "PI-1")], "booked", ["payment"], [], ["payment"]),
        ([Entry(-AMOUNT, (Tx(instruction_id="PI-1"),))], "booked", ["payment"], [], ["payment"]),
        ([Entry(-AMOUNT, (Tx("NOTPROVIDED", uetr="UETR-PI-1"),))], "booked", ["payment"], [], ["payment"]),
        ([bank.paid(AMOUNT, "PI-1", status="PDNG")], "sent", [], [], []),
        ([bank.paid(AMOUNT, "PI-1", status="INFO")], "sent", [], [], []),
        (
            [bank.paid(AMOUNT + 1, "PI-1")],
            "sent",
            [],
            [("amount", "PI-1", -AMOUNT, -AMOUNT - 1)],
            ["break"],
        ),
        (
            [bank.paid(AMOUNT, "PI-1"), bank.paid(AMOUNT, "PI-1")],
            "booked",
            ["payment"],
            [("duplicate", "PI-1", 0, -AMOUNT)],
            ["break", "payment"],
        ),
        ([bank.paid(AMOUNT, "PI-9")], "sent", [], [("orphan", None, None, -AMOUNT)], ["break"]),
        ([Entry(-AMOUNT)], "sent", [], [("orphan", None, None, -AMOUNT)], ["break"]),
        (
            [bank.paid(AMOUNT, "PI-1"), bank.returned(AMOUNT, "PI-1")],
            "returned",
            ["payment", "return"],
            [("returned", "PI-1", None, AMOUNT)],
            ["payment", "return"],
        ),
        (
            [bank.returned(AMOUNT, "PI-1"), bank.paid(AMOUNT, "PI-1")],
            "returned",
            ["return", "payment"],
            [("returned", "PI-1", None, AMOUNT)],
            ["payment", "return"],
        ),
        (
            [bank.paid(AMOUNT, "PI-1"), bank.returned(AMOUNT, "PI-1", None, reversal=True)],
            "returned",
            ["payment", "return"],
            [("returned", "PI-1", None, AMOUNT)],
            ["payment", "return"],
        ),
        (
            [bank.paid(AMOUNT, "PI-1"), bank.returned(AMOUNT - 500, "PI-1")],
            "booked",
            ["payment"],
            [("amount", "PI-1", AMOUNT, AMOUNT - 500)],
            ["break", "payment"],
        ),
        (
            [bank.paid(AMOUNT, "PI-1"), bank.paid(AMOUNT, "PI-1"), bank.returned(AMOUNT, "PI-1")],
            "booked",
            ["payment"],
            [("duplicate", "PI-1", 0, -AMOUNT), ("duplicate", "PI-1", 0, AMOUNT)],
            ["break", "break", "payment"],
        ),
        ([bank.returned(AMOUNT, "PI-9")], "sent", [], [("orphan", None, None, AMOUNT)], ["break"]),
        ([Entry(12_00)], "sent", [], [], ["other"]),
        ([Entry(-35_00, code=bank.FEE)], "sent", [], [], ["other"]),
        ([bank.paid(35_00, "PI-1", code=bank.FEE)], "sent", [], [("amount", "PI-1", -AMOUNT, -35_00)], ["break"]),
        (
            [bank.paid(AMOUNT, "PI-1", currency="USD")],
            "sent",
            [],
            [("amount", None, None, -AMOUNT)],
            ["break"],
        ),
    ],
)
def test_a_booked_line_is_a_payment_a_return_a_break_or_other(
    book: Engine,
    tmp_path: Path,
    entries: Sequence[Entry],
    state: str,
    records: list[str],
    raised: list[tuple[Any, ...]],
    kinds: list[str],
) -> None:
    """What is told of a payment once is one event."""
    pay(book, "PI-1")
    take_in(book, tmp_path, bank.statement(entries))

    assert states(book) == {"PI-1": state}
    assert [what for _, what, _ in told(book)] == records
    assert breaks(book) == raised
    assert [kind for (kind,) in rows(book, bank_entries, "kind")] == kinds
    linked = rows(book, bank_entries, "break_id")
    assert {id_ for (id_,) in rows(book, bank_breaks, "break_id")} >= {id_ for (id_,) in linked if id_ is not None}


@pytest.mark.parametrize("first", ["advice", "statement"])
def test_an_advice_and_the_statement_tell_of_the_same_money(book: Engine, tmp_path: Path, first: str) -> None:
    """Whichever comes first: one payment, one event, no duplicate; a second line in one of them is one, told once."""
    pay(book, "PI-1", "PI-2")
    lines = [bank.paid(AMOUNT, "PI-1"), bank.paid(AMOUNT, "PI-2"), bank.paid(AMOUNT, "PI-2"), Entry(-7_00)]
    files = [bank.advice(lines), bank.statement(lines)]
    taken = take_in(book, tmp_path, *(files if first == "advice" else reversed(files)))

    assert states(book) == {"PI-1": "booked", "PI-2": "booked"}
    assert told(book) == [("PI-1", "payment", None), ("PI-2", "payment", None)]
    assert sorted(it[:2] for it in breaks(book)) == [("duplicate", "PI-2"), ("orphan", None)]
    assert sorted(it.left for it in taken) == [0, 1]


def test_a_return_that_an_advice_told_of_is_told_once(book: Engine, tmp_path: Path) -> None:
    """On the statement it is the same money again."""
    pay(book, "PI-1")
    came_back = [bank.returned(AMOUNT, "PI-1")]
    take_in(book, tmp_path, bank.statement([bank.paid(AMOUNT, "PI-1")]), bank.advice(came_back))
    take_in(book, tmp_path, bank.statement(came_back, 2, opening=1_000_000_00 - AMOUNT, message_id="BANK-2"))

    assert told(book) == [("PI-1", "payment", None), ("PI-1", "return", "AC04")]
    assert breaks(book) == [("returned", "PI-1", None, AMOUNT)] and states(book) == {"PI-1": "returned"}


def test_a_line_of_several_transactions_is_split_when_they_add_up(book: Engine, tmp_path: Path) -> None:
    """One of them of another amount is a break by itself; one that tells no amount is what was instructed."""
    pay(book, "PI-1", "PI-2", "PI-3")
    made = (Tx("PI-1", minor=-AMOUNT), Tx("PI-2"), Tx("PI-3", minor=-AMOUNT - 5))
    take_in(book, tmp_path, bank.statement([Entry(-3 * AMOUNT - 5, made, batch=3)]))

    assert states(book) == {"PI-1": "booked", "PI-2": "booked", "PI-3": "sent"}
    assert rows(book, bank_entries, "part", "kind", "amount_minor") == [
        (1, "payment", -AMOUNT),
        (2, "payment", -AMOUNT),
        (3, "break", -AMOUNT - 5),
    ]


@pytest.mark.parametrize(("minor", "batch"), [(-3 * AMOUNT, None), (-2 * AMOUNT, 3)])
def test_a_line_whose_transactions_do_not_add_up_is_a_break_in_whole(
    book: Engine, tmp_path: Path, minor: int, batch: int | None
) -> None:
    """By their sum or by their number: none of them is paid by it."""
    pay(book, "PI-1", "PI-2")
    line = Entry(minor, (Tx("PI-1", minor=-AMOUNT), Tx("PI-2", minor=-AMOUNT)), batch=batch)
    take_in(book, tmp_path, bank.statement([line]))

    assert states(book) == {"PI-1": "sent", "PI-2": "sent"} and told(book) == []
    assert breaks(book) == [("amount", None, -2 * AMOUNT, line.minor)]


WHOLE = (
    {"batch_information_id": "PM-1-1", "batch": 3},
    {"batch_message_id": "PM-1"},
    {"transactions": (Tx("NOTPROVIDED", payment_information_id="PM-1-1"),)},
)


@pytest.mark.parametrize("names", WHOLE)
def test_one_line_for_a_whole_file_is_split_over_its_payments(
    book: Engine, tmp_path: Path, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By payment information or by message, in as many parts as it takes; on the advice, and on the statement again."""
    monkeypatch.setattr(taking, "PART", 2)
    pay(book, "PI-1", "PI-2", "PI-3")
    line = Entry(-3 * AMOUNT)._replace(**names)
    by = "message" if "batch_message_id" in names else "payment-information"
    take_in(book, tmp_path, bank.advice([line]), bank.statement([line]))

    assert set(states(book).values()) == {"booked"} and breaks(book) == []
    assert sorted(told(book)) == [(f"PI-{number}", "payment", None) for number in (1, 2, 3)]
    assert rows(book, bank_entries, "matched_by", "part") == sorted((by, part) for part in (1, 2, 3) for _ in "ab")


def test_one_line_for_a_file_leaves_out_what_was_rejected_or_booked_before(book: Engine, tmp_path: Path) -> None:
    """And the same line again is a duplicate, told once."""
    pay(book, "PI-1", "PI-2", "PI-3", "PI-4")
    line = Entry(-2 * AMOUNT, batch=2, batch_information_id="PM-1-1")
    report = bank.report([Said("RJCT", "PI-1", "AC01")])
    take_in(book, tmp_path, report, bank.statement([bank.paid(AMOUNT, "PI-2"), line]))
    assert states(book) == {"PI-1": "rejected", "PI-2": "booked", "PI-3": "booked", "PI-4": "booked"}

    again = bank.statement([line._replace(minor=-3 * AMOUNT, batch=3)], None, message_id="BANK-2")
    take_in(book, tmp_path, again)
    assert [it[0] for it in breaks(book)] == ["duplicate"]


@pytest.mark.parametrize(("minor", "batch"), [(-3 * AMOUNT + 1, 3), (-3 * AMOUNT, 2)])
def test_one_line_for_a_file_that_is_not_its_payments_is_a_break(
    book: Engine, tmp_path: Path, minor: int, batch: int
) -> None:
    """By sum or by count: no payment is booked."""
    pay(book, "PI-1", "PI-2", "PI-3")
    take_in(book, tmp_path, bank.statement([Entry(minor, batch=batch, batch_information_id="PM-1-1")]))

    assert set(states(book).values()) == {"sent"}
    assert breaks(book) == [("amount", None, -3 * AMOUNT, minor)]


def test_a_whole_file_that_comes_back_is_a_return_of_each(book: Engine, tmp_path: Path) -> None:
    """When it is exactly what was booked of it."""
    pay(book, "PI-1", "PI-2")
    out, back = Entry(-2 * AMOUNT, batch_message_id="PM-1"), Entry(2 * AMOUNT, batch_message_id="PM-1")
    take_in(book, tmp_path, bank.statement([out, back]))

    assert states(book) == {"PI-1": "returned", "PI-2": "returned"}
    assert [it[:2] for it in breaks(book)] == [("returned", "PI-1"), ("returned", "PI-2")]


def test_money_for_an_instruction_that_was_refused_is_a_break(book: Engine, tmp_path: Path) -> None:
    """A forged one was never sent: neither a line nor a status moves it, and no claim hears of it."""
    pay(book, "PI-1", state=BankState.REFUSED, message_id=None)
    take_in(book, tmp_path, bank.statement([bank.paid(AMOUNT, "PI-1")]), bank.report([Said("ACSC", "PI-1")]))

    assert states(book) == {"PI-1": "refused"} and told(book) == []
    assert sorted(it[0] for it in breaks(book)) == ["orphan", "orphan"]


# -- statements


def test_a_gap_a_repeated_number_and_balances_that_do_not_add_up_are_breaks(book: Engine, tmp_path: Path) -> None:
    """What stands on them is taken all the same, but of a repeated one nothing."""
    pay(book, "PI-1", "PI-2", "PI-3")
    left = 1_000_000_00 - AMOUNT
    files = (
        bank.statement([bank.paid(AMOUNT, "PI-1")], 7),
        bank.statement([bank.paid(AMOUNT, "PI-2")], 9, opening=left, message_id="BANK-2"),
        bank.statement([bank.paid(AMOUNT, "PI-3")], 9, opening=left, message_id="BANK-3"),
        bank.statement([], 10, opening=left - AMOUNT + 1, closing=left, message_id="BANK-4"),
    )
    found = [it.breaks for it in take_in(book, tmp_path, *files)]

    assert found == [{}, {"sequence": 1}, {"sequence": 1}, {"balance": 2}]
    assert states(book) == {"PI-1": "booked", "PI-2": "booked", "PI-3": "sent"}
    assert rows(book, bank_statements, "sequence") == [(7,), (9,), (10,)]


def test_a_statement_that_comes_late_must_fit_the_one_after_it(book: Engine, tmp_path: Path) -> None:
    """A gap that it closes is told already; a closing balance that the next does not open with is a break."""
    files = (
        bank.statement([], 7, message_id="B7"),
        bank.statement([], 10, opening=9_000_00, message_id="B10"),
        bank.statement([], 8, message_id="B8"),
        bank.statement([Entry(-1_000_00, code=bank.FEE)], 9, closing=9_000_01, opening=10_000_01, message_id="B9"),
    )
    found = [it.breaks for it in take_in(book, tmp_path, *files)]

    assert found == [{}, {"sequence": 1}, {}, {"balance": 2}]
    assert sorted(it[2:] for it in breaks(book) if it[0] == "balance") == [
        (9_000_00, 9_000_01),
        (1_000_000_00, 10_000_01),
    ]


def test_pages_of_a_statement_add_up_one_after_the_other(book: Engine, tmp_path: Path) -> None:
    """Each repeats the balances of the whole; in files of their own. A page too few is a break."""
    pay(book, "PI-1", "PI-2", "PI-3")
    closing = 1_000_000_00 - 3 * AMOUNT
    pages = [
        bank.statement(
            [bank.paid(AMOUNT, f"PI-{page}")], 3, closing=closing, page=(page, page == 3), message_id=f"B{page}"
        )
        for page in (1, 2, 3)
    ]
    taken = take_in(book, tmp_path, *pages)
    assert [it.breaks for it in taken] == [{}, {}, {}]
    assert set(states(book).values()) == {"booked"}

    later = bank.statement([], 4, opening=closing, page=(2, True), message_id="B5")
    assert take_in(book, tmp_path, later)[0].breaks == {"balance": 1, "sequence": 1}


def test_nothing_of_a_foreign_account_is_taken(book: Engine, tmp_path: Path) -> None:
    """A break that has its number; nor is one of ours in another currency ours."""
    pay(book, "PI-1")
    foreign = bank.statement([bank.paid(AMOUNT, "PI-1")], account="622202000000000000009999")
    dollars = bank.statement([bank.paid(AMOUNT, "PI-1", currency="USD")], currency="USD", message_id="BANK-2")
    told_early = bank.advice([bank.paid(AMOUNT, "PI-1")], account="1")
    taken = take_in(book, tmp_path, foreign, dollars, told_early)

    assert [it.breaks for it in taken] == [{"orphan": 1}] * 3 and states(book) == {"PI-1": "sent"}
    assert rows(book, bank_breaks, "account") == [("1",), (ACCOUNT,), ("622202000000000000009999",)]
    assert rows(book, bank_entries, "kind") == [] and "9999" not in str(rows(book, bank_breaks, "reason", "about"))


def test_an_amount_that_cannot_be_read_is_a_break_and_the_statement_does_not_add_up(
    book: Engine, tmp_path: Path
) -> None:
    """With file, line and element; the other lines count."""
    pay(book, "PI-1", "PI-2")
    content = bank.statement([bank.paid(AMOUNT, "PI-1"), bank.paid(AMOUNT, "PI-2")])
    cut = content.rpartition('<Amt Ccy="CNY">2800.00')
    (taken,) = take_in(book, tmp_path, f'{cut[0]}<Amt Ccy="CNY">2 800,00{cut[2]}')

    assert taken.breaks == {"balance": 1, "unreadable": 1} and states(book) == {"PI-1": "booked", "PI-2": "sent"}
    place = rows(book, bank_breaks, "kind", "line", "element")
    assert ("unreadable", 7, "Amt") in place


# -- files


def test_a_file_is_kept_and_taken_once(book: Engine, tmp_path: Path) -> None:
    """The same bytes under another name change nothing; the same message with other bytes is a break, and not taken."""
    pay(book, "PI-1", "PI-2")
    content, other = (bank.statement([bank.paid(AMOUNT, id_)]) for id_ in ("PI-1", "PI-2"))
    first, again, changed = take_in(book, tmp_path, content, content, other)

    assert (first.known, again.known, changed.known) == (False, True, False)
    assert changed.breaks == {"duplicate": 1} and states(book) == {"PI-1": "booked", "PI-2": "sent"}
    assert len(told(book)) == 1 and len(rows(book, bank_files, "sha256")) == 2
    (kept,) = [it for sha256, it in rows(book, bank_files, "sha256", "content") if sha256 == first.sha256]
    assert zlib.decompress(kept).decode() == content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bank.statement([bank.paid(AMOUNT, "PI-1")])[:-40], "line 6: this is not well-formed XML"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "DOCTYPE"),
        ("<x/>", "nothing in this file"),
        ("", "not well-formed"),
        ("<a>" * 90 + "</a>" * 90, "more than 60 deep"),
        (bank.statement([]).replace("Stmt>", "Elsewhere>").replace("<BkToCstmrElsewhere>", "<BkToCstmrStmt>"), "line"),
    ],
)
def test_of_a_bad_file_nothing_is_taken(book: Engine, tmp_path: Path, content: str, said: str) -> None:
    """It is refused with the line, and stays where it is."""
    pay(book, "PI-1")
    path = bank.put(tmp_path, "bad.xml", content)
    with pytest.raises(BadXml, match=said):
        take(book, path, OURS, NOW_MS)

    assert rows(book, bank_files, "sha256") == [] and states(book) == {"PI-1": "sent"} and path.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bank.statement([]).replace("</Stmt>", "</Stmt><Stmt/><Stmt/><Stmt/>"), "more than 3 statements"),
        (bank.statement([]).replace("</Stmt>", "<Ntry/><Ntry/><Ntry/><Ntry/></Stmt>"), "more than 3 amounts"),
        (bank.report([Said("ACCP", payment_information_id=f"P{it}") for it in range(4)]), "more than 3 statuses"),
    ],
)
def test_a_file_that_would_fill_the_memory_is_refused(
    book: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, said: str
) -> None:
    """Statements, amounts that cannot be read and statuses of wholes are held in memory: only so many are."""
    monkeypatch.setattr(bank_file, "_MOST", 3)
    with pytest.raises(BadXml, match=said):
        take(book, bank.put(tmp_path, "large.xml", content), OURS, NOW_MS)


def test_a_file_that_is_still_being_written_is_refused(
    book: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept must be what was read; once it is whole it is taken."""
    path = bank.put(tmp_path, "growing.xml", bank.statement([]))

    def growing(file: Path) -> Iterator[Read]:
        yield from read(file)
        with file.open("a", encoding="utf-8") as more:
            more.write("\n")

    monkeypatch.setattr(bank_file, "read", growing)
    with pytest.raises(BadXml, match="still being written"):
        take(book, path, OURS, NOW_MS)
    monkeypatch.undo()
    assert take(book, path, OURS, NOW_MS).statements == 1


def test_two_who_take_at_once_double_nothing(book: Engine, tmp_path: Path) -> None:
    """The same file, and two files that book the same payment: one payment, one event, one duplicate."""
    pay(book, "PI-1")
    first = bank.put(tmp_path, "first.xml", bank.statement([bank.paid(AMOUNT, "PI-1")]))
    again = bank.statement([bank.paid(AMOUNT, "PI-1")], 2, opening=1_000_000_00 - AMOUNT, message_id="BANK-2")
    files = [first, first, bank.put(tmp_path, "second.xml", again)]
    with ThreadPoolExecutor(len(files)) as pool:
        taken = list(pool.map(lambda path: take(book, path, OURS, NOW_MS), files))

    assert sorted(it.known for it in taken) == [False, False, True]
    assert [it[0] for it in breaks(book) if it[0] != "balance"] == ["duplicate"]
    assert told(book) == [("PI-1", "payment", None)] and states(book) == {"PI-1": "booked"}


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_a_banks_sample_is_taken_into_an_empty_book(book: Engine, path: Path) -> None:
    """Nothing in it is ours: a statement is of a foreign account, a status of no payment."""
    taken = take(book, path, OURS, NOW_MS)

    assert set(taken.breaks) <= {"orphan"} and taken.payments == taken.statuses == taken.other == 0
    if taken.message in ("camt.053", "camt.054"):
        assert taken.breaks.get("orphan", 0) == len(rows(book, bank_breaks, "break_id")) and taken.statements == 0
    assert told(book) == [] and rows(book, bank_entries, "kind") == []


NAMED: Final = Entry(
    3,
    (Tx("A", "B", minor=3, uetr="11111111-1111-4111-8111-111111111111"),),
    batch=1,
    reversal=True,
    batch_message_id="M",
    batch_information_id="I",
)


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ("camt.053.001.08", bank.statement([bank.paid(1, "A", reference="R"), bank.returned(2, "B")], page=(1, True))),
        ("camt.053.001.08", bank.statement([NAMED])),
        ("camt.054.001.08", bank.advice([bank.paid(1, "A")])),
        ("pain.002.001.10", bank.report([Said("RJCT", "A", "AC01", 5), Said("ACSC", reason="NARR")], group="PART")),
    ],
)
def test_what_the_tests_bank_says_is_valid(message: str, content: str) -> None:
    """By the official schemas, so that what is shown here is shown of real messages."""
    schema(message).assertValid(etree.fromstring(content.encode()))
