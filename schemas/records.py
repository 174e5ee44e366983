"""The event records as frozen Python values, one class per Avro schema of the same name.

Amounts are integers in the currency's minor unit, times are milliseconds since 1970-01-01 UTC (`*_at_ms`). A value
that breaks a rule of its field raises `msgspec.ValidationError`, which names the field and never the value.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from schemas.identifiers import check_account_number, check_cnaps, check_plate, check_resident_id, check_vin
from schemas.money import check_currency

Text = Annotated[str, Meta(min_length=1, max_length=256)]
Identifier = Annotated[str, Meta(min_length=1, max_length=64)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
AmountMinor = Annotated[int, Meta(ge=0, le=10**15)]
TimeMs = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
BasisPoints = Annotated[int, Meta(ge=0, le=10_000)]
Days = Annotated[int, Meta(ge=0, le=36_600)]
DayNumber = Annotated[int, Meta(ge=0, le=2_932_896)]
"""A day, counted from 1970-01-01 (`*_on`): see `schemas.days`."""
Facts = Annotated[dict[Identifier, Text], Meta(max_length=50)]
"""What one line of business wants to know and others do not, by name; which names is in the line's product file."""


class Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What one Avro message says."""


class Line(StrEnum):
    """The lines of business the hub comes with; each is a product file and a file of rules."""

    MOTOR = "motor"
    HEALTH = "health"
    ACCIDENT = "accident"
    PROPERTY = "property"


class Fault(StrEnum):
    """The insured's part of the fault in an accident; the share of each is product data."""

    FULL = "full"
    MAIN = "main"
    EQUAL = "equal"
    MINOR = "minor"
    NONE = "none"
    UNKNOWN = "unknown"


class DamagedObject(StrEnum):
    """What motor claims call what was damaged; other lines have words of their own, in their product files."""

    OWN_VEHICLE = "own-vehicle"
    THIRD_PARTY_PROPERTY = "third-party-property"
    THIRD_PARTY_INJURY = "third-party-injury"
    THIRD_PARTY_DISABILITY = "third-party-disability"


class Bucket(StrEnum):
    """The part of an estimate or invoice an amount belongs to (domain: matching documents)."""

    PARTS = "parts"
    LABOUR = "labour"
    PAINT = "paint"
    MATERIALS = "materials"
    OTHER = "other"
    TAX = "tax"


class BankAccount(Record, frozen=True, kw_only=True):
    """Where money is paid: `bank_code` is the bank's 12-digit CNAPS number."""

    name: Text
    account: Identifier
    bank_code: Identifier

    def __post_init__(self) -> None:
        check_account_number(self.account, "account")
        check_cnaps(self.bank_code, "bank_code")


class LossNotice(Record, frozen=True, kw_only=True):
    """First notice of loss, from the reporting desk. A later notice for the same claim corrects the earlier one."""

    claim: Identifier
    line: Identifier
    policy_number: Identifier | None = None
    plate: Identifier | None = None
    vin: Identifier | None = None
    loss_at_ms: TimeMs
    notified_at_ms: TimeMs
    place: Text
    cause: Identifier
    driver_name: Text | None = None
    driver_id: Identifier | None = None
    fault: Fault = Fault.UNKNOWN
    injury: bool = False
    damaged: Annotated[tuple[Identifier, ...], Meta(min_length=1, max_length=10)]
    estimated_loss_minor: AmountMinor
    currency: Currency
    photos: Annotated[tuple[Sha256, ...], Meta(max_length=100)] = ()
    reporter_name: Text
    reporter_phone: Identifier
    payee: BankAccount
    facts: Facts = {}

    def __post_init__(self) -> None:
        check_currency(self.currency, "currency")
        if self.plate is not None:
            check_plate(self.plate, "plate")
        if self.vin is not None:
            check_vin(self.vin, "vin")
        if self.driver_id is not None:
            check_resident_id(self.driver_id, "driver_id")
        if len(set(self.damaged)) != len(self.damaged):
            raise ValueError("damaged names the same object twice")


class Document(Record, frozen=True, kw_only=True):
    """A document received for a claim, kept elsewhere: its address and the SHA-256 of its bytes."""

    claim: Identifier
    document_id: Identifier
    kind: Identifier
    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    sha256: Sha256
    received_at_ms: TimeMs
    sender: Text


