"""Risk signals: each from its border on, and what their sum leads to."""

import pytest

from schemas.records import LossNotice
from streams.rules.claim import TaskKind
from tests.claims import DAY_MS, HOUR_MS, INCEPTION_MS, LOSS_MS, OTHER_PAYEE, estimate, finding, invoice, notice, policy
from tests.unit.rules.hub import Hub


def _early(days: int, more_ms: int = 0) -> LossNotice:
    loss_at_ms = INCEPTION_MS + days * DAY_MS + more_ms
    return notice(loss_at_ms=loss_at_ms, notified_at_ms=loss_at_ms)


@pytest.mark.parametrize(
    ("reported", "settled", "risk"),
    [
        (notice(), 2_000_00, "risk 0"),
        (_early(7), 2_000_00, "risk 25 ("),
        (_early(7, 1), 2_000_00, "risk 10 ("),
        (_early(30), 2_000_00, "risk 10 ("),
        (_early(30, 1), 2_000_00, "risk 0"),
        (notice(notified_at_ms=LOSS_MS + 48 * HOUR_MS), 2_000_00, "risk 0"),
        (notice(notified_at_ms=LOSS_MS + 48 * HOUR_MS + 1), 2_000_00, "risk 10 ("),
        (notice(), 4_749_99, "risk 0"),
        (notice(), 4_750_00, "risk 10 ("),
        (notice(), 5_000_00, "risk 10 ("),
        (notice(), 5_000_01, "risk 0"),
        (notice(), 47_500_00, "risk 10 ("),
    ],
)
def test_signals_at_their_borders(reported: LossNotice, settled: int, risk: str) -> None:
    """Days after inception, hours to the notice, and amounts just under a limit."""
    loss = {"parts": settled + 500_00}
    hub = Hub().play(policy(), reported, estimate(loss), invoice(loss))

    assert f"; {risk}" in hub.decisions[-1].reason


@pytest.mark.parametrize(
    ("records", "evidence"),
    [
        ((_early(3), notice(loss_at_ms=INCEPTION_MS + DAY_MS, notified_at_ms=LOSS_MS)), "risk 35"),
        ((notice(), finding(contradicts_notice=True)), "the survey contradicts the notice: 40"),
        ((notice(), notice(payee=OTHER_PAYEE)), "a later notice named another payee account: 30"),
    ],
)
def test_from_thirty_on_a_person_decides(records: tuple[LossNotice, ...], evidence: str) -> None:
    """The score stops what would else be automatic, and the reason names the evidence."""
    hub = Hub().play(policy(), *records, estimate(), invoice())

    assert [task.kind for task in hub.claim.open_tasks] == [TaskKind.APPROVAL]
    assert evidence in hub.decisions[-1].reason
