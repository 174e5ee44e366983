"""The three claims of the demo as data: what each department says, when, and the stage the claim ends in.

Times are fixed, so that every run leads to the same ledger. People, plates and accounts are made up.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final

from msgspec import Struct

from schemas.records import (
    AdjusterDecision,
    AmountAnswer,
    BankAccount,
    Bucket,
    BucketAmount,
    DamagedObject,
    DecisionAction,
    Estimate,
    EstimateLine,
    Fault,
    Finding,
    FindingKind,
    Invoice,
    Line,
    LossNotice,
    Policy,
    PolicyCover,
    Record,
    Role,
)
from streams.rules.amounts import query_id
from streams.rules.claim import Stage

Work = Mapping[Bucket, tuple[str, int]]
"""What a repair takes: by bucket a description and an amount in fen."""

OWN: Final = DamagedObject.OWN_VEHICLE
THIRD: Final = DamagedObject.THIRD_PARTY_PROPERTY
SPREADSHEET: Final = b"PK\x03\x04 an estimate as a spreadsheet, which is no Avro"


class Said(Struct, frozen=True, kw_only=True):
    """One record a department sends. `content` is a record, or bytes that are none."""

    sender: str
    event_id: str
    topic: str
    key: str
    at_ms: int
    content: Record | bytes


class Story(Struct, frozen=True, kw_only=True):
    """One claim: what is said about it, in this order, and the stage it ends in."""

    claim: str
    title: str
    said: tuple[Said, ...]
    ends: Stage


def _at(local: str) -> int:
    """Milliseconds since 1970 of a time in Shanghai."""
    return int(datetime.fromisoformat(f"{local}+08:00").timestamp() * 1000)


def _policy(number: str, at: str, holder: str, plate: str, vin: str) -> Said:
    covers = (
        PolicyCover(cover="compulsory-motor", sum_insured_minor=200_000_00),
        PolicyCover(cover="own-damage", sum_insured_minor=150_000_00, deductible_minor=500_00),
    )
    policy = Policy(
        policy_number=number,
        version=1,
        line=Line.MOTOR,
        product="motor",
        holder_name=holder,
        plate=plate,
        vin=vin,
        issued_at_ms=_at("2025-08-20T10:00"),
        effective_from_ms=_at("2025-09-01T00:00"),
        effective_to_ms=_at("2026-09-01T00:00"),
        currency="CNY",
        covers=covers,
    )
    topic = "underwriting.policy.v1"
    return Said(sender="underwriting", event_id=f"{number}/1", topic=topic, key=number, at_ms=_at(at), content=policy)


def _about_claim(claim: str, sender: str, event: str, topic: str, at: str, content: Record | bytes) -> Said:
    return Said(sender=sender, event_id=f"{claim}/{event}", topic=topic, key=claim, at_ms=_at(at), content=content)


def _notice(
    claim: str,
    at: str,
    *,
    policy: str,
    plate: str,
    vin: str,
    loss_at: str,
    place: str,
    fault: Fault,
    damaged: tuple[DamagedObject, ...],
    estimated_minor: int,
    person: str,
    account: str,
) -> Said:
    notice = LossNotice(
        claim=claim,
        line=Line.MOTOR,
        policy_number=policy,
        plate=plate,
        vin=vin,
        loss_at_ms=_at(loss_at),
        notified_at_ms=_at(at),
        place=place,
        cause="collision",
        driver_name=person,
        fault=fault,
        injury=False,
        damaged=damaged,
        estimated_loss_minor=estimated_minor,
        currency="CNY",
        photos=tuple(_digest(f"{claim} photo {number}") for number in (1, 2)),
        reporter_name=person,
        reporter_phone="13800000000",
        payee=BankAccount(name=person, account=account, bank_code="102100099996"),
    )
    return _about_claim(claim, "reporting", "notice", "reporting.loss-notice.v1", at, notice)


def _finding(claim: str, at: str, fault: Fault, loss_minor: int, summary: str) -> Said:
    finding = Finding(
        claim=claim,
        finding_id=f"{claim}-F1",
        kind=FindingKind.SURVEY,
        surveyor="surveyor-12",
        found_at_ms=_at(at),
        fault=fault,
        contradicts_notice=False,
        summary=summary,
        loss_minor=loss_minor,
        currency="CNY",
    )
    return _about_claim(claim, "surveyor-12", "survey", "investigation.finding.v1", at, finding)


def _estimate(claim: str, at: str, shop: str, damaged: DamagedObject, version: int, work: Work) -> Said:
    lines = tuple(
        EstimateLine(line_id=f"L{number}", description=description, bucket=bucket, amount_minor=amount)
        for number, (bucket, (description, amount)) in enumerate(work.items(), 1)
    )
    estimate = Estimate(
        claim=claim,
        shop=shop,
        damaged=damaged,
        version=version,
        issued_at_ms=_at(at),
        currency="CNY",
        lines=lines,
        printed=_totals(work),
    )
    return _about_claim(claim, shop, f"{damaged}/estimate/{version}", "repair.estimate.v1", at, estimate)


def _invoice(claim: str, at: str, shop: str, damaged: DamagedObject, number: str, work: Work) -> Said:
    totals = _totals(work)
    invoice = Invoice(
        claim=claim,
        shop=shop,
        damaged=damaged,
        issuer=shop,
        code="031002600111",
        number=number,
        sha256=_digest(f"{shop} {number}"),
        issued_at_ms=_at(at),
        currency="CNY",
        buckets=totals,
        total_minor=sum(total.amount_minor for total in totals),
    )
    return _about_claim(claim, shop, f"{damaged}/invoice/{number}", "repair.invoice.v1", at, invoice)


def _approval(claim: str, at: str, role: Role, person: str, reason: str) -> Said:
    decision = AdjusterDecision(
        claim=claim,
        settlement_version=1,
        action=DecisionAction.APPROVE,
        role=role,
        person=person,
        reason=reason,
        decided_at_ms=_at(at),
    )
    return _about_claim(claim, person, f"approval/{role}", "adjuster.decision.v1", at, decision)


def _amount_answer(claim: str, at: str, settlement_version: int, reason: str) -> Said:
    answer = AmountAnswer(
        claim=claim,
        query_id=query_id(claim, settlement_version),
        agreed=True,
        reason=reason,
        at_ms=_at(at),
    )
    return _about_claim(claim, "finance", f"amount/{settlement_version}", "finance.amount-answer.v1", at, answer)


def _totals(work: Work) -> tuple[BucketAmount, ...]:
    return tuple(BucketAmount(bucket=bucket, amount_minor=amount) for bucket, (_, amount) in work.items())


def _digest(paper: str) -> str:
    return sha256(paper.encode()).hexdigest()


def _fast_track() -> Story:
    """Photos, a small loss, an invoice that agrees with its estimate: nobody needs to look."""
    claim, policy, shop = "C26-0001", "P25-0001", "shop-031"
    plate, vin = "京A8K301", "LSVDM49F8C2000001"
    bumper: Work = {
        Bucket.PARTS: ("front bumper", 1_860_00),
        Bucket.LABOUR: ("remove and fit", 420_00),
        Bucket.PAINT: ("paint front", 900_00),
    }
    said = (
        _policy(policy, "2026-03-01T02:00", "投保人甲", plate, vin),
        _notice(
            claim,
            "2026-03-02T08:52",
            policy=policy,
            plate=plate,
            vin=vin,
            loss_at="2026-03-02T08:15",
            place="北京市朝阳区",
            fault=Fault.FULL,
            damaged=(OWN,),
            estimated_minor=3_000_00,
            person="投保人甲",
            account="6200000000000001234",
        ),
        _estimate(claim, "2026-03-02T14:20", shop, OWN, 1, bumper),
        _invoice(claim, "2026-03-04T16:05", shop, OWN, "00310047", bumper),
    )
    return Story(claim=claim, title="fast track: nobody touches it", said=said, ends=Stage.PAID)


def _two_people() -> Story:
    """A large loss with damage to a third party: surveyed, supplemented so much that finance is asked, approved by
    handler and approver."""
    claim, policy, shop, mason = "C26-0002", "P25-0002", "shop-044", "mason-007"
    plate, vin = "沪B5M726", "LFV3A23C1D3000002"
    front: Work = {
        Bucket.PARTS: ("bonnet, lamps, radiator", 34_200_00),
        Bucket.LABOUR: ("body work", 9_600_00),
        Bucket.PAINT: ("paint front", 5_400_00),
    }
    with_axle: Work = {**front, Bucket.OTHER: ("front axle, found when taken apart", 11_800_00)}
    wall: Work = {Bucket.MATERIALS: ("bricks and mortar", 900_00), Bucket.LABOUR: ("rebuild 3 m of wall", 1_450_00)}
    said = (
        _policy(policy, "2026-03-01T02:05", "投保人乙", plate, vin),
        _notice(
            claim,
            "2026-03-03T19:40",
            policy=policy,
            plate=plate,
            vin=vin,
            loss_at="2026-03-03T18:55",
            place="上海市浦东新区",
            fault=Fault.UNKNOWN,
            damaged=(OWN, THIRD),
            estimated_minor=55_000_00,
            person="投保人乙",
            account="6200000000000005678",
        ),
        _finding(claim, "2026-03-04T10:15", Fault.FULL, 58_000_00, "left the road on a wet bend, hit a garden wall"),
        _estimate(claim, "2026-03-05T11:30", shop, OWN, 1, front),
        _estimate(claim, "2026-03-05T15:10", mason, THIRD, 1, wall),
        _estimate(claim, "2026-03-09T09:45", shop, OWN, 2, with_axle),
        _invoice(claim, "2026-03-13T17:20", mason, THIRD, "00070112", wall),
        _invoice(claim, "2026-03-18T16:50", shop, OWN, "00440391", with_axle),
        _amount_answer(claim, "2026-03-18T18:20", 1, "the supplement is explained by its photos"),
        _approval(claim, "2026-03-19T09:30", Role.HANDLER, "handler-07", "papers complete, amounts agree"),
        _approval(claim, "2026-03-19T14:10", Role.APPROVER, "approver-02", "checked against the survey"),
    )
    return Story(claim=claim, title="survey, supplement, third party: two people", said=said, ends=Stage.PAID)


def _out_of_order() -> Story:
    """A spreadsheet where Avro belongs, then an estimate and its supplement before notice and policy: they wait and go
    on in order. At the end the mason's invoice still waits for the mason's estimate."""
    claim, policy, shop, mason = "C26-0021", "P25-0005", "shop-031", "mason-007"
    plate, vin = "粤B62D19", "LVSHCAME3E4000003"
    door: Work = {Bucket.PARTS: ("left door", 2_150_00), Bucket.PAINT: ("paint left side", 1_100_00)}
    with_mirror: Work = {**door, Bucket.OTHER: ("mirror glass", 190_00)}
    fence: Work = {Bucket.MATERIALS: ("fence posts", 380_00), Bucket.LABOUR: ("set two posts", 300_00)}
    said = (
        _about_claim(claim, shop, "sheet", "repair.estimate.v1", "2026-03-05T09:05", SPREADSHEET),
        _estimate(claim, "2026-03-05T09:20", shop, OWN, 1, door),
        _estimate(claim, "2026-03-05T09:40", shop, OWN, 2, with_mirror),
        _notice(
            claim,
            "2026-03-05T10:00",
            policy=policy,
            plate=plate,
            vin=vin,
            loss_at="2026-03-04T21:30",
            place="深圳市南山区",
            fault=Fault.FULL,
            damaged=(OWN, THIRD),
            estimated_minor=4_000_00,
            person="投保人丙",
            account="6200000000000009012",
        ),
        _policy(policy, "2026-03-05T11:15", "投保人丙", plate, vin),
        _invoice(claim, "2026-03-07T15:30", shop, OWN, "00310055", with_mirror),
        _invoice(claim, "2026-03-08T10:10", mason, THIRD, "00070119", fence),
    )
    return Story(
        claim=claim, title="a poison record, and an estimate before its notice", said=said, ends=Stage.ASSESSING
    )


STORIES: Final = (_fast_track(), _two_people(), _out_of_order())
