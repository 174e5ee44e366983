"""An attempt to pay: what is said of it in any order, what two people find out, and what is paid in its place."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import (
    Break,
    BreakKind,
    CancellationRequest,
    ClosureResult,
    PaymentClosure,
    PaymentInstruction,
    PaymentStatusCode,
    Record,
    StatementLine,
    StatementLineKind,
)
from streams.rules.attempts import RANK
from streams.rules.claim import PAID, PaymentState, Stage, TaskKind
from streams.rules.payments import instructed_minor
from tests.claims import CLAIM, DAY_MS, LOSS_MS, decision, estimate, invoice, notice, payment_status, policy
from tests.unit.rules.hub import Hub

C = PaymentStatusCode
AMOUNT = 2_300_00


@pytest.fixture
def hub() -> Hub:
    """A claim with an instruction nobody has answered."""
    return instructed()


def instructed() -> Hub:
    return Hub().play(policy(), notice(), estimate(), invoice())


def says(hub: Hub, code: PaymentStatusCode, reason: str | None = None, nth: int = 0) -> Hub:
    return hub.play(payment_status(hub.payments[nth].id, AMOUNT, code, reason_code=reason))


def line(instruction: str, kind: StatementLineKind = StatementLineKind.PAYMENT, **changes: object) -> StatementLine:
    values: dict[str, Any] = {
        "claim": CLAIM,
        "line_id": "ST-1",
        "instruction_id": instruction,
        "kind": kind,
        "amount_minor": AMOUNT,
        "currency": "CNY",
        "booked_at_ms": LOSS_MS + 9 * DAY_MS,
    }
    return StatementLine(**values | changes)


def closure(instruction_id: str, result: ClosureResult = ClosureResult.PAID, **changes: object) -> PaymentClosure:
    values: dict[str, Any] = {
        "claim": CLAIM,
        "instruction_id": instruction_id,
        "result": result,
        "amount_minor": AMOUNT,
        "currency": "CNY",
        "proposed_by": "cashier-01",
        "confirmed_by": "treasurer-02",
        "evidence": "voucher 2026-0311",
        "at_ms": LOSS_MS + 12 * DAY_MS,
    }
    return PaymentClosure(**values | changes)


def breaks(hub: Hub) -> list[str]:
    return [it.kind for it in hub.told(Break)]


@pytest.mark.parametrize(
    "codes", [(C.ACSP, C.RJCT), (C.RJCT, C.ACSP), (C.ACSP, C.RJCT, C.RJCT), (C.RCVD, C.RJCT, C.ACSP)]
)
def test_a_rejection_beside_acsp_leaves_nobody_knowing(hub: Hub, codes: tuple[PaymentStatusCode, ...]) -> None:
    """Whichever came first: one break, to finance; nothing is paid in its place and nothing approved."""
    for code in codes:
        says(hub, code, "AM04" if code is C.RJCT else None)

    (told,) = hub.told(Break)
    assert (told.kind, told.owner, told.about, told.key) == (BreakKind.STATUS, "finance", hub.payments[0].id, CLAIM)
    assert (hub.payments[0].state, hub.stage) == (PaymentState.UNKNOWN, Stage.PAYING)
    assert TaskKind.APPROVAL not in hub.tasks and len(hub.told(PaymentInstruction)) == 1


def test_an_unknown_payment_is_a_break_and_not_left_by_a_rejection(hub: Hub) -> None:
    """Only bank evidence that it was paid, or two people, end it."""
    says(says(hub, C.RJCT, "AM05"), C.RJCT, "AM04")

    assert (hub.payments[0].state, breaks(hub), hub.dead) == (PaymentState.UNKNOWN, [BreakKind.UNKNOWN], [])


@pytest.mark.parametrize(("first", "second"), [(C.ACSC, C.RJCT), (C.RJCT, C.ACSC)])
def test_settled_and_rejected_is_a_break(hub: Hub, first: PaymentStatusCode, second: PaymentStatusCode) -> None:
    """Told once; it counts as paid until finance has looked, so that it is not paid again."""
    says(says(says(hub, first, "AM04"), second, "AM04"), C.ACCC)

    assert (hub.payments[0].state, breaks(hub), hub.stage) == (PaymentState.SETTLED, [BreakKind.STATUS], Stage.PAID)


def test_a_rejection_that_does_not_blame_the_account_is_approved_anew_and_paid_under_a_new_id(hub: Hub) -> None:
    """The proof that the first is dead is the bank's; the second has the next settlement version and its own id."""
    says(hub, C.RJCT, "AM04")
    assert hub.tasks == [TaskKind.APPROVAL] and len(hub.told(PaymentInstruction)) == 1

    hub.play(decision(settlement_version=2))
    first, second = hub.told(PaymentInstruction)
    assert (second.settlement_version, second.amount_minor) == (
        2,
        AMOUNT,
    ) and first.instruction_id != second.instruction_id
    assert says(hub, C.ACSC, nth=1).stage is Stage.PAID


def test_money_that_came_back_is_approved_anew(hub: Hub) -> None:
    """Unless the account is to blame, for which the claimant is asked."""
    says(hub, C.ACSC).play(line(hub.payments[0].id, StatementLineKind.RETURN, reason_code="FOCR"))
    assert (hub.stage, hub.tasks) == (Stage.PAYING, [TaskKind.APPROVAL])

    hub.play(decision(settlement_version=2))
    assert [it.state for it in hub.payments] == [PaymentState.RETURNED, PaymentState.INSTRUCTED]


