"""The bank's statement: what was booked, what came back, and what finance was not sure of."""

from typing import Any

import pytest

from schemas.records import NoticeKind, PaymentStatusCode, StatementLine, StatementLineKind
from streams.rules.claim import PaymentState, Stage
from streams.rules.payment_status import MAYBE_PAID
from tests.claims import CLAIM, DAY_MS, LOSS_MS, estimate, invoice, notice, payment_status, policy
from tests.unit.rules.hub import Hub

PAID_MINOR = 2_300_00


def line(instruction: str, kind: StatementLineKind = StatementLineKind.PAYMENT, **changes: object) -> StatementLine:
    """A booked line of the whole amount."""
    values = {
        "claim": CLAIM,
        "line_id": "ST-1",
        "instruction_id": instruction,
        "kind": kind,
        "amount_minor": PAID_MINOR,
        "currency": "CNY",
        "booked_at_ms": LOSS_MS + 9 * DAY_MS,
    }
    return StatementLine(**values | changes)  # type: ignore[arg-type]


@pytest.fixture
def hub() -> Hub:
    """A claim with an instruction that finance has not answered."""
    return Hub().play(policy(), notice(), estimate(), invoice())


def _says(hub: Hub, code: PaymentStatusCode, reason: str | None = None) -> Hub:
    return hub.play(payment_status(hub.payments[0].id, PAID_MINOR, code, reason_code=reason))


@pytest.mark.parametrize("reason", sorted(MAYBE_PAID))
def test_a_rejection_that_says_it_was_sent_before_is_unknown_until_the_bank_books_it(hub: Hub, reason: str) -> None:
    """It is not paid again; the statement settles it, and the customer hears of it once."""
    _says(hub, PaymentStatusCode.RJCT, reason)
    assert (hub.payments[0].state, hub.stage) == (PaymentState.UNKNOWN, Stage.PAYING)

    hub.play(line(hub.payments[0].id), line(hub.payments[0].id, line_id="ST-2"))
    assert (hub.payments[0].state, hub.stage, hub.dead) == (PaymentState.BOOKED, Stage.PAID, [])
    assert [mark.partition(":")[0] for mark in hub.claim.notices].count(NoticeKind.PAID) == 1
    assert len(hub.sent("finance.payment-instruction.v1")) == 1


def test_a_payment_that_comes_back_is_paid_no_more(hub: Hub) -> None:
    """Settled, then returned: the claim is paying again, and a late status changes nothing."""
    _says(hub, PaymentStatusCode.ACSC)
    hub.play(line(hub.payments[0].id, StatementLineKind.RETURN, reason_code="AC04"))
    _says(hub, PaymentStatusCode.ACCC)

    assert (hub.payments[0].state, hub.stage, hub.dead) == (PaymentState.RETURNED, Stage.PAYING, [])
    assert "AC04" in hub.decisions[-2].reason


@pytest.mark.parametrize("first", [StatementLineKind.PAYMENT, StatementLineKind.RETURN])
def test_a_line_that_comes_twice_changes_nothing(hub: Hub, first: StatementLineKind) -> None:
    """It is noted: no department hears of it."""
    hub.play(line(hub.payments[0].id, first))
    before = hub.claim
    hub.play(line(hub.payments[0].id, first))

    assert hub.claim == before and hub.dead == []


def test_a_line_before_its_instruction_waits() -> None:
    """Until the claim has one."""
    early = Hub().play(policy(), notice(), estimate())
    late = Hub().play(policy(), notice(), estimate(), invoice())
    early.play(line(late.payments[0].id))
    assert len(early.waiting) == 1

    early.play(invoice())
    assert (early.waiting, early.stage) == ([], Stage.PAID)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount_minor": 2_300_01}, "amount-mismatch"),
        ({"currency": "HKD"}, "amount-mismatch"),
        ({"instruction_id": "PI-0"}, "unknown-instruction"),
    ],
)
def test_a_line_that_does_not_fit_is_refused(hub: Hub, changes: dict[str, Any], code: str) -> None:
    """Each with its reason; the payment stays as it was."""
    hub.play(line(hub.payments[0].id, **changes))

    assert [dead.code for dead in hub.dead] == [code]
    assert hub.payments[0].state is PaymentState.INSTRUCTED


def test_what_was_rejected_and_came_back_is_owed_once(hub: Hub) -> None:
    """It is with us either way: another account is asked for once, nothing is paid in between."""
    _says(hub, PaymentStatusCode.RJCT, "AC01")
    hub.play(line(hub.payments[0].id, StatementLineKind.RETURN, reason_code="AC01"))

    assert (hub.payments[0].state, hub.dead, hub.tasks) == (PaymentState.RETURNED, [], [])
    assert [mark.partition(":")[0] for mark in hub.claim.notices].count(NoticeKind.ACCOUNT_NEEDED) == 1