class PolicyCover(Record, frozen=True, kw_only=True):
    """One cover of a policy version. Which of the terms a cover needs is in the steps of its settlement."""

    cover: Identifier
    sum_insured_minor: AmountMinor
    deductible_minor: AmountMinor = 0
    deductible_bp: BasisPoints = 0
    reimbursement_bp: BasisPoints | None = None
    daily_minor: AmountMinor | None = None
    waiting_days: Days = 0
    insurable_value_minor: AmountMinor | None = None


class Policy(Record, frozen=True, kw_only=True):
    """One version of an insurance policy; an endorsement is the next version with its own start."""

    policy_number: Identifier
    version: Annotated[int, Meta(ge=1)]
    line: Identifier
    product: Identifier
    holder_name: Text
    plate: Identifier | None = None
    vin: Identifier | None = None
    issued_at_ms: TimeMs
    effective_from_ms: TimeMs
    effective_to_ms: TimeMs
    currency: Currency
    covers: Annotated[tuple[PolicyCover, ...], Meta(min_length=1, max_length=50)]
    facts: Facts = {}

    def __post_init__(self) -> None:
        check_currency(self.currency, "currency")
        if self.plate is not None:
            check_plate(self.plate, "plate")
        if self.vin is not None:
            check_vin(self.vin, "vin")
        if self.effective_from_ms >= self.effective_to_ms:
            raise ValueError("effective_to_ms is not after effective_from_ms")


class FindingKind(StrEnum):
    """Who looked into the loss."""

    SURVEY = "survey"
    POLICE = "police"
    WITNESS = "witness"
    HOSPITAL_CHECK = "hospital-check"
    LOSS_ADJUSTER = "loss-adjuster"
    DISABILITY = "disability"
    RE_INSPECTION = "re-inspection"


class Finding(Record, frozen=True, kw_only=True):
    """What somebody found who looked into the loss: the fault, whether it contradicts the notice, and the loss, the
    cost of rescue and the salvage if they were valued. `disability_grade` is 1 (gravest) to 10, `paid_by_others_minor`
    what the insured had from a third party for the loss (Insurance Law art. 60); `loss_at_ms` and `place` are when and
    where the loss was by what was found, such as the police record."""

    claim: Identifier
    finding_id: Identifier
    kind: FindingKind
    surveyor: Identifier
    found_at_ms: TimeMs
    fault: Fault = Fault.UNKNOWN
    contradicts_notice: bool
    summary: Text
    loss_minor: AmountMinor | None = None
    currency: Currency
    rescue_minor: AmountMinor | None = None
    salvage_minor: AmountMinor = 0
    disability_grade: Annotated[int, Meta(ge=1, le=10)] | None = None
    paid_by_others_minor: AmountMinor = 0
    loss_at_ms: TimeMs | None = None
    place: Text | None = None

    def __post_init__(self) -> None:
        check_currency(self.currency, "currency")


class BucketAmount(Record, frozen=True, kw_only=True):
    """A bucket's total as printed on the paper."""

    bucket: Bucket
    amount_minor: AmountMinor


class EstimateLine(Record, frozen=True, kw_only=True):
    """One position of an estimate."""

    line_id: Identifier
    part_number: Identifier | None = None
    description: Text
    bucket: Bucket
    amount_minor: AmountMinor


class InvestigationRequest(Record, frozen=True, kw_only=True):
    """Somebody is asked to look into a loss; `kind` is that of the finding that answers it."""

    claim: Identifier
    request_id: Identifier
    kind: FindingKind
    addressee: Identifier
    question: Annotated[str, Meta(max_length=256)] = ""
    place: Text
    loss_at_ms: TimeMs
    at_ms: TimeMs
    cause: Text
    rule: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]


class OrderKind(StrEnum):
    """What a repair shop is asked for."""

    ESTIMATE = "estimate"
    REPAIR = "repair"
    SUPPLEMENT = "supplement"


class RepairOrder(Record, frozen=True, kw_only=True):
    """A repair shop is asked for an estimate, to repair for what was estimated, or for a supplement. `shop` is missing
    while any may answer; `amounts` are those estimated so far, per bucket."""

    claim: Identifier
    order_id: Identifier
    kind: OrderKind
    damaged: Identifier
    shop: Identifier | None = None
    plate: Identifier | None = None
    vin: Identifier | None = None
    currency: Currency
    amounts: Annotated[tuple[BucketAmount, ...], Meta(max_length=6)] = ()
    at_ms: TimeMs
    cause: Text
    rule: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]


