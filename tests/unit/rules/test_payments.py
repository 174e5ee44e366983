"""Payment status: ranked, safe in any order, and never for other money than instructed."""

from itertools import permutations

import pytest

from schemas.records import NoticeKind, PaymentStatusCode
from streams.rules.claim import PaymentState, Stage
from streams.rules.payment_status import STATE_OF
from streams.rules.payments import instruction_id, payee_digest
from tests.claims import CLAIM, OTHER_PAYEE, PAYEE, decision, estimate, invoice, notice, payment_status, policy
from tests.unit.rules.hub import Hub

C = PaymentStatusCode
AMOUNT = 2_300_00
INSTRUCTION = instruction_id(CLAIM, 1, payee_digest(PAYEE), 1)


def _paying() -> Hub:
    return Hub().play(policy(), notice(), estimate(), invoice())


def test_the_id_is_derived_and_its_own_for_every_part() -> None:
    """The same inputs give the same id; any other input another; it fits ISO 20022."""
    ids = {
        INSTRUCTION,
        instruction_id("CLM-2", 1, payee_digest(PAYEE), 1),
        instruction_id(CLAIM, 2, payee_digest(PAYEE), 1),
        instruction_id(CLAIM, 1, payee_digest(OTHER_PAYEE), 1),
        instruction_id(CLAIM, 1, payee_digest(PAYEE), 2),
    }

    assert len(ids) == 5 and {len(it) for it in ids} == {32}
    assert _paying().payments[0].id == INSTRUCTION


@pytest.mark.parametrize("code", list(C))
def test_every_code_has_its_state(code: PaymentStatusCode) -> None:
    """Each code alone moves the payment to its state."""
    hub = _paying().play(payment_status(INSTRUCTION, AMOUNT, code))

    assert hub.payments[0].state is STATE_OF[code]
    assert (hub.stage is Stage.PAID) is (code in {C.ACSC, C.ACCC})


@pytest.mark.parametrize("codes", list(permutations([C.RCVD, C.ACSP, C.ACSC])))
def test_statuses_in_any_order_end_settled_once(codes: tuple[PaymentStatusCode, ...]) -> None:
    """A late lower status changes nothing, and the customer is told once."""
    hub = _paying().play(
        *(payment_status(INSTRUCTION, AMOUNT, code) for code in codes), payment_status(INSTRUCTION, AMOUNT)
    )

    assert (hub.payments[0].state, hub.dead) == (PaymentState.SETTLED, [])
    assert hub.claim.notices.count(f"{NoticeKind.PAID}:1") == 1
    assert len(hub.sent("customer.notice.v1")) == 4


def test_a_rejected_payment_is_still_owed() -> None:
    """No new attempt by itself, a late acceptance revives nothing, and the claim is not paid."""
    hub = _paying().play(
        payment_status(INSTRUCTION, AMOUNT, C.RJCT, reason_code="AC01"), payment_status(INSTRUCTION, AMOUNT, C.ACCP)
    )

    assert (hub.stage, hub.payments[0].state) == (Stage.PAYING, PaymentState.REJECTED)
    assert len(hub.sent("finance.payment-instruction.v1")) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (payment_status(INSTRUCTION, AMOUNT + 1), "amount-mismatch"),
        (payment_status(INSTRUCTION, AMOUNT, currency="USD"), "amount-mismatch"),
        (payment_status("PI0", AMOUNT), "unknown-instruction"),
    ],
)
def test_other_money_is_a_dead_letter(status: object, code: str) -> None:
    """Another amount, currency or instruction is not this payment."""
    hub = _paying().play(status)  # type: ignore[arg-type]

    assert [dead.code for dead in hub.dead] == [code]
    assert hub.payments[0].state is PaymentState.INSTRUCTED


def test_a_status_before_its_instruction_waits() -> None:
    """It is applied once the money is decided, whoever decides."""
    loss = {"parts": 10_000_00}
    status = payment_status(INSTRUCTION, 9_500_00)

    hub = Hub().play(policy(), status, notice(), estimate(loss), decision(), invoice(loss))

    assert (hub.stage, hub.dead, len(hub.waiting)) == (Stage.PAID, [], 0)
