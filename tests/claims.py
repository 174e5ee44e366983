"""Factories for the records of a claim: valid unless told otherwise. Amounts in fen, times in milliseconds."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from schemas.records import (
    AdjusterDecision,
    AmountAnswer,
    BankAccount,
    BillItem,
    BillKind,
    Bucket,
    BucketAmount,
    ClauseAnswer,
    Command,
    CommandKind,
    Contact,
    ContactKind,
    DamagedObject,
    DecisionAction,
    Document,
    Estimate,
    EstimateLine,
    Fault,
    Finding,
    FindingKind,
    HospitalBill,
    HospitalRecord,
    Invoice,
    Line,
    LossNotice,
    PaymentInstruction,
    PaymentStatus,
    PaymentStatusCode,
    PeerFigures,
    Policy,
    PolicyCover,
    ProviderKind,
    Role,
    SiuOutcome,
    SiuResult,
)
from streams.rules.amounts import query_id
from streams.rules.clause import query_id as clause_query_id
from streams.rules.referrals import referral_id

CLAIM = "CLM-2026-000001"
POLICY = "POL-2026-000001"
PLATE = "京A12345"
OTHER_PLATE = "沪B67890"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
INCEPTION_MS = 1_767_225_600_000  # 2026-01-01 08:00 in Shanghai
LOSS_MS = INCEPTION_MS + 90 * DAY_MS
SAID_MS = 4_102_444_800_000  # 2100-01-01: of what is said then, no clock runs out while a test runs
PHOTO = "ab" * 32
PAYEE = BankAccount(name="投保人甲", account="6200000000000000018", bank_code="102100099996")
OTHER_PAYEE = BankAccount(name="投保人甲", account="6200000000000000026", bank_code="102100099996")
OWN, THIRD = DamagedObject.OWN_VEHICLE, DamagedObject.THIRD_PARTY_PROPERTY
OWN_DAMAGE = PolicyCover(cover="own-damage", sum_insured_minor=150_000_00, deductible_minor=500_00)
COMPULSORY = PolicyCover(cover="compulsory-motor", sum_insured_minor=200_000_00)


def digest(claim: object, what: str) -> str:
    """The SHA-256 of something that only this claim has; of the usual claim, that of all its papers."""
    return PHOTO if claim == CLAIM else sha256(f"{what} of {claim}".encode()).hexdigest()


def code(claim: object) -> str:
    """The code printed on a claim's papers, which no other claim's have."""
    return "011002600111" if claim == CLAIM else str(int(digest(claim, "code")[:12], 16))


def plate(claim: object) -> str:
    """The plate of a vehicle that only this claim is about; of the usual claim, that of the usual policy."""
    return PLATE if claim == CLAIM else f"京B{int(digest(claim, 'plate')[:12], 16) % 10**5:05}"


def place(claim: object) -> str:
    """Where its loss happened: in a town that no other claim's loss did, so that none are taken for one."""
    return (
        "北京市，停车场出口" if claim == CLAIM else f"{int(digest(claim, 'place')[:12], 16) % 10**9:09}市，停车场出口"
    )


def phone(claim: object) -> str:
    """The reporter's phone, which no other claim has."""
    return "13800000000" if claim == CLAIM else f"139{int(digest(claim, 'phone')[:12], 16) % 10**8:08}"


def payee(claim: object) -> BankAccount:
    """The account of the policy's holder, which no other claim has."""
    account = f"62{int(digest(claim, 'account')[:16], 16) % 10**17:017}"
    return PAYEE if claim == CLAIM else BankAccount(name=PAYEE.name, account=account, bank_code=PAYEE.bank_code)


def policy(**changes: object) -> Policy:
    """A motor policy with own damage and compulsory motor, in force all 2026."""
    values: dict[str, Any] = {
        "policy_number": POLICY,
        "version": 1,
        "line": Line.MOTOR,
        "product": "motor-private",
        "holder_name": "投保人甲",
        "plate": PLATE,
        "issued_at_ms": INCEPTION_MS - DAY_MS,
        "effective_from_ms": INCEPTION_MS,
        "effective_to_ms": INCEPTION_MS + 365 * DAY_MS,
        "currency": "CNY",
        "covers": (COMPULSORY, OWN_DAMAGE),
    }
    values.update(changes)
    return Policy(**values)


