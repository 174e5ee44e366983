"""Agreement with the amount: large property claims are paid once the claimant agrees, and a dispute goes to legal."""

from typing import Any

import pytest

from schemas.records import Contact, ContactKind, FindingKind, PaymentStatusCode, Record, Role
from streams.rules.claim import ClockKind, Outcome, PaymentState, Stage, TaskKind
from tests.claims import (
    BUILDING,
    CLAIM,
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
    payment_status,
    policy,
    policy_of,
)
from tests.unit.rules.hub import Hub


def agreement(version: int = 1, **changes: Any) -> Contact:
    """The claimant agrees with a settlement."""
    return contact(ContactKind.AGREEMENT, settlement_version=version, contact_id=f"AG-{version}", **changes)


def dispute(version: int = 1) -> Contact:
    """The claimant does not agree with a settlement."""
    return contact(ContactKind.DISPUTE, settlement_version=version, contact_id=f"DI-{version}")


def burnt(loss_minor: int = 170_000_00) -> tuple[Record, ...]:
    """A warehouse: with 170 000.00 of loss it is settled for 107 666.67, which the claimant must agree with."""
    return (
        policy_of("property", PLACE, BUILDING),
        notice_of("property", PLACE, "insured-property", cause="fire", estimated_loss_minor=loss_minor),
        document(kind="list-of-losses"),
        finding(loss_minor=loss_minor),
        finding(kind=FindingKind.LOSS_ADJUSTER, loss_minor=loss_minor),
    )


APPROVED = (decision(Role.HANDLER), decision(Role.APPROVER))


def test_a_large_amount_is_paid_once_the_claimant_agrees() -> None:
    """Approved and told the amount, then asked; the payment clock starts with the agreement."""
    hub = Hub().play(*burnt(), *APPROVED)
    assert (hub.stage, hub.payments) == (Stage.DECIDED, ())
    assert [(task.kind, task.addressee) for task in hub.claim.open_tasks] == [(TaskKind.AGREEMENT, "claimant")]
    assert ClockKind.PAYMENT not in [clock.kind for clock in hub.claim.clocks]
    hub.play(agreement())

    (payment,) = hub.payments
    assert (payment.proposed_by, payment.approved_by) == ("handler-07", "approver-07")
    assert (hub.stage, hub.claim.open_tasks) == (Stage.PAYING, ())
    assert [clock.started.cause for clock in hub.claim.clocks if clock.kind is ClockKind.PAYMENT] == [payment.cause]
    hub.play(payment_status(payment.id, payment.amount_minor))
    assert (hub.stage, hub.dead) == (Stage.PAID, [])


def test_an_agreement_before_the_approval_counts() -> None:
    """Then the last approval pays."""
    hub = Hub().play(*burnt(), agreement())
    assert hub.tasks == [TaskKind.APPROVAL]
    hub.play(*APPROVED)

    assert (hub.stage, len(hub.payments)) == (Stage.PAYING, 1)


def test_where_no_agreement_is_needed_nothing_waits_for_one() -> None:
    """At the property limit, and in lines without one; an agreement that comes all the same is noted."""
    small = Hub().play(*burnt(100_000_00), *APPROVED)
    motor = Hub().play(policy(), notice(), estimate(), invoice(), agreement(), agreement())

    assert [hub.stage for hub in (small, motor)] == [Stage.PAYING, Stage.PAYING]
    assert (len(motor.payments), motor.dead) == (1, [])


def test_an_agreement_to_another_settlement_is_refused_or_waits() -> None:
    """To an older one it is refused; to one that is not there yet it waits."""
    hub = Hub().play(
        *burnt(), finding(kind=FindingKind.LOSS_ADJUSTER, loss_minor=180_000_00), agreement(1), agreement(3)
    )

    assert [dead.code for dead in hub.dead] == ["old-version"]
    assert [type(record).__name__ for record, _ in hub.waiting] == ["Contact"]


def test_a_disputed_amount_is_for_legal_and_not_paid_meanwhile() -> None:
    """Before the approval and after it; the claimant may agree after all."""
    before = Hub().play(*burnt(), dispute(), *APPROVED)
    assert (before.tasks, before.payments) == ([TaskKind.LEGAL], ())
    before.play(agreement())
    after = Hub().play(*burnt(), *APPROVED, dispute())
    assert [(task.kind, task.addressee) for task in after.claim.open_tasks] == [(TaskKind.LEGAL, "legal")]
    after.play(agreement())

    for hub in (before, after):
        assert (hub.stage, len(hub.payments), hub.dead, hub.waiting) == (Stage.PAYING, 1, [], [])


def test_a_dispute_of_what_is_paid_stops_no_money() -> None:
    """Legal looks at it; the claim is paid all the same."""
    hub = Hub().play(policy(), notice(), estimate(), invoice(), dispute(), dispute())
    assert hub.tasks == [TaskKind.LEGAL]
    hub.play(payment_status(hub.payments[0].id, hub.payments[0].amount_minor, PaymentStatusCode.ACSC))

    assert (hub.stage, hub.payments[0].state, hub.dead) == (Stage.PAID, PaymentState.SETTLED, [])


@pytest.mark.parametrize("kind", [ContactKind.AGREEMENT, ContactKind.DISPUTE])
def test_a_claim_that_waits_for_agreement_can_be_withdrawn(kind: ContactKind) -> None:
    """Then it is closed, and neither agreement nor dispute changes that."""
    hub = Hub().play(*burnt(), *APPROVED, contact(ContactKind.WITHDRAWAL))
    assert (hub.claim.outcome, hub.stage) == (Outcome.WITHDRAWN, Stage.CLOSED)
    hub.play(contact(kind, settlement_version=1))

    assert [dead.code for dead in hub.dead] == ["too-late"]
    assert (hub.claim.number, hub.payments) == (CLAIM, ())


def test_an_account_changed_before_the_agreement_is_approved_anew() -> None:
    """A new version for people to approve; an agreement alone does not pay it. Once agreed and paid it is too late."""
    another = contact(ContactKind.BANK_DETAILS, payee=OTHER_PAYEE, contact_id="B-1")
    for told in ((dispute(), agreement()), (agreement(),)):
        hub = Hub().play(*burnt(), *told, *APPROVED, another)
        assert [dead.code for dead in hub.dead] == ["too-late"]
    hub = Hub().play(*burnt(), *APPROVED, another)

    assert hub.claim.settlement is not None
    assert (hub.stage, hub.claim.settlement.version) == (Stage.DECIDED, 2)
    hub.play(agreement(2))
    assert (hub.tasks, hub.payments) == ([TaskKind.APPROVAL], ())


def test_nobody_approves_a_disputed_account_change() -> None:
    """Decisions on it wait until the dispute is over."""
    another = contact(ContactKind.BANK_DETAILS, payee=OTHER_PAYEE, contact_id="B-1")
    hub = Hub().play(*burnt(), *APPROVED, another, dispute(2))
    hub.play(decision(Role.HANDLER, settlement_version=2), decision(Role.APPROVER, settlement_version=2))

    assert (len(hub.waiting), hub.dead, hub.payments) == (2, [], ())