class HospitalRequestKind(StrEnum):
    """What a hospital is asked for; a guarantee asks for a bill and promises to pay it, an advice tells of that. An
    anomaly notice says that its record and its bill differ, and asks it to correct the record."""

    BILL = "bill"
    DISABILITY = "disability"
    GUARANTEE = "guarantee"
    SETTLEMENT_ADVICE = "settlement-advice"
    RECORD = "record"
    ANOMALY_NOTICE = "anomaly-notice"


class HospitalRequest(Record, frozen=True, kw_only=True):
    """A hospital is asked for a bill or a certificate; `facts` say of whom, and of which stay. `amount_minor` is what
    is guaranteed at most, or was paid to it."""

    claim: Identifier
    request_id: Identifier
    kind: HospitalRequestKind
    facts: Facts
    at_ms: TimeMs
    cause: Text
    rule: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]
    amount_minor: AmountMinor | None = None
    currency: Currency | None = None


class Estimate(Record, frozen=True, kw_only=True):
    """A repair shop's estimate; `version` 1 is E01, 2 is the first supplement S01, 3 is S02 and so on.

    A supplement states the whole estimate anew. `printed` are the bucket totals on the paper: trusted before sums.
    """

    claim: Identifier
    shop: Identifier
    damaged: Identifier
    version: Annotated[int, Meta(ge=1, le=99)]
    issued_at_ms: TimeMs
    currency: Currency
    lines: Annotated[tuple[EstimateLine, ...], Meta(min_length=1, max_length=2000)]
    printed: Annotated[tuple[BucketAmount, ...], Meta(max_length=6)] = ()

    def __post_init__(self) -> None:
        check_currency(self.currency, "currency")
        if len({line.line_id for line in self.lines}) != len(self.lines):
            raise ValueError("lines has the same line_id twice")


class Invoice(Record, frozen=True, kw_only=True):
    """A repair shop's invoice; (issuer, code, number) and the content's SHA-256 identify the paper."""

    claim: Identifier
    shop: Identifier
    damaged: Identifier
    issuer: Identifier
    code: Identifier
    number: Identifier
    sha256: Sha256
    issued_at_ms: TimeMs
    currency: Currency
    buckets: Annotated[tuple[BucketAmount, ...], Meta(min_length=1, max_length=6)]
    total_minor: AmountMinor

    def __post_init__(self) -> None:
        check_currency(self.currency, "currency")
        if len({bucket.bucket for bucket in self.buckets}) != len(self.buckets):
            raise ValueError("buckets has the same bucket twice")
        if sum(bucket.amount_minor for bucket in self.buckets) != self.total_minor:
            raise ValueError("total_minor is not the sum of buckets")


class BillKind(StrEnum):
    """What a hospital charges for."""

    DRUG = "drug"
    EXAM = "exam"
    BED = "bed"
    TREATMENT = "treatment"
    SURGERY = "surgery"
    OTHER = "other"


class BillItem(Record, frozen=True, kw_only=True):
    """One position of a hospital bill; `code` is its number in the medical insurance catalogue."""

    item_id: Identifier
    kind: BillKind
    code: Identifier | None = None
    description: Text
    net_minor: AmountMinor


class HospitalBill(Record, frozen=True, kw_only=True):
    """A hospital's itemised bill; (issuer, code, number) and the content's SHA-256 identify the paper.

    `total_minor` is as printed: it need not be the sum of the items. `paid_by_others_minor` is what social insurance
    or others have paid of it.
    """

    claim: Identifier
    hospital: Identifier
    issuer: Identifier
    code: Identifier
    number: Identifier
    sha256: Sha256
    admitted_at_ms: TimeMs
    discharged_at_ms: TimeMs
    issued_at_ms: TimeMs
    currency: Currency
    items: Annotated[tuple[BillItem, ...], Meta(min_length=1, max_length=2000)]
    total_minor: AmountMinor
    paid_by_others_minor: AmountMinor = 0

    def __post_init__(self) -> None:
        check_currency(self.currency, "currency")
        if len({item.item_id for item in self.items}) != len(self.items):
            raise ValueError("items has the same item_id twice")
        if self.discharged_at_ms < self.admitted_at_ms:
            raise ValueError("discharged_at_ms is before admitted_at_ms")


