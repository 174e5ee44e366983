"""Which handler decides on which topic. Read top to bottom: this is the hub."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from schemas.records import (
    AdjusterDecision,
    AmountAnswer,
    ClauseAnswer,
    ClockTick,
    Command,
    Contact,
    Document,
    Estimate,
    Finding,
    Forward,
    HospitalBill,
    HospitalRecord,
    Invoice,
    LegalOutcome,
    LossNotice,
    PaymentClosure,
    PaymentStatus,
    PeerFigures,
    Policy,
    PolicyWanted,
    ProviderKind,
    Record,
    RecoveryReceipt,
    RegulatorAcknowledgement,
    ReinsuranceReply,
    SameLoss,
    SamePaper,
    SiuOutcome,
    StatementLine,
    Wake,
)
from schemas.topics import FORWARDS
from streams.rules import (
    assessment,
    bills,
    clause_answers,
    clocks,
    closures,
    contact,
    decisions,
    finance,
    hospital_records,
    intake,
    legal,
    merge,
    payment_status,
    peers,
    recoveries,
    regulator,
    reinsurance,
    same_paper,
    siu,
    statements,
    survey,
    sync,
    traces,
    underwriting,
)
from streams.rules.traces import Trace

PolicyKey = tuple[str | None, str]
"""A policy number, or None and a plate: which policies a record's handler may look up."""

_SHOP, _HOSPITAL = ProviderKind.SHOP, ProviderKind.HOSPITAL


class Flow(Struct, frozen=True):
    """One topic's row: the record it carries, the handler that decides on it, and what that handler asks for.

    A handler is `(claim, record, cause, seen) -> Decision`, on policy-keyed topics `(policy file, record, cause, seen)
    -> PolicyDecision`; it is pure and may raise Park or Dead. `looks_up` names, from the record alone, the
    policies that `seen` must know, `traces` what the record leaves for other claims to find and `seen` must have found,
    `peers` the kind of provider whose amount it brings, of which `seen` must know what others come to.
    `passes` lets a record go by those of its claim that wait; they are tried again behind it.
    """

    record: type[Record]
    handler: Callable[..., Any]
    looks_up: Callable[[Any], PolicyKey] | None = None
    traces: Callable[[Any], tuple[Trace, ...]] | None = None
    peers: ProviderKind | None = None
    passes: bool = False


def _policy_of_notice(notice: LossNotice) -> PolicyKey:
    return notice.policy_number, notice.plate or ""


def _policy_of_answer(answer: ClauseAnswer) -> PolicyKey:
    return answer.policy_number, ""


def _policy_of_same_loss(answer: SameLoss) -> PolicyKey:
    return answer.policy_number, answer.plate or ""


def _policy_of_wake(wake: Wake) -> PolicyKey:
    return wake.policy_number, ""


FLOWS: Final[Mapping[str, Flow]] = {
    "underwriting.policy.v1": Flow(Policy, underwriting.on_policy),
    "hub.policy-wanted.v1": Flow(PolicyWanted, underwriting.on_policy_wanted),
    "reporting.loss-notice.v1": Flow(LossNotice, intake.on_loss_notice, _policy_of_notice, traces.of_notice),
    "hub.wake.v1": Flow(Wake, intake.on_wake, looks_up=_policy_of_wake),
    "hub.clock.v1": Flow(ClockTick, clocks.on_tick),
    "reporting.document.v1": Flow(Document, intake.on_document, traces=traces.of_document),
    "investigation.finding.v1": Flow(Finding, survey.on_finding),
    "repair.estimate.v1": Flow(Estimate, assessment.on_estimate, peers=_SHOP),
    "repair.invoice.v1": Flow(Invoice, assessment.on_invoice, traces=traces.of_paper, peers=_SHOP),
    "hospital.bill.v1": Flow(HospitalBill, bills.on_bill, traces=traces.of_paper, peers=_HOSPITAL),
    "adjuster.decision.v1": Flow(AdjusterDecision, decisions.on_decision),
    "finance.amount-answer.v1": Flow(AmountAnswer, finance.on_amount_answer),
    "finance.payment-status.v1": Flow(PaymentStatus, payment_status.on_payment_status),
    "finance.statement-line.v1": Flow(StatementLine, statements.on_statement_line),
    "siu.outcome.v1": Flow(SiuOutcome, siu.on_outcome),
    "hub.same-paper.v1": Flow(SamePaper, same_paper.on_same_paper),
    "operations.command.v1": Flow(Command, sync.on_command, passes=True),
    "reporting.contact.v1": Flow(Contact, contact.on_contact, traces=traces.of_contact, passes=True),
    "legal.outcome.v1": Flow(LegalOutcome, legal.on_outcome),
    "recovery.receipt.v1": Flow(RecoveryReceipt, recoveries.on_receipt),
    "reinsurance.reply.v1": Flow(ReinsuranceReply, reinsurance.on_reply),
    "regulator.acknowledgement.v1": Flow(RegulatorAcknowledgement, regulator.on_acknowledgement),
    "underwriting.clause-answer.v1": Flow(ClauseAnswer, clause_answers.on_clause_answer, looks_up=_policy_of_answer),
    "hospital.record.v1": Flow(HospitalRecord, hospital_records.on_record),
    "operations.peer-figures.v1": Flow(PeerFigures, peers.on_peer_figures),
    "hub.forward.v1": Flow(Forward, merge.on_notice),
    "finance.payment-closure.v1": Flow(PaymentClosure, closures.on_payment_closure),
    "hub.same-loss.v1": Flow(SameLoss, intake.on_same_loss, looks_up=_policy_of_same_loss),
}

_TOPIC_OF: Final = {flow.record: topic for topic, flow in FLOWS.items()}


def flow_of(topic: str, record: Record | None) -> tuple[str, Flow]:
    """The topic whose row a record is decided by, and that row: its own topic's, but of what was forwarded that of what
    it is. Another claim's notice is decided by the row of what is forwarded itself."""
    if topic == FORWARDS and record is not None and not isinstance(record, LossNotice):
        topic = _TOPIC_OF[type(record)]
    return topic, FLOWS[topic]
