"""The advance: what can be determined is paid once the amount was not fixed in time, and later the difference."""

from typing import Any

import pytest

from schemas.records import (
    AmountQuery,
    ContactKind,
    CustomerNotice,
    DecisionAction,
    Finding,
    FindingKind,
    NoticeKind,
    PaymentInstruction,
    PaymentStatusCode,
    Record,
    RecoveryCase,
    RecoveryKind,
    Role,
)
from streams.rules.claim import Claim, ClockKind, Outcome, PaymentState, Stage, TaskKind
from streams.rules.stage import stage_of
from tests import claims as make
from tests.lane import OneLane
from tests.unit.rules.test_deadlines import end_of, ms

INSTRUCTIONS = "finance.payment-instruction.v1"
SURVEYED_MINOR, ADVANCE_MINOR = 120_000_00, 76_000_00  # two thirds insured, less 5 per cent
DUE = "2026-05-01"  # the sixtieth day after everything was there


def found(kind: FindingKind, loss_minor: int, **changes: object) -> Finding:
    """What somebody values the loss at."""
    return make.finding(kind=kind, finding_id=f"{kind}-1", loss_minor=loss_minor, **changes)


class Said:
    """A property claim whose loss adjuster is late: complete on 2026-03-02, surveyed at 120 000.00 on 03-06."""

    def __init__(self, surveyed_minor: int | None = SURVEYED_MINOR) -> None:
        self.lane = OneLane([make.policy_of("property", make.PLACE, make.BUILDING)])
        notice = make.notice_of("property", make.PLACE, "insured-property", cause="fire", loss_at_ms=ms("2026-03-01"))
        self.at("2026-03-02T09:00", notice, make.document(kind="list-of-losses"))
        if surveyed_minor is not None:
            self.at("2026-03-06T09:00", found(FindingKind.SURVEY, surveyed_minor))

    def at(self, local: str, *records: Record) -> "Said":
        """Take records that were said at this time, once all that was due before is told."""
        self.lane.pass_time(ms(local))
        for record in records:
            self.lane.take(self.lane.received(record)._replace(timestamp_ms=ms(local)))
        return self

    def paid(self, local: str, number: int = -1, code: PaymentStatusCode = PaymentStatusCode.ACSC) -> "Said":
        """Finance says what became of an instruction, by default the newest."""
        payment = self.claim.payments[number]
        return self.at(local, make.payment_status(payment.id, payment.amount_minor, code, reason_code="AC01"))

    def decide(self, local: str, role: Role = Role.HANDLER, version: int = 1, **changes: Any) -> "Said":
        """A person decides, by default approves, a version."""
        return self.at(local, make.decision(role, settlement_version=version, **changes))

    @property
    def claim(self) -> Claim:
        return self.lane.state.claims[make.CLAIM]

    @property
    def tasks(self) -> list[tuple[TaskKind, str, str]]:
        return [(task.kind, task.addressee, task.about) for task in self.claim.open_tasks]

    @property
    def last(self) -> str:
        row = self.lane.journal[-1]
        return f"{row.rule}: {row.reason}"

    def sent(self, topic: str) -> list[Record]:
        return [self.lane.codec.decode(row.topic, row.value, []) for row in self.lane.outbox if row.topic == topic]

    def instructed(self) -> list[tuple[int, int]]:
        """Version and amount of each instruction."""
        sent = [it for it in self.sent(INSTRUCTIONS) if isinstance(it, PaymentInstruction)]
        return [(it.settlement_version, it.amount_minor) for it in sent]


ADVANCE_TASK = (TaskKind.ADVANCE, "handler", "settlement 1")
ADJUSTER_TASK = (TaskKind.LOSS_ADJUSTER, "loss-adjuster", "loss above 100 000.00 CNY")