class DecisionAction(StrEnum):
    """What a person decides: on a settlement version, on a complaint, that a claim is taken up again, that legal or SIU
    looks at it, or that finance is asked not to pay what it was told to."""

    APPROVE = "approve"
    REJECT = "reject"
    REOPEN = "reopen"
    ANSWER_COMPLAINT = "answer-complaint"
    EXTEND_COMPLAINT = "extend-complaint"
    REFER_LEGAL = "refer-legal"
    REFER_SIU = "refer-siu"
    CANCEL_PAYMENT = "cancel-payment"


OF_A_SETTLEMENT = (DecisionAction.APPROVE, DecisionAction.REJECT, DecisionAction.REFER_LEGAL)
"""What is decided on one settlement version."""


class Role(StrEnum):
    """The part a person plays in an approval; nobody holds two on one settlement version."""

    HANDLER = "handler"
    APPROVER = "approver"
    MANAGER = "manager"


class AdjusterDecision(Record, frozen=True, kw_only=True):
    """A person's decision on one settlement version, on the complaint `contact_id`, on the payment `instruction_id`, or
    on the claim as a whole."""

    claim: Identifier
    settlement_version: Annotated[int, Meta(ge=1)] | None = None
    action: DecisionAction
    role: Role
    person: Identifier
    reason: Text
    decided_at_ms: TimeMs
    contact_id: Identifier | None = None
    instruction_id: Identifier | None = None

    def __post_init__(self) -> None:
        if self.action in OF_A_SETTLEMENT and self.settlement_version is None:
            raise ValueError("settlement_version is missing: say which one was decided on")
        if self.action in (DecisionAction.ANSWER_COMPLAINT, DecisionAction.EXTEND_COMPLAINT) and not self.contact_id:
            raise ValueError("contact_id is missing: say which complaint it is about")
        if self.action is DecisionAction.CANCEL_PAYMENT and not self.instruction_id:
            raise ValueError("instruction_id is missing: say which payment it is about")


class AmountQuery(Record, frozen=True, kw_only=True):
    """Finance is asked whether it agrees with the amount of one settlement version before anybody approves it."""

    claim: Identifier
    query_id: Identifier
    settlement_version: Annotated[int, Meta(ge=1)]
    amount_minor: AmountMinor
    currency: Currency
    at_ms: TimeMs
    cause: Text
    rule: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]


class AmountAnswer(Record, frozen=True, kw_only=True):
    """What finance says to an amount query; `reason` says why when it does not agree."""

    claim: Identifier
    query_id: Identifier
    agreed: bool
    reason: Text
    at_ms: TimeMs


class PaymentInstruction(Record, frozen=True, kw_only=True):
    """What finance is asked to pay, once. `purpose` is an ISO 20022 external purpose code (INSC); `value_on` is the
    banking day it is to be paid on, `account_version` 1 and one more for each time the claim's account was changed."""

    instruction_id: Identifier
    claim: Identifier
    settlement_version: Annotated[int, Meta(ge=1)]
    attempt: Annotated[int, Meta(ge=1)]
    payee: BankAccount
    amount_minor: Annotated[int, Meta(gt=0, le=10**15)]
    currency: Currency
    purpose: Identifier
    issued_at_ms: TimeMs
    cause: Text
    rule: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]
    value_on: DayNumber | None = None
    account_version: Annotated[int, Meta(ge=1)] = 1


class PaymentStatusCode(StrEnum):
    """ISO 20022 external payment transaction status codes the hub understands (pain.002)."""

    RCVD = "RCVD"
    ACTC = "ACTC"
    ACCP = "ACCP"
    PDNG = "PDNG"
    ACSP = "ACSP"
    ACSC = "ACSC"
    ACCC = "ACCC"
    RJCT = "RJCT"
    CANC = "CANC"


class PaymentStatus(Record, frozen=True, kw_only=True):
    """What finance says of one payment instruction; `reason_code` is an ISO 20022 external status reason code."""

    claim: Identifier
    instruction_id: Identifier
    status: PaymentStatusCode
    reason_code: Identifier | None = None
    amount_minor: AmountMinor
    currency: Currency
    at_ms: TimeMs

    def __post_init__(self) -> None:
        check_currency(self.currency, "currency")


class ClosureResult(StrEnum):
    """How two people say that a payment ended."""

    PAID = "paid"
    NOT_PAID = "not-paid"


