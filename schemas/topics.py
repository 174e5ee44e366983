"""The topic registry: every topic of the hub with its owner, direction, record, key, retention and dead letters."""

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from msgspec import Struct

from schemas.records import (
    AdjusterDecision,
    AmountAnswer,
    AmountQuery,
    Break,
    CancellationRequest,
    ClaimStatus,
    ClauseAnswer,
    ClauseQuery,
    ClockTick,
    Command,
    Contact,
    CustomerNotice,
    DeadLetter,
    Document,
    Estimate,
    Finding,
    Forward,
    HospitalBill,
    HospitalRecord,
    HospitalRequest,
    InvestigationRequest,
    Invoice,
    LegalOutcome,
    LegalReferral,
    LossExperience,
    LossNotice,
    PaymentClosure,
    PaymentInstruction,
    PaymentStatus,
    PeerFigures,
    Policy,
    PolicyWanted,
    Record,
    RecoveryCase,
    RecoveryReceipt,
    RegulatorAcknowledgement,
    RegulatorReport,
    ReinsuranceNotice,
    ReinsuranceReply,
    RepairOrder,
    ReserveMovement,
    SameLoss,
    SamePaper,
    SiuOutcome,
    SiuReferral,
    StatementLine,
    Wake,
)

DEAD_LETTERS: Final = "hub.dead-letter.v1"
CLOCKS: Final = "hub.clock.v1"
FORWARDS: Final = "hub.forward.v1"
BREAKS: Final = "hub.break.v1"
INSTRUCTIONS: Final = "finance.payment-instruction.v1"

_DAY_MS: Final = 86_400_000


class Direction(StrEnum):
    """Which way a topic flows, seen from the hub."""

    IN = "in"
    OUT = "out"
    INTERNAL = "internal"


class Key(StrEnum):
    """What a topic's records are keyed by; NONE is the key of whatever record this one is about."""

    CLAIM = "claim"
    POLICY = "policy"
    NONE = "none"


class Owner(StrEnum):
    """The department that decides what a topic says; the first word of the topic's name."""

    REPORTING = "reporting"
    UNDERWRITING = "underwriting"
    INVESTIGATION = "investigation"
    REPAIR = "repair"
    HOSPITAL = "hospital"
    ADJUSTER = "adjuster"
    FINANCE = "finance"
    CLAIMS = "claims"
    CUSTOMER = "customer"
    OPERATIONS = "operations"
    HUB = "hub"
    SIU = "siu"
    RECOVERY = "recovery"
    REINSURANCE = "reinsurance"
    REGULATOR = "regulator"
    LEGAL = "legal"


class Topic(Struct, frozen=True, kw_only=True):
    """One topic. `retention_days` None keeps records for ever; `money` asks for FULL_TRANSITIVE compatibility."""

    name: str
    owner: Owner
    direction: Direction
    record: type[Record]
    key: Key = Key.CLAIM
    compacted: bool = False
    retention_days: int | None = 30
    dead_letter: str | None = None
    money: bool = False

    @property
    def subject(self) -> str:
        """The schema registry's subject of this topic's values."""
        return f"{self.name}-value"

    @property
    def compatibility(self) -> str:
        """The schema registry's compatibility level of the subject."""
        return "FULL_TRANSITIVE" if self.money else "BACKWARD_TRANSITIVE"

    @property
    def cleanup_policy(self) -> str:
        """Kafka's cleanup.policy of the topic."""
        return "compact" if self.compacted else "delete"

    @property
    def retention_ms(self) -> int:
        """Kafka's retention.ms of the topic; -1 is for ever."""
        return -1 if self.retention_days is None else self.retention_days * _DAY_MS


def _topic(
    name: str,
    direction: Direction,
    record: type[Record],
    key: Key = Key.CLAIM,
    *,
    compacted: bool = False,
    retention_days: int | None = 30,
    money: bool = False,
) -> Topic:
    return Topic(
        name=name,
        owner=Owner(name.partition(".")[0]),
        direction=direction,
        record=record,
        key=key,
        compacted=compacted,
        retention_days=None if compacted else retention_days,
        dead_letter=None if direction is Direction.OUT else DEAD_LETTERS,
        money=money,
    )


_AVRO: Final = files("schemas").joinpath("avro")
_IN, _OUT, _INTERNAL = Direction.IN, Direction.OUT, Direction.INTERNAL