def test_the_clock_counts_sixty_days_from_when_the_claim_was_complete() -> None:
    """It starts with the decision's, and is there once that has run out; the decision ends it."""
    said = Said()
    said.lane.pass_time(end_of("2026-04-01") - 1)
    assert ClockKind.ADVANCE not in {clock.kind for clock in said.claim.clocks}

    said.lane.pass_time(end_of("2026-04-01"))
    (clock,) = [clock for clock in said.claim.clocks if clock.kind is ClockKind.ADVANCE]
    (decision,) = [clock for clock in said.claim.clocks if clock.kind is ClockKind.DECISION]
    assert (clock.days, clock.due_at_ms, clock.started) == (60, end_of(DUE), decision.started)

    said.at("2026-04-10T09:00", found(FindingKind.LOSS_ADJUSTER, SURVEYED_MINOR)).decide("2026-04-11T09:00")
    (clock,) = [clock for clock in said.claim.clocks if clock.kind is ClockKind.ADVANCE]
    assert clock.ended is not None and said.claim.outcome is Outcome.APPROVED


def test_what_is_surveyed_is_proposed_when_the_clock_has_run_out_and_not_before() -> None:
    """A person decides on it; nothing is paid, and the claim goes on waiting for its loss adjuster."""
    said = Said()
    said.lane.pass_time(end_of(DUE) - 1)
    assert said.tasks == [ADJUSTER_TASK]

    said.lane.pass_time(end_of(DUE))
    assert said.tasks == [ADJUSTER_TASK, ADVANCE_TASK]
    assert said.instructed() == [] and said.claim.settlement is None
    assert said.last == (
        "clocks.breach: the advance clock ran out with 2026-05-01: 60 days after 2026-03-02 (Insurance Law art. 25); "
        "settlement 1, an advance of 76 000.00 CNY, is proposed, which is what can be determined; the handler decides"
    )
    assert stage_of(said.claim) is Stage.INVESTIGATING


def test_the_advance_is_paid_and_later_the_difference() -> None:
    """Each has a version, an id and a payment of its own."""
    said = Said().decide("2026-05-03T09:00")
    assert said.tasks == [ADJUSTER_TASK]
    assert said.instructed() == [(1, ADVANCE_MINOR)]
    assert said.claim.outcome is None

    said.paid("2026-05-04T09:00").at("2026-05-20T09:00", found(FindingKind.LOSS_ADJUSTER, 150_000_00))
    assert said.claim.settlement is not None
    assert (said.claim.settlement.version, said.claim.settlement.payable_minor) == (2, 19_000_00)
    said.decide("2026-05-21T09:00", version=2).paid("2026-05-22T09:00")

    assert said.instructed() == [(1, ADVANCE_MINOR), (2, 19_000_00)]
    assert len({payment.id for payment in said.claim.payments}) == 2
    assert stage_of(said.claim) is Stage.PAID and said.lane.dead == []
    told = [it.kind for it in said.sent("customer.notice.v1") if isinstance(it, CustomerNotice)]
    assert told[3:] == [NoticeKind.DECISION, NoticeKind.PAID, NoticeKind.DECISION, NoticeKind.PAID]


def test_an_advance_larger_than_what_is_owed_leads_to_a_recovery_and_no_payment() -> None:
    """Payable is below zero, and that much is asked back."""
    said = Said().decide("2026-05-03T09:00").paid("2026-05-04T09:00")
    said.at("2026-05-20T09:00", found(FindingKind.LOSS_ADJUSTER, 90_000_00)).decide("2026-05-21T09:00", version=2)

    assert said.claim.settlement is not None and said.claim.settlement.payable_minor == -19_000_00
    assert said.instructed() == [(1, ADVANCE_MINOR)] and stage_of(said.claim) is Stage.PAID
    (case,) = [it for it in said.sent("recovery.case.v1") if isinstance(it, RecoveryCase)]
    assert (case.kind, case.due_minor) == (RecoveryKind.REPAYMENT, 19_000_00)