class PaymentClosure(Record, frozen=True, kw_only=True):
    """Two people of finance say how a payment ended of which the bank never told: it was paid, perhaps by hand, or it
    is proven that it was not. `evidence` says what they rest that on."""

    claim: Identifier
    instruction_id: Identifier
    result: ClosureResult
    amount_minor: Annotated[int, Meta(gt=0, le=10**15)]
    currency: Currency
    proposed_by: Identifier
    confirmed_by: Identifier
    evidence: Text
    at_ms: TimeMs

    def __post_init__(self) -> None:
        check_currency(self.currency, "currency")
        if self.proposed_by == self.confirmed_by:
            raise ValueError("confirmed_by is the one who proposed it: another person must confirm")


class StatementLineKind(StrEnum):
    """What a booked line of the bank's statement is: money that left for a payee, or that came back from one."""

    PAYMENT = "payment"
    RETURN = "return"


class StatementLine(Record, frozen=True, kw_only=True):
    """A booked entry of the bank's statement that names one of our instructions. `line_id` is the bank's reference of
    it; `reason_code`, of a return, an ISO 20022 external return reason code."""

    claim: Identifier
    line_id: Identifier
    instruction_id: Identifier
    kind: StatementLineKind
    amount_minor: AmountMinor
    currency: Currency
    reason_code: Identifier | None = None
    booked_at_ms: TimeMs

    def __post_init__(self) -> None:
        check_currency(self.currency, "currency")


class ClaimStatus(Record, frozen=True, kw_only=True):
    """The full snapshot of a claim as every department sees it, with the version it belongs to.

    A department takes a snapshot whose version is newer than what it has. One that it asked for carries its name in the
    header `department`, and it takes that in any case; for all others it is one more snapshot of a version they have.
    """

    claim: Identifier
    version: Annotated[int, Meta(ge=1)]
    stage: Identifier
    line: Identifier | None = None
    policy_number: Identifier | None = None
    open_tasks: tuple[Identifier, ...] = ()
    payable_minor: int | None = None
    paid_minor: AmountMinor = 0
    currency: Currency | None = None
    at_ms: TimeMs
    cause: Text
    rule: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]


class NoticeKind(StrEnum):
    """What a customer is told."""

    RECEIVED = "received"
    REGISTERED = "registered"
    NOT_ACCEPTED = "not-accepted"
    DOCUMENTS_NEEDED = "documents-needed"
    DECISION = "decision"
    REJECTION = "rejection"
    PAID = "paid"
    INQUIRY_ANSWER = "inquiry-answer"
    COMPLAINT_RECEIVED = "complaint-received"
    COMPLAINT_EXTENDED = "complaint-extended"
    COMPLAINT_ANSWER = "complaint-answer"
    WITHDRAWN = "withdrawn"
    REOPENED = "reopened"
    PAYEE_CHANGED = "payee-changed"
    ACCOUNT_NEEDED = "account-needed"
    MERGED = "merged"


class CustomerNotice(Record, frozen=True, kw_only=True):
    """A notice to send the customer, once per claim, kind and cause."""

    notice_id: Identifier
    claim: Identifier
    kind: NoticeKind
    name: Text
    phone: Identifier
    text: Annotated[str, Meta(min_length=1, max_length=2048)]
    at_ms: TimeMs
    cause: Text
    rule: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]


class DeadLetter(Record, frozen=True, kw_only=True):
    """A record the hub could not take: where it stood, why, and its original bytes."""

    topic: Text
    generation: int
    partition: int
    offset: int
    key: str | None = None
    code: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]
    value: bytes
    headers: dict[str, bytes]
    at_ms: TimeMs


class PolicyWanted(Record, frozen=True, kw_only=True):
    """A claim's lane asks the policy's lane to wake the claim when the policy is known. Key: policy number."""

    policy_number: Identifier
    claim: Identifier
    at_ms: TimeMs


class WakeKind(StrEnum):
    """Why a claim is woken."""

    POLICY_ARRIVED = "policy-arrived"
    RETRY = "retry"


class Wake(Record, frozen=True, kw_only=True):
    """Another lane, or an operator, wakes a claim: its waiting records are tried again. Key: claim number."""

    claim: Identifier
    kind: WakeKind
    policy_number: Identifier | None = None
    at_ms: TimeMs


class CommandKind(StrEnum):
    """What a department or an operator asks of the hub."""

    RESYNC = "resync"
    ACKNOWLEDGE = "acknowledge"


class Command(Record, frozen=True, kw_only=True):
    """What a department, or an operator for it, asks of the hub: a claim's snapshot once more, or to note which version
    of it the department has seen. It changes nothing of the claim that departments see."""

    claim: Identifier
    kind: CommandKind
    department: Identifier
    version: Annotated[int, Meta(ge=1)] | None = None
    at_ms: TimeMs

    def __post_init__(self) -> None:
        if self.kind is CommandKind.ACKNOWLEDGE and self.version is None:
            raise ValueError("version is missing: say which version was seen")


