"""What reports know of one claim: how it moved, by its snapshots in order, and how it stands, by its state."""

from datetime import date
from typing import Final

from msgspec import Struct

from schemas.records import ClaimStatus, NoticeKind, ReserveMovement
from streams.rules.authority import AUTOMATIC
from streams.rules.claim import Claim, Clock, Stage
from streams.rules.deadlines import Calendar, day_of
from streams.rules.lines import LINES
from streams.rules.places import UNKNOWN, region_of

FRAUD_CONFIRMED: Final = "siu.confirmed"
"""The rule that ends a claim because SIU has confirmed a fraud."""
TIMED: Final = (
    Stage.REPORTED,
    Stage.REGISTERED,
    Stage.INVESTIGATING,
    Stage.ASSESSING,
    Stage.DECIDED,
    Stage.AGREED,
    Stage.PAYING,
)
"""The stages a claim spends time in, in the order of a claim's life; the others end it."""
_DECIDED: Final = frozenset({Stage.DECIDED, Stage.AGREED, Stage.PAYING, Stage.PAID, Stage.CLOSED})
_REGISTERED: Final = frozenset({*TIMED, Stage.PAID}) - {Stage.REPORTED}
_ENDED: Final = frozenset({Stage.NOT_ACCEPTED, Stage.PAID, Stage.CLOSED})
_UTC: Final = Calendar(time_zone="UTC")


class ClaimFigures(Struct):
    """One claim's row in `report_claims`, by the names of its columns. Days are numbers like 20260331, months like
    202603, in the time zone of the product. A milestone has the first day it was reached, `reopened_day` the newest.
    `*_s` are the seconds spent in a stage it has left, all visits together, `since_ms` when the present stage began."""

    claim: str
    lane: int
    stage: str = ""
    since_ms: int = 0
    line: str = UNKNOWN
    cause: str = UNKNOWN
    region: str = UNKNOWN
    currency: str = UNKNOWN
    loss_month: int = 0
    outcome: str = ""
    reported_day: int | None = None
    registered_day: int | None = None
    not_accepted_day: int | None = None
    decided_day: int | None = None
    paid_day: int | None = None
    closed_day: int | None = None
    reopened_day: int | None = None
    estimated_minor: int = 0
    payable_minor: int = 0
    paid_minor: int = 0
    touchless: bool = False
    document_notices: int = 0
    clocks: str = ""
    waits: str = ""
    reported_s: int | None = None
    registered_s: int | None = None
    investigating_s: int | None = None
    assessing_s: int | None = None
    decided_s: int | None = None
    agreed_s: int | None = None
    paying_s: int | None = None
    approved_minor: int = 0
    instructed_minor: int = 0


class Movement(Struct, frozen=True):
    """An amount that came to a claim in a month; `kind` is paid, reserve or fraud-stopped."""

    kind: str
    claim: str
    month: int
    amount_minor: int


class ProviderFigures(Struct, frozen=True):
    """What one shop or hospital did for one claim: one row of `report_providers`. `number` counts within the claim,
    `days` are those from registration to invoice, or in hospital."""

    claim: str
    number: int
    kind: str
    provider: str
    supplements: int
    amount_minor: int
    currency: str
    days: int | None


