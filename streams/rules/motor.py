"""Motor, compulsory and commercial: repairs are estimated and invoiced per damaged object, who was hurt is treated and
certified by hospitals (domain: route plan)."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import DamagedObject, Fault, FindingKind
from streams.rules.claim import Claim, Notice, TaskKind
from streams.rules.line import LineRules, Registered, Wanted, cover_terms
from streams.rules.medical import record_tasks
from streams.rules.product import CompulsoryBucket, Terms, product
from streams.rules.settlement import Case, CoverKind, CoverTerms


def tasks(claim: Registered) -> Iterator[Wanted]:
    """A survey when somebody must look, the police when somebody was hurt or the fault is disputed, for each damaged
    object its estimate, invoice, and supplement, and for a third party who was hurt the bill or the certificate."""
    known_of = claim.claim
    if known_of.found(FindingKind.SURVEY) is None or known_of.fault is Fault.UNKNOWN:
        why = survey_reason(claim.notice, claim.terms)
        if why is not None:
            yield Wanted(TaskKind.SURVEY, "surveyor", why)
    if known_of.found(FindingKind.POLICE) is None and (why := _police_reason(claim)) is not None:
        yield Wanted(TaskKind.POLICE, "police", why)
    for damaged in MOTOR.covered(claim.notice, claim.policy):
        if damaged in PERSONS:
            if _loss_minor(known_of, damaged) is None:
                yield Wanted(PERSONS[damaged], "hospital", damaged)
            continue
        known = known_of.assessed_of(damaged)
        if known is None:
            yield Wanted(TaskKind.ESTIMATE, "repair-shop", damaged)
        elif known.agreed_minor is None:
            yield Wanted(TaskKind.INVOICE, "repair-shop", damaged)
        elif known.excess:
            yield Wanted(TaskKind.SUPPLEMENT, "repair-shop", damaged)
    if known_of.bills:
        yield from record_tasks(claim, MOTOR)


def survey_reason(notice: Notice, terms: Terms) -> str | None:
    """Why a surveyor must look before anything is paid; None when nobody must."""
    if not notice.photos:
        return "no photos"
    if notice.fault is Fault.UNKNOWN:
        return "fault to be found"
    if notice.estimated_loss_minor > terms.above_minor["survey"]:
        return f"estimated loss above {format_minor(terms.above_minor['survey'], notice.currency)}"
    return None


def _police_reason(claim: Registered) -> str | None:
    survey, said = claim.claim.found(FindingKind.SURVEY), claim.notice.fault
    if claim.notice.injury or not PERSONS.keys().isdisjoint(claim.notice.damaged):
        return "somebody was hurt"
    if survey is not None and survey.contradicts_notice and said is not Fault.UNKNOWN and survey.fault is not said:
        return "fault disputed"
    return None


def case(claim: Registered) -> Case:
    """What was agreed for each damaged object, billed or certified of each person hurt, under the covers that answer
    for it: what compulsory motor leaves of a third party's loss is third-party liability's, if the policy has it."""
    return _case(claim, MOTOR.covered(claim.notice, claim.policy))


def so_far(claim: Registered) -> Case | None:
    """The same of the objects that an amount is agreed for; None while there are none, or the fault is unknown."""
    covered = MOTOR.covered(claim.notice, claim.policy)
    objects = tuple([it for it in covered if _loss_minor(claim.claim, it) is not None])
    return _case(claim, objects) if objects and claim.claim.fault is not Fault.UNKNOWN else None


def _case(claim: Registered, objects: tuple[str, ...]) -> Case:
    covers, losses, buckets = list[CoverTerms](), dict[str, int | dict[str, int]](), dict[str, int]()
    for damaged in objects:
        loss_minor = _loss_minor(claim.claim, damaged)
        if loss_minor is None:
            raise ValueError(f"claim {claim.claim.number} has no agreed amount for {damaged}")
        if damaged in BUCKETS:
            buckets[BUCKETS[damaged].value] = loss_minor
        else:
            terms = cover_terms(COVERS[damaged], claim, MOTOR.product)
            known = claim.claim
            covers.append(replace(terms, paid_by_others=known.paid_by_others_minor, salvage=known.salvage_minor))
            losses[COVERS[damaged]] = loss_minor
    if buckets:
        first = [CoverTerms(cover=CoverKind.COMPULSORY_MOTOR)]
        losses[CoverKind.COMPULSORY_MOTOR] = buckets
        if claim.policy.cover(CoverKind.THIRD_PARTY_LIABILITY) is not None:
            first.append(cover_terms(CoverKind.THIRD_PARTY_LIABILITY, claim, MOTOR.product))
            losses[CoverKind.THIRD_PARTY_LIABILITY] = sum(buckets.values())
        covers = [*first, *covers]
    share = claim.terms.liability_share[claim.claim.fault]
    return Case(covers=tuple(covers), losses=losses, liability_share=share, loss_at_ms=claim.notice.loss_at_ms)


def _loss_minor(claim: Claim, damaged: str) -> int | None:
    """What is known to be lost of one damaged object or person; None while it is not. What others paid of a bill is not
    lost; what a disability or a death comes to is in its certificate."""
    if damaged == DamagedObject.THIRD_PARTY_INJURY:
        owed = [max(bill.eligible_minor - bill.paid_by_others_minor, 0) for bill in claim.bills]
        return sum(owed) if owed else None
    if damaged == DamagedObject.THIRD_PARTY_DISABILITY:
        certified = claim.found(FindingKind.DISABILITY)
        return None if certified is None else certified.loss_minor
    known = claim.assessed_of(damaged)
    return None if known is None else known.agreed_minor


BUCKETS: Final = {
    DamagedObject.THIRD_PARTY_PROPERTY.value: CompulsoryBucket.PROPERTY,
    DamagedObject.THIRD_PARTY_INJURY.value: CompulsoryBucket.MEDICAL,
    DamagedObject.THIRD_PARTY_DISABILITY.value: CompulsoryBucket.DEATH_DISABILITY,
}
"""The bucket of compulsory motor that each third party's loss belongs to."""

PERSONS: Final = {
    DamagedObject.THIRD_PARTY_INJURY.value: TaskKind.BILL,
    DamagedObject.THIRD_PARTY_DISABILITY.value: TaskKind.DISABILITY,
}
COVERS: Final = {
    # Compulsory motor pays first.
    **dict.fromkeys(BUCKETS, CoverKind.COMPULSORY_MOTOR),
    DamagedObject.OWN_VEHICLE.value: CoverKind.OWN_DAMAGE,
}
MOTOR: Final = LineRules(product("motor"), COVERS, tasks, case, so_far=so_far, persons=PERSONS)
