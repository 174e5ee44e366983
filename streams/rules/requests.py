"""What a newly opened task asks of surveyors, police, repair shops and hospitals: one record each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from schemas.records import (
    BucketAmount,
    ClauseQuery,
    FindingKind,
    HospitalRequest,
    HospitalRequestKind,
    InvestigationRequest,
    OrderKind,
    Record,
    RepairOrder,
)
from streams.rules import direct
from streams.rules.claim import Claim, Notice, Task, TaskKind
from streams.rules.clause import query_id
from streams.rules.decision import Cause, Output
from streams.rules.derived import derived_id

RULE: Final = "requests.asked"


class Asked(Struct, frozen=True):
    """One request: the claim with its notice, the task it is for, and why it is made."""

    claim: Claim
    notice: Notice
    task: Task
    cause: Cause
    reason: str

    @property
    def id(self) -> str:
        """The same whenever it is derived: of one task opened by one version of the claim."""
        return derived_id("RQ", self.claim.number, self.claim.version, self.task.kind, self.task.about)


def requests(claim: Claim, notice: Notice, opened: Sequence[Task], cause: Cause, reason: str) -> tuple[Output, ...]:
    """What these newly opened tasks ask for; the others are asked for in other ways, or of our own people."""
    outputs = []
    for task in opened:
        if task.kind in _TOPIC_AND_RECORD:
            topic, record = _TOPIC_AND_RECORD[task.kind]
            asked = Asked(claim, notice, task, cause, reason)
            outputs.append(Output(topic, claim.number, record(asked), RULE, reason))
    return tuple(outputs)


def _investigation(kind: FindingKind) -> Callable[[Asked], Record]:
    def request(asked: Asked) -> Record:
        return InvestigationRequest(
            claim=asked.claim.number,
            request_id=asked.id,
            kind=kind,
            addressee=asked.task.addressee,
            question=asked.task.about,
            place=asked.notice.place,
            loss_at_ms=asked.notice.loss_at_ms,
            at_ms=asked.cause.at_ms,
            cause=asked.cause.ref,
            rule=RULE,
            reason=asked.reason,
        )

    return request


def _order(kind: OrderKind) -> Callable[[Asked], Record]:
    def order(asked: Asked) -> Record:
        known, notice = asked.claim.assessed_of(asked.task.about), asked.notice
        estimated = {} if known is None else known.buckets
        return RepairOrder(
            claim=asked.claim.number,
            order_id=asked.id,
            kind=kind,
            damaged=asked.task.about,
            shop=None if known is None else known.shop,
            plate=notice.plate,
            vin=notice.vin,
            currency=notice.currency,
            amounts=tuple([BucketAmount(bucket=it, amount_minor=amount) for it, amount in estimated.items()]),
            at_ms=asked.cause.at_ms,
            cause=asked.cause.ref,
            rule=RULE,
            reason=asked.reason,
        )

    return order


def _hospital(kind: HospitalRequestKind) -> Callable[[Asked], Record]:
    def request(asked: Asked) -> Record:
        policy = asked.claim.policy
        guaranteed = None
        if kind is HospitalRequestKind.BILL and policy is not None:
            guaranteed = direct.guaranteed_minor(asked.notice, policy)
        return HospitalRequest(
            claim=asked.claim.number,
            request_id=asked.id,
            kind=kind if guaranteed is None else HospitalRequestKind.GUARANTEE,
            amount_minor=guaranteed,
            currency=None if guaranteed is None else asked.notice.currency,
            facts=asked.notice.facts,
            at_ms=asked.cause.at_ms,
            cause=asked.cause.ref,
            rule=RULE,
            reason=asked.reason,
        )

    return request


def _clause_query(asked: Asked) -> Record:
    policy = asked.claim.policy
    if policy is None:
        raise ValueError(f"claim {asked.claim.number} has no policy to ask about")
    return ClauseQuery(
        claim=asked.claim.number,
        query_id=query_id(asked.claim.number, policy.number, asked.task.about),
        policy_number=policy.number,
        policy_version=policy.version,
        question=asked.task.about,
        line=asked.notice.line,
        loss_at_ms=asked.notice.loss_at_ms,
        at_ms=asked.cause.at_ms,
        cause=asked.cause.ref,
        rule=RULE,
        reason=asked.reason,
    )


_INVESTIGATION: Final = "investigation.request.v1"
_ORDER: Final = "repair.order.v1"
_HOSPITAL: Final = "hospital.request.v1"
_TOPIC_AND_RECORD: Final[Mapping[TaskKind, tuple[str, Callable[[Asked], Record]]]] = {
    TaskKind.SURVEY: (_INVESTIGATION, _investigation(FindingKind.SURVEY)),
    TaskKind.POLICE: (_INVESTIGATION, _investigation(FindingKind.POLICE)),
    TaskKind.WITNESS: (_INVESTIGATION, _investigation(FindingKind.WITNESS)),
    TaskKind.HOSPITAL_CHECK: (_INVESTIGATION, _investigation(FindingKind.HOSPITAL_CHECK)),
    TaskKind.LOSS_ADJUSTER: (_INVESTIGATION, _investigation(FindingKind.LOSS_ADJUSTER)),
    TaskKind.RE_INSPECTION: (_INVESTIGATION, _investigation(FindingKind.RE_INSPECTION)),
    TaskKind.BILL: (_HOSPITAL, _hospital(HospitalRequestKind.BILL)),
    TaskKind.HOSPITAL_RECORD: (_HOSPITAL, _hospital(HospitalRequestKind.RECORD)),
    TaskKind.DISABILITY: (_HOSPITAL, _hospital(HospitalRequestKind.DISABILITY)),
    TaskKind.ESTIMATE: (_ORDER, _order(OrderKind.ESTIMATE)),
    TaskKind.INVOICE: (_ORDER, _order(OrderKind.REPAIR)),
    TaskKind.SUPPLEMENT: (_ORDER, _order(OrderKind.SUPPLEMENT)),
    TaskKind.CLAUSE_QUERY: ("underwriting.clause-query.v1", _clause_query),
}
