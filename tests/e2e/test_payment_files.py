"""`claimhub payments export`, `hold`, `release` and `show` on a hub with its embedded broker."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

import pytest

from streams.commands.broker import address_file
from streams.commands.doctor import holidays
from tests.e2e.conftest import Claimhub
from tests.e2e.filled_ledger import FilledLedger
from tests.finance_desk import DEBTOR, FinanceDesk, broker

FIRST, SECOND = f"PI{1:030}", f"PI{2:030}"
ACCOUNTS: Final = {"CNY": {"name": DEBTOR.name, "account": DEBTOR.account, "bank_code": DEBTOR.bank_code}}
HOLD: Final = ("--person", "cashier-01", "--reason", "the payee has called")
AS_OF: Final = ("--as-of", "2026-04-07")


@pytest.fixture
def desk(
    claimhub: Claimhub, ledger: FilledLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FinanceDesk]:
    """A desk on the ledger and in the folder that the commands use."""
    monkeypatch.setenv("CLAIMHUB_DEBTOR_ACCOUNTS", json.dumps(ACCOUNTS))
    with broker() as address:
        yield FinanceDesk(tmp_path, ledger.url, address)


def test_a_day_at_finances_desk(claimhub: Claimhub, desk: FinanceDesk) -> None:
    """Looked at, one held, the other written; released by somebody else, written too; the same bytes never twice."""
    records = [desk.instruct(1), desk.instruct(2)]
    looked = claimhub("payments", "export", *AS_OF)
    held = claimhub("payments", "hold", FIRST, *HOLD)
    exported = claimhub("payments", "export", *AS_OF, "--out", "bank", "--json")
    alone = claimhub("payments", "release", FIRST, "--person", "Cashier-01 ", "--reason", "it is me")
    freed = claimhub("payments", "release", FIRST, "--person", "cashier-02", "--reason", "it is right", "--json")
    rest = claimhub("payments", "export", *AS_OF, "--out", "bank")
    again = claimhub("payments", "export", *AS_OF, "--out", "bank", "--json")

    assert looked.code == held.code == exported.code == freed.code == rest.code == again.code == 0
    assert "…0001" in looked.out and "200.03 CNY" in looked.out and "2 new instructions" in looked.err
    assert "cashier-01" in held.out and exported.json["held"][0]["reason"] == "the payee has called"
    assert alone.code == 1 and "somebody else has to release it" in alone.err
    assert freed.json["book"]["state"] == "due" and rest.out.count("written: ") == 1
    assert desk.paid() == [FIRST, SECOND] and again.json["written"] == []
    shown = claimhub("payments", "show", FIRST)
    assert "sent" in shown.out and desk.key in shown.out and ".xml" in shown.out
    said = "".join(it.out + it.err for it in (looked, held, exported, alone, freed, rest, shown))
    assert not [it for it in records if it.payee.account in said or it.payee.name in said or DEBTOR.account in said]


def test_a_forged_instruction_is_told_by_the_exit_code(claimhub: Claimhub, desk: FinanceDesk) -> None:
    """Exit 1 with the reason; it stays in the list as refused, and cannot be held or released into a file."""
    desk.send(desk.payment(1), [])
    found = claimhub("payments", "export", *AS_OF, "--out", "bank")

    assert found.code == 1 and f"instruction {FIRST} is refused: it has no signature" in found.err
    assert "refused" in found.out and not desk.paid()
    assert "is refused" in claimhub("payments", "release", FIRST, *HOLD).err
    assert claimhub("payments", "export", *AS_OF).code == 0


def test_a_currency_without_an_account_is_named(claimhub: Claimhub, desk: FinanceDesk) -> None:
    """And waits, with exit 1; an account that is none is a wrong setting."""
    desk.instruct(1, currency="USD")
    found = claimhub("payments", "export", *AS_OF, "--out", "bank")

    assert found.code == 1 and "no account is set to pay USD from: see debtor_accounts" in found.err
    assert claimhub("payments", "show", FIRST, "--json").json["book"]["state"] == "due"


def test_wrong_use_is_said_in_a_sentence(
    claimhub: Claimhub, desk: FinanceDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day that is none, a payment nobody knows, an account that is none, a hub that does not run."""
    assert claimhub("payments", "export", "--as-of", "tomorrow").code == 2
    for verb in (("show",), ("hold", *HOLD), ("release", *HOLD)):
        missing = claimhub("payments", verb[0], "PI9", *verb[1:])
        assert missing.code == 1 and "PI9" in missing.err
    monkeypatch.setenv("CLAIMHUB_DEBTOR_ACCOUNTS", '{"CNY": {"name": "某公司", "account": "1", "bank_code": "1"}}')
    wrong = claimhub("payments", "export")
    assert wrong.code == 2 and "debtor_accounts" in wrong.err and "某公司" not in wrong.err
    monkeypatch.delenv("CLAIMHUB_DEBTOR_ACCOUNTS")
    address_file(desk.settings).unlink()
    assert claimhub("payments", "export").code == 69


def test_a_year_without_announced_holidays_is_told(claimhub: Claimhub, desk: FinanceDesk) -> None:
    """Its weekends alone are known; payments go on."""
    desk.instruct(1)
    found = claimhub("payments", "export", "--as-of", "2031-05-01", "--out", "bank")

    assert found.code == 0 and "the holidays of 2031 are not known" in found.err and desk.paid() == [FIRST]
    assert holidays(date(2026, 11, 30)).found == "2026: known"
    assert holidays(date(2026, 12, 1)).found == "2026: known; 2027: weekends only, no banking_days/2027.toml"
    assert "holidays" in claimhub("doctor").out


@pytest.mark.parametrize("file", [False, True], ids=["environment", "file"])
def test_the_account_to_pay_from_is_masked_among_the_settings(
    claimhub: Claimhub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, file: bool
) -> None:
    """Its last digits tell which one it is."""
    if file:
        content = "".join(f'{name} = "{value}"\n' for name, value in ACCOUNTS["CNY"].items())
        (tmp_path / "claimhub.toml").write_text(f"[debtor_accounts.CNY]\n{content}")
    else:
        monkeypatch.setenv("CLAIMHUB_DEBTOR_ACCOUNTS", json.dumps(ACCOUNTS))
    shown = claimhub("config", "show").out

    assert "…0001" in shown and DEBTOR.account not in shown
