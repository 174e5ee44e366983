"""One batch through the ledger: what is written, counted and said."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitoring.log import configure_logging
from schemas.records import Record
from sinks.ledger.port import PeerLimitRow
from streams.reports import peers
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


def test_a_batch_costs_as_many_statements_whatever_is_in_it(ledger: FilledLedger) -> None:
    """What peers come to is asked for once, and only when a record of the batch brings what is compared with it."""
    claims = [f"C-{number}" for number in range(12)]
    limits = [PeerLimitRow("shop", line, "CNY", 30, 95, 1_00) for line in ("motor", "property")]
    ledger.take(make.policy())
    for number, claim in enumerate(claims):
        at_ms = make.LOSS_MS + number * make.DAY_MS
        ledger.take(make.notice(claim=claim, loss_at_ms=at_ms, notified_at_ms=at_ms))

    def statements(*records: Record) -> float:
        before = ledger.metrics.registry.get_sample_value("claimhub_sql_statements_total") or 0
        ledger.take_at_once(*records)
        return (ledger.metrics.registry.get_sample_value("claimhub_sql_statements_total") or 0) - before

    one = statements(make.estimate(claim=claims[0]))
    with ledger.engine() as engine, engine.begin() as connection:
        peers.keep(connection, limits, make.LOSS_MS)

    # BEGIN, the fence, journal, claims, outbox, COMMIT.
    assert statements(make.finding(claim=claims[0])) == 6
    assert one == statements(*(make.estimate(claim=claim) for claim in claims[1:])) == 6 + 1


def test_what_others_use_of_a_policy_s_covers_is_asked_for_once(ledger: FilledLedger) -> None:
    """For all claims of a batch, and written at once; motor's covers begin anew, so nobody asks for them."""
    claims = [f"H-{number}" for number in range(6)]
    ledger.take(make.policy_of("health", make.PATIENT, make.MEDICAL))
    for number, claim in enumerate(claims):
        at_ms = make.LOSS_MS + number * make.DAY_MS
        said = {"claim": claim, "loss_at_ms": at_ms, "notified_at_ms": at_ms}
        ledger.take(make.notice_of("health", make.PATIENT, "treatment", **said))

    def statements(*records: Record) -> float:
        before = ledger.metrics.registry.get_sample_value("claimhub_sql_statements_total") or 0
        ledger.take_at_once(*records)
        return (ledger.metrics.registry.get_sample_value("claimhub_sql_statements_total") or 0) - before

    # All within the year's deductible: one that is paid would write a payment, too.
    one = statements(make.bill(1_000_00, claim=claims[0]))
    assert one == statements(*(make.bill(1_000_00, claim=claim) for claim in claims[1:]))
