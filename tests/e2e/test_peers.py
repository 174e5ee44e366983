"""What `claimhub reports peers --publish` keeps, looked up by the papers that come after it."""

import pytest

from tests import claims as make
from tests.e2e.conftest import Broker, Claimhub
from tests.e2e.filled_ledger import FilledLedger

EARLY, LATE = "P-EARLY", "P-LATE"
ABOVE = "shop shop-01 comes to 2 800.00 CNY, above 1 500.00 CNY, what 95 % of 31 claims come to at most"


@pytest.fixture
def compared(ledger: FilledLedger) -> FilledLedger:
    """Thirty claims with estimates of up to 1 500.00, and two whose estimates are still to come."""
    ledger.take(make.policy())
    for number, claim in enumerate([*(f"P-{number:02}" for number in range(1, 31)), EARLY, LATE], 1):
        at_ms = make.LOSS_MS + number * make.DAY_MS
        ledger.take(make.notice(claim=claim, loss_at_ms=at_ms, notified_at_ms=at_ms))
        if claim not in (EARLY, LATE):
            ledger.take(make.estimate({"parts": min(15, number) * 100_00}, claim=claim))
    return ledger


def test_a_bill_between_two_reports_is_compared(compared: FilledLedger, claimhub: Claimhub, kafka: Broker) -> None:
    """It has its signal before it could be paid unseen, where the one before the report hears of it by a record. A dry
    run keeps nothing, and a replay finds the same."""
    claimhub("reports", "peers", "--publish", "--dry-run")
    compared.take(make.estimate(claim=EARLY))
    ran = claimhub("reports", "peers", "--publish")
    compared.take(make.estimate(claim=LATE), make.invoice(claim=LATE))

    assert ran.code == 0
    assert [message.key() for message in kafka.came("operations.peer-figures.v1")] == [EARLY.encode()]
    assert "above" not in claimhub("claim", "why", EARLY).out
    assert ABOVE in claimhub("claim", "why", LATE).out
    assert compared.instructions(LATE) == []
    for size in (1, 7, 500):
        to = ("--into", f"sqlite:///{size}.db", "--batch-size", size)
        replayed = claimhub("replay", "--from-journal", *to, "--json")
        assert replayed.json["equal"] and replayed.json["first_difference"] is None
