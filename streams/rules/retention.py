"""How long a claim's case file must be kept (domain: clocks, archive retention)."""

from datetime import MAXYEAR, date
from typing import Final

from msgspec import Struct

from schemas.records import Policy
from streams.rules.claim import Claim
from streams.rules.deadlines import Calendar, day_of
from streams.rules.lines import LINES

_DAY_MS: Final = 86_400_000
LEGAL: Final = "legal"
"""Of whom a task is asked that stops the time: until it is answered nothing may be destroyed."""


class Kept(Struct, frozen=True):
    """The years after the contract's last day, that day, the last day the file is kept, and who says so."""

    years: int
    contract_ends: date
    until: date
    source: str


def kept(claim: Claim, versions: tuple[Policy, ...]) -> Kept | None:
    """How long the file of a claim on this policy is kept; None when the policy or its term is not known."""
    if claim.notice is None or not versions or claim.notice.line not in LINES:
        return None
    product = LINES[claim.notice.line].product
    terms = product.terms_at(claim.notice.loss_at_ms).retention
    if terms is None:
        return None
    newest = max(versions, key=lambda version: version.version)
    from_ms = min(version.effective_from_ms for version in versions)
    begins, ends = _day(from_ms, product.calendar), _day(newest.effective_to_ms - 1, product.calendar)
    year_ms = (_years_after(begins, 1) - begins).days * _DAY_MS
    years = terms.short_years if newest.effective_to_ms - from_ms <= year_ms else terms.long_years
    return Kept(years, ends, _years_after(ends, years), terms.source)


def holds(claim: Claim) -> tuple[str, ...]:
    """What of a claim stops the time: work that legal has not ended."""
    return tuple(f"{task.kind} since {task.opened}" for task in claim.open_tasks if task.addressee == LEGAL)


def _day(at_ms: int, calendar: Calendar) -> date:
    return date.fromordinal(day_of(at_ms, calendar))


def _years_after(day: date, years: int) -> date:
    """The same day so many years later; for a 29 February the 1 March when that year has none. No day is after the year
    9999: what ends there, as a policy without an end may, ends with its last day."""
    if day.year + years > MAXYEAR:
        return date.max
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)
