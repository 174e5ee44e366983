"""The law's clocks of a claim: what starts, pauses and ends them, and what ticks make of them."""

import pytest
from msgspec import json
from msgspec.structs import replace

from schemas.records import ClockTick, DecisionAction, NoticeKind, PaymentStatusCode, Record, Role
from streams.rules import clocks
from streams.rules.claim import Claim, Clock, ClockKind, Outcome, Task, TaskKind
from streams.rules.decision import Cause
from streams.rules.lines import LINES
from streams.rules.payments import instruction_id, payee_digest
from tests import claims as make
from tests.lane import OneLane
from tests.unit.rules.test_deadlines import end_of, ms

SETTLED_MINOR = 2_300_00


class Said:
    """One claim's records at local times of their own."""

    def __init__(self) -> None:
        self.lane = OneLane([make.policy()])

    def at(self, local: str, *records: Record) -> "Said":
        """Take records that were said at this time."""
        for record in records:
            self.lane.take(self.lane.received(record)._replace(timestamp_ms=ms(local)))
        return self

    def tick(self) -> str:
        """Let the claim's next moment come; the rule and reason of what comes of it."""
        at_ms = clocks.next_at_ms(self.claim)
        assert at_ms is not None
        self.lane.pass_time(at_ms)
        row = self.lane.journal[-1]
        return f"{row.rule}: {row.reason}"

    @property
    def claim(self) -> Claim:
        return self.lane.state.claims[make.CLAIM]

    def clock(self, kind: ClockKind) -> Clock:
        (clock,) = [clock for clock in self.claim.clocks if clock.kind is kind]
        return clock


def after(claim: Claim, local: str, **changes: object) -> Claim:
    """The claim after a record at this time that changed it so."""
    cause = Cause(f"reporting.document.v1/1/0/{local}", "reporting.document.v1", ms(local))
    return clocks.run(claim, replace(claim, **changes), cause)


def paid(code: PaymentStatusCode = PaymentStatusCode.ACSC) -> Record:
    """What finance says of the instruction."""
    instruction = instruction_id(make.CLAIM, 1, payee_digest(make.PAYEE), 1)
    return make.payment_status(instruction, SETTLED_MINOR, code)


def test_a_complete_claim_is_decided_within_thirty_days() -> None:
    """The worked case: complete 2026-03-03 10:00, due by the end of 04-02; the decision ends it."""
    said = Said().at("2026-03-03T10:00", make.notice())
    clock = said.clock(ClockKind.DECISION)

    assert (clock.days, clock.due_at_ms, clock.next_at_ms) == (30, end_of("2026-04-02"), end_of("2026-03-18"))
    assert clock.started.cause == said.lane.journal[0].topic + "/1/0/0"
    said.at("2026-03-20T09:00", make.estimate(), make.invoice())
    ended = said.clock(ClockKind.DECISION)
    assert ended.ended is not None and ended.ended.at_ms == ms("2026-03-20T09:00") and ended.next_at_ms is None


def test_a_claim_on_compulsory_motor_is_decided_within_five() -> None:
    """The worked case: complete 2026-02-26, due by the end of 03-03; the article is that of the motor regulation."""
    said = Said().at("2026-02-26T10:00", make.notice(damaged=(make.THIRD, make.OWN)))
    clock, notice = said.clock(ClockKind.DECISION), said.claim.notice

    assert notice is not None
    assert (clock.days, clock.due_at_ms) == (5, end_of("2026-03-03"))
    assert clocks.source_of(clock, notice) == "motor regulation art. 28"


def test_what_was_agreed_is_paid_within_ten_days() -> None:
    """The worked case: agreement 2026-04-20 23:59, due by the end of 04-30. Accepted is not paid, settled is."""
    said = Said().at("2026-04-18T10:00", make.notice(), make.estimate()).at("2026-04-20T23:59", make.invoice())

    assert said.claim.outcome is Outcome.APPROVED
    assert said.clock(ClockKind.PAYMENT).due_at_ms == end_of("2026-04-30")
    said.at("2026-04-22T10:00", paid(PaymentStatusCode.RCVD))
    assert said.clock(ClockKind.PAYMENT).ended is None
    said.at("2026-04-23T10:00", paid())
    assert said.clock(ClockKind.PAYMENT).ended is not None
    assert clocks.next_at_ms(said.claim) is None


def test_the_clock_stands_while_the_claimant_is_asked() -> None:
    """The worked case: notice 03-05, documents 03-15, due by the end of 04-12; pause and resume name their records."""
    claim = Said().at("2026-03-03T10:00", make.notice()).claim
    task = Task(kind=TaskKind.ESTIMATE, addressee="claimant", opened="", about="licence")
    asked = after(
        claim,
        "2026-03-05T11:00",
        open_tasks=(*claim.open_tasks, task),
        notices=(*claim.notices, NoticeKind.DOCUMENTS_NEEDED),
    )
    resumed = after(asked, "2026-03-15T16:00", open_tasks=claim.open_tasks)

    (decision,) = [clock for clock in asked.clocks if clock.kind is ClockKind.DECISION]
    assert decision.next_at_ms is None
    (decision,) = [clock for clock in resumed.clocks if clock.kind is ClockKind.DECISION]
    assert (decision.due_at_ms, decision.next_at_ms) == (end_of("2026-04-12"), end_of("2026-03-28"))
    assert [(pause.began.cause[-16:], pause.ended and pause.ended.cause[-16:]) for pause in decision.pauses] == [
        ("2026-03-05T11:00", "2026-03-15T16:00")
    ]
    (listed,) = [clock for clock in asked.clocks if clock.kind is ClockKind.DOCUMENT_LIST]
    assert listed.ended == listed.started, "the list went out with the record that made it needed"


