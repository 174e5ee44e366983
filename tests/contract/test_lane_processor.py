"""One batch through the ledger: what is written, counted and said."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitoring.log import configure_logging
from tests import claims as make
from tests.e2e.filled_ledger import POISON, FilledLedger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[FilledLedger]:
    filled = FilledLedger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield filled
    filled.close()


def test_what_did_not_go_its_way_is_logged_with_claim_topic_partition_and_offset(
    ledger: FilledLedger, capsys: pytest.CaptureFixture[str]
) -> None:
    """One JSON line for a dead letter, one for a parked record; not a byte of either."""
    configure_logging("INFO", json=True)
    ledger.take_bytes("repair.estimate.v1", make.CLAIM, POISON)
    ledger.take(make.estimate(shop="shop-secret"))

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    where = [(line["event"], line["claim"], line["topic"], line["partition"], line["offset"]) for line in lines]
    assert where == [
        ("dead letter", make.CLAIM, "repair.estimate.v1", 0, 0),
        ("parked", make.CLAIM, "repair.estimate.v1", 0, 1),
    ]
    assert lines[0]["code"] == "not-framed"
    assert all(line["reason"] for line in lines)
    assert "shop-secret" not in str(lines)
