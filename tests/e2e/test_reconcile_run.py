"""`claimhub reconcile run`: what the bank sends is taken, what does not fit is a break, and the claims are told."""

from pathlib import Path

import pytest
from msgspec import json

from streams.demo import bank_says as bank
from streams.demo.bank_says import Entry, Said
from tests import book
from tests.e2e.conftest import Broker, Claimhub
from tests.e2e.filled_ledger import FilledLedger

AMOUNT = 2_800_00
STATUS, LINE = "finance.payment-status.v1", "finance.statement-line.v1"


def fill(ledger: FilledLedger) -> FilledLedger:
    """A payment file of three at the bank."""
    with ledger.engine() as engine, engine.begin() as connection:
        book.message(connection, transactions=3, total_minor=3 * AMOUNT)
        for number in (1, 2, 3):
            book.payment(connection, instruction_id=f"PI-{number}", uetr=f"u{number}")
    return ledger


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """One payment is rejected, one booked, and a line names none of ours."""
    report = bank.report([Said("RJCT", "PI-1", "AC01")])
    lines = [bank.paid(AMOUNT, "PI-2"), bank.paid(5_00, "elsewhere"), Entry(-1_00, code=bank.FEE)]
    contents = {"report.xml": report, "statement.xml": bank.statement(lines)}
    return [bank.put(tmp_path, name, content) for name, content in contents.items()]


@pytest.mark.usefixtures("filled")
def test_files_are_taken_and_the_claims_told_once(claimhub: Claimhub, kafka: Broker, files: list[Path]) -> None:
    """A payment on no statement is missing once its days are over; run again nothing more comes of it."""
    ran = claimhub("reconcile", "run", *files, "--as-of", "2026-04-30", "--json")
    found = ran.json
    again = claimhub("reconcile", "run", *files, "--as-of", "2026-04-30", "--json").json
    shown = claimhub("reconcile", "run", *files)

    assert ran.code == 0 and [it["message"] for it in found["files"]] == ["pain.002", "camt.053"]
    report, statement = found["files"]
    assert (report["statuses"], report["breaks"]) == (1, {})
    assert (statement["payments"], statement["other"], statement["breaks"]) == (1, 1, {"orphan": 1})
    assert (found["missing"], found["late"], found["told"], found["refused"]) == (1, 0, 2, [])
    assert [it["known"] for it in again["files"]] == [True, True] and (again["missing"], again["told"]) == (0, 0)
    assert "taken before" in shown.out and "none" in shown.out
    assert [len(kafka.came(topic)) for topic in (STATUS, LINE)] == [1, 1]
    kinds = sorted(it["kind"] for it in claimhub("breaks", "ls", "--json").json)
    assert kinds == ["missing", "orphan"]
    assert bank.ACCOUNT not in ran.out + shown.out + shown.err


def test_a_file_that_may_not_be_read_stops_none_of_the_others(
    claimhub: Claimhub, ledger: FilledLedger, kafka: Broker, files: list[Path], tmp_path: Path
) -> None:
    """It is named with its line and the exit code is 2; it stays where it is. A name that is no text stops none."""
    fill(ledger)
    bad = bank.put(tmp_path, "bad.xml", bank.statement([])[:-20])
    files = [files[0].rename(tmp_path / "\udcffreport.xml"), files[1]]
    ran = claimhub("reconcile", "run", bad, tmp_path / "none.xml", *files, "--json")

    assert ran.code == 2 and [it["file"] for it in ran.json["files"]] == ["\\xffreport.xml", "statement.xml"]
    assert "bad.xml, line 6: this is not well-formed XML" in ran.err and "none.xml: No such file" in ran.err
    assert len(ran.json["refused"]) == 2 and bad.exists() and len(kafka.came(LINE)) == 1


def test_without_kafka_files_are_taken_and_the_claims_told_later(
    claimhub: Claimhub,
    ledger: FilledLedger,
    kafka: Broker,
    files: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    closed_port: int,
) -> None:
    """By the next run, which needs no file. Of what they need not hear nobody minds."""
    fill(ledger)
    monkeypatch.delenv("CLAIMHUB_KAFKA")  # embedded, and no hub runs
    fee = bank.statement([Entry(-1_00, code=bank.FEE)], None, message_id="BANK-0")
    nothing = claimhub("reconcile", "run", bank.put(files[0].parent, "fee.xml", fee), "--json")
    monkeypatch.setenv("CLAIMHUB_KAFKA", f"127.0.0.1:{closed_port}")
    failed = claimhub("reconcile", "run", *files)
    monkeypatch.setenv("CLAIMHUB_KAFKA", kafka.address)
    later = claimhub("reconcile", "run", "--as-of", "2026-04-01", "--json")

    assert failed.code == 69 and "does not answer" in failed.err
    assert nothing.code == 0 and nothing.json["files"][0]["other"] == 1
    assert later.code == 0 and later.json["told"] == 2 and len(kafka.came(STATUS)) == 1


def test_a_day_that_is_none_is_refused_before_anything_is_taken(
    claimhub: Claimhub, ledger: FilledLedger, files: list[Path]
) -> None:
    """Exit 2."""
    fill(ledger)
    ran = claimhub("reconcile", "run", *files, "--as-of", "yesterday")

    assert ran.code == 2 and "--as-of is not a day" in ran.err and claimhub("breaks", "ls", "--json").json == []


def test_an_account_to_pay_from_is_ours_before_the_first_payment(
    claimhub: Claimhub, ledger: FilledLedger, kafka: Broker, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the settings name it; else its statement is that of a foreign account."""
    foreign = claimhub("reconcile", "run", files[1], "--json").json["files"][0]["breaks"]
    other = bank.put(files[1].parent, "next.xml", bank.statement([Entry(5_00)], 2, message_id="BANK-2"))
    account = {"name": "Test Property and Casualty", "account": bank.ACCOUNT, "bank_code": "102100099996"}
    monkeypatch.setenv("CLAIMHUB_DEBTOR_ACCOUNTS", json.encode({"CNY": account}).decode())
    ours = claimhub("reconcile", "run", other, "--json").json["files"][0]

    assert foreign == {"orphan": 1} and (ours["other"], ours["breaks"]) == (1, {})
