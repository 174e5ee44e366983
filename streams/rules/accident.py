"""Accident: injuries by hospital bills, disability by its grade, once somebody has confirmed what happened (domain:
route plan)."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from schemas.records import FindingKind
from streams.rules.claim import TaskKind
from streams.rules.line import LineRules, Registered, Wanted
from streams.rules.medical import billed_case, paid_by_bill, record_tasks
from streams.rules.product import product
from streams.rules.settlement import Case, CoverKind

TRAFFIC: Final = "traffic"
"""The cause of loss the police know about."""


def tasks(claim: Registered) -> Iterator[Wanted]:
    """Police or a witness, the bills, and the certificate of a disability."""
    known = claim.claim
    if known.found(FindingKind.POLICE) is None and known.found(FindingKind.WITNESS) is None:
        by_police = claim.notice.cause == TRAFFIC
        yield Wanted(TaskKind.POLICE, "police") if by_police else Wanted(TaskKind.WITNESS, "witness")
    kinds = {ACCIDENT.covers[damaged] for damaged in ACCIDENT.covered(claim.notice, claim.policy)}
    if paid_by_bill(ACCIDENT, claim.notice, claim.policy) and not known.bills:
        yield Wanted(TaskKind.BILL, "hospital")
    if CoverKind.DISABILITY in kinds and known.found(FindingKind.DISABILITY) is None:
        yield Wanted(TaskKind.DISABILITY, "hospital")
    yield from record_tasks(claim, ACCIDENT)


def case(claim: Registered) -> Case:
    """What was billed and how grave the disability is, under the covers that answer for it."""
    return billed_case(claim, ACCIDENT)


def so_far(claim: Registered) -> Case | None:
    """The same without a disability whose grade is not known yet."""
    known = case(claim)
    graded = known.disability_grade is not None
    covers = tuple([terms for terms in known.covers if graded or terms.cover != CoverKind.DISABILITY])
    return replace(known, covers=covers) if covers else None


ACCIDENT: Final = LineRules(
    product("accident"),
    {
        "injury": CoverKind.MEDICAL,
        "hospital-stay": CoverKind.HOSPITAL_ALLOWANCE,
        "disability": CoverKind.DISABILITY,
    },
    tasks,
    case,
    so_far=so_far,
    persons={"injury": TaskKind.BILL, "hospital-stay": TaskKind.BILL, "disability": TaskKind.DISABILITY},
)