def test_missing_facts_are_asked_for_within_three_days() -> None:
    """A notice without a policy number that nobody can tell: the clock runs until the notice is corrected."""
    said = Said().at("2026-03-03T10:00", make.notice(policy_number=None, plate=make.OTHER_PLATE))

    assert said.clock(ClockKind.DOCUMENT_LIST).due_at_ms == end_of("2026-03-06")
    assert [clock.kind for clock in said.claim.clocks] == [ClockKind.DOCUMENT_LIST], "the claim is not complete"
    said.at("2026-03-04T10:00", make.notice())
    assert said.clock(ClockKind.DOCUMENT_LIST).ended is not None
    assert said.clock(ClockKind.DECISION).due_at_ms == end_of("2026-04-03")


def test_a_rejection_is_told_with_the_record_that_rejects() -> None:
    """So its clock begins and ends there; nothing is to be paid."""
    said = Said().at("2026-03-03T10:00", make.notice(photos=()), make.finding(), make.estimate(), make.invoice())
    said.at("2026-03-09T10:00", make.decision(Role.HANDLER, action=DecisionAction.REJECT))
    clock = said.clock(ClockKind.REJECTION_NOTICE)

    assert clock.started == clock.ended and clock.due_at_ms == end_of("2026-03-12")
    assert ClockKind.PAYMENT not in [clock.kind for clock in said.claim.clocks]


def test_half_then_four_fifths_are_warned_of_then_the_breach_is_recorded_each_once() -> None:
    """Each is a journal row and a new version with its snapshot, and names days, deadline and article; none blocks."""
    said = Said().at("2026-03-03T10:00", make.notice())
    told = [said.tick(), said.tick(), said.tick()]

    terms, until = "30 days after 2026-03-03 (Insurance Law art. 23)", "2026-05-02, 60 days after 2026-03-03"
    advance = f"50 % of the advance clock have passed: due by the end of {until} (Insurance Law art. 25)"
    assert told == [
        f"clocks.warning: 50 % of the decision clock have passed: due by the end of 2026-04-02, {terms}",
        f"clocks.warning: 80 % of the decision clock have passed: due by the end of 2026-04-02, {terms}",
        f"clocks.breach: the decision clock ran out with 2026-04-02: {terms}; {advance}",
    ]
    clock = said.clock(ClockKind.DECISION)
    assert [mark.at_ms for mark in clock.warned] == [end_of("2026-03-18"), end_of("2026-03-27")]
    assert clock.breached is not None and clock.breached.cause.startswith("hub.clock.v1/1/0/")
    assert clocks.next_at_ms(said.claim) == end_of("2026-04-20"), "of the advance"
    snapshots = [row for row in said.lane.outbox if row.topic == "claims.status.v1"]
    assert [row.rule for row in snapshots[1:]] == ["clocks.warning", "clocks.warning", "clocks.breach"]
    said.at("2026-04-05T10:00", make.estimate(), make.invoice())
    assert said.claim.payments, "a breach holds nothing up"


def test_a_tick_that_comes_twice_or_too_late_changes_nothing() -> None:
    """It is journalled, and the claim stays as it was."""
    said = Said().at("2026-03-03T10:00", make.notice())
    said.tick()
    before = said.claim
    again = said.lane.received(ClockTick(claim=make.CLAIM, at_ms=end_of("2026-03-18")))
    said.lane.take(again)

    assert said.claim == before
    assert (said.lane.journal[-1].outcome, said.lane.journal[-1].rule) == ("duplicate", "clocks.tick")


def test_ticks_leave_no_event_ids_on_the_claim() -> None:
    """They are known again by what they find, so a claim does not grow by them."""
    said = Said().at("2026-03-03T10:00", make.notice())
    said.tick()

    assert len(said.claim.seen) == 1 and said.claim.version == 2


def test_what_ends_after_its_deadline_is_a_breach_without_a_tick() -> None:
    """When the hub stood still over the deadline and hears of the decision first."""
    said = Said().at("2026-03-03T10:00", make.notice()).at("2026-04-05T10:00", make.estimate(), make.invoice())
    clock = said.clock(ClockKind.DECISION)

    assert clock.breached is not None and clock.breached.at_ms == end_of("2026-04-02")
    assert clock.ended is not None and clock.breached.cause == clock.ended.cause


@pytest.mark.parametrize("line", LINES)
def test_every_clock_of_a_product_has_a_length_for_all_cases_and_a_source(line: str) -> None:
    """A kind without a row never runs, and nobody would notice."""
    for terms in LINES[line].product.terms:
        assert {row.kind for row in terms.clocks if not row.case} == {rule.kind for rule in clocks.RULES}
        assert all(row.days > 0 and row.source for row in terms.clocks)


def test_a_clock_comes_back_from_the_ledger_as_it_was() -> None:
    """With pauses, warnings and all."""
    claim = Said().at("2026-03-03T10:00", make.notice()).claim
    task = Task(kind=TaskKind.ESTIMATE, addressee="claimant", opened="")
    claim = after(after(claim, "2026-03-05T11:00", open_tasks=(task,)), "2026-03-15T16:00", open_tasks=())

    assert json.decode(json.encode(claim), type=Claim) == claim
