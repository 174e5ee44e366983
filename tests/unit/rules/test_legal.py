"""Disputes: what legal is asked, how they end, and that people approve what comes of it."""

from typing import Any

import pytest
from msgspec.structs import replace

from schemas.records import (
    ContactKind,
    DecisionAction,
    Fault,
    FindingKind,
    LegalOutcome,
    LegalReferral,
    LegalResult,
    Role,
)
from streams.rules.claim import Dispute, Outcome, Stage, TaskKind
from streams.rules.disputes import awarded
from streams.rules.legal import limited_at_ms, referral_id
from streams.rules.settlement import CoverAmount, Settlement
from tests.claims import (
    BUILDING,
    CLAIM,
    LOSS_MS,
    PLACE,
    contact,
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
from tests.unit.rules.test_deadlines import end_of, ms

DISPUTE = contact(ContactKind.DISPUTE, contact_id="CT-1", settlement_version=1)


def settled() -> Hub:
    """2 300.00 up for approval by a handler."""
    return Hub().play(policy(), notice(photos=()), finding(), estimate(), invoice())


def ended(result: LegalResult, amount: int | None = None, **changes: Any) -> LegalOutcome:
    """How the claim's first dispute ended."""
    values: dict[str, Any] = {"referral_id": referral_id(CLAIM, 1), "amount_minor": amount, "currency": "CNY"}
    return LegalOutcome(claim=CLAIM, result=result, **values | {"reason": "调解结案", "at_ms": LOSS_MS} | changes)


def test_a_dispute_refers_the_settlement_to_legal_once_with_amount_and_limitation() -> None:
    """Two years after the loss by product data; the same dispute told twice is one referral, and what comes meanwhile
    makes no other."""
    hub = settled().play(DISPUTE, contact(ContactKind.DISPUTE, contact_id="CT-2", settlement_version=1))
    hub.play(document())

    (referral,) = hub.told(LegalReferral)
    said = hub.claim.notice
    assert said is not None
    assert (referral.referral_id, referral.settlement_version, referral.amount_minor) == (
        referral_id(CLAIM, 1),
        1,
        2_300_00,
    )
    assert referral.limited_at_ms == limited_at_ms(said) > LOSS_MS + 729 * 86_400_000
    assert referral.reason == "the claimant disputes settlement 1 of 2 300.00 CNY"
    assert hub.tasks == [TaskKind.LEGAL]


@pytest.mark.parametrize(
    ("loss", "end"),
    [
        ("2026-04-01T10:00", "2028-04-01"),
        ("2028-02-29T10:00", "2030-02-28"),
        ("9998-04-01T10:00", "9999-04-01"),
        ("9999-12-31T10:00", "9999-12-30"),
    ],
)
def test_the_limitation_ends_with_the_day_of_the_loss_so_many_years_later(loss: str, end: str) -> None:
    """Insurance Law art. 26; after a leap day with the last of February, and never after the year 9999."""
    said = settled().claim.notice
    assert said is not None

    assert limited_at_ms(type(said)(**{**_fields(said), "loss_at_ms": ms(loss)})) == end_of(end)


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


def test_upheld_the_claim_goes_on_with_its_amount() -> None:
    """A person approves it; nothing is disputed any more."""
    hub = settled().play(DISPUTE, ended(LegalResult.UPHELD))
    assert (hub.tasks, hub.claim.disputed) == ([TaskKind.APPROVAL], 0)
    hub.play(decision())

    assert [payment.amount_minor for payment in hub.payments] == [2_300_00]


@pytest.mark.parametrize("amount", [2_800_00, 1_900_00])
@pytest.mark.parametrize("result", [LegalResult.SETTLED, LegalResult.LOST])
def test_another_amount_is_another_settlement_that_people_approve(result: LegalResult, amount: int) -> None:
    """More or less than the covers: the difference is a cover of its own, with its reason."""
    hub = settled().play(DISPUTE, ended(result, amount))
    settlement = hub.claim.settlement
    assert settlement is not None
    assert (settlement.version, settlement.payable_minor) == (2, amount)
    assert settlement.covers == {"own-damage": 2_300_00, "legal-award": amount - 2_300_00}
    assert (hub.tasks, hub.payments) == ([TaskKind.APPROVAL], ())
    hub.play(decision(settlement_version=2))

    assert [payment.amount_minor for payment in hub.payments] == [amount]
    assert hub.claim.reserve_minor == amount


def test_an_approved_amount_that_was_disputed_is_paid_once_it_is_upheld() -> None:
    """A line that needs the claimant's agreement: the end of the dispute stands for it."""
    policies = policy_of("property", PLACE, BUILDING)
    hub = Hub().play(policies, document(kind="list-of-losses"))
    hub.play(notice_of("property", PLACE, "insured-property", cause="fire", estimated_loss_minor=190_000_00))
    hub.play(finding(loss_minor=190_000_00, fault=Fault.UNKNOWN))
    hub.play(finding(kind=FindingKind.LOSS_ADJUSTER, loss_minor=190_000_00, fault=Fault.UNKNOWN))
    hub.play(decision(Role.HANDLER), decision(Role.APPROVER))
    assert (hub.claim.outcome, hub.payments, hub.tasks) == (Outcome.APPROVED, (), [TaskKind.AGREEMENT])
    hub.play(DISPUTE)
    assert (hub.payments, hub.tasks) == ((), [TaskKind.LEGAL])
    hub.play(ended(LegalResult.UPHELD))

    settlement = hub.claim.settlement
    assert settlement is not None
    assert ([it.amount_minor for it in hub.payments], hub.stage) == ([settlement.payable_minor], Stage.PAYING)


def test_a_dispute_that_ended_by_agreement_has_no_other_end() -> None:
    """What legal says later is refused."""
    hub = settled().play(DISPUTE, contact(ContactKind.AGREEMENT, contact_id="CT-2", settlement_version=1))
    hub.play(ended(LegalResult.LOST, 9_000_00))

    assert ([dead.code for dead in hub.dead], hub.tasks) == (["no-referral"], [TaskKind.APPROVAL])


def test_a_settlement_with_an_award_is_still_the_sum_of_its_covers() -> None:
    """Less what was advanced."""
    claim = replace(settled().claim, dispute=Dispute(number=1, result=LegalResult.LOST, amount_minor=700))
    covers = (CoverAmount("own-damage", 1_000),)
    after = awarded(claim, Settlement("", covers, 1_000, 900))

    assert (after.total_minor, after.payable_minor) == (sum(it.amount_minor for it in after.covers), 600) == (700, 600)


def test_a_claim_that_was_disputed_is_never_approved_without_a_person() -> None:
    """Small as it is."""
    hub = Hub().play(policy(), notice(), estimate({"parts": 9_000_00}), invoice({"parts": 9_000_00}))
    hub.play(DISPUTE, ended(LegalResult.SETTLED, 100_00))

    assert (hub.tasks, hub.payments) == ([TaskKind.APPROVAL], ())


def test_a_decided_claim_comes_to_the_award_once_a_person_reopens_it() -> None:
    """A rejection that was disputed and lost: nothing is paid before people have decided again."""
    hub = settled().play(decision(action=DecisionAction.REJECT), DISPUTE)
    assert hub.told(LegalReferral)[0].reason.endswith("which was rejected")
    hub.play(ended(LegalResult.LOST, 2_000_00))
    assert (hub.claim.outcome, hub.payments, hub.tasks) == (Outcome.REJECTED, (), [])
    hub.play(decision(action=DecisionAction.REOPEN))
    settlement = hub.claim.settlement
    assert settlement is not None and settlement.payable_minor == 2_000_00
    hub.play(decision(Role.HANDLER, settlement_version=settlement.version))
    hub.play(payment_status(hub.payments[0].id, 2_000_00))

    assert hub.stage is Stage.PAID


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (ended(LegalResult.UPHELD, referral_id="LR-nobody-sent"), "no-referral"),
        (ended(LegalResult.LOST, 1, currency="USD"), "wrong-currency"),
    ],
)
def test_an_outcome_that_does_not_fit_is_refused(outcome: LegalOutcome, code: str) -> None:
    """And the dispute goes on."""
    hub = settled().play(DISPUTE, outcome)

    assert ([dead.code for dead in hub.dead], hub.tasks) == ([code], [TaskKind.LEGAL])


