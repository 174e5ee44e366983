"""Clause queries: underwriting is asked what the data does not decide, and hears what claims came to."""

from typing import Any

import pytest
from msgspec.structs import replace

from schemas.records import ClauseAnswer, ClauseQuery, ContactKind, DecisionAction, FindingKind, LossExperience, Record
from streams.rules import clocks
from streams.rules.claim import ClockKind, Found, Outcome, Stage, TaskKind
from streams.rules.decision import Cause
from streams.rules.follow_ups import follow
from tests import claims as make
from tests.claims import (
    BUILDING,
    DAY_MS,
    LOSS_MS,
    OWN_DAMAGE,
    PLACE,
    RESCUE,
    clause_answer,
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
from tests.lane import OneLane
from tests.unit.rules.hub import Hub
from tests.unit.rules.test_deadlines import end_of, ms

QUAKE = "cause earthquake"
BACKDATED = policy(version=2, issued_at_ms=LOSS_MS + DAY_MS, covers=(OWN_DAMAGE,))


def shaken(cause: str = "earthquake") -> tuple[Record, ...]:
    """A building and what it stands for: the cover does not name this cause."""
    return (
        policy_of("property", PLACE, BUILDING, RESCUE),
        notice_of("property", PLACE, "insured-property", cause=cause, estimated_loss_minor=60_000_00),
    )


ASSESSED = (document(kind="list-of-losses"), finding(loss_minor=60_000_00))


def answer(*, covered: bool, **changes: Any) -> ClauseAnswer:
    """What underwriting says to an earthquake."""
    return clause_answer(QUAKE, covered=covered, **changes)


def experience(hub: Hub) -> list[tuple[str, int, int]]:
    """Outcome, settled and paid amounts as underwriting was told them."""
    told = [it.record for it in hub.sent("underwriting.loss-experience.v1") if isinstance(it.record, LossExperience)]
    assert all(it.policy_number == make.POLICY for it in told)
    return [(it.outcome, it.settled_minor, it.paid_minor) for it in told]


def test_underwriting_is_asked_once_about_a_cause_the_cover_does_not_name() -> None:
    """With the policy and its version; the other tasks go on meanwhile."""
    hub = Hub().play(*shaken(), document(document_id="DOC-0"), shaken()[1])

    (asked,) = hub.told(ClauseQuery)
    assert (asked.question, asked.policy_number, asked.policy_version) == (QUAKE, make.POLICY, 1)
    assert hub.tasks == [TaskKind.CLAUSE_QUERY, TaskKind.DOCUMENTS, TaskKind.SURVEY]
    hub.play(*ASSESSED)
    assert (hub.tasks, hub.stage) == ([TaskKind.CLAUSE_QUERY], Stage.ASSESSING)


def test_nobody_asks_about_a_cause_the_cover_names() -> None:
    """Nor about covers that name none, as motor's."""
    hubs = (Hub().play(*shaken("fire")), Hub().play(policy(), notice(cause="earthquake")))

    assert [hub.told(ClauseQuery) for hub in hubs] == [[], []]


def test_covered_the_claim_goes_on() -> None:
    """To its settlement and a person's approval."""
    hub = Hub().play(*shaken(), *ASSESSED, answer(covered=True))

    assert (hub.tasks, hub.dead) == ([TaskKind.APPROVAL], [])
    assert hub.claim.settlement is not None and hub.claim.settlement.payable_minor > 0


@pytest.mark.parametrize("first", [(), ASSESSED])
def test_not_covered_a_handler_is_proposed_to_reject(first: tuple[Record, ...]) -> None:
    """Whatever else is open: nothing is owed, the reason says why, and the handler decides."""
    hub = Hub().play(*shaken(), *first, answer(covered=False))
    assert [(task.kind, task.addressee) for task in hub.claim.open_tasks] == [(TaskKind.APPROVAL, "handler")]
    assert hub.claim.settlement is not None and hub.claim.settlement.payable_minor == 0
    assert "does not insure the cause earthquake, so its rejection is proposed" in hub.decisions[-1].reason
    hub.play(decision(action=DecisionAction.REJECT))

    assert (hub.claim.outcome, hub.stage, experience(hub)) == (Outcome.REJECTED, Stage.CLOSED, [("rejected", 0, 0)])


def test_a_later_answer_replaces_an_earlier_one_and_never_the_other_way() -> None:
    """Versions decide, not the order they come in; the same again changes nothing, with other content it is refused."""
    hub = Hub().play(*shaken(), *ASSESSED, answer(covered=False, version=2))
    version = hub.claim.version
    hub.play(answer(covered=True, version=1), answer(covered=False, version=2), answer(covered=True, version=2))
    assert (hub.claim.version, [dead.code for dead in hub.dead]) == (version, ["version-conflict"])
    assert hub.claim.settlement is not None and hub.claim.settlement.payable_minor == 0
    hub.play(answer(covered=True, version=3))

    assert (hub.claim.settlement.version, hub.tasks) == (2, [TaskKind.APPROVAL])
    assert hub.claim.settlement.payable_minor > 0


def test_an_answer_after_the_deadline_is_taken_and_says_so() -> None:
    """Two days by contract; the breach is recorded and blocks nothing."""
    lane = OneLane([policy_of("property", PLACE, BUILDING, RESCUE)])
    lane.take(lane.received(shaken()[1])._replace(timestamp_ms=ms("2026-04-20T10:00")))
    (clock,) = [it for it in lane.state.claims[make.CLAIM].clocks if it.kind is ClockKind.CLAUSE_QUERY]
    assert (clock.about, clock.due_at_ms) == (QUAKE, end_of("2026-04-22"))
    lane.pass_time(end_of("2026-04-22"))
    assert [row.rule for row in lane.journal].count(clocks.BREACH) == 1
    lane.take(lane.received(answer(covered=True))._replace(timestamp_ms=ms("2026-04-25T10:00")))

    assert "covered, late: it was due by the end of 2026-04-22" in lane.journal[-1].reason
    (clock,) = [it for it in lane.state.claims[make.CLAIM].clocks if it.kind is ClockKind.CLAUSE_QUERY]
    assert clock.ended is not None and clock.breached is not None


@pytest.mark.parametrize(
    "wrong",
    [
        answer(covered=True, query_id="CQ-nobody-asked"),
        answer(covered=True, policy_number="POL-2026-000009"),
        clause_answer("cause fire", covered=True),
    ],
)
def test_an_answer_to_no_query_is_refused(wrong: ClauseAnswer) -> None:
    """Another id, another policy, or a cause nobody asked about."""
    hub = Hub().play(*shaken(), wrong)

    assert [dead.code for dead in hub.dead] == ["no-query"]
    assert hub.claim.clauses == ()


def test_an_answer_waits_for_its_claim_and_comes_too_late_after_the_decision() -> None:
    """Before the policy is known it is parked."""
    hub = Hub().play(shaken()[1], answer(covered=True))
    assert len(hub.waiting) == 1
    hub.play(shaken()[0], *ASSESSED)
    assert (hub.waiting, hub.dead, hub.tasks) == ([], [], [TaskKind.APPROVAL])
    late = Hub().play(*shaken(), *ASSESSED, answer(covered=True), decision(), answer(covered=False, version=2))

    assert [dead.code for dead in late.dead] == ["too-late"]


@pytest.mark.parametrize(("holds", "covers"), [(True, 1), (False, 2)])
def test_underwriting_says_whether_a_version_issued_after_the_loss_holds(*, holds: bool, covers: int) -> None:
    """If it does not, the version before it is in force; a corrected notice does not bring it back."""
    hub = Hub().play(policy(), BACKDATED, notice())
    assert TaskKind.CLAUSE_QUERY in hub.tasks
    hub.play(clause_answer("version 2", covered=holds), estimate())

    assert hub.claim.policy is not None
    assert (hub.claim.policy.version, len(hub.claim.policy.covers)) == ((2, 1) if holds else (1, covers))
    hub.play(notice(estimated_loss_minor=4_000_00), invoice())
    assert (hub.claim.policy.version, hub.stage, hub.dead) == (2 if holds else 1, Stage.PAYING, [])
    assert len(hub.told(ClauseQuery)) == 1


def test_a_policy_that_only_holds_by_such_a_version_is_not_accepted_without_it() -> None:
    """Nothing was in force before it."""
    hub = Hub().play(policy(issued_at_ms=LOSS_MS + DAY_MS), notice(), clause_answer("version 1", covered=False))

    assert hub.claim.outcome is Outcome.NOT_ACCEPTED


def test_underwriting_hears_what_a_claim_came_to() -> None:
    """Once when it is paid, when it is closed, and anew after another round."""
    paid = Hub().play(policy(), notice(), estimate(), invoice())
    assert experience(paid) == []
    paid.play(payment_status(paid.payments[0].id, 2_300_00), document())
    assert experience(paid) == [("approved", 2_300_00, 2_300_00)]
    paid.play(decision(action=DecisionAction.REOPEN, settlement_version=None), decision(settlement_version=2))
    assert experience(paid) == [("approved", 2_300_00, 2_300_00)] * 2
    withdrawn = Hub().play(policy(), notice(), contact(ContactKind.WITHDRAWAL))

    assert experience(withdrawn) == [("withdrawn", 0, 0)]


def test_the_survey_of_another_kind_is_still_needed() -> None:
    """A clause query replaces none of the others' tasks."""
    hub = Hub().play(*shaken(), answer(covered=True), finding(kind=FindingKind.LOSS_ADJUSTER, loss_minor=1))

    assert hub.tasks == [TaskKind.DOCUMENTS, TaskKind.SURVEY]


def test_a_paid_claim_about_which_more_is_found_is_told_once() -> None:
    """What is found later, as in a spot check, changes nothing of what the claim came to."""
    paid = Hub().play(policy(), notice(), estimate(), invoice())
    before = paid.play(payment_status(paid.payments[0].id, 2_300_00)).claim
    found = replace(before, findings=(Found(kind=FindingKind.RE_INSPECTION, found_at_ms=LOSS_MS + 9 * DAY_MS),))
    cause = Cause("investigation.finding.v1/1/0/0", "investigation.finding.v1", LOSS_MS + 9 * DAY_MS)

    assert "underwriting.loss-experience.v1" not in [sent.topic for sent in follow(before, found, cause)[1]]
