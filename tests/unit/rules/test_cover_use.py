"""What a policy's claims use of its covers in a year: never more than there is, whatever their order."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.records import ContactKind, DecisionAction, FindingKind, Policy, PolicyCover, Record
from streams.rules.claim import CoverUse
from tests import claims as make
from tests.lane import OneLane

YEAR_MS = 365 * make.DAY_MS
MEDICAL = PolicyCover(cover="medical", sum_insured_minor=20_000_00, deductible_minor=3_000_00, reimbursement_bp=8_000)


def _policy(cover: PolicyCover = MEDICAL) -> Policy:
    """In force for three years."""
    policy = make.policy_of("health", make.PATIENT, cover)
    return replace(policy, effective_to_ms=policy.effective_from_ms + 3 * YEAR_MS)


def _treated(claim: str, billed_minor: int, at_ms: int = make.LOSS_MS, others_minor: int = 0) -> list[Record]:
    """A claim up to its settlement; the hospital was asked, as it is about high bills."""
    said = {"claim": claim, "loss_at_ms": at_ms, "notified_at_ms": at_ms + make.HOUR_MS}
    stay = {"admitted_at_ms": at_ms, "discharged_at_ms": at_ms + make.DAY_MS}
    return [
        make.notice_of("health", make.PATIENT, "treatment", **said),
        make.finding(claim=claim, kind=FindingKind.HOSPITAL_CHECK),
        make.bill(billed_minor, claim=claim, paid_by_others_minor=others_minor, **stay),
    ]


def _paid(lane: OneLane, claim: str) -> int:
    settlement = lane.state.claims[claim].settlement
    assert settlement is not None, lane.state.claims[claim].open_tasks
    return settlement.covers["medical"]


def test_what_is_left_of_the_year_s_deductible() -> None:
    """The worked case of domain §3: 3 500.00 of 10 000.00 were used by another claim."""
    lane = OneLane([_policy(make.MEDICAL)])
    lane.take(*_treated("C-1", 3_500_00))
    lane.take(*_treated("C-2", 45_678_91, make.LOSS_MS + make.DAY_MS, others_minor=18_123_45))

    assert (_paid(lane, "C-1"), _paid(lane, "C-2")) == (0, 18_949_91)
    assert lane.state.claims["C-1"].cover_uses == (CoverUse(make.POLICY, "C-1", "medical", make.LOSS_MS, 0, 3_500_00),)


@pytest.mark.parametrize("at_once", [False, True])
def test_what_is_left_of_the_sum_insured(at_once: bool) -> None:
    """The worked case of domain §3: 19 000.01 of 20 000.00 were paid before, in an earlier batch or in the same."""
    lane = OneLane([_policy(replace(MEDICAL, deductible_minor=0))])
    first, second = _treated("C-1", 23_750_01), _treated("C-2", 5_000_03, make.LOSS_MS + make.DAY_MS)
    for batch in [[*first, *second]] if at_once else [first, second]:
        lane.take(*batch)

    assert (_paid(lane, "C-1"), _paid(lane, "C-2")) == (19_000_01, 999_99)


def test_a_claim_is_not_in_its_own_way() -> None:
    """A second bill settles it anew: what it had used itself is not used before."""
    lane = OneLane([_policy()])
    lane.take(*_treated("C-1", 2_000_00))
    lane.take(make.bill(3_000_00, claim="C-1", number="00000043", sha256=make.digest("C-1", "another")))

    assert _paid(lane, "C-1") == (5_000_00 - 3_000_00) * 8 // 10
    assert lane.state.claims["C-1"].used_by_others == ()


def test_another_policy_year_begins_anew() -> None:
    """From the same day of the next year on, by the calendar of the product."""
    lane = OneLane([_policy()])
    inception_ms = make.INCEPTION_MS
    lane.take(*_treated("C-1", 9_000_00, inception_ms))
    lane.take(*_treated("C-2", 9_000_00, inception_ms + YEAR_MS - 9 * make.HOUR_MS))  # the day before, at 23:00
    lane.take(*_treated("C-3", 9_000_00, inception_ms + YEAR_MS))

    assert [_paid(lane, claim) for claim in ("C-1", "C-2", "C-3")] == [4_800_00, 7_200_00, 4_800_00]


@pytest.mark.parametrize("end", ["withdrawn", "rejected"])
def test_a_claim_that_ends_without_a_payment_gives_back(end: str) -> None:
    """What it would have been paid is there for the next one; of the one settled meanwhile nothing changes."""
    lane = OneLane([_policy(replace(MEDICAL, deductible_minor=0))])
    lane.take(*_treated("C-1", 25_000_00), *_treated("C-2", 5_000_00, make.LOSS_MS + make.DAY_MS))
    assert (_paid(lane, "C-1"), _paid(lane, "C-2")) == (20_000_00, 0)

    if end == "withdrawn":
        lane.take(make.contact(ContactKind.WITHDRAWAL, claim="C-1"))
    else:
        lane.take(make.decision(claim="C-1", action=DecisionAction.REJECT, reason="not covered"))
    lane.take(*_treated("C-3", 5_000_00, make.LOSS_MS + 2 * make.DAY_MS))

    assert lane.state.claims["C-1"].cover_uses == ()
    assert (_paid(lane, "C-2"), _paid(lane, "C-3")) == (0, 4_000_00)


def test_a_motor_cover_is_there_for_each_loss_and_nothing_is_looked_up() -> None:
    """Its sum insured and deductible begin anew; the journal keeps no use of it."""
    lane = OneLane([make.policy()])
    for number in (1, 2):
        at_ms = make.LOSS_MS + number * make.DAY_MS
        claim = f"C-{number}"
        lane.take(make.notice(claim=claim, loss_at_ms=at_ms, notified_at_ms=at_ms))
        lane.take(make.estimate(claim=claim), make.invoice(claim=claim))

    first, second = (lane.state.claims[f"C-{number}"].settlement for number in (1, 2))
    assert first is not None and second is not None and first.covers == second.covers
    assert not lane.uses and not any("uses" in (row.inputs or "") for row in lane.journal)


def _mixed(columns: list[list[Record]], order: Iterable[int]) -> list[Record]:
    """The records of several claims, each claim's in their order."""
    left = [list(column) for column in columns]
    return [left[number].pop(0) for number in order if left[number]] + [it for column in left for it in column]