def follow(figures: ClaimFigures, status: ClaimStatus) -> list[Movement]:
    """Move the figures on by the claim's next snapshot; what was paid by it, and what was not because it is fraud."""
    stage, at_ms, day = status.stage, status.at_ms, day_number(status.at_ms, status.line)
    moved = []
    if status.rule == FRAUD_CONFIRMED and figures.stage != Stage.CLOSED:
        cost = figures.estimated_minor if status.payable_minor is None else status.payable_minor
        held = max(0, cost - status.paid_minor)
        moved.append(Movement("fraud-stopped", figures.claim, day // 100, held))
    if stage != figures.stage:
        if figures.stage in TIMED:
            column = f"{figures.stage}_s"
            setattr(figures, column, (getattr(figures, column) or 0) + max(0, at_ms - figures.since_ms) // 1000)
        if figures.stage in _ENDED and stage not in _ENDED:
            figures.reopened_day = day
        figures.stage, figures.since_ms = stage, at_ms
        _reach(figures, stage, day)
    paid = status.paid_minor - figures.paid_minor
    figures.paid_minor = status.paid_minor
    if paid:
        moved.append(Movement("paid", figures.claim, day // 100, paid))
    return moved


def reserved(figures: ClaimFigures, movement: ReserveMovement) -> Movement:
    """What was set aside for a claim, or less than before when below zero."""
    month = day_number(movement.at_ms, movement.line) // 100
    return Movement("reserve", figures.claim, month, movement.after_minor - movement.before_minor)


def describe(figures: ClaimFigures, claim: Claim) -> None:
    """Bring what the claim's state says into the figures."""
    notice, settlement = claim.notice, claim.settlement
    if notice is not None:
        figures.line, figures.cause, figures.region = notice.line, notice.cause, region_of(notice.place)
        figures.loss_month = day_number(notice.loss_at_ms, notice.line) // 100
        figures.currency, figures.estimated_minor = notice.currency, notice.estimated_loss_minor
    figures.outcome = claim.outcome or ""
    figures.payable_minor = 0 if settlement is None else settlement.payable_minor
    figures.touchless = bool(claim.payments) and all(payment.approved_by == AUTOMATIC for payment in claim.payments)
    figures.document_notices = sum(it.startswith(NoticeKind.DOCUMENTS_NEEDED) for it in claim.notices)
    figures.clocks = " ".join(sorted(f"{clock.kind}:{_stands(clock)}" for clock in claim.clocks))
    figures.waits = " ".join(sorted({f"{task.kind}:{task.addressee}" for task in claim.open_tasks}))


def providers(figures: ClaimFigures, claim: Claim) -> list[ProviderFigures]:
    """The shops and hospitals of a claim."""
    found = []
    for known in claim.assessed:
        amount = known.first_minor if known.agreed_minor is None else known.agreed_minor
        days = None
        if known.invoice is not None and figures.registered_day is not None:
            invoiced = day_number(known.invoice_at_ms, figures.line)
            days = max(0, (_date(invoiced) - _date(figures.registered_day)).days)
        found.append(("shop", known.shop, known.version - 1, amount, days))
    for bill in claim.bills:
        stay = (bill.discharged_at_ms - bill.admitted_at_ms) // 86_400_000
        found.append(("hospital", bill.hospital, 0, bill.eligible_minor, stay))
    return [
        ProviderFigures(claim.number, number, kind, name, supplements, amount, figures.currency, days)
        for number, (kind, name, supplements, amount, days) in enumerate(found, 1)
    ]


def day_number(at_ms: int, line: str | None) -> int:
    """The day a moment lies in as a number like 20260331, where the line's product counts days."""
    calendar = LINES[line].product.calendar if line in LINES else _UTC
    day = date.fromordinal(day_of(at_ms, calendar))
    return day.year * 10_000 + day.month * 100 + day.day


def _reach(figures: ClaimFigures, stage: str, day: int) -> None:
    if figures.reported_day is None:
        figures.reported_day = day
    if figures.registered_day is None and stage in _REGISTERED:
        figures.registered_day = day
    if figures.decided_day is None and stage in _DECIDED:
        figures.decided_day = day
    if figures.not_accepted_day is None and stage == Stage.NOT_ACCEPTED:
        figures.not_accepted_day = day
    if figures.paid_day is None and stage == Stage.PAID:
        figures.paid_day = day
    if figures.closed_day is None and stage == Stage.CLOSED:
        figures.closed_day = day


def _stands(clock: Clock) -> str:
    if clock.breached is not None:
        return "broken"
    return "running" if clock.ended is None else "kept"


def _date(day: int) -> date:
    return date(day // 10_000, day // 100 % 100, day % 100)