class ClockTick(Record, frozen=True, kw_only=True):
    """A claim's clock has come to a warning or to its deadline, at `at_ms`. Key: claim number."""

    claim: Identifier
    at_ms: TimeMs


class ContactKind(StrEnum):
    """What the claimant wants."""

    INQUIRY = "inquiry"
    COMPLAINT = "complaint"
    WITHDRAWAL = "withdrawal"
    BANK_DETAILS = "bank-details"
    AGREEMENT = "agreement"
    DISPUTE = "dispute"


class Contact(Record, frozen=True, kw_only=True):
    """The claimant speaks to the reporting desk after the notice. `payee` is the account to pay to from now on,
    `complex` says that a complaint needs more time, `settlement_version` is the one agreed to or disputed."""

    claim: Identifier
    contact_id: Identifier
    kind: ContactKind
    by: Text
    text: Annotated[str, Meta(max_length=2048)] = ""
    at_ms: TimeMs
    payee: BankAccount | None = None
    complex: bool = False
    settlement_version: Annotated[int, Meta(ge=1)] | None = None

    def __post_init__(self) -> None:
        if (self.kind is ContactKind.BANK_DETAILS) != (self.payee is not None):
            raise ValueError("payee goes with new bank details, and with them only")
        if self.kind in (ContactKind.AGREEMENT, ContactKind.DISPUTE) and self.settlement_version is None:
            raise ValueError("settlement_version is missing: say which one is agreed to or disputed")


class ReserveMovement(Record, frozen=True, kw_only=True):
    """What is set aside for a claim has changed, with the claim's version: once a version at most. Never below zero."""

    claim: Identifier
    version: Annotated[int, Meta(ge=1)]
    line: Identifier
    before_minor: AmountMinor
    after_minor: AmountMinor
    currency: Currency
    at_ms: TimeMs
    cause: Text
    rule: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]


class RiskSignal(Record, frozen=True, kw_only=True):
    """One thing that speaks against paying unseen: its weight in the score, and the evidence in words."""

    name: Identifier
    weight: Annotated[int, Meta(ge=0, le=100)]
    evidence: Text


class SiuReferral(Record, frozen=True, kw_only=True):
    """SIU is asked to look into a claim whose risk is high; nothing is paid before it has answered. A score that rises
    later is another referral, and only the newest can be answered."""

    claim: Identifier
    referral_id: Identifier
    score: Annotated[int, Meta(ge=0, le=100)]
    signals: Annotated[tuple[RiskSignal, ...], Meta(min_length=1, max_length=100)]
    at_ms: TimeMs
    cause: Text
    rule: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]


class SiuResult(StrEnum):
    """What SIU found: nothing against paying, or fraud."""

    CLEARED = "cleared"
    CONFIRMED = "confirmed"


class SiuOutcome(Record, frozen=True, kw_only=True):
    """SIU's answer to one referral: what it found, who says so, and why."""

    claim: Identifier
    referral_id: Identifier
    result: SiuResult
    person: Identifier
    reason: Text
    at_ms: TimeMs


class RecoveryKind(StrEnum):
    """What is to come back of what was paid: from whoever is at fault, from selling what is left of a total loss, from
    whoever was paid too much, or from the reinsurer."""

    SUBROGATION = "subrogation"
    SALVAGE = "salvage"
    REPAYMENT = "repayment"
    REINSURANCE = "reinsurance"


class RecoveryCase(Record, frozen=True, kw_only=True):
    """A recovery as it stands now: told when it opens and with each receipt."""

    claim: Identifier
    recovery_id: Identifier
    kind: RecoveryKind
    due_minor: Annotated[int, Meta(gt=0, le=10**15)]
    received_minor: AmountMinor = 0
    closed: bool = False
    currency: Currency
    due_at_ms: TimeMs
    at_ms: TimeMs
    cause: Text
    rule: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]


class RecoveryReceipt(Record, frozen=True, kw_only=True):
    """Money that came in for a recovery; below zero it is money that went back, as of a bounced transfer."""

    claim: Identifier
    recovery_id: Identifier
    receipt_id: Identifier
    amount_minor: Annotated[int, Meta(ge=-(10**15), le=10**15)]
    currency: Currency
    at_ms: TimeMs

    def __post_init__(self) -> None:
        check_currency(self.currency, "currency")