def notice(**changes: object) -> LossNotice:
    """A notice with photos and a small loss of the insured's own vehicle: fast-track as it stands."""
    values: dict[str, Any] = {
        "claim": CLAIM,
        "line": Line.MOTOR,
        "policy_number": POLICY,
        "plate": PLATE,
        "loss_at_ms": LOSS_MS,
        "notified_at_ms": LOSS_MS + 2 * HOUR_MS,
        "place": place(changes.get("claim", CLAIM)),
        "cause": "collision",
        "driver_name": "驾驶人甲",
        "fault": Fault.FULL,
        "injury": False,
        "damaged": (OWN,),
        "estimated_loss_minor": 3_000_00,
        "currency": "CNY",
        "photos": (digest(changes.get("claim", CLAIM), "photo"),),
        "reporter_name": "报案人甲",
        "reporter_phone": phone(changes.get("claim", CLAIM)),
        "payee": payee(changes.get("claim", CLAIM)),
    }
    values.update(changes)
    return LossNotice(**values)


def document(**changes: object) -> Document:
    """A document kept elsewhere."""
    values: dict[str, Any] = {
        "claim": CLAIM,
        "document_id": "DOC-1",
        "kind": "police-report",
        "url": "https://documents.example/DOC-1",
        "sha256": digest(changes.get("claim", CLAIM), "document"),
        "received_at_ms": LOSS_MS + DAY_MS,
        "sender": "reporting",
    }
    values.update(changes)
    return Document(**values)


def finding(**changes: object) -> Finding:
    """A survey that agrees with the notice."""
    values: dict[str, Any] = {
        "claim": CLAIM,
        "finding_id": "SV-1",
        "kind": FindingKind.SURVEY,
        "surveyor": "surveyor-03",
        "found_at_ms": LOSS_MS + DAY_MS,
        "fault": Fault.FULL,
        "contradicts_notice": False,
        "summary": "碰撞痕迹与报案相符",
        "currency": "CNY",
    }
    values.update(changes)
    return Finding(**values)


def estimate(
    lines: Mapping[str, int] | Sequence[EstimateLine] | None = None,
    printed: Mapping[Bucket, int] | None = None,
    **changes: object,
) -> Estimate:
    """An estimate; `lines` as {bucket: amount} makes one line per bucket."""
    given = {"parts": 2_000_00, "labour": 800_00} if lines is None else lines
    if isinstance(given, Mapping):
        given = [
            EstimateLine(line_id=str(number), description=f"{bucket} work", bucket=Bucket(bucket), amount_minor=amount)
            for number, (bucket, amount) in enumerate(given.items(), 1)
        ]
    values: dict[str, Any] = {
        "claim": CLAIM,
        "shop": "shop-01",
        "damaged": OWN,
        "version": 1,
        "issued_at_ms": LOSS_MS + 2 * DAY_MS,
        "currency": "CNY",
        "lines": tuple(given),
        "printed": tuple(BucketAmount(bucket=it, amount_minor=amount) for it, amount in (printed or {}).items()),
    }
    values.update(changes)
    return Estimate(**values)


def invoice(buckets: Mapping[str, int] | None = None, **changes: object) -> Invoice:
    """An invoice over what the estimate said unless `buckets` says otherwise."""
    given = {"parts": 2_000_00, "labour": 800_00} if buckets is None else buckets
    values: dict[str, Any] = {
        "claim": CLAIM,
        "shop": "shop-01",
        "damaged": OWN,
        "issuer": "91110000600037341L",
        "code": code(changes.get("claim", CLAIM)),
        "number": "00000001",
        "sha256": digest(changes.get("claim", CLAIM), "invoice"),
        "issued_at_ms": LOSS_MS + 5 * DAY_MS,
        "currency": "CNY",
        "buckets": tuple(BucketAmount(bucket=Bucket(it), amount_minor=amount) for it, amount in given.items()),
        "total_minor": sum(given.values()),
    }
    values.update(changes)
    return Invoice(**values)


