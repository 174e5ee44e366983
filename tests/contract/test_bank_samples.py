"""Banks' own samples, where CLAIMHUB_TEST_DATA names a folder that has them: every one of them reads."""

import os
from collections import defaultdict
from pathlib import Path

import pytest

from connectors.bank.messages import Balance, Entry, Level, Message, Status, Warned, read
from tests.services import absent


def samples() -> list[Path]:
    folder = os.environ.get("CLAIMHUB_TEST_DATA")
    return sorted(Path(folder).glob("iso20022-samples/*/*.xml")) if folder else []


def sample(name: str) -> Path:
    found = [path for path in samples() if path.name == name]
    if "CLAIMHUB_TEST_DATA" not in os.environ:
        pytest.skip("CLAIMHUB_TEST_DATA names no folder with banks' samples")
    if not found:
        absent(f"CLAIMHUB_TEST_DATA has no {name}")
    return found[0]


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_a_banks_sample_reads_as_what_its_name_says(path: Path) -> None:
    """Every amount of it, too: nothing about money is odd."""
    message, *rest = read(path)

    assert isinstance(message, Message)
    assert message.name.replace(".", "") in path.name.replace("_", "").replace(".", "") or "example_camt" in path.name
    assert not [it for it in rest if isinstance(it, Warned) and it.money]
    assert all(it.amount_minor is not None and it.credit is not None for it in rest if isinstance(it, Entry))


@pytest.mark.parametrize("name", ["ing__example_camt.xml", "abn_amro__example_camt.xml", "nordea__example_camt.xml"])
def test_what_was_booked_is_the_difference_of_the_balances(name: str) -> None:
    """Opening, or the last closing, and all entries make the closing balance."""
    balances, booked = dict[str | None, int](), 0
    for said in read(sample(name)):
        if isinstance(said, Balance) and said.amount_minor is not None:
            balances[said.type] = said.amount_minor
        if isinstance(said, Entry) and said.amount_minor is not None:
            booked += said.amount_minor if said.credit else -said.amount_minor

    assert balances.get("OPBD", balances.get("PRCD", 0)) + booked == balances["CLBD"]


def test_a_rejection_says_whose_and_why() -> None:
    """Two transactions of one payment information, and that."""
    by_level = defaultdict(list)
    for said in read(sample("nordea__pain_002_v3_txn_reject.xml")):
        if isinstance(said, Status):
            by_level[said.level].append((said.payment_information_id, said.end_to_end_id, said.code, said.reason_code))

    assert by_level[Level.TRANSACTION] == [
        ("PMTINFID-950-TEST2-2807-01", "ENDTOENDID-950-TEST2-2807-02", "RJCT", "NARR"),
        ("PMTINFID-950-TEST2-2807-01", "ENDTOENDID-950-TEST2-2807-01", "RJCT", "NARR"),
    ]
    assert by_level[Level.PAYMENT_INFORMATION] == [("PMTINFID-950-TEST2-2807-01", None, "RJCT", None)]
