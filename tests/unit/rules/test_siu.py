"""SIU: who is referred, that nothing is paid meanwhile, and what its answer leads to."""

import pytest
from msgspec.structs import replace

from schemas.records import (
    ContactKind,
    DecisionAction,
    FindingKind,
    NoticeKind,
    Record,
    Role,
    SamePaper,
    SiuReferral,
    SiuResult,
)
from streams.rules.claim import Outcome, Stage, TaskKind
from streams.rules.product import product
from tests.claims import (
    BUILDING,
    CLAIM,
    DAY_MS,
    INCEPTION_MS,
    LOSS_MS,
    OTHER_PAYEE,
    PLACE,
    contact,
    decision,
    document,
    estimate,
    finding,
    invoice,
    notice,
    notice_of,
    policy,
    policy_of,
    siu_outcome,
)
from tests.unit.rules.hub import Hub

WEIGHTS = product("motor").terms[0].risk
EARLY_MS = INCEPTION_MS + 3 * DAY_MS
EARLY = notice(loss_at_ms=EARLY_MS, notified_at_ms=EARLY_MS)
CONTRADICTED = finding(contradicts_notice=True)
POLICE_DIFFERS = finding(kind=FindingKind.POLICE, contradicts_notice=True)
CONFIRMED = siu_outcome(SiuResult.CONFIRMED)


def _referred() -> Hub:
    """Contradicted by a survey, and a loss three days after inception: 65."""
    return Hub().play(policy(), EARLY, CONTRADICTED)


def test_a_claim_is_referred_as_soon_as_its_score_says_so_with_all_its_evidence() -> None:
    """At 60 and above, before anything is settled; the evidence adds up to the score."""
    hub = _referred()

    (referral,) = hub.told(SiuReferral)
    assert (hub.stage, hub.tasks) == (
        Stage.INVESTIGATING,
        [TaskKind.ESTIMATE, TaskKind.SIU],
    )
    assert referral.score == 65 == sum(signal.weight for signal in referral.signals)
    assert [signal.evidence for signal in referral.signals] == [
        "the loss came 3.0 days after inception",
        "the survey contradicts the notice",
    ]
    assert "risk 65" in hub.decisions[-1].reason


@pytest.mark.parametrize(("records", "count"), [((POLICE_DIFFERS, EARLY), 0), ((CONTRADICTED, EARLY), 1)])
def test_the_border_is_product_data(records: tuple[Record, ...], count: int) -> None:
    """55 is not referred, 65 is; the file says 60."""
    hub = Hub().play(policy(), *records)

    assert (len(hub.told(SiuReferral)), WEIGHTS.refer_from) == (count, 60)


def test_nothing_is_paid_while_siu_looks() -> None:
    """Neither by itself nor by a person, whose decision waits."""
    hub = _referred().play(estimate(), invoice(), decision())

    assert (hub.payments, hub.stage, len(hub.waiting)) == ((), Stage.INVESTIGATING, 1)

    hub.play(siu_outcome())

    assert (hub.stage, hub.waiting, hub.dead) == (Stage.PAYING, [], [])
    assert [(payment.proposed_by, payment.approved_by) for payment in hub.payments] == [
        ("hub:settlement", "handler-07")
    ]


def test_an_amount_just_under_a_limit_may_be_what_refers_a_claim() -> None:
    """55 by the facts, 65 once it is settled: then SIU's answer is all that is waited for."""
    loss = {"parts": 4_999_00 + 500_00}
    hub = Hub().play(policy(), EARLY, POLICE_DIFFERS, estimate(loss), invoice(loss))

    assert hub.tasks == [TaskKind.SIU]
    assert (hub.decisions[-1].rule, hub.told(SiuReferral)[0].score) == ("siu.referred", 65)

    hub.play(siu_outcome())

    assert hub.tasks == [TaskKind.APPROVAL]


def test_a_score_is_referred_once_and_again_only_when_it_rises() -> None:
    """The same facts again send nothing; one more signal is a new referral, and only that can be answered."""
    hub = _referred().play(CONTRADICTED, estimate())
    assert len(hub.told(SiuReferral)) == 1

    hub.play(POLICE_DIFFERS, siu_outcome(number=1))

    assert [referral.score for referral in hub.told(SiuReferral)] == [65, 95]
    assert [dead.code for dead in hub.dead] == ["no-referral"]
    hub.play(siu_outcome(number=2), invoice())
    assert hub.tasks == [TaskKind.APPROVAL]


def test_a_cleared_claim_is_referred_again_when_its_score_rises() -> None:
    """What SIU has seen is seen; what came later is not."""
    hub = _referred().play(siu_outcome(), notice(loss_at_ms=EARLY_MS, notified_at_ms=EARLY_MS, payee=OTHER_PAYEE))

    assert [referral.score for referral in hub.told(SiuReferral)] == [65, 95]


def test_a_confirmed_fraud_rejects_the_claim_and_the_customer_is_told_why() -> None:
    """Closed without a payment, and not approved by anybody any more; the reason is for the customer alone."""
    hub = _referred().play(CONFIRMED, estimate(), decision())

    assert (hub.stage, hub.claim.outcome, hub.payments) == (Stage.CLOSED, Outcome.REJECTED, ())
    assert hub.claim.referral is not None and hub.claim.referral.result is SiuResult.CONFIRMED
    told = hub.sent("customer.notice.v1")[-1].record
    assert getattr(told, "kind", None) is NoticeKind.REJECTION and CONFIRMED.reason in getattr(told, "text", "")
    assert CONFIRMED.reason not in hub.decisions[-1].reason