def decision(role: Role = Role.HANDLER, person: str | None = None, **changes: object) -> AdjusterDecision:
    """An approval of settlement version 1; each role is held by its own person unless told otherwise."""
    values: dict[str, Any] = {
        "claim": CLAIM,
        "settlement_version": 1,
        "action": DecisionAction.APPROVE,
        "role": role,
        "person": f"{role}-07" if person is None else person,
        "reason": "定损与发票相符",
        "decided_at_ms": LOSS_MS + 6 * DAY_MS,
    }
    values.update(changes)
    return AdjusterDecision(**values)


def contact(kind: ContactKind, **changes: object) -> Contact:
    """The claimant speaks to the reporting desk."""
    values: dict[str, Any] = {
        "claim": CLAIM,
        "contact_id": "CT-1",
        "kind": kind,
        "by": "报案人甲",
        "text": "请尽快处理，我的电话是13800000000",
        "at_ms": LOSS_MS + 6 * DAY_MS,
    }
    values.update(changes)
    return Contact(**values)


def clause_answer(question: str, *, covered: bool, **changes: object) -> ClauseAnswer:
    """What underwriting says to a question about the policy's clauses."""
    values: dict[str, Any] = {
        "claim": CLAIM,
        "query_id": clause_query_id(CLAIM, POLICY, question),
        "policy_number": POLICY,
        "version": 1,
        "covered": covered,
        "reason": "条款第五条",
        "at_ms": LOSS_MS + 4 * DAY_MS,
    }
    values.update(changes)
    return ClauseAnswer(**values)


def amount_answer(settlement_version: int = 1, *, agreed: bool = True, **changes: object) -> AmountAnswer:
    """What finance says to the query about a settlement version."""
    values: dict[str, Any] = {
        "claim": CLAIM,
        "query_id": query_id(CLAIM, settlement_version),
        "agreed": agreed,
        "reason": "金额无误",
        "at_ms": LOSS_MS + 6 * DAY_MS,
    }
    values.update(changes)
    return AmountAnswer(**values)


def payment_instruction(**changes: object) -> PaymentInstruction:
    """What finance is asked to pay for the usual claim."""
    values: dict[str, Any] = {
        "instruction_id": "PI1",
        "claim": CLAIM,
        "settlement_version": 1,
        "attempt": 1,
        "payee": PAYEE,
        "amount_minor": 2_680_00,
        "currency": "CNY",
        "purpose": "INSC",
        "issued_at_ms": LOSS_MS + 3 * DAY_MS,
        "cause": "repair.invoice.v1/1/0/0",
        "rule": "payments.instruct",
        "reason": "settlement 1",
    }
    values.update(changes)
    return PaymentInstruction(**values)


def payment_status(
    instruction_id: str, amount_minor: int, code: PaymentStatusCode = PaymentStatusCode.ACSC, **changes: object
) -> PaymentStatus:
    """What finance says of an instruction."""
    values: dict[str, Any] = {
        "claim": CLAIM,
        "instruction_id": instruction_id,
        "status": code,
        "amount_minor": amount_minor,
        "currency": "CNY",
        "at_ms": LOSS_MS + 7 * DAY_MS,
    }
    values.update(changes)
    return PaymentStatus(**values)


def command(department: str = "finance", version: int | None = None, **changes: object) -> Command:
    """A department asks for the claim once more, or acknowledges a version of it."""
    kind = CommandKind.RESYNC if version is None else CommandKind.ACKNOWLEDGE
    values: dict[str, Any] = {
        "claim": CLAIM,
        "kind": kind,
        "department": department,
        "version": version,
        "at_ms": LOSS_MS + 3 * HOUR_MS,
    }
    values.update(changes)
    return Command(**values)