@pytest.mark.parametrize("ends", ["rejected", "withdrawn"])
def test_of_a_claim_that_ends_without_anything_owed_the_whole_advance_is_asked_back(ends: str) -> None:
    """Also when no settlement was ever computed."""
    said = Said().decide("2026-05-03T09:00").paid("2026-05-04T09:00")
    if ends == "rejected":
        said.at("2026-05-20T09:00", found(FindingKind.LOSS_ADJUSTER, 150_000_00))
        said.decide("2026-05-21T09:00", version=2, action=DecisionAction.REJECT)
    else:
        said.at("2026-05-20T09:00", make.contact(ContactKind.WITHDRAWAL))

    (case,) = [it for it in said.sent("recovery.case.v1") if isinstance(it, RecoveryCase)]
    assert (case.kind, case.due_minor) == (RecoveryKind.REPAYMENT, ADVANCE_MINOR)


def test_a_refused_advance_is_not_proposed_again_for_the_same_amount() -> None:
    """Another amount is another proposal, with a version of its own."""
    said = Said().decide("2026-05-03T09:00", action=DecisionAction.REJECT)
    assert said.tasks == [ADJUSTER_TASK] and said.instructed() == []
    assert said.last.startswith("advances.rejected: the handler rejected settlement 1, an advance of 76 000.00 CNY,")
    said.at("2026-05-04T09:00", make.document(document_id="DOC-2", kind="list-of-losses"))
    said.at("2026-05-05T09:00", found(FindingKind.SURVEY, SURVEYED_MINOR, found_at_ms=ms("2026-05-05")))
    assert said.tasks == [ADJUSTER_TASK]

    said.at("2026-05-06T09:00", found(FindingKind.SURVEY, 130_000_00, found_at_ms=ms("2026-05-06")))
    assert said.tasks == [ADJUSTER_TASK, (TaskKind.ADVANCE, "handler", "settlement 2")]


def test_a_decision_on_an_amount_that_changed_meanwhile_is_refused() -> None:
    """The newest proposal alone is decided on, and needs all approvals anew."""
    said = Said()
    said.at("2026-05-06T09:00", found(FindingKind.SURVEY, 130_000_00, found_at_ms=ms("2026-05-06")))
    said.decide("2026-05-07T09:00", version=1)

    assert [dead.code for dead in said.lane.dead] == ["old-version"] and said.instructed() == []
    assert said.decide("2026-05-08T09:00", version=2).instructed() == [(2, 82_333_33)]


def test_an_advance_needs_the_people_its_amount_needs_each_one_another() -> None:
    """Above one handler's authority two people decide; the same person cannot be both, nor a third one be asked."""
    said = Said(180_000_00)  # 114 000.00 can be determined
    said.decide("2026-05-03T09:00", Role.MANAGER)
    said.decide("2026-05-03T10:00", Role.HANDLER, person="handler-07")
    assert said.tasks == [ADJUSTER_TASK, (TaskKind.ADVANCE, "approver", "settlement 1")]
    said.decide("2026-05-03T11:00", Role.APPROVER, person="handler-07")
    assert [dead.code for dead in said.lane.dead] == ["no-authority", "no-authority"] and said.instructed() == []

    said.decide("2026-05-03T12:00", Role.APPROVER, person="approver-02")
    assert said.instructed() == [(1, 114_000_00)]
    (payment,) = said.claim.payments
    assert (payment.proposed_by, payment.approved_by) == ("handler-07", "approver-02")


def test_an_advance_is_paid_once() -> None:
    """Neither a second decision nor a higher value or another account leads to a second one."""
    said = Said().decide("2026-05-03T09:00").decide("2026-05-03T10:00", person="handler-09")
    said.at("2026-05-05T09:00", found(FindingKind.SURVEY, 150_000_00, found_at_ms=ms("2026-05-05")))

    said.at("2026-05-06T09:00", make.contact(ContactKind.BANK_DETAILS, payee=make.OTHER_PAYEE))

    assert [dead.code for dead in said.lane.dead] == ["old-version"]
    assert said.tasks == [ADJUSTER_TASK] and said.instructed() == [(1, ADVANCE_MINOR)]


