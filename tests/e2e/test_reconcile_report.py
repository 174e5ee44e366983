"""`claimhub reconcile report`: what we say was paid against what the bank booked, per account and day."""

import csv
from datetime import date, timedelta

import pytest

from schemas.records import BreakKind
from sinks.payments.book import BankState, EntryKind
from tests import book
from tests.e2e.conftest import Claimhub
from tests.e2e.filled_ledger import FilledLedger

NEXT = book.DAY + timedelta(days=1)
OTHER_ACCOUNT = "622202000000000000000099"


def fill(ledger: FilledLedger) -> FilledLedger:
    """One day all is well but for a payment the bank does not know; the next a line of nobody's, a return, a fee, and a
    balance that is off by one. On another account there is a payment, and no statement."""
    with ledger.engine() as engine, engine.begin() as connection:
        book.message(connection)
        book.message(connection, message_id="PM-2", account=OTHER_ACCOUNT)
        states = (BankState.RETURNED, BankState.SENT, BankState.REJECTED, BankState.UNKNOWN)
        for number, (state, file) in enumerate(zip(states, ("PM-1", "PM-1", "PM-1", "PM-2"), strict=True), 1):
            book.payment(connection, instruction_id=f"PI-{number}", state=state, message_id=file)
        book.raised(connection, BreakKind.MISSING, instruction_id="PI-2", about="PI-2")
        book.file(connection)
        book.statement(connection)
        book.entry(connection)
        book.file(connection, sha256="ef" * 32, name="next.xml")
        second = {"sha256": "ef" * 32, "day": NEXT}
        book.statement(connection, **second, sequence=2, opening_minor=7_200_00, closing_minor=8_990_01)
        orphan, fee = (
            {"amount_minor": -1_000_00, "kind": EntryKind.BREAK},
            {"amount_minor": -10_00, "kind": EntryKind.OTHER},
        )
        returned = {"amount_minor": 2_800_00, "kind": EntryKind.RETURN}
        for number, line in enumerate((orphan, fee, returned), 1):
            book.entry(connection, **second, number=number, **line)
    return ledger


@pytest.mark.usefixtures("filled")
def test_a_day_says_what_we_paid_what_the_bank_booked_and_whether_it_adds_up(claimhub: Claimhub) -> None:
    """A rejected payment was not paid, one the bank does not know was, as far as we know: that is the difference, and
    the break it has. What came back is ours too; a fee is none of both; a cent too much does not add up."""
    first, second, other = claimhub("reconcile", "report", "--json").json

    assert first == {
        "account": "…0017",
        "currency": "CNY",
        "day": book.DAY.isoformat(),
        "opening_minor": 10_000_00,
        "ours_minor": -5_600_00,
        "theirs_minor": -2_800_00,
        "difference_minor": 2_800_00,
        "other_minor": 0,
        "closing_minor": 7_200_00,
        "adds_up": True,
        "open_breaks": 1,
    }
    assert (second["ours_minor"], second["theirs_minor"]) == (2_800_00, 1_800_00)
    assert (second["difference_minor"], second["other_minor"], second["adds_up"]) == (-1_000_00, -10_00, False)
    assert (other["account"], other["ours_minor"], other["theirs_minor"]) == ("…0099", -2_800_00, 0)
    assert other["opening_minor"] is other["closing_minor"] is other["adds_up"] is None


@pytest.mark.usefixtures("filled")
def test_the_report_is_of_an_account_and_of_days_if_they_are_given(claimhub: Claimhub) -> None:
    """An account by its number or last digits; the numbers themselves are shown to nobody; a wrong day is told."""
    of_other = claimhub("reconcile", "report", "--account", OTHER_ACCOUNT, "--csv")
    of_next = claimhub("reconcile", "report", "--account", "0017", "--from", NEXT.isoformat(), "--json")
    none = claimhub("reconcile", "report", "--to", (book.DAY - timedelta(days=1)).isoformat())
    shown = claimhub("reconcile", "report")
    wrong = claimhub("reconcile", "report", "--from", "yesterday")

    (row,) = csv.DictReader(of_other.out.splitlines())
    assert (row["account"], row["ours_minor"], row["adds_up"]) == ("…0099", "-280000", "")
    assert [it["day"] for it in of_next.json] == [NEXT.isoformat()]
    assert none.err.strip() == "nothing to report" and date.fromisoformat(of_next.json[0]["day"]) == NEXT
    assert "10 000.00 CNY" in shown.out and " no " in shown.out and " yes " in shown.out
    assert OTHER_ACCOUNT not in of_other.out + shown.out and book.ACCOUNT not in shown.out
    assert wrong.code == 2 and "--from is not a day like 2026-03-31" in wrong.err
