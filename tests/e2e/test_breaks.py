"""`claimhub breaks` on a ledger the engine filled: what waits for too long, whose it is, and what became of it."""

from pathlib import Path

import pytest
from sqlalchemy import update

from schemas.records import BreakKind
from sinks.ledger.bank_tables import bank_payments
from sinks.payments.book import BankState
from tests import book
from tests import claims as make
from tests.e2e.conftest import Claimhub
from tests.e2e.filled_ledger import FilledLedger
from tests.e2e.test_cli import PERSONAL

LONG_MS = make.LOSS_MS + 73 * make.HOUR_MS
WITHOUT_NOTICE = "CLM-2026-000003"


def fill(ledger: FilledLedger) -> FilledLedger:
    """A payment in the book of which the bank booked another amount, or nothing at all, as it says elsewhere."""
    with ledger.engine() as engine, engine.begin() as connection:
        book.payment(connection)
        book.file(connection)
        book.raised(connection, BreakKind.AMOUNT, expected_minor=-2_800_00, found_minor=-2_008_00, currency="CNY")
        book.raised(connection, BreakKind.MISSING, since_ms=make.LOSS_MS + 1, sha256=None, line=None, element=None)
    return ledger


def test_open_breaks_are_listed_with_owner_age_and_reason(claimhub: Claimhub, ledger: FilledLedger) -> None:
    """Told once; nothing before the limit is over; one of another owner is left out."""
    ledger.tell_all()
    assert claimhub("breaks", "ls", "--json").json == []
    assert [row.topic for row in ledger.tick(LONG_MS)].count("hub.break.v1") == 1
    assert [row.topic for row in ledger.tick(LONG_MS)].count("hub.break.v1") == 0
    (found,) = claimhub("breaks", "ls", "--json").json
    shown = claimhub("breaks", "ls")

    assert (found["owner"], found["kind"], found["subject"]) == ("reporting", "parked-too-long", WITHOUT_NOTICE)
    assert found["open"] and found["ended"] is None and found["age_s"] > 72 * 3600
    assert found["reason"].endswith("hours and more: estimate E01 waits for the claim's loss notice")
    assert found["id"] in shown.out and WITHOUT_NOTICE in shown.out and " d " in shown.out
    assert claimhub("breaks", "ls", "--owner", "finance").err.strip() == "no breaks"
    assert not [word for word in PERSONAL if word in shown.out + shown.err]


def test_a_break_is_cleared_when_its_record_goes_on(claimhub: Claimhub, ledger: FilledLedger, tmp_path: Path) -> None:
    """Then it is no longer open, and says what became of the record; every promise of the ledger holds before and
    after, and a replay sends the same."""
    ledger.tell_all()
    ledger.tick(LONG_MS)
    (found,) = claimhub("breaks", "ls", "--json").json
    (why,) = [it for it in claimhub("claim", "why", WITHOUT_NOTICE, "--json").json if it["topic"] == "hub.break.v1"]
    assert [(link["outcome"], link["rule"]) for link in why["chain"]] == [("parked", "engine.parked")]
    assert claimhub("verify").code == 0
    ledger.take(make.notice(claim=WITHOUT_NOTICE))
    cleared = claimhub("breaks", "show", found["id"], "--json").json
    shown = claimhub("breaks", "show", found["id"])

    assert claimhub("breaks", "ls", "--json").json == []
    assert [it["id"] for it in claimhub("breaks", "ls", "--all", "--json").json] == [found["id"]]
    assert not cleared["open"] and cleared["ended"].startswith("done: ") and found["id"] in shown.out
    assert (
        claimhub("verify").code == 0
        and claimhub("replay", "--from-journal", "--into", f"sqlite:///{tmp_path / 'again.db'}").code == 0
    )


def test_a_break_that_is_not_there_is_said_so(claimhub: Claimhub, ledger: FilledLedger) -> None:
    """With the command that lists them all."""
    ledger.tell_all()
    missing = claimhub("breaks", "show", "BK0")

    assert missing.code == 1 and "no break has the id BK0. See: claimhub breaks ls --all" in missing.err


@pytest.mark.usefixtures("filled")
def test_what_the_bank_raised_is_listed_beside_what_the_lanes_did(claimhub: Claimhub) -> None:
    """Finance's, with file, line and element, both amounts, and the account by its last digits only."""
    amount, missing = claimhub("breaks", "ls", "--json").json
    listed, shown = claimhub("breaks", "ls"), claimhub("breaks", "show", amount["id"])

    assert [(it["owner"], it["kind"], it["open"]) for it in (amount, missing)] == [
        ("finance", "amount", True),
        ("finance", "missing", True),
    ]
    assert (amount["subject"], amount["instruction"], amount["day"]) == (make.CLAIM, "PI-1", "2026-04-07")
    assert amount["place"] == "statement.xml, line 42, Ntry" and missing["place"] is None
    assert "-2 800.00 CNY" in shown.out and "-2 008.00 CNY" in shown.out and "statement.xml, line 42, Ntry" in shown.out
    assert amount["account"] == "…0017" and "…0017" in listed.out
    assert book.ACCOUNT not in listed.out + shown.out + str(amount)


def test_a_missing_payment_is_no_break_once_it_is_booked(claimhub: Claimhub, filled: FilledLedger) -> None:
    """It ends by itself, and says why."""
    missing = claimhub("breaks", "ls", "--json").json[1]["id"]
    with filled.engine() as engine, engine.begin() as connection:
        connection.execute(update(bank_payments).values(state=BankState.BOOKED))

    assert missing not in claimhub("breaks", "ls").out
    ended = claimhub("breaks", "show", missing, "--json").json
    assert not ended["open"] and ended["ended"] == "the payment is booked"
    late = claimhub("breaks", "assign", missing, "--to", "claims", "--person", "cashier-01", "--reason", "yours")
    assert late.code == 1 and "has ended: the payment is booked" in late.err


@pytest.mark.usefixtures("filled")
def test_a_break_is_given_to_somebody(claimhub: Claimhub) -> None:
    """Who then finds it among theirs; who gave it and why is kept."""
    amount, missing = (it["id"] for it in claimhub("breaks", "ls", "--json").json)
    given = claimhub("breaks", "assign", amount, "--to", "adjuster", "--person", "cashier-01", "--reason", "theirs")

    assert given.code == 0 and "cashier-01 gave it to adjuster: theirs" in given.out
    assert [it["id"] for it in claimhub("breaks", "ls", "--owner", "adjuster", "--json").json] == [amount]
    assert [it["id"] for it in claimhub("breaks", "ls", "--owner", "finance", "--json").json] == [missing]
    empty = claimhub("breaks", "assign", amount, "--to", " ", "--person", "cashier-01", "--reason", "x")
    assert empty.code == 2 and "--to has 0 characters: give it 1 to 64" in empty.err