def test_an_outcome_without_a_dispute_and_a_second_one_are_refused() -> None:
    """Each referral ends once."""
    hub = settled().play(ended(LegalResult.UPHELD))
    assert [dead.code for dead in hub.dead] == ["no-referral"]
    hub = settled().play(DISPUTE, ended(LegalResult.UPHELD), ended(LegalResult.LOST, 9_000_00))

    assert [dead.code for dead in hub.dead] == ["no-referral"]
    assert hub.claim.settlement is not None and hub.claim.settlement.payable_minor == 2_300_00


def test_a_second_dispute_is_another_referral() -> None:
    """Of the settlement that came of the first."""
    hub = settled().play(DISPUTE, ended(LegalResult.SETTLED, 2_800_00))
    hub.play(contact(ContactKind.DISPUTE, contact_id="CT-3", settlement_version=2))

    assert [it.referral_id for it in hub.told(LegalReferral)] == [referral_id(CLAIM, 1), referral_id(CLAIM, 2)]


def test_a_person_refers_a_settlement_to_legal_as_a_dispute_does() -> None:
    """Nobody approves it meanwhile; a second referral is refused while one is open, and legal's word ends it."""
    by_hand = decision(action=DecisionAction.REFER_LEGAL)
    hub = settled().play(by_hand, by_hand, decision())
    (referral,) = hub.told(LegalReferral)

    assert referral.reason == "a person asks about settlement 1 of 2 300.00 CNY"
    assert (hub.tasks, [dead.code for dead in hub.dead], len(hub.waiting)) == ([TaskKind.LEGAL], ["legal-asked"], 1)
    assert hub.decisions[-1].reason == "the handler refers settlement 1 to legal"
    hub.play(ended(LegalResult.UPHELD))
    assert hub.claim.outcome is Outcome.APPROVED and hub.waiting == []


def test_a_referral_to_legal_is_of_the_settlement_that_stands() -> None:
    """One to come is waited for; nothing is asked of a withdrawn claim."""
    by_hand = decision(action=DecisionAction.REFER_LEGAL)
    early = Hub().play(policy(), notice(photos=()), finding(), by_hand)
    withdrawn = settled().play(contact(ContactKind.WITHDRAWAL), by_hand)

    assert len(early.waiting) == 1
    early.play(estimate(), invoice())
    assert early.tasks == [TaskKind.LEGAL]
    assert [dead.code for dead in withdrawn.dead] == ["too-late"] and withdrawn.told(LegalReferral) == []