class ReinsuranceNoticeKind(StrEnum):
    """What a reinsurer is told: that a claim is above the treaty's threshold or a step higher, that it no longer is,
    or that its share of what was paid is due, at once or with the next account."""

    NOTICE = "notice"
    RELEASE = "release"
    CASH_CALL = "cash-call"
    RECOVERY_DUE = "recovery-due"


class ReinsuranceNotice(Record, frozen=True, kw_only=True):
    """A reinsurer is told of a large claim: what it costs or has cost before reinsurance, and the reinsurer's share."""

    claim: Identifier
    notice_id: Identifier
    kind: ReinsuranceNoticeKind
    treaty: Identifier
    gross_minor: AmountMinor
    ceded_minor: AmountMinor
    recovery_id: Identifier | None = None
    currency: Currency
    at_ms: TimeMs
    cause: Text
    rule: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]


class ReinsuranceReply(Record, frozen=True, kw_only=True):
    """What the reinsurer says to a notice; `reason` says why when it does not agree."""

    claim: Identifier
    notice_id: Identifier
    agreed: bool
    reason: Text
    at_ms: TimeMs


class RegulatorReportKind(StrEnum):
    """What the regulator hears of a single claim."""

    LARGE_LOSS = "large-loss"
    INCIDENT = "incident"


class RegulatorReport(Record, frozen=True, kw_only=True):
    """The regulator hears of a large loss the day it is known, or of an incident; `about` says of which clock."""

    claim: Identifier
    report_id: Identifier
    kind: RegulatorReportKind
    line: Identifier
    about: Annotated[str, Meta(max_length=256)] = ""
    source: Text
    amount_minor: AmountMinor
    currency: Currency
    at_ms: TimeMs
    cause: Text
    rule: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]


class RegulatorAcknowledgement(Record, frozen=True, kw_only=True):
    """The regulator has received a report."""

    claim: Identifier
    report_id: Identifier
    at_ms: TimeMs


class ClauseQuery(Record, frozen=True, kw_only=True):
    """Underwriting is asked whether a policy insures a cause its cover does not name, or whether a version issued after
    the loss holds for it: `question` is `cause` or `version`, and which."""

    claim: Identifier
    query_id: Identifier
    policy_number: Identifier
    policy_version: Annotated[int, Meta(ge=1)]
    question: Text
    line: Identifier
    loss_at_ms: TimeMs
    at_ms: TimeMs
    cause: Text
    rule: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]


class ClauseAnswer(Record, frozen=True, kw_only=True):
    """What underwriting says to a clause query; a later `version` replaces an earlier one."""

    claim: Identifier
    query_id: Identifier
    policy_number: Identifier
    version: Annotated[int, Meta(ge=1)]
    covered: bool
    reason: Text
    at_ms: TimeMs


class LossExperience(Record, frozen=True, kw_only=True):
    """What a claim came to, for the policy it was on: told when the claim is paid or closed, anew after a reopening."""

    policy_number: Identifier
    policy_version: Annotated[int, Meta(ge=1)]
    claim: Identifier
    line: Identifier
    loss_cause: Identifier
    loss_at_ms: TimeMs
    outcome: Identifier
    settled_minor: AmountMinor
    paid_minor: AmountMinor
    currency: Currency
    at_ms: TimeMs
    cause: Text
    rule: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]


class LegalReferral(Record, frozen=True, kw_only=True):
    """Legal is asked about a settlement version the claimant disputes. Until `limited_at_ms` the claimant may sue."""

    claim: Identifier
    referral_id: Identifier
    settlement_version: Annotated[int, Meta(ge=1)]
    amount_minor: AmountMinor
    currency: Currency
    limited_at_ms: TimeMs
    at_ms: TimeMs
    cause: Text
    rule: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]


class LegalResult(StrEnum):
    """How a dispute ended: our amount stands, both settled for another, or the claimant won."""

    UPHELD = "upheld"
    SETTLED = "settled"
    LOST = "lost"


class LegalOutcome(Record, frozen=True, kw_only=True):
    """How a dispute that was referred to legal ended; `amount_minor` is what the whole claim comes to by it, unless our
    amount stands."""

    claim: Identifier
    referral_id: Identifier
    result: LegalResult
    amount_minor: AmountMinor | None = None
    currency: Currency
    reason: Text
    at_ms: TimeMs

    def __post_init__(self) -> None:
        check_currency(self.currency, "currency")
        if (self.result is LegalResult.UPHELD) != (self.amount_minor is None):
            raise ValueError("amount_minor goes with a result by which our amount does not stand, and with these only")