def test_what_was_to_be_paid_in_its_place_no_longer_is(hub: Hub) -> None:
    """A rejected payment is on the statement all the same: the approval asked for is withdrawn."""
    says(hub, C.RJCT, "AM04").play(line(hub.payments[0].id))

    assert (hub.stage, hub.tasks, breaks(hub)) == (Stage.PAID, [], [BreakKind.STATUS])
    hub.play(decision(settlement_version=2))
    assert len(hub.told(PaymentInstruction)) == 1


def test_the_attempt_in_its_place_is_stopped(hub: Hub) -> None:
    """It is on its way already: finance is asked not to pay it, and the claim is paid once it does not."""
    says(hub, C.RJCT, "AM04").play(decision(settlement_version=2), line(hub.payments[0].id))
    (asked,) = hub.told(CancellationRequest)
    assert asked.instruction_id == hub.payments[1].id

    says(hub, C.CANC, nth=1)
    assert (hub.stage, hub.tasks) == (Stage.PAID, [])
    assert [it.state for it in hub.payments] == [PaymentState.BOOKED, PaymentState.CANCELLED]


@pytest.mark.parametrize("before", [(), ((C.ACCP, None),), ((C.RJCT, "AM05"),), ((C.RJCT, "AM04"),)])
def test_two_people_say_that_it_was_paid_by_hand(
    hub: Hub, before: tuple[tuple[PaymentStatusCode, str | None], ...]
) -> None:
    """The claim is paid and the customer hears of it; said again it changes nothing."""
    for code, reason in before:
        says(hub, code, reason)
    hub.play(closure(hub.payments[0].id))
    claim = hub.claim
    hub.play(closure(hub.payments[0].id))

    assert (hub.payments[0].state, hub.stage, hub.tasks, hub.dead) == (PaymentState.SETTLED, Stage.PAID, [], [])
    assert hub.claim == claim


def test_two_people_prove_that_it_was_not_paid(hub: Hub) -> None:
    """Then, and not before, it is up for approval again."""
    says(hub, C.RJCT, "AM05")
    assert hub.tasks == []
    hub.play(closure(hub.payments[0].id, ClosureResult.NOT_PAID))

    assert (hub.payments[0].state, hub.tasks) == (PaymentState.REJECTED, [TaskKind.APPROVAL])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount_minor": AMOUNT + 1}, "amount-mismatch"),
        ({"currency": "HKD"}, "amount-mismatch"),
        ({"instruction_id": "PI-0"}, "unknown-instruction"),
        ({"result": ClosureResult.NOT_PAID}, "status-conflict"),
    ],
)
def test_a_closure_that_does_not_fit_is_refused(hub: Hub, changes: dict[str, Any], code: str) -> None:
    """Other money, no instruction of the claim, or against what the bank has booked."""
    hub.play(line(hub.payments[0].id), closure(**{"instruction_id": hub.payments[0].id} | changes))

    assert [dead.code for dead in hub.dead] == [code]
    assert hub.payments[0].state is PaymentState.BOOKED


def test_a_contradiction_after_people_have_cleared_one_is_another_break(hub: Hub) -> None:
    """With its own id, or it would pass for the one they cleared."""
    says(says(hub, C.ACSP), C.RJCT, "AM04").play(closure(hub.payments[0].id, ClosureResult.NOT_PAID))
    says(hub, C.ACSC)

    first, second = hub.told(Break)
    assert (first.kind, second.kind) == (BreakKind.STATUS, BreakKind.STATUS) and first.break_id != second.break_id
    assert (hub.payments[0].state, hub.tasks) == (PaymentState.SETTLED, [])


def test_one_person_closes_nothing() -> None:
    """The record itself is refused."""
    with pytest.raises(ValueError, match="another person"):
        closure("PI-1", confirmed_by="cashier-01")


SAID = st.lists(
    st.sampled_from(
        [
            *((code, None) for code in C if code not in (C.RJCT, C.CANC)),
            (C.RJCT, "AM04"),
            (C.RJCT, "AC01"),
            (C.RJCT, "AM05"),
            *StatementLineKind,
        ]
    ),
    max_size=6,
)


@given(said=SAID, data=st.data())
def test_no_order_of_what_is_said_ends_otherwise_and_no_state_goes_back(said: list[Any], data: st.DataObject) -> None:
    """Statuses and booked lines in any order, repeats among them, lead to one state by ever higher ranks; what is
    instructed and not dead is never more than what was approved; a break is told once."""
    ends = set()
    for order in (said, data.draw(st.permutations(said))):
        hub = instructed()
        payment, states = hub.payments[0].id, [hub.payments[0].state]
        for one in order:
            hub.play(_record(payment, one))
            states.append(hub.payments[0].state)
            assert instructed_minor(hub.claim) <= AMOUNT
        assert all(RANK[before] <= RANK[after] for before, after in pairwise(states))
        assert (hub.stage is Stage.PAID) is (states[-1] in PAID)
        told = [it.break_id for it in hub.told(Break)]
        assert len(told) == len(set(told)) and hub.dead == []
        assert len({it.instruction_id for it in hub.told(PaymentInstruction)}) == len(hub.told(PaymentInstruction))
        ends.add(states[-1])
    assert len(ends) == 1


def _record(payment: str, one: Any) -> Record:
    if isinstance(one, StatementLineKind):
        return line(payment, one)
    code, reason = one
    return payment_status(payment, AMOUNT, code, reason_code=reason)
