"""Motor, compulsory and commercial: repairs are estimated and invoiced per damaged object (domain: route plan)."""

from collections.abc import Iterator
from typing import Final

from schemas.money import format_minor
from schemas.records import DamagedObject, Fault, FindingKind
from streams.rules.claim import Notice, TaskKind
from streams.rules.line import LineRules, Registered, Wanted, cover_terms
from streams.rules.product import CompulsoryBucket, Terms, product
from streams.rules.settlement import Case, CoverKind, CoverTerms


def tasks(claim: Registered) -> Iterator[Wanted]:
    """A survey when somebody must look, the police when somebody was hurt or the fault is disputed, and for each
    damaged object its estimate, invoice, and supplement."""
    known_of = claim.claim
    if known_of.found(FindingKind.SURVEY) is None or known_of.fault is Fault.UNKNOWN:
        why = survey_reason(claim.notice, claim.terms)
        if why is not None:
            yield Wanted(TaskKind.SURVEY, "surveyor", why)
    if known_of.found(FindingKind.POLICE) is None and (why := _police_reason(claim)) is not None:
        yield Wanted(TaskKind.POLICE, "police", why)
    for damaged in MOTOR.covered(claim.notice, claim.policy):
        known = known_of.assessed_of(damaged)
        if known is None:
            yield Wanted(TaskKind.ESTIMATE, "repair-shop", damaged)
        elif known.agreed_minor is None:
            yield Wanted(TaskKind.INVOICE, "repair-shop", damaged)
        elif known.excess:
            yield Wanted(TaskKind.SUPPLEMENT, "repair-shop", damaged)


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
    if claim.notice.injury:
        return "somebody was hurt"
    if survey is not None and survey.contradicts_notice and said is not Fault.UNKNOWN and survey.fault is not said:
        return "fault disputed"
    return None


def case(claim: Registered) -> Case:
    """What was agreed for each damaged object, under the cover that answers for it."""
    return _case(claim, MOTOR.covered(claim.notice, claim.policy))


def so_far(claim: Registered) -> Case | None:
    """The same of the objects that an amount is agreed for; None while there are none, or the fault is unknown."""
    agreed = {known.damaged for known in claim.claim.assessed if known.agreed_minor is not None}
    objects = tuple([it for it in MOTOR.covered(claim.notice, claim.policy) if it in agreed])
    return _case(claim, objects) if objects and claim.claim.fault is not Fault.UNKNOWN else None


def _case(claim: Registered, objects: tuple[str, ...]) -> Case:
    covers, losses = [], dict[str, int | dict[str, int]]()
    for damaged in objects:
        kind, known = COVERS[damaged], claim.claim.assessed_of(damaged)
        if known is None or known.agreed_minor is None:
            raise ValueError(f"claim {claim.claim.number} has no agreed amount for {damaged}")
        if kind is CoverKind.COMPULSORY_MOTOR:
            covers.append(CoverTerms(cover=kind))
            losses[kind] = {CompulsoryBucket.PROPERTY.value: known.agreed_minor}
        else:
            covers.append(cover_terms(kind, claim.policy))
            losses[kind] = known.agreed_minor
    share = claim.terms.liability_share[claim.claim.fault]
    return Case(covers=tuple(covers), losses=losses, liability_share=share, loss_at_ms=claim.notice.loss_at_ms)


COVERS: Final = {
    # Compulsory motor pays first.
    DamagedObject.THIRD_PARTY_PROPERTY.value: CoverKind.COMPULSORY_MOTOR,
    DamagedObject.OWN_VEHICLE.value: CoverKind.OWN_DAMAGE,
}
MOTOR: Final = LineRules(product("motor"), COVERS, tasks, case, so_far=so_far)
