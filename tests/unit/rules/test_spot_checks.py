"""Spot checks: which claims are drawn, that the payment does not wait, and what is found later."""

import pytest
from msgspec.structs import replace

from schemas.records import FindingKind, InvestigationRequest, SiuResult
from streams.rules.claim import Claim, Outcome, Stage, TaskKind
from streams.rules.product import SpotChecks, product
from streams.rules.referrals import referral_id
from streams.rules.spot_checks import drawn
from tests.claims import CLAIM, decision, estimate, finding, invoice, notice, policy, siu_outcome
from tests.unit.rules.hub import Hub

MOTOR = product("motor").terms[0].spot_checks
NUMBERS = [f"CLM-2026-{number:06}" for number in range(10_000)]
DRAWN = next(number for number in NUMBERS if drawn(number, MOTOR))
FOUND = finding(claim=DRAWN, kind=FindingKind.RE_INSPECTION)
AGAINST = finding(claim=DRAWN, kind=FindingKind.RE_INSPECTION, contradicts_notice=True)


def _approved(number: str) -> Hub:
    hub = Hub()
    hub.claim = Claim(number=number)
    return hub.play(policy(), notice(claim=number), estimate(claim=number), invoice(claim=number))


@pytest.mark.parametrize("line", ["motor", "health", "accident", "property"])
def test_the_draw_has_its_share_and_is_the_same_again(line: str) -> None:
    """2 % of ten thousand numbers, within three standard deviations; nothing but number and seed decides."""
    spot_checks = product(line).terms[0].spot_checks
    first = [number for number in NUMBERS if drawn(number, spot_checks)]

    assert abs(len(first) - 200) <= 42
    assert first == [number for number in reversed(NUMBERS) if drawn(number, spot_checks)][::-1]
    assert first != [number for number in NUMBERS if drawn(number, SpotChecks(share_bp=200, seed="another"))]


@pytest.mark.parametrize(("share_bp", "count"), [(0, 0), (10_000, 10_000)])
def test_none_and_all(share_bp: int, count: int) -> None:
    """The share is what the product says."""
    assert sum(drawn(number, replace(MOTOR, share_bp=share_bp)) for number in NUMBERS) == count


def test_a_drawn_claim_is_paid_as_any_other_and_inspected_again() -> None:
    """The instruction goes out with the approval, and so does the request; the stage is that of the payment."""
    hub = _approved(DRAWN)

    (asked,) = hub.sent("investigation.request.v1")
    assert isinstance(asked.record, InvestigationRequest) and asked.record.kind is FindingKind.RE_INSPECTION
    assert (hub.stage, len(hub.sent("finance.payment-instruction.v1"))) == (Stage.PAYING, 1)
    assert hub.tasks == [TaskKind.RE_INSPECTION]
    assert "spot check" in hub.decisions[-1].reason


def test_a_claim_that_is_not_drawn_is_left_alone() -> None:
    """Nobody is asked, and a re-inspection nobody asked for is refused."""
    assert not drawn(CLAIM, MOTOR)
    hub = _approved(CLAIM).play(finding(kind=FindingKind.RE_INSPECTION))

    assert (hub.sent("investigation.request.v1"), [dead.code for dead in hub.dead]) == ([], ["too-late"])


def test_what_a_person_approved_is_not_drawn() -> None:
    """Only what nobody has looked at."""
    loss = {"parts": 40_000_00}
    hub = Hub()
    hub.claim = Claim(number=DRAWN)
    hub.play(policy(), notice(claim=DRAWN), estimate(loss, claim=DRAWN), invoice(loss, claim=DRAWN))

    hub.play(decision(claim=DRAWN))

    assert (hub.stage, hub.sent("investigation.request.v1")) == (Stage.PAYING, [])


def test_a_re_inspection_that_agrees_ends_it() -> None:
    """Taken once the claim is decided, once."""
    hub = _approved(DRAWN).play(FOUND, FOUND)

    assert (hub.claim.open_tasks, hub.sent("siu.referral.v1")) == ((), [])
    assert [dead.code for dead in hub.dead] == ["too-late"]


def test_a_re_inspection_that_contradicts_what_was_paid_is_referred_to_siu() -> None:
    """The claim stays as it is until SIU has answered."""
    hub = _approved(DRAWN).play(AGAINST)

    assert hub.tasks == [TaskKind.SIU]
    assert (hub.stage, len(hub.sent("siu.referral.v1"))) == (Stage.PAYING, 1)


@pytest.mark.parametrize(
    ("result", "outcome"), [(SiuResult.CLEARED, Outcome.APPROVED), (SiuResult.CONFIRMED, Outcome.REJECTED)]
)
def test_siu_decides_what_becomes_of_a_paid_claim(result: SiuResult, outcome: Outcome) -> None:
    """Confirmed, the claim is rejected, the fraud stays as its fact, and the reason names what is to be recovered."""
    hub = _approved(DRAWN).play(AGAINST)

    hub.play(siu_outcome(result, claim=DRAWN, referral_id=referral_id(DRAWN, 1)))

    assert (hub.claim.outcome, hub.claim.open_tasks) == (outcome, ())
    assert hub.claim.referral is not None and hub.claim.referral.result is result
    assert ("2 300.00 CNY paid or instructed is to be recovered" in hub.decisions[-1].reason) is (
        outcome is Outcome.REJECTED
    )