@pytest.mark.parametrize(
    "records",
    [
        (policy(), notice(), siu_outcome()),
        (policy(), EARLY, CONTRADICTED, siu_outcome(), CONFIRMED),
        (policy(), EARLY, CONTRADICTED, siu_outcome(referral_id="SR0")),
        (policy(), notice(), estimate(), invoice(), siu_outcome()),
    ],
)
def test_an_answer_to_nothing_is_refused(records: tuple[Record, ...]) -> None:
    """Never asked, answered already, or another id: whatever it says, the claim is as it was."""
    hub = Hub().play(*records)

    assert [dead.code for dead in hub.dead] == ["no-referral"]
    assert hub.claim.outcome is not Outcome.REJECTED


def test_an_answer_waits_for_its_claim() -> None:
    """Nothing is lost when it overtakes the notice."""
    hub = Hub().play(policy(), siu_outcome())

    assert (hub.dead, len(hub.waiting)) == ([], 1)


def test_the_claimant_is_not_told_that_siu_looks() -> None:
    """Who asks how the claim stands hears of everything else that is waited for."""
    hub = _referred().play(contact(ContactKind.INQUIRY))

    text = getattr(hub.sent("customer.notice.v1")[-1].record, "text", "")
    assert "estimate" in text and "siu" not in text.lower()


BY_HAND = decision(action=DecisionAction.REFER_SIU, settlement_version=None, reason="伤情与现场不符")


def test_a_person_refers_a_claim_to_siu_whatever_its_risk() -> None:
    """With their reason as evidence; nothing is paid before SIU has answered, and then a person decides."""
    hub = Hub().play(policy(), notice(), BY_HAND, BY_HAND, estimate(), invoice())
    (referral,) = hub.told(SiuReferral)

    assert (referral.score, [(it.name, it.evidence) for it in referral.signals]) == (0, [("by-hand", "伤情与现场不符")])
    assert referral.reason == "the handler refers the claim to SIU; risk 0"
    assert [dead.code for dead in hub.dead] == ["siu-asked"]
    assert (hub.tasks, hub.payments) == ([TaskKind.SIU], ())
    hub.play(siu_outcome())
    assert (hub.tasks, hub.payments) == ([TaskKind.APPROVAL], ())


def test_a_claim_that_was_approved_may_still_be_referred_by_hand_and_one_that_ended_not() -> None:
    """Its payments go on until SIU has confirmed the fraud."""
    approved = Hub().play(policy(), notice(), estimate(), invoice(), BY_HAND)
    rejected = Hub().play(policy(), notice(photos=()), finding(), estimate(), invoice())
    rejected.play(decision(action=DecisionAction.REJECT), BY_HAND)

    assert approved.tasks == [TaskKind.SIU] and len(approved.payments) == 1
    assert [dead.code for dead in rejected.dead] == ["too-late"] and rejected.told(SiuReferral) == []


def _agreeing(*records: Record) -> Hub:
    """A property claim approved by two people, which is paid once the claimant agrees; then it looks like fraud."""
    cover = replace(BUILDING, insurable_value_minor=BUILDING.sum_insured_minor)
    fire = notice_of("property", PLACE, "insured-property", cause="fire")
    hub = Hub().play(policy_of("property", PLACE, cover), fire, document(kind="list-of-losses"))
    hub.play(finding(loss_minor=150_000_00), finding(kind=FindingKind.LOSS_ADJUSTER, loss_minor=150_000_00))
    hub.play(decision(Role.HANDLER), decision(Role.APPROVER))
    assert hub.tasks == [TaskKind.AGREEMENT]
    same = SamePaper(claim=CLAIM, other="CLM-2026-000009", what="photo", at_ms=LOSS_MS)
    return hub.play(same, *records)


AGREES = contact(ContactKind.AGREEMENT, settlement_version=1)


def test_an_approved_claim_that_siu_looks_at_is_paid_once_it_is_cleared() -> None:
    """The claimant's agreement alone pays nothing; whichever comes first, it is paid once."""
    hub = _agreeing(AGREES)
    assert hub.tasks == [TaskKind.SIU] and not hub.payments
    assert hub.decisions[-1].reason.endswith("; nothing is paid before SIU has answered")

    for paid in (hub.play(siu_outcome()), _agreeing(siu_outcome(), AGREES)):
        assert [payment.settlement_version for payment in paid.payments] == [1] and not paid.tasks and not paid.dead
    confirmed = _agreeing(AGREES, CONFIRMED)
    assert not confirmed.payments and confirmed.claim.outcome is Outcome.REJECTED


def test_another_account_for_an_approved_claim_is_not_approved_while_siu_is_asked() -> None:
    """The decision waits for SIU's answer."""
    hub = _agreeing(contact(ContactKind.BANK_DETAILS, payee=OTHER_PAYEE), decision(settlement_version=2))
    assert set(hub.tasks) == {TaskKind.APPROVAL, TaskKind.SIU}
    assert len(hub.waiting) == 1 and not hub.payments

    hub.play(siu_outcome())
    assert not hub.waiting and TaskKind.SIU not in hub.tasks
