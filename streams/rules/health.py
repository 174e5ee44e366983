"""Health: treatment and days in hospital, paid by the hospital's bills (domain: route plan)."""

from collections.abc import Iterator
from typing import Final

from schemas.money import format_minor
from schemas.records import FindingKind
from streams.rules.claim import TaskKind
from streams.rules.line import LineRules, Registered, Wanted
from streams.rules.medical import billed_case, billed_minor, record_tasks
from streams.rules.product import product
from streams.rules.settlement import Case, CoverKind


def tasks(claim: Registered) -> Iterator[Wanted]:
    """The bill, and a look at the hospital when it is high or above what others come to."""
    if not claim.claim.bills:
        yield Wanted(TaskKind.BILL, "hospital")
    limit = claim.terms.above_minor["hospital-check"]
    high = billed_minor(claim.claim) > limit
    if (high or claim.claim.above_peers) and claim.claim.found(FindingKind.HOSPITAL_CHECK) is None:
        why = f"billed above {format_minor(limit, claim.notice.currency)}" if high else "billed above its peers"
        yield Wanted(TaskKind.HOSPITAL_CHECK, "hospital", why)
    yield from record_tasks(claim, HEALTH)


def case(claim: Registered) -> Case:
    """What was billed, under the covers that answer for it."""
    return billed_case(claim, HEALTH)


HEALTH: Final = LineRules(
    product("health"),
    {"treatment": CoverKind.MEDICAL, "hospital-stay": CoverKind.HOSPITAL_ALLOWANCE},
    tasks,
    case,
    so_far=case,
    persons={"treatment": TaskKind.BILL, "hospital-stay": TaskKind.BILL},
)