@given(
    bills=st.lists(st.tuples(st.integers(1, 10_000_00), st.integers(0, 700)), min_size=2, max_size=6),
    withdrawn=st.sets(st.integers(0, 5)),
    order=st.lists(st.integers(0, 5), max_size=20),
    at_once=st.booleans(),
)
def test_no_more_is_used_than_there_is(
    bills: list[tuple[int, int]], withdrawn: set[int], order: list[int], at_once: bool
) -> None:
    """Of the sum insured and of the deductible, in each policy year, whatever comes in whatever order."""
    lane = OneLane([_policy(replace(MEDICAL, sum_insured_minor=9_000_00))])
    columns = []
    for number, (billed_minor, day) in enumerate(bills):
        at_ms = make.INCEPTION_MS + day * make.DAY_MS + number * 3 * make.HOUR_MS
        ended = [make.contact(ContactKind.WITHDRAWAL, claim=f"C-{number}")] if number in withdrawn else []
        columns.append([*_treated(f"C-{number}", billed_minor, at_ms), *ended])
    records = _mixed(columns, [number for number in order if number < len(bills)])
    for batch in [records] if at_once else [[record] for record in records]:
        lane.take(*batch)
        lane.answer_itself()

    for year in (0, 1):
        paid = taken = 0
        for claim in lane.state.claims.values():
            assert claim.notice is not None
            if claim.settlement is None or (claim.outcome is not None and not claim.payments):
                continue
            if (claim.notice.loss_at_ms - make.INCEPTION_MS) // YEAR_MS == year:
                paid += claim.settlement.covers["medical"]
                taken += claim.settlement.deductibles.get("medical", 0)
        assert paid <= 9_000_00 and taken <= 3_000_00
