"""The records of the bench: motor claims of eight records, spread so that a batch holds mostly different claims."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from schemas.records import (
    AdjusterDecision,
    BankAccount,
    Bucket,
    BucketAmount,
    DamagedObject,
    DecisionAction,
    Document,
    Estimate,
    EstimateLine,
    Fault,
    Finding,
    FindingKind,
    Invoice,
    Line,
    LossNotice,
    PaymentStatus,
    PaymentStatusCode,
    Policy,
    PolicyCover,
    Record,
    Role,
)
from streams.rules.payments import instruction_id, payee_digest

START_MS: Final = 1_788_220_800_000  # 2026-09-01 00:00 UTC
HOUR_MS: Final = 3_600_000
POLICIES: Final = 50_000
"""So many that in most runs a claim has a policy and a vehicle of its own, as ordinary claims do."""
STEPS: Final = 8
DECIDING_TOPIC: Final = "adjuster.decision.v1"
"""The topic whose record leads to the payment instruction."""

_AGREED_MINOR: Final = 1_260_000
_DEDUCTIBLE_MINOR: Final = 50_000


class Sent(NamedTuple):
    """One record to send, with its own time."""

    topic: str
    key: str
    record: Record
    at_ms: int


def policies() -> Iterator[Sent]:
    """The fleet's policies, in force before any loss."""
    for number in range(POLICIES):
        policy = Policy(
            policy_number=_policy_number(number),
            version=1,
            line=Line.MOTOR,
            product="motor-2020",
            holder_name="投保人甲",
            plate=_plate(number),
            issued_at_ms=START_MS - 4000 * HOUR_MS,
            effective_from_ms=START_MS - 3600 * HOUR_MS,
            effective_to_ms=START_MS + 5160 * HOUR_MS,
            currency="CNY",
            covers=(
                PolicyCover(cover="own-damage", sum_insured_minor=15_000_000, deductible_minor=_DEDUCTIBLE_MINOR),
                PolicyCover(cover="compulsory-motor", sum_insured_minor=20_000_000),
            ),
        )
        yield Sent("underwriting.policy.v1", policy.policy_number, policy, START_MS - 4000 * HOUR_MS)


