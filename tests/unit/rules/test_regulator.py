"""What the regulator hears: large losses and clocks that ran out, each once."""

import pytest

from schemas.records import DecisionAction, RegulatorAcknowledgement, RegulatorReport, RegulatorReportKind
from streams.rules.claim import ClockKind
from streams.rules.deadlines import day_of
from streams.rules.lines import LINES
from tests import claims as make
from tests.claims import CLAIM, LOSS_MS, estimate, notice
from tests.unit.rules.hub import Hub
from tests.unit.rules.test_clocks import Said, paid
from tests.unit.rules.test_reinsurance import large


@pytest.mark.parametrize(("amount", "count"), [(500_000, 0), (500_001, 1), (2_000_000, 1)])
def test_a_large_loss_is_reported_the_day_it_is_known(amount: int, count: int) -> None:
    """Once, with the record that made it large, whatever it grows to."""
    hub = large(amount)
    found = hub.told(RegulatorReport)
    hub.play(estimate({"parts": amount * 200}, version=2))

    assert [(it.kind, it.amount_minor) for it in found] == [(RegulatorReportKind.LARGE_LOSS, amount * 100)] * count
    calendar = LINES["motor"].product.calendar
    sent = [it for it in hub.sent("finance.reserve-movement.v1") if it.rule == "reserves.assessed"]
    assert all(day_of(it.at_ms, calendar) == day_of(sent[0].record.at_ms, calendar) for it in found)  # type: ignore[attr-defined]
    assert len(hub.told(RegulatorReport)) <= 1


def incidents(said: Said) -> list[tuple[str, str, str]]:
    """About, source and reason of what was reported, from the ledger's outbox."""
    decoded = [
        said.lane.codec.decode(row.topic, row.value, [])
        for row in said.lane.outbox
        if row.topic == "regulator.report.v1"
    ]
    return [(it.about, it.source, it.reason) for it in decoded if isinstance(it, RegulatorReport)]


def test_a_payment_that_is_overdue_is_reported_once() -> None:
    """With the tick that finds it, and not again when the money comes late; a warning is no incident."""
    said = Said().at("2026-04-20T10:00", make.notice(), make.estimate(), make.invoice())
    for _ in range(2):
        said.tick()
    assert incidents(said) == []
    said.tick()
    about = f"{ClockKind.PAYMENT} 1"
    expected = [
        (about, "Insurance Law art. 116", f"the {about} clock of 10 days ran out before what it is for was done")
    ]
    assert incidents(said) == expected
    said.at("2026-05-20T10:00", paid())
    assert incidents(said) == expected


def test_a_payment_that_comes_late_before_any_tick_is_reported_too() -> None:
    """The breach is seen when the clock ends."""
    said = Said().at("2026-04-20T10:00", make.notice(), make.estimate(), make.invoice())
    said.at("2026-05-20T10:00", paid())

    assert [about for about, _, _ in incidents(said)] == ["payment 1"]


def test_a_clock_the_product_does_not_name_is_no_incident() -> None:
    """A late decision is a breach, and told as one, but not reported."""
    said = Said().at("2026-04-20T10:00", make.notice())
    for _ in range(3):
        said.tick()

    assert said.clock(ClockKind.DECISION).breached is not None
    assert incidents(said) == []


def test_an_acknowledgement_is_kept_and_one_of_no_report_refused() -> None:
    """By the report's id."""
    hub = large(600_000)
    (report,) = hub.told(RegulatorReport)
    hub.play(RegulatorAcknowledgement(claim=CLAIM, report_id=report.report_id, at_ms=LOSS_MS))
    hub.play(RegulatorAcknowledgement(claim=CLAIM, report_id="RP-nobody-sent", at_ms=LOSS_MS))

    assert [known.acknowledged for known in hub.claim.reported] == [True]
    assert [dead.code for dead in hub.dead] == ["no-report"]


def test_a_small_claim_is_not_reported() -> None:
    """Nor is one that is rejected in time."""
    hub = Hub().play(make.policy(), notice(photos=()), make.finding(), estimate(), make.invoice())
    hub.play(make.decision(action=DecisionAction.REJECT))

    assert hub.told(RegulatorReport) == []