def test_an_amount_fixed_before_anybody_approved_closes_the_proposal() -> None:
    """The settlement takes its place; a decision on the proposal changes nothing any more, and waits for nothing."""
    said = Said()
    said.at("2026-05-03T09:00", found(FindingKind.LOSS_ADJUSTER, 150_000_00))
    assert said.tasks == [(TaskKind.APPROVAL, "handler", "settlement 2")]
    said.decide("2026-05-04T09:00", version=1)

    assert [dead.code for dead in said.lane.dead] == ["old-version"] and not said.lane.parked
    assert said.decide("2026-05-05T09:00", version=2).instructed() == [(2, 95_000_00)]


def test_without_anything_assessed_nothing_is_proposed_until_something_is() -> None:
    """What is found after the sixtieth day is proposed at once."""
    said = Said(surveyed_minor=None)
    said.lane.pass_time(end_of(DUE))
    assert [task[0] for task in said.tasks] == [TaskKind.SURVEY]
    assert said.last.endswith("an advance is due, but as things stand none is proposed")

    said.at("2026-05-06T09:00", found(FindingKind.SURVEY, SURVEYED_MINOR))
    assert said.tasks == [ADJUSTER_TASK, ADVANCE_TASK]


def test_while_underwriting_has_not_said_that_the_cause_is_insured_nothing_is_advanced() -> None:
    """Nobody knows then whether anything is owed at all."""
    said = Said()
    said.lane.pass_time(end_of(DUE) - 1)
    notice = make.notice_of("property", make.PLACE, "insured-property", cause="sabotage", loss_at_ms=ms("2026-03-01"))
    said.at("2026-05-01T09:00", notice)
    said.lane.pass_time(end_of(DUE))
    assert TaskKind.CLAUSE_QUERY in {task[0] for task in said.tasks}
    assert TaskKind.ADVANCE not in {task[0] for task in said.tasks}

    said.at("2026-05-06T09:00", make.clause_answer("cause sabotage", covered=True))
    assert TaskKind.ADVANCE in {task[0] for task in said.tasks}


def test_an_advance_that_could_not_be_paid_is_owed_again() -> None:
    """To another account it is proposed anew, and never to the same one; in the end no more than is owed was paid."""
    said = Said().decide("2026-05-03T09:00").paid("2026-05-04T09:00", code=PaymentStatusCode.RJCT)
    said.at("2026-05-05T09:00", found(FindingKind.SURVEY, SURVEYED_MINOR, found_at_ms=ms("2026-05-05")))
    assert said.tasks == [ADJUSTER_TASK]
    said.at("2026-05-06T09:00", make.contact(ContactKind.BANK_DETAILS, payee=make.OTHER_PAYEE))
    assert said.tasks == [ADJUSTER_TASK, (TaskKind.ADVANCE, "handler", "settlement 2")]

    said.at("2026-05-20T09:00", found(FindingKind.LOSS_ADJUSTER, 150_000_00))
    assert said.claim.settlement is not None and said.claim.settlement.payable_minor == 95_000_00


def test_an_advance_that_comes_back_after_the_difference_is_paid_leaves_that_much_owed() -> None:
    """The claim is not paid until another account has it."""
    said = Said().decide("2026-05-03T09:00")
    said.at("2026-05-20T09:00", found(FindingKind.LOSS_ADJUSTER, 150_000_00)).decide("2026-05-21T09:00", version=2)
    said.paid("2026-05-22T09:00").paid("2026-05-23T09:00", 0, PaymentStatusCode.RJCT)
    assert stage_of(said.claim) is Stage.PAYING

    said.at("2026-05-24T09:00", make.contact(ContactKind.BANK_DETAILS, payee=make.OTHER_PAYEE))
    assert said.claim.settlement is not None
    assert (said.claim.settlement.version, said.claim.settlement.payable_minor) == (3, ADVANCE_MINOR)
    said.decide("2026-05-26T09:00", version=3).decide("2026-05-26T10:00", Role.APPROVER, version=3)
    said.paid("2026-05-27T09:00")
    assert stage_of(said.claim) is Stage.PAID
    settled = [it.amount_minor for it in said.claim.payments if it.state is PaymentState.SETTLED]
    assert sorted(settled) == [19_000_00, ADVANCE_MINOR]


