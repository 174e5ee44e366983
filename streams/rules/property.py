"""Property: a surveyor always looks, a loss adjuster values large losses (domain: route plan)."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import FindingKind
from streams.rules.claim import Claim, Found, TaskKind
from streams.rules.line import LineRules, Registered, Wanted, cover_terms
from streams.rules.product import product
from streams.rules.settlement import Case, CoverKind


def tasks(claim: Registered) -> Iterator[Wanted]:
    """The survey, and a loss adjuster when the loss is large or the survey did not value it."""
    survey, limit = claim.claim.found(FindingKind.SURVEY), claim.terms.above_minor["loss-adjuster"]
    if survey is None:
        yield Wanted(TaskKind.SURVEY, "surveyor", "property is always surveyed")
    elif claim.claim.found(FindingKind.LOSS_ADJUSTER) is None:
        if survey.loss_minor is None:
            yield Wanted(TaskKind.LOSS_ADJUSTER, "loss-adjuster", "the survey gives no loss")
        elif survey.loss_minor > limit:
            yield Wanted(
                TaskKind.LOSS_ADJUSTER, "loss-adjuster", f"loss above {format_minor(limit, claim.notice.currency)}"
            )


def case(claim: Registered) -> Case:
    """The loss as it was valued last, and the cost of rescue, under the covers that answer for them."""
    valued = _valued(claim.claim)
    covers, losses = [], dict[str, int | dict[str, int]]()
    for damaged in PROPERTY.covered(claim.notice, claim.policy):
        kind = PROPERTY.covers[damaged]
        terms = cover_terms(kind, claim, PROPERTY.product)
        if kind is CoverKind.PROPERTY:
            losses[kind] = valued.loss_minor or 0
            terms = replace(terms, salvage=claim.claim.salvage_minor)
        else:
            losses[kind] = valued.rescue_minor or 0
        covers.append(terms)
    return Case(covers=tuple(covers), losses=losses, loss_at_ms=claim.notice.loss_at_ms)


def so_far(claim: Registered) -> Case | None:
    """The same by the survey, also while the loss adjuster has not valued the loss."""
    return None if claim.claim.found(FindingKind.SURVEY) is None else case(claim)


def _valued(claim: Claim) -> Found:
    """What the loss adjuster found, else the surveyor."""
    found = claim.found(FindingKind.LOSS_ADJUSTER) or claim.found(FindingKind.SURVEY)
    if found is None:
        raise ValueError(f"claim {claim.number} was not surveyed")
    return found


PROPERTY: Final = LineRules(
    product("property"),
    {"insured-property": CoverKind.PROPERTY, "rescue": CoverKind.RESCUE_COST},
    tasks,
    case,
    so_far=so_far,
)