class SamePaper(Record, frozen=True, kw_only=True):
    """Another claim's lane tells this claim that a paper or picture of its came with that one as well. Key: claim
    number."""

    claim: Identifier
    other: Identifier
    what: Identifier
    at_ms: TimeMs


class BreakKind(StrEnum):
    """What does not fit and somebody has to clear: a record that waits too long for another; a payment nobody knows the
    end of, or of which two ends are told; a payment or a line of a statement that is not what the other side says; a
    statement that misses one before it or does not add up; what cannot be read."""

    PARKED_TOO_LONG = "parked-too-long"
    AMOUNT = "amount"
    MISSING = "missing"
    DUPLICATE = "duplicate"
    ORPHAN = "orphan"
    LATE = "late"
    RETURNED = "returned"
    UNKNOWN = "unknown"
    STATUS = "status"
    SEQUENCE = "sequence"
    BALANCE = "balance"
    UNREADABLE = "unreadable"


class Break(Record, frozen=True, kw_only=True):
    """Something that does not fit, told once: the department that clears it (`owner`), the claim or policy it concerns
    (`key`), what it is about (a record's ref, an instruction, a line), and since when. Of a break between amounts, what
    was expected and what was found."""

    break_id: Identifier
    kind: BreakKind
    owner: Identifier
    key: Identifier
    about: Text
    since_at_ms: TimeMs
    expected_minor: AmountMinor | None = None
    found_minor: AmountMinor | None = None
    currency: Currency | None = None
    at_ms: TimeMs
    cause: Text
    rule: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]


class CancellationRequest(Record, frozen=True, kw_only=True):
    """Finance is asked, once, not to pay an instruction that is not final; it stands until finance says CANC."""

    claim: Identifier
    instruction_id: Identifier
    settlement_version: Annotated[int, Meta(ge=1)]
    amount_minor: Annotated[int, Meta(gt=0, le=10**15)]
    currency: Currency
    at_ms: TimeMs
    cause: Text
    rule: Identifier
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]


class HospitalRecord(Record, frozen=True, kw_only=True):
    """A hospital's record of one stay or visit: when, in which department, for what. A later one of the same
    `record_id` corrects it. `diagnosis` is its code (ICD-10), the content's SHA-256 identifies the paper."""

    claim: Identifier
    hospital: Identifier
    record_id: Identifier
    admitted_at_ms: TimeMs
    discharged_at_ms: TimeMs
    department: Text
    diagnosis: Annotated[str, Meta(pattern="^[A-Z][0-9]{2}(\\.[0-9A-Za-z]{1,8})?$")]
    sha256: Sha256
    issued_at_ms: TimeMs

    def __post_init__(self) -> None:
        if self.discharged_at_ms < self.admitted_at_ms:
            raise ValueError("discharged_at_ms is before admitted_at_ms")


class ProviderKind(StrEnum):
    """Who works for a claim and is compared with others of the kind."""

    SHOP = "shop"
    HOSPITAL = "hospital"


class PeerFigures(Record, frozen=True, kw_only=True):
    """What others of its kind come to in a line of business, told to a claim of this provider: of so many `claims`
    `per_cent` come to at most `limit_minor`."""

    claim: Identifier
    kind: ProviderKind
    provider: Identifier
    claims: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    per_cent: Annotated[int, Meta(ge=1, le=99)]
    limit_minor: AmountMinor
    currency: Currency
    at_ms: TimeMs

    def __post_init__(self) -> None:
        check_currency(self.currency, "currency")


class Forward(Record, frozen=True, kw_only=True):
    """A record of another claim `other` that is about the same loss: its original bytes and headers, the topic they
    came on, and the event id it is known by. Key: number of the claim it is handed to."""

    claim: Identifier
    other: Identifier
    topic: Text
    event_id: Annotated[str, Meta(min_length=1)]
    value: bytes
    headers: dict[str, bytes]
    at_ms: TimeMs


class SameLoss(Record, frozen=True, kw_only=True):
    """The claim `other` says whether it is about the same loss, once it has seen this claim's notice, which has this
    policy number and plate. Key: claim number."""

    claim: Identifier
    other: Identifier
    same: bool
    policy_number: Identifier | None = None
    plate: Identifier | None = None
    at_ms: TimeMs