LARGE_MINOR = 500_000_00  # of which 316 666.67 can be determined: two people, and finance before them
FINANCE_TASK = (TaskKind.AMOUNT_CHECK, "finance", "settlement 1")


def _queries(said: Said) -> list[tuple[int, int, str]]:
    """Version, amount and reason of each query to finance."""
    sent = [it for it in said.sent("finance.amount-query.v1") if isinstance(it, AmountQuery)]
    return [(it.settlement_version, it.amount_minor, it.reason) for it in sent]


@pytest.mark.parametrize(
    ("surveyed", "why"), [(315_789_48, None), (315_789_49, "200 000.01 CNY is above 200 000.00 CNY")]
)
def test_finance_is_asked_about_an_advance_above_the_limit(surveyed: int, why: str | None) -> None:
    """From the same amount on as about a settlement, and once."""
    said = Said(surveyed)
    said.lane.pass_time(end_of(DUE))
    said.at("2026-05-02T00:30", found(FindingKind.SURVEY, surveyed, found_at_ms=ms("2026-05-02")))

    assert said.tasks == [ADJUSTER_TASK, ADVANCE_TASK if why is None else FINANCE_TASK]
    assert _queries(said) == ([] if why is None else [(1, 200_000_01, why)])


@pytest.mark.parametrize("agreed", [True, False])
def test_an_advance_is_paid_only_once_finance_has_answered(*, agreed: bool) -> None:
    """People decide on it after the answer and are told it; who decides before waits. The check has its clock."""
    said = Said(LARGE_MINOR).decide("2026-05-02T09:00")
    assert said.last.endswith("; 316 666.67 CNY is above 200 000.00 CNY, so finance is asked")
    (waiting,) = said.lane.parked.values()
    assert waiting.reason == "the decision waits until finance has answered to settlement 1"
    (clock,) = [it for it in said.claim.clocks if it.kind is ClockKind.AMOUNT_CHECK]
    assert (clock.about, clock.days, clock.ended) == ("settlement 1", 1, None)
    assert said.tasks == [ADJUSTER_TASK, FINANCE_TASK] and said.instructed() == []

    said.at("2026-05-03T09:00", make.amount_answer(agreed=agreed))
    told = [row.reason for row in said.lane.journal if row.rule == "amounts.answered"]
    proposed = "settlement 1, an advance of 316 666.67 CNY, is proposed, which is what can be determined"
    said_yes = "agrees" if agreed else "does not agree"
    assert told == [f"finance {said_yes} with settlement 1; {proposed}; the handler decides"]
    assert said.tasks == [ADJUSTER_TASK, (TaskKind.ADVANCE, "approver", "settlement 1")] and not said.lane.parked
    (clock,) = [it for it in said.claim.clocks if it.kind is ClockKind.AMOUNT_CHECK]
    assert clock.ended is not None and said.instructed() == []

    said.decide("2026-05-03T11:00", Role.APPROVER)
    assert said.instructed() == [(1, 316_666_67)] and len(_queries(said)) == 1 and said.lane.dead == []


def test_finance_that_is_late_leaves_a_breach_and_no_advance() -> None:
    """A breach blocks nothing else, and pays nothing."""
    said = Said(LARGE_MINOR).at("2026-05-09T09:00")

    (clock,) = [it for it in said.claim.clocks if it.kind is ClockKind.AMOUNT_CHECK]
    assert clock.breached is not None and said.instructed() == []
    assert said.tasks == [ADJUSTER_TASK, FINANCE_TASK]


