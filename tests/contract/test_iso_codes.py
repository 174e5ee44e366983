"""Our codes against the ISO 20022 external code sets, where CLAIMHUB_TEST_DATA names a folder that has them."""

import json
import os
from pathlib import Path

import pytest

from schemas.records import PaymentStatusCode
from streams.rules.lines import LINES
from tests.services import absent


def codes(name: str) -> set[str]:
    folder = os.environ.get("CLAIMHUB_TEST_DATA")
    if folder is None:
        pytest.skip("CLAIMHUB_TEST_DATA names no folder with the code sets")
    file = Path(folder) / "iso20022-codes" / f"external_{name}_code.json"
    if not file.exists():
        absent(f"CLAIMHUB_TEST_DATA has no {file.name}")
    return set(json.loads(file.read_text(encoding="utf-8"))["codes"])


def test_every_payment_status_is_an_external_payment_transaction_status() -> None:
    """pain.002, TxSts: finance speaks the bank's words."""
    assert {code.value for code in PaymentStatusCode} <= codes("payment_transaction_status")


def test_the_purpose_of_an_instruction_is_an_external_purpose() -> None:
    """pain.001, Purp/Cd: payment of an insurance claim, or of hospital care."""
    assert {line.product.purpose for line in LINES.values()} <= codes("purpose")
