"""Reserves: one number a claim, moved by what becomes known of it, and every movement told."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.records import DecisionAction, Fault, FindingKind, PaymentStatusCode, Record, ReserveMovement
from streams.rules.claim import Outcome
from streams.rules.lines import LINES
from streams.rules.payments import instruction_id, payee_digest
from streams.rules.product import Product
from streams.rules.reserves import Basis, reserve_of
from tests.claims import (
    BUILDING,
    CLAIM,
    MEDICAL,
    PATIENT,
    PAYEE,
    PLACE,
    bill,
    decision,
    document,
    estimate,
    finding,
    invoice,
    notice,
    notice_of,
    payment_status,
    policy,
    policy_of,
)
from tests.unit.rules.hub import Hub
from tests.unit.rules.test_stories import STORIES

INSTRUCTION = instruction_id(CLAIM, 1, payee_digest(PAYEE), 1)


def told(hub: Hub) -> list[tuple[str, int]]:
    """The rule and the new amount of each movement."""
    return [(moved.rule, moved.after_minor) for moved in hub.told(ReserveMovement)]


def motor() -> Product:
    """The motor product."""
    return LINES["motor"].product


def test_a_reserve_goes_from_the_average_over_the_estimate_and_the_settlement_to_nothing() -> None:
    """The average of line and cause, the estimate, what is settled, and nothing once it is paid."""
    hub = Hub().play(policy(), notice(), estimate(), invoice({"parts": 2_000_00, "labour": 700_00}))
    hub.play(payment_status(INSTRUCTION, 2_200_00, PaymentStatusCode.ACSP), payment_status(INSTRUCTION, 2_200_00))

    average = motor().terms_at(notice().loss_at_ms).reserve_minor["collision"]
    assert told(hub) == [
        ("reserves.average", average),
        ("reserves.assessed", 2_800_00),
        ("reserves.settled", 2_200_00),
        ("reserves.settled", 0),
    ]
    assert hub.told(ReserveMovement)[-1].reason == "settled at 2 200.00 CNY; 2 200.00 CNY is paid"
    assert hub.claim.reserve_minor == 0


def test_each_movement_begins_where_the_last_one_ended_and_is_the_only_one_of_its_version() -> None:
    """Whoever adds the movements up has the claim's reserve; nothing is told when nothing moved."""
    for story in STORIES:
        hub, reserve = Hub().play(*story), 0
        for moved in hub.told(ReserveMovement):
            assert moved.before_minor == reserve
            reserve = moved.after_minor
        assert reserve == hub.claim.reserve_minor == 0
        versions = [moved.version for moved in hub.told(ReserveMovement)]
        assert len(set(versions)) == len(versions)


@pytest.mark.parametrize(("cause", "basis"), [("collision", "collision"), ("hail", "other")])
def test_the_average_is_that_of_the_cause_else_that_of_all_others(cause: str, basis: str) -> None:
    """Product data, by cause."""
    hub = Hub().play(policy(), notice(cause=cause))

    assert told(hub) == [("reserves.average", motor().terms_at(notice().loss_at_ms).reserve_minor[basis])]


def test_without_an_average_the_loss_as_notified_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of business may have none."""
    line = LINES["motor"]
    terms = tuple(replace(one, reserve_minor={}) for one in line.product.terms)
    monkeypatch.setitem(LINES, "motor", replace(line, product=replace(line.product, terms=terms)))

    assert told(Hub().play(policy(), notice())) == [("reserves.notified", 3_000_00)]


def test_nothing_is_set_aside_before_the_policy_is_known() -> None:
    """A claim that is only reported may not be ours; one that is not accepted is not."""
    assert told(Hub().play(notice())) == []
    assert told(Hub().play(policy(covers=policy().covers[:1]), notice())) == []


@pytest.mark.parametrize(
    ("records", "amounts"),
    [
        (
            (
                policy_of("health", PATIENT, MEDICAL),
                notice_of("health", PATIENT, "treatment", estimated_loss_minor=40_000_00),
                bill(30_000_00, 15_678_91),
            ),
            [8_000_00, 45_678_91],
        ),
        (
            (
                policy_of("property", PLACE, BUILDING),
                notice_of("property", PLACE, "insured-property", cause="fire", estimated_loss_minor=400_000_00),
                finding(loss_minor=450_000_00, rescue_minor=1_00, fault=Fault.UNKNOWN),
                finding(kind=FindingKind.LOSS_ADJUSTER, loss_minor=456_789_01, fault=Fault.UNKNOWN),
            ),
            [200_000_00, 450_001_00, 456_789_01],
        ),
    ],
    ids=["bills", "valued"],
)
def test_bills_and_valued_losses_replace_the_average(records: tuple[Record, ...], amounts: list[int]) -> None:
    """What is eligible in the bills; the loss adjuster before the surveyor, with the cost of rescue."""
    assert [amount for _, amount in told(Hub().play(*records))] == amounts


def test_a_rejected_claim_has_no_reserve() -> None:
    """It goes with the decision."""
    hub = Hub().play(policy(), notice(photos=()), document(), finding(), estimate(), invoice())
    hub.play(decision(action=DecisionAction.REJECT))

    assert (hub.claim.outcome, hub.claim.reserve_minor) == (Outcome.REJECTED, 0)
    assert told(hub)[-1] == ("reserves.closed", 0)


@settings(max_examples=100)
@given(st.data())
def test_whatever_the_order_a_paid_claim_has_no_reserve_and_none_is_ever_below_zero(data: st.DataObject) -> None:
    """What is told adds up in every order of a story's records."""
    hub = Hub().play(*data.draw(st.permutations(data.draw(st.sampled_from(STORIES)))))

    assert (
        sum(moved.after_minor - moved.before_minor for moved in hub.told(ReserveMovement))
        == hub.claim.reserve_minor
        == 0
    )
    assert all(moved.after_minor >= 0 for moved in hub.told(ReserveMovement))


def test_more_paid_than_settled_leaves_no_reserve_below_zero() -> None:
    """What was paid too much is a recovery, not a reserve."""
    hub = Hub().play(policy(), notice(), estimate(), invoice(), payment_status(INSTRUCTION, 2_300_00))
    settlement, said = hub.claim.settlement, hub.claim.notice
    assert settlement is not None and said is not None
    lower = replace(hub.claim, settlement=replace(settlement, covers={"own-damage": 2_000_00}))

    reserve = reserve_of(lower, said)
    assert (reserve.cost_minor, reserve.paid_minor, reserve.basis) == (2_000_00, 2_300_00, Basis.SETTLED)
    assert reserve.amount_minor == 0


def test_a_movement_stands_behind_the_instruction_it_comes_with() -> None:
    """The payment goes first; what surrounds it follows."""
    hub = Hub().play(policy(), notice(), estimate(), invoice())
    topics = [output.topic for output in hub.outputs]

    assert topics.index("finance.payment-instruction.v1") < len(topics) - 1
    assert topics[-1] == "finance.reserve-movement.v1"
