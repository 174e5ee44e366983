"""Intake: which policy was in force, what is not accepted, what waits."""

import pytest
from msgspec import Struct

from schemas.records import CustomerNotice, Policy, Wake, WakeKind
from streams.rules.claim import Outcome, Stage, TaskKind
from tests.claims import (
    CLAIM,
    COMPULSORY,
    DAY_MS,
    INCEPTION_MS,
    LOSS_MS,
    OTHER_PAYEE,
    OTHER_PLATE,
    OWN_DAMAGE,
    POLICY,
    THIRD,
    document,
    estimate,
    invoice,
    notice,
    policy,
)
from tests.unit.rules.hub import Hub


class Case(Struct):
    """Versions of one policy, and which of them was in force at the loss; None when none was."""

    versions: tuple[Policy, ...]
    in_force: int | None


CASES = {
    "one version": Case((policy(),), 1),
    "endorsed before the loss": Case((policy(), policy(version=2, effective_from_ms=LOSS_MS)), 2),
    "endorsed after the loss": Case((policy(), policy(version=2, effective_from_ms=LOSS_MS + 1)), 1),
    "endorsement came first": Case((policy(version=2, effective_from_ms=LOSS_MS), policy()), 2),
    "cancelled before the loss": Case((policy(), policy(version=2, effective_to_ms=LOSS_MS)), None),
    "cancelled after the loss": Case((policy(), policy(version=2, effective_to_ms=LOSS_MS + 1)), 2),
    "ended at the loss": Case((policy(effective_to_ms=LOSS_MS),), None),
    "began at the loss": Case((policy(effective_from_ms=LOSS_MS),), 1),
    "begins after the loss": Case((policy(effective_from_ms=LOSS_MS + 1),), None),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("number", [POLICY, None])
def test_the_policy_in_force_at_the_loss(name: str, number: str | None) -> None:
    """Of the versions that had begun the newest decides, found by number or by plate."""
    hub = Hub().play(*CASES[name].versions, notice(policy_number=number))

    in_force = None if hub.claim.policy is None else hub.claim.policy.version
    assert in_force == CASES[name].in_force
    assert (hub.claim.outcome is Outcome.NOT_ACCEPTED) is (in_force is None)


def test_inception_is_the_first_version_s() -> None:
    """An endorsement does not make the policy young."""
    hub = Hub().play(policy(), policy(version=2, effective_from_ms=LOSS_MS - DAY_MS), notice())

    assert hub.claim.policy is not None
    assert hub.claim.policy.inception_at_ms == INCEPTION_MS


def test_not_accepted_tells_why_and_refuses_what_follows() -> None:
    """The customer hears reason and advice; estimates and corrections are dead letters."""
    hub = Hub().play(policy(effective_to_ms=LOSS_MS), notice(), estimate(), notice())

    assert hub.stage is Stage.NOT_ACCEPTED
    refusal = hub.sent("customer.notice.v1")[-1].record
    assert isinstance(refusal, CustomerNotice)
    assert "not in force" in refusal.text and "report the loss again" in refusal.text
    assert [dead.code for dead in hub.dead] == ["not-accepted", "not-accepted"]


def test_a_loss_without_cover_is_not_accepted() -> None:
    """Damage to another's property needs compulsory motor."""
    hub = Hub().play(policy(covers=(OWN_DAMAGE,)), notice(damaged=(THIRD,)))

    assert hub.claim.outcome is Outcome.NOT_ACCEPTED


def test_an_unknown_policy_is_asked_for_once_it_comes_the_claim_goes_on() -> None:
    """Reported with a policy task; policy-wanted and wake bring it to the same place as policy first."""
    hub = Hub().play(notice(), estimate())

    assert (hub.stage, hub.tasks) == (Stage.REPORTED, [TaskKind.POLICY])
    assert [output.key for output in hub.sent("hub.policy-wanted.v1")] == [POLICY]
    assert len(hub.waiting) == 1

    hub.play(policy())

    assert (hub.stage, len(hub.waiting)) == (Stage.ASSESSING, 0)
    assert hub.tasks == [TaskKind.INVOICE]


@pytest.mark.parametrize(
    ("policies", "changes"),
    [
        ((policy(),), {"plate": OTHER_PLATE}),
        ((), {"policy_number": None}),
        ((policy(), policy(policy_number="POL-2")), {"policy_number": None}),
    ],
)
def test_a_notice_that_names_no_single_policy_waits_for_a_correction(
    policies: tuple[Policy, ...], changes: dict[str, object]
) -> None:
    """Another vehicle, no number, two policies on the plate: the reporting desk must say which."""
    hub = Hub().play(*policies, notice(**changes))

    assert [task.addressee for task in hub.claim.open_tasks] == ["reporting"]

    hub.play(*(() if policies else (policy(),)), notice())

    assert hub.stages == [Stage.REPORTED, Stage.ASSESSING]


def test_a_wake_changes_nothing_on_a_claim_that_waits_for_no_policy() -> None:
    """Whatever wakes it, a registered claim stays as it is."""
    hub = Hub().play(policy(), notice())
    before = hub.claim

    hub.play(*(Wake(claim=CLAIM, kind=kind, policy_number=POLICY, at_ms=1) for kind in WakeKind))

    assert (hub.claim.open_tasks, hub.claim.policy) == (before.open_tasks, before.policy)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"currency": "USD"}, "wrong-currency"), ({"notified_at_ms": LOSS_MS - 1}, "notice-before-loss")],
)
def test_a_notice_that_cannot_be_is_refused(changes: dict[str, object], code: str) -> None:
    """Another currency than the policy's; known before it happened."""
    hub = Hub().play(policy(), notice(**changes))

    assert [dead.code for dead in hub.dead] == [code]
    assert hub.claim.notice is None


def test_a_wrong_currency_found_when_the_policy_comes_is_for_the_reporting_desk() -> None:
    """The notice is taken already, so it must be corrected."""
    hub = Hub().play(notice(currency="USD"), policy())

    assert [task.addressee for task in hub.claim.open_tasks] == ["reporting"]


def test_another_payee_after_the_notice_is_a_risk_and_a_new_version() -> None:
    """A corrected account is never paid by approvals given to the old one."""
    costly = {"parts": 60_000_00}
    hub = Hub().play(policy(), notice(), estimate(costly), invoice(costly))
    assert hub.claim.settlement is not None and hub.claim.settlement.version == 1

    hub.play(notice(payee=OTHER_PAYEE))

    assert hub.claim.settlement.version == 2
    assert "another payee" in hub.decisions[-1].reason


def test_the_policy_s_covers_are_what_counts() -> None:
    """An object the policy has no cover for gets no task and no estimate."""
    hub = Hub().play(policy(covers=(COMPULSORY,)), notice(damaged=("own-vehicle", THIRD)), estimate())

    assert [task.about for task in hub.claim.open_tasks] == [THIRD]
    assert [dead.code for dead in hub.dead] == ["not-covered"]


def test_each_notice_goes_out_once_and_a_document_is_noted_once() -> None:
    """A corrected notice tells the customer nothing new; the same document twice is one document."""
    hub = Hub().play(policy(), notice(), document(), notice(estimated_loss_minor=1), document())

    assert hub.claim.notices == ("received", "registered")
    assert len(hub.sent("customer.notice.v1")) == 2
    assert hub.claim.documents == {"DOC-1": "police-report"}