INSURED = {"insured_person": "11010519491231002X"}
PATIENT = {**INSURED, "hospital": "hospital-11", "visit_date": "2026-04-01", "diagnosis": "左侧胫骨骨折"}
PLACE = {"insured_place": "北京市，一号仓库"}
MEDICAL = PolicyCover(cover="medical", sum_insured_minor=600_000_00, deductible_minor=10_000_00, reimbursement_bp=9_000)
ALLOWANCE = PolicyCover(cover="hospital-allowance", sum_insured_minor=27_000_00, daily_minor=150_00, waiting_days=3)
DISABILITY = PolicyCover(cover="disability", sum_insured_minor=200_000_00)
BUILDING = PolicyCover(
    cover="property",
    sum_insured_minor=800_000_00,
    insurable_value_minor=1_200_000_00,
    deductible_minor=2_000_00,
    deductible_bp=500,
)
RESCUE = PolicyCover(cover="rescue-cost", sum_insured_minor=800_000_00, insurable_value_minor=1_200_000_00)


def policy_of(line: str, facts: Mapping[str, str], *covers: PolicyCover) -> Policy:
    """A policy of another line than motor, in force all 2026."""
    return policy(line=line, product=f"{line}-basic", plate=None, facts=dict(facts), covers=covers)


def notice_of(line: str, facts: Mapping[str, str], *damaged: str, **changes: object) -> LossNotice:
    """A notice of another line than motor."""
    values: dict[str, Any] = {
        "line": line,
        "facts": dict(facts),
        "damaged": damaged,
        "plate": None,
        "driver_name": None,
    }
    values |= {"fault": Fault.UNKNOWN, "photos": ()}
    return notice(**values | changes)


def bill(*nets: int, **changes: object) -> HospitalBill:
    """A hospital's bill over treatments of these amounts: two days, nothing paid by others."""
    items = tuple(
        BillItem(item_id=str(number), kind=BillKind.TREATMENT, description="治疗费", net_minor=net)
        for number, net in enumerate(nets or (2_000_00,), 1)
    )
    values: dict[str, Any] = {
        "claim": CLAIM,
        "hospital": "hospital-11",
        "issuer": "12110000400686364A",
        "code": code(changes.get("claim", CLAIM)),
        "number": "00000042",
        "sha256": digest(changes.get("claim", CLAIM), "bill"),
        "admitted_at_ms": LOSS_MS,
        "discharged_at_ms": LOSS_MS + 2 * DAY_MS,
        "issued_at_ms": LOSS_MS + 2 * DAY_MS,
        "currency": "CNY",
        "items": items,
        "total_minor": sum(item.net_minor for item in items),
    }
    values.update(changes)
    return HospitalBill(**values)


def hospital_record(**changes: object) -> HospitalRecord:
    """A hospital's record of the days its usual bill is for."""
    values: dict[str, Any] = {
        "claim": CLAIM,
        "hospital": "hospital-11",
        "record_id": "ZY-1",
        "admitted_at_ms": LOSS_MS,
        "discharged_at_ms": LOSS_MS + 2 * DAY_MS,
        "department": "骨科",
        "diagnosis": "S82.2",
        "sha256": digest(changes.get("claim", CLAIM), "record"),
        "issued_at_ms": LOSS_MS + 3 * DAY_MS,
    }
    values.update(changes)
    return HospitalRecord(**values)


def peer_figures(limit_minor: int, **changes: object) -> PeerFigures:
    """What nearly all of many claims come to with their shop, told to the usual claim."""
    values: dict[str, Any] = {
        "claim": CLAIM,
        "kind": ProviderKind.SHOP,
        "provider": "shop-01",
        "claims": 120,
        "per_cent": 95,
        "limit_minor": limit_minor,
        "currency": "CNY",
        "at_ms": LOSS_MS + 3 * DAY_MS,
    }
    values.update(changes)
    return PeerFigures(**values)


def siu_outcome(result: SiuResult = SiuResult.CLEARED, number: int = 1, **changes: object) -> SiuOutcome:
    """What SIU says to a claim's referral of this number."""
    values: dict[str, Any] = {
        "claim": CLAIM,
        "referral_id": referral_id(CLAIM, number),
        "result": result,
        "person": "siu-02",
        "reason": "现场复勘与报案不符",
        "at_ms": LOSS_MS + 6 * DAY_MS,
    }
    values.update(changes)
    return SiuOutcome(**values)