def claims(count: int, first: int = 0, spread: int | None = None) -> Iterator[tuple[int, int]]:
    """Claim number and step of each record of `count` claims from number `first` on, interleaved.

    Records of one claim lie `spread` claims apart.
    """
    apart = max(1, count // STEPS) if spread is None else spread
    for slot in range(count + (STEPS - 1) * apart):
        for step in range(STEPS):
            number = slot - step * apart
            if 0 <= number < count:
                yield first + number, step


def claim_number(number: int) -> str:
    """The claim's number, ten characters."""
    return f"B{number:09d}"


def record(number: int, step: int, at_ms: int = START_MS) -> Sent:
    """Record `step` (0 to 7) of one claim."""
    claim = claim_number(number)
    topic, made = _STEPS[step](claim, number, at_ms)
    return Sent(topic, claim, made, at_ms)


def _notice(claim: str, number: int, at_ms: int) -> tuple[str, Record]:
    policy = number % POLICIES
    return "reporting.loss-notice.v1", LossNotice(
        claim=claim,
        line=Line.MOTOR,
        policy_number=_policy_number(policy),
        plate=_plate(policy),
        loss_at_ms=at_ms - 2 * HOUR_MS,
        notified_at_ms=at_ms,
        place=_place(number),
        cause="collision",
        driver_name="驾驶人",
        fault=Fault.MAIN,
        injury=False,
        damaged=(DamagedObject.OWN_VEHICLE,),
        estimated_loss_minor=1_200_000,
        currency="CNY",
        photos=(_hash(claim, "photo"),),
        reporter_name="报案人",
        reporter_phone=_phone(number),
        payee=_payee(number),
    )


def _document(claim: str, number: int, at_ms: int) -> tuple[str, Record]:
    return "reporting.document.v1", Document(
        claim=claim,
        document_id=f"{claim}-D1",
        kind="driving-licence",
        url=f"https://documents.example/{claim}/1",
        sha256=_hash(claim, "document"),
        received_at_ms=at_ms,
        sender="reporting-desk",
    )


def _finding(claim: str, number: int, at_ms: int) -> tuple[str, Record]:
    return "investigation.finding.v1", Finding(
        claim=claim,
        finding_id=f"{claim}-F1",
        kind=FindingKind.SURVEY,
        surveyor="surveyor-03",
        found_at_ms=at_ms,
        fault=Fault.MAIN,
        contradicts_notice=False,
        summary="damage fits the account of the accident",
        loss_minor=1_250_000,
        currency="CNY",
    )


def _estimate(claim: str, number: int, at_ms: int) -> tuple[str, Record]:
    return _estimate_version(claim, 1, at_ms, parts_minor=800_000)


def _supplement(claim: str, number: int, at_ms: int) -> tuple[str, Record]:
    return _estimate_version(claim, 2, at_ms, parts_minor=860_000)


def _estimate_version(claim: str, version: int, at_ms: int, *, parts_minor: int) -> tuple[str, Record]:
    lines = ((Bucket.PARTS, parts_minor), (Bucket.LABOUR, 300_000), (Bucket.PAINT, 100_000))
    return "repair.estimate.v1", Estimate(
        claim=claim,
        shop="shop-017",
        damaged=DamagedObject.OWN_VEHICLE,
        version=version,
        issued_at_ms=at_ms,
        currency="CNY",
        lines=tuple(
            EstimateLine(line_id=f"L{n}", description=f"{bucket} of the front", bucket=bucket, amount_minor=amount)
            for n, (bucket, amount) in enumerate(lines, 1)
        ),
        printed=tuple(BucketAmount(bucket=bucket, amount_minor=amount) for bucket, amount in lines),
    )


def _invoice(claim: str, number: int, at_ms: int) -> tuple[str, Record]:
    return "repair.invoice.v1", Invoice(
        claim=claim,
        shop="shop-017",
        damaged=DamagedObject.OWN_VEHICLE,
        issuer="shop-017",
        code="044001900111",
        number=_invoice_number(number),
        sha256=_hash(claim, "invoice"),
        issued_at_ms=at_ms,
        currency="CNY",
        buckets=(
            BucketAmount(bucket=Bucket.PARTS, amount_minor=860_000),
            BucketAmount(bucket=Bucket.LABOUR, amount_minor=300_000),
            BucketAmount(bucket=Bucket.PAINT, amount_minor=100_000),
        ),
        total_minor=_AGREED_MINOR,
    )


def _decision(claim: str, number: int, at_ms: int) -> tuple[str, Record]:
    return "adjuster.decision.v1", AdjusterDecision(
        claim=claim,
        settlement_version=1,
        action=DecisionAction.APPROVE,
        role=Role.HANDLER,
        person="handler-07",
        reason="invoice agrees with the supplement",
        decided_at_ms=at_ms,
    )


def _status(claim: str, number: int, at_ms: int) -> tuple[str, Record]:
    return "finance.payment-status.v1", PaymentStatus(
        claim=claim,
        instruction_id=_instruction(number),
        status=PaymentStatusCode.ACSC,
        amount_minor=_AGREED_MINOR - _DEDUCTIBLE_MINOR,
        currency="CNY",
        at_ms=at_ms,
    )


_STEPS: Final = (_notice, _document, _finding, _estimate, _supplement, _invoice, _decision, _status)


def _policy_number(number: int) -> str:
    return f"P{number:06d}"


def _plate(number: int) -> str:
    return f"粤B{number:05d}"


def _invoice_number(number: int) -> str:
    return f"{number:08d}"


def _place(number: int) -> str:
    """Another town for claims that share a policy: they are not of one loss."""
    return f"{number // POLICIES:04}市人民路口"


def _phone(number: int) -> str:
    return f"139{number:08d}"


def _account(number: int) -> str:
    return f"62220202{number:011d}"


def _payee(number: int) -> BankAccount:
    return BankAccount(name="投保人甲", account=_account(number), bank_code="102100099996")


def _instruction(number: int) -> str:
    return instruction_id(claim_number(number), 1, payee_digest(_payee(number)), 1)


def _hash(claim: str, what: str) -> str:
    return sha256(f"{claim} {what}".encode()).hexdigest()


VARYING: Final[tuple[Callable[[int], str], ...]] = (
    claim_number,
    lambda number: _policy_number(number % POLICIES),
    lambda number: _plate(number % POLICIES),
    lambda number: _hash(claim_number(number), "photo"),
    lambda number: _hash(claim_number(number), "document"),
    lambda number: _hash(claim_number(number), "invoice"),
    _invoice_number,
    _place,
    _phone,
    _account,
    _instruction,
)
"""Every text in a claim's records that differs from claim to claim; each keeps its length."""