def test_an_answer_to_an_advance_that_changed_is_refused() -> None:
    """Another amount is asked about again, one below the limit is not; no answer comes to wait."""
    said = Said(LARGE_MINOR)
    said.at("2026-05-02T09:00", found(FindingKind.SURVEY, 600_000_00, found_at_ms=ms("2026-05-02")))
    said.at("2026-05-02T10:00", make.amount_answer(1))
    assert [(version, amount) for version, amount, _ in _queries(said)] == [(1, 316_666_67), (2, 380_000_00)]
    assert [task[0] for task in said.tasks] == [TaskKind.LOSS_ADJUSTER, TaskKind.AMOUNT_CHECK]

    said.at("2026-05-02T11:00", make.amount_answer(2)).at("2026-05-02T12:00", make.amount_answer(2))
    assert said.tasks == [ADJUSTER_TASK, (TaskKind.ADVANCE, "handler", "settlement 2")]
    said.at("2026-05-03T09:00", found(FindingKind.SURVEY, SURVEYED_MINOR, found_at_ms=ms("2026-05-03")))
    assert said.tasks == [ADJUSTER_TASK, (TaskKind.ADVANCE, "handler", "settlement 3")]
    assert [dead.code for dead in said.lane.dead] == ["no-query", "no-query"] and not said.lane.parked


def test_what_finance_said_to_an_advance_says_nothing_of_the_settlement() -> None:
    """The whole amount is another one, and is asked about; so does an open query end when the amount is fixed."""
    said = Said(LARGE_MINOR).at("2026-05-02T09:00")
    said.at("2026-05-20T09:00", found(FindingKind.LOSS_ADJUSTER, 520_000_00)).at(
        "2026-05-20T10:00", make.amount_answer()
    )
    assert said.tasks == [(TaskKind.AMOUNT_CHECK, "finance", "settlement 2")]
    assert [dead.code for dead in said.lane.dead] == ["no-query"]
    said.at("2026-05-20T11:00", make.amount_answer(2))
    assert said.tasks == [(TaskKind.APPROVAL, "handler", "settlement 2")]

    other = Said(LARGE_MINOR).at("2026-05-02T09:00", make.amount_answer())
    other.decide("2026-05-03T09:00").decide("2026-05-03T10:00", Role.APPROVER).paid("2026-05-04T09:00")
    other.at("2026-05-20T09:00", found(FindingKind.LOSS_ADJUSTER, 520_000_00))
    assert [(version, amount) for version, amount, _ in _queries(other)] == [(1, 316_666_67), (2, 329_333_33)]
    other.at("2026-05-20T11:00", make.amount_answer(2))
    other.decide("2026-05-21T09:00", version=2).decide("2026-05-21T10:00", Role.APPROVER, version=2)
    other.at("2026-05-21T11:00", make.contact(ContactKind.AGREEMENT, settlement_version=2))
    assert other.instructed() == [(1, 316_666_67), (2, 12_666_66)] and other.lane.dead == []


def test_of_a_reopened_claim_finance_answers_to_the_advance_and_not_to_the_old_settlement() -> None:
    """The settlement of the round before stays known while the new round's advance is checked."""
    said = Said(100_000_00).decide("2026-03-11T09:00").paid("2026-03-12T09:00")
    said.at("2026-03-13T09:00", make.decision(settlement_version=None, action=DecisionAction.REOPEN))
    said.lane.answer_itself()
    said.at("2026-03-13T10:00", make.policy_of("property", make.PLACE, make.BUILDING))
    said.lane.answer_itself()
    said.at("2026-04-10T09:00", found(FindingKind.SURVEY, LARGE_MINOR, found_at_ms=ms("2026-04-10")))
    assert said.tasks == [ADJUSTER_TASK]

    said.at("2026-06-14T09:00", make.amount_answer(2), make.amount_answer(3))
    assert [dead.code for dead in said.lane.dead] == ["no-query"]
    assert said.tasks == [ADJUSTER_TASK, (TaskKind.ADVANCE, "handler", "settlement 3")]
    said.decide("2026-06-15T09:00", version=3).decide("2026-06-15T10:00", Role.APPROVER, version=3)
    assert said.instructed() == [(1, 63_333_33), (3, 253_333_34)]
