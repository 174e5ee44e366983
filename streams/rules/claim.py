"""The claim: its facts, its open tasks and its money. The stage is derived from them, never set."""

from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from schemas.records import (
    BankAccount,
    Bucket,
    Fault,
    FindingKind,
    LegalResult,
    PolicyCover,
    RecoveryKind,
    ReinsuranceNoticeKind,
    Role,
    SiuResult,
)
from streams.rules.places import UNKNOWN


class _Part(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A part of the claim's state: frozen, written to the ledger as a JSON object without its defaults."""


class TaskKind(StrEnum):
    """What a claim waits for."""

    FACTS = "facts"
    POLICY = "policy"
    DOCUMENTS = "documents"
    SURVEY = "survey"
    POLICE = "police"
    WITNESS = "witness"
    HOSPITAL_CHECK = "hospital-check"
    LOSS_ADJUSTER = "loss-adjuster"
    BILL = "bill"
    DISABILITY = "disability"
    ESTIMATE = "estimate"
    SUPPLEMENT = "supplement"
    INVOICE = "invoice"
    AMOUNT_CHECK = "amount-check"
    APPROVAL = "approval"
    SIU = "siu"
    RE_INSPECTION = "re-inspection"
    AGREEMENT = "agreement"
    LEGAL = "legal"
    CLAUSE_QUERY = "clause-query"
    ADVANCE = "advance"
    HOSPITAL_RECORD = "hospital-record"
    SAME_LOSS = "same-loss"


class Task(_Part, frozen=True, kw_only=True):
    """One piece of work somebody owes the claim now; `opened` is the causing record's ref. A closed task is gone."""

    kind: TaskKind
    addressee: str
    opened: str
    about: str = ""


class Notice(_Part, frozen=True, kw_only=True):
    """What the newest loss notice said, as far as decisions rest on it; `repeats` is what was found in other claims
    too: see `repeats.Repeats`. `account_version` is 1 and one more for each time the payee account was changed."""

    line: str
    policy_number: str | None = None
    plate: str | None = None
    vin: str | None = None
    loss_at_ms: int
    notified_at_ms: int
    place: str
    cause: str
    fault: Fault = Fault.UNKNOWN
    injury: bool = False
    damaged: tuple[str, ...]
    estimated_loss_minor: int
    currency: str
    photos: int = 0
    reporter_name: str
    reporter_phone: str
    payee: BankAccount
    payee_changed: bool = False
    account_version: int = 1
    facts: dict[str, str] = {}
    repeats: dict[str, tuple[int, str]] = {}


class PolicyInForce(_Part, frozen=True, kw_only=True):
    """The policy version in force at the loss time; `inception_at_ms` is when the policy's first version began,
    `raised_at_ms` when a cover was last raised before the loss. `other_account` says that the notice's payee account is
    not in the holder's name. The covers go once the claim is decided."""

    number: str
    version: int
    currency: str
    inception_at_ms: int
    raised_at_ms: int | None = None
    other_account: bool = False
    covers: tuple[PolicyCover, ...] = ()
    issued_after_loss: bool = False

    def cover(self, name: str) -> PolicyCover | None:
        """The cover of this name, if the policy has it."""
        for cover in self.covers:
            if cover.cover == name:
                return cover
        return None


class Found(_Part, frozen=True, kw_only=True):
    """What the newest finding of its kind said; amounts in minor units of the policy's currency."""

    kind: FindingKind
    fault: Fault = Fault.UNKNOWN
    contradicts_notice: bool = False
    found_at_ms: int
    loss_minor: int | None = None
    rescue_minor: int | None = None
    salvage_minor: int = 0
    disability_grade: int | None = None
    paid_by_others_minor: int = 0
    loss_at_ms: int | None = None
    region: str = UNKNOWN


class KeptLine(Struct, frozen=True, array_like=True, gc=False):
    """One line of the newest estimate, kept to name what the next supplement changes."""

    line_id: str
    part_number: str | None
    description: str
    bucket: Bucket
    amount_minor: int


class Assessed(_Part, frozen=True, kw_only=True):
    """Estimate and invoice of one damaged object, amounts per bucket in minor units.

    `first_minor` is what the first estimate came to; `version`, `buckets` and `lines` are the newest one's. `invoice`
    names the paper (issuer, code, number). `agreed_minor` is never more than the estimate; `excess` says that the
    invoice is, and so waits for a supplement. Buckets and lines go once the claim is decided: nothing later rests on
    them.
    """

    damaged: str
    shop: str
    version: int
    first_minor: int
    buckets: dict[Bucket, int] = {}
    lines: tuple[KeptLine, ...] = ()
    invoice: str | None = None
    invoice_at_ms: int = 0
    invoiced: dict[Bucket, int] | None = None
    agreed_minor: int | None = None
    excess: bool = False


class KeptBill(_Part, frozen=True, kw_only=True):
    """A hospital's bill: which paper it is, when the patient was there, and what of it counts, in minor units.
    `unexplained_minor` is by how much its printed total is above the sum of its items."""

    paper: str
    sha256: str
    hospital: str
    admitted_at_ms: int
    discharged_at_ms: int
    eligible_minor: int
    paid_by_others_minor: int = 0
    unexplained_minor: int = 0


class KeptRecord(_Part, frozen=True, kw_only=True):
    """A hospital's record of one stay or visit, as far as decisions rest on it."""

    id: str
    hospital: str
    admitted_at_ms: int
    discharged_at_ms: int
    issued_at_ms: int
    sha256: str


class SettlementVersion(_Part, frozen=True, kw_only=True):
    """One computed version of what is owed, per cover in minor units. `payable_minor` below zero is a recovery.
    `payee` is the digest of the account it is owed to: another account, like another amount or another round of a
    reopened claim, is another version. `salvage_minor` is what is left of a total loss, and the insurer's once paid;
    `deductibles` is what it takes of the covers' annual ones.

    Its steps are told in the reason of the decision that `cause` refers to, and can be computed again at any time.
    """

    version: int
    covers: dict[str, int]
    payable_minor: int
    currency: str
    payee: str
    cause: str
    round: int = 1
    salvage_minor: int = 0
    deductibles: dict[str, int] = {}


class CoverUse(Struct, frozen=True, array_like=True, gc=False):
    """What one claim uses of a policy's cover in the policy year of its loss, in minor units."""

    policy: str
    claim: str
    cover: str
    loss_at_ms: int
    paid_minor: int
    deductible_minor: int


class Outcome(StrEnum):
    """How the claim was decided."""

    APPROVED = "approved"
    REJECTED = "rejected"
    NOT_ACCEPTED = "not-accepted"
    WITHDRAWN = "withdrawn"
    MERGED = "merged"


class AmountCheck(_Part, frozen=True, kw_only=True):
    """What finance said to the amount of one settlement version."""

    version: int
    agreed: bool


class Referral(_Part, frozen=True, kw_only=True):
    """The newest referral to SIU: which one it is, for which score, and what SIU said to it if it has."""

    number: int
    score: int
    result: SiuResult | None = None


class Approval(_Part, frozen=True, kw_only=True):
    """One person's yes to the current settlement version."""

    role: Role
    person: str


class Advance(_Part, frozen=True, kw_only=True):
    """The advance of a claim whose amount was not fixed in time: due since `round`. `proposed` is the newest one put
    before people, numbered with the settlement versions; `approvals` are theirs, `refused` says that they said no,
    `amount_check` what finance said to its amount."""

    round: int = 1
    proposed: SettlementVersion | None = None
    amount_check: AmountCheck | None = None
    approvals: tuple[Approval, ...] = ()
    refused: bool = False


class PaymentState(StrEnum):
    """Where a payment stands (design: payments and reconciliation). Nobody knows yet whether an unknown one was paid;
    settled ends an attempt well, and booked does once the bank's statement shows it; rejected, returned and cancelled
    end it without the money being with the payee."""

    INSTRUCTED = "instructed"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    SETTLED = "settled"
    BOOKED = "booked"
    REJECTED = "rejected"
    RETURNED = "returned"
    CANCELLED = "cancelled"


DEAD: Final = frozenset({PaymentState.REJECTED, PaymentState.RETURNED, PaymentState.CANCELLED})
"""The states of attempts whose money did not stay with the payee."""

PAID: Final = frozenset({PaymentState.SETTLED, PaymentState.BOOKED})
"""The states of attempts whose money is with the payee."""

ON_ITS_WAY: Final = frozenset({PaymentState.INSTRUCTED, PaymentState.ACCEPTED, PaymentState.UNKNOWN})
"""The states of attempts that have not ended yet."""


class Payment(_Part, frozen=True, kw_only=True):
    """One attempt to pay one settlement version; `proposed_by` and `approved_by` are never the same. `stop_asked` says
    that finance was asked not to pay it, `under_way` that the bank has said ACSP, `contradicted` that two ends of it
    were told."""

    id: str
    claim: str
    settlement_version: int
    attempt: int
    amount_minor: int
    currency: str
    state: PaymentState
    proposed_by: str
    approved_by: str
    cause: str
    stop_asked: bool = False
    under_way: bool = False
    contradicted: bool = False


class ClockKind(StrEnum):
    """What the law or a contract leaves so many days for."""

    DOCUMENT_LIST = "document-list"
    DECISION = "decision"
    PAYMENT = "payment"
    REJECTION_NOTICE = "rejection-notice"
    AMOUNT_CHECK = "amount-check"
    COMPLAINT = "complaint"
    CLAUSE_QUERY = "clause-query"
    ADVANCE = "advance"


class Mark(Struct, frozen=True, array_like=True, gc=False):
    """When something became of a clock, and the ref of the record that this rests on."""

    at_ms: int
    cause: str


class Pause(Struct, frozen=True, array_like=True, gc=False):
    """A time in which a clock stood still."""

    began: Mark
    ended: Mark | None = None


class Clock(_Part, frozen=True, kw_only=True):
    """So many calendar `days` to do something in; one that ended is kept.

    `about` tells apart clocks of one kind, `case` says which of the product's lengths it has. `warned` are the warnings
    given, in their order. `due_at_ms` is the deadline by what is known, `next_at_ms` the next warning or the breach
    still to come. `extended` is when somebody allowed more days; they are in `days`.
    """

    kind: ClockKind
    about: str = ""
    case: str = ""
    days: int
    started: Mark
    due_at_ms: int = 0
    next_at_ms: int | None = None
    pauses: tuple[Pause, ...] = ()
    warned: tuple[Mark, ...] = ()
    breached: Mark | None = None
    ended: Mark | None = None
    extended: Mark | None = None


class ClauseAnswered(_Part, frozen=True, kw_only=True):
    """What underwriting's newest answer to a question about a policy's clauses says."""

    question: str
    policy: str
    version: int
    covered: bool


class PayeeChange(_Part, frozen=True, kw_only=True):
    """The claim is to be paid to another account than its notice named, and people have not approved that yet.

    `contact` says so, `before` is the digest of the account until then; nobody approves before `until_ms`.
    """

    contact: str
    before: str
    until_ms: int


class Complaint(_Part, frozen=True, kw_only=True):
    """A complaint, by the contact that made it; one that was answered is kept."""

    contact: str
    complex: bool = False
    answered: bool = False


class Recovery(_Part, frozen=True, kw_only=True):
    """Something that is to come back of what was paid; `receipts` are the amounts that came, by the receipt's id."""

    id: str
    kind: RecoveryKind
    due_minor: int
    due_at_ms: int
    receipts: dict[str, int] = {}

    @property
    def received_minor(self) -> int:
        """What has come back so far, in minor units."""
        return sum(self.receipts.values())


class Ceded(_Part, frozen=True, kw_only=True):
    """What a reinsurer was told: the step above the treaty's threshold, or its share of what was paid. `agreed` is what
    it said to it."""

    id: str
    kind: ReinsuranceNoticeKind
    step: int = 0
    share_minor: int
    agreed: bool | None = None


class Dispute(_Part, frozen=True, kw_only=True):
    """The newest referral to legal: which one it is, how it ended, and what the claim comes to by it."""

    number: int
    result: LegalResult | None = None
    amount_minor: int | None = None


class Reported(_Part, frozen=True, kw_only=True):
    """What the regulator was told, once: of the large loss, or of a clock that ran out."""

    mark: str
    acknowledged: bool = False


class Merge(_Part, frozen=True, kw_only=True):
    """Whether the claim is about a loss that another one is about: `asked` are those that have not answered yet, `into`
    is the one it became part of. With neither it is a claim of its own."""

    asked: tuple[str, ...] = ()
    into: str | None = None


class Stage(StrEnum):
    """Where a claim stands, derived from its facts, tasks and money."""

    REPORTED = "reported"
    NOT_ACCEPTED = "not-accepted"
    REGISTERED = "registered"
    INVESTIGATING = "investigating"
    ASSESSING = "assessing"
    DECIDED = "decided"
    AGREED = "agreed"
    PAYING = "paying"
    PAID = "paid"
    CLOSED = "closed"


class Claim(_Part, frozen=True, kw_only=True):
    """Everything decisions on one claim rest on. `findings` has the newest of each kind, `documents` the kind of each
    by its id; `open_tasks` are oldest first, `reserve_minor` is set aside, `notices` are the customer notices sent,
    `seen` the applied event ids, `acknowledged` the newest version each department says it has seen. `round` counts
    from 1; a claim that is reopened has the next. `agreed` and `disputed` are the settlement versions the claimant
    agreed to and disputes (0 is none). `joined` are the claims that became part of it. `cover_uses`
    is what it uses of its policy's yearly covers; `used_by_others`, what others do, is looked up for each record and
    not kept. The journal keeps what is not here."""

    number: str
    version: int = 0
    notice: Notice | None = None
    policy: PolicyInForce | None = None
    findings: tuple[Found, ...] = ()
    documents: dict[str, str] = {}
    open_tasks: tuple[Task, ...] = ()
    assessed: tuple[Assessed, ...] = ()
    bills: tuple[KeptBill, ...] = ()
    settlement: SettlementVersion | None = None
    amount_check: AmountCheck | None = None
    approvals: tuple[Approval, ...] = ()
    outcome: Outcome | None = None
    payments: tuple[Payment, ...] = ()
    reserve_minor: int = 0
    recoveries: tuple[Recovery, ...] = ()
    ceded: tuple[Ceded, ...] = ()
    reported: tuple[Reported, ...] = ()
    dispute: Dispute | None = None
    notices: tuple[str, ...] = ()
    clocks: tuple[Clock, ...] = ()
    seen: tuple[str, ...] = ()
    acknowledged: dict[str, int] = {}
    round: int = 1
    complaints: tuple[Complaint, ...] = ()
    referral: Referral | None = None
    payee_change: PayeeChange | None = None
    agreed: int = 0
    disputed: int = 0
    clauses: tuple[ClauseAnswered, ...] = ()
    same_papers: tuple[str, ...] = ()
    advance: Advance | None = None
    hospital_records: tuple[KeptRecord, ...] = ()
    above_peers: tuple[str, ...] = ()
    merge: Merge | None = None
    joined: tuple[str, ...] = ()
    cover_uses: tuple[CoverUse, ...] = ()
    used_by_others: tuple[CoverUse, ...] = ()

    @property
    def fault(self) -> Fault:
        """The insured's fault: as the police found it, else a survey, else as the notice said."""
        for kind in (FindingKind.POLICE, FindingKind.SURVEY):
            found = self.found(kind)
            if found is not None and found.fault is not Fault.UNKNOWN:
                return found.fault
        return Fault.UNKNOWN if self.notice is None else self.notice.fault

    def decided(self, outcome: Outcome) -> "Claim":
        """The claim with its outcome, without what only a decision still open rests on."""
        return replace(
            self,
            outcome=outcome,
            open_tasks=(),
            policy=None if self.policy is None else replace(self.policy, covers=()),
            assessed=tuple(replace(known, buckets={}, lines=(), invoiced=None) for known in self.assessed),
        )

    def clause(self, question: str) -> ClauseAnswered | None:
        """Underwriting's answer to a question, if it has answered."""
        for answer in self.clauses:
            if answer.question == question:
                return answer
        return None

    def without(self, *kinds: TaskKind) -> "Claim":
        """The claim without open tasks of these kinds."""
        return replace(self, open_tasks=tuple([task for task in self.open_tasks if task.kind not in kinds]))

    def with_payment(self, payment: Payment) -> "Claim":
        """The claim with the payment of this id as it is now."""
        return replace(self, payments=tuple([payment if it.id == payment.id else it for it in self.payments]))

    @property
    def newest_version(self) -> int:
        """The highest number a settlement or a proposed advance has; 0 while there is none."""
        version = 0 if self.settlement is None else self.settlement.version
        proposed = None if self.advance is None else self.advance.proposed
        return version if proposed is None else max(version, proposed.version)

    @property
    def salvage_minor(self) -> int:
        """What is left of what was lost, in minor units: as the loss adjuster valued it, else the surveyor."""
        valued = [self.found(kind) for kind in (FindingKind.LOSS_ADJUSTER, FindingKind.SURVEY)]
        return next((found.salvage_minor for found in valued if found is not None and found.salvage_minor), 0)

    @property
    def paid_by_others_minor(self) -> int:
        """What the insured had from a third party for the loss, in minor units, by the newest finding that says so."""
        newest = max(self.findings, key=lambda found: (found.paid_by_others_minor > 0, found.found_at_ms), default=None)
        return 0 if newest is None else newest.paid_by_others_minor

    def assessed_of(self, damaged: str) -> Assessed | None:
        """What is known of one damaged object's repair."""
        for known in self.assessed:
            if known.damaged == damaged:
                return known
        return None

    def found(self, kind: FindingKind) -> Found | None:
        """The newest finding of a kind."""
        for found in self.findings:
            if found.kind is kind:
                return found
        return None