TOPICS: Final[Mapping[str, Topic]] = {
    topic.name: topic
    for topic in (
        _topic("reporting.loss-notice.v1", _IN, LossNotice),
        _topic("reporting.document.v1", _IN, Document),
        _topic("underwriting.policy.v1", _IN, Policy, Key.POLICY, compacted=True),
        _topic("investigation.finding.v1", _IN, Finding),
        _topic("repair.estimate.v1", _IN, Estimate),
        _topic("repair.invoice.v1", _IN, Invoice),
        _topic("adjuster.decision.v1", _IN, AdjusterDecision),
        _topic("finance.payment-status.v1", _IN, PaymentStatus),
        _topic("finance.statement-line.v1", _IN, StatementLine),
        _topic("claims.status.v1", _OUT, ClaimStatus, compacted=True),
        _topic("customer.notice.v1", _OUT, CustomerNotice),
        _topic(INSTRUCTIONS, _OUT, PaymentInstruction, retention_days=None, money=True),
        _topic(DEAD_LETTERS, _OUT, DeadLetter, Key.NONE, retention_days=None),
        _topic("hub.policy-wanted.v1", _INTERNAL, PolicyWanted, Key.POLICY),
        _topic("hub.wake.v1", _INTERNAL, Wake),
        _topic("operations.command.v1", _IN, Command),
        _topic(CLOCKS, _INTERNAL, ClockTick),
        _topic("hospital.bill.v1", _IN, HospitalBill),
        _topic("investigation.request.v1", _OUT, InvestigationRequest),
        _topic("repair.order.v1", _OUT, RepairOrder),
        _topic("hospital.request.v1", _OUT, HospitalRequest),
        _topic("finance.amount-query.v1", _OUT, AmountQuery),
        _topic("finance.amount-answer.v1", _IN, AmountAnswer),
        _topic("reporting.contact.v1", _IN, Contact),
        _topic("finance.reserve-movement.v1", _OUT, ReserveMovement),
        _topic("siu.referral.v1", _OUT, SiuReferral),
        _topic("siu.outcome.v1", _IN, SiuOutcome),
        _topic("recovery.case.v1", _OUT, RecoveryCase),
        _topic("recovery.receipt.v1", _IN, RecoveryReceipt),
        _topic("reinsurance.notice.v1", _OUT, ReinsuranceNotice),
        _topic("reinsurance.reply.v1", _IN, ReinsuranceReply),
        _topic("regulator.report.v1", _OUT, RegulatorReport),
        _topic("regulator.acknowledgement.v1", _IN, RegulatorAcknowledgement),
        _topic("underwriting.clause-query.v1", _OUT, ClauseQuery),
        _topic("underwriting.clause-answer.v1", _IN, ClauseAnswer),
        _topic("underwriting.loss-experience.v1", _OUT, LossExperience, Key.POLICY),
        _topic("legal.referral.v1", _OUT, LegalReferral),
        _topic("legal.outcome.v1", _IN, LegalOutcome),
        _topic("hub.same-paper.v1", _INTERNAL, SamePaper),
        _topic(BREAKS, _OUT, Break, Key.NONE),
        _topic("finance.cancellation-request.v1", _OUT, CancellationRequest, retention_days=None),
        _topic("hospital.record.v1", _IN, HospitalRecord),
        _topic("operations.peer-figures.v1", _IN, PeerFigures),
        _topic(FORWARDS, _INTERNAL, Forward),
        _topic("hub.same-loss.v1", _INTERNAL, SameLoss),
        _topic("finance.payment-closure.v1", _IN, PaymentClosure),
    )
}
"""Every topic by name. The embedded registry numbers the schemas by this order: add new topics at the end."""

INBOUND: Final = tuple(sorted(t.name for t in TOPICS.values() if t.direction is not Direction.OUT))
"""What the hub reads."""

OUTBOUND: Final = tuple(sorted(t.name for t in TOPICS.values() if t.direction is not Direction.IN))
"""What the hub writes."""


@cache
def avro_schema(topic: str) -> dict[str, Any]:
    """The Avro schema of a topic's values as parsed JSON, from `schemas/avro/`. Do not change the returned value."""
    return _read(_AVRO.joinpath(f"{record_file(topic)}.avsc"))


@cache
def released_schemas(topic: str) -> tuple[dict[str, Any], ...]:
    """Every version of a topic's schema that was ever released, oldest first; the last one is the current schema.

    They are kept for ever: records written by them may still be in the log, the journal or the archive.
    """
    versions: list[dict[str, Any]] = []
    while (file := _AVRO.joinpath("released", f"{record_file(topic)}.v{len(versions) + 1}.avsc")).is_file():
        versions.append(_read(file))
    return tuple(versions)


def record_file(topic: str) -> str:
    """The file name, without its ending, of a topic's record: its class name in kebab case."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", TOPICS[topic].record.__name__).lower()


def _read(file: Traversable) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema
