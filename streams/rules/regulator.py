"""What the regulator hears of a single claim: a large loss the day it is known, and incidents; each once."""

from typing import Final

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import RegulatorAcknowledgement, RegulatorReport, RegulatorReportKind
from streams.outcomes import Dead
from streams.rules.claim import Claim, Clock, Notice, Reported
from streams.rules.decision import Cause, Decision, Lookups, Output
from streams.rules.derived import derived_id
from streams.rules.lines import terms_of

REPORT: Final = "regulator.report.v1"
LARGE_LOSS: Final = "large-loss"
SAME_DAY: Final = "large losses are reported the same day"


def on_large_loss(claim: Claim, notice: Notice, cost_minor: int, cause: Cause) -> tuple[Claim, tuple[Output, ...]]:
    """Report a claim whose cost, reserve and payments together, is above the product's limit."""
    limit = terms_of(notice).above_minor.get(LARGE_LOSS)
    if limit is None or cost_minor <= limit or _told(claim, LARGE_LOSS):
        return claim, ()
    cost, above = (format_minor(it, notice.currency) for it in (cost_minor, limit))
    reason = f"the claim costs {cost}, which is above {above}"
    claim, told = _report(claim, notice, cost_minor, RegulatorReportKind.LARGE_LOSS, ("", SAME_DAY), cause, reason)
    return claim, (told,)


def on_breaches(claim: Claim, notice: Notice, cost_minor: int, cause: Cause) -> tuple[Claim, tuple[Output, ...]]:
    """Report each clock that has run out and that the product says is reported."""
    outputs = []
    for clock in claim.clocks:
        if clock.breached is not None and not _told(claim, about(clock)):
            source = _source(clock, notice)
            if source:
                reason = f"the {about(clock)} clock of {clock.days} days ran out before what it is for was done"
                of = (about(clock), source)
                claim, told = _report(claim, notice, cost_minor, RegulatorReportKind.INCIDENT, of, cause, reason)
                outputs.append(told)
    return claim, tuple(outputs)


def on_acknowledgement(claim: Claim, record: RegulatorAcknowledgement, cause: Cause, seen: Lookups) -> Decision:
    """Note that the regulator has a report. Raises Dead `no-report` for one that was never sent."""
    for known in claim.reported:
        if report_id(claim.number, known.mark) == record.report_id:
            kept = [replace(one, acknowledged=True) if one is known else one for one in claim.reported]
            reason = f"the regulator has the report of {known.mark}"
            return Decision(replace(claim, reported=tuple(kept)), "regulator.acknowledged", reason)
    raise Dead("no-report", "report_id: the regulator was sent no report of this id")


def report_id(claim: str, mark: str) -> str:
    """The id of a report, the same whenever it is derived."""
    return derived_id("RP", claim, mark)


def about(clock: Clock) -> str:
    """A clock by kind and what it is about."""
    return f"{clock.kind} {clock.about}".rstrip()


def _told(claim: Claim, mark: str) -> bool:
    return any(known.mark == mark for known in claim.reported)


def _source(clock: Clock, notice: Notice) -> str:
    """The article by which the clock's breach is reported, if it is."""
    for terms in terms_of(notice).clocks:
        if (terms.kind, terms.case) == (clock.kind, clock.case):
            return terms.reported
    return ""


def _report(
    claim: Claim,
    notice: Notice,
    cost_minor: int,
    kind: RegulatorReportKind,
    of: tuple[str, str],
    cause: Cause,
    reason: str,
) -> tuple[Claim, Output]:
    """The claim with a report on it; `of` are what it is about and the article it rests on."""
    which, source = of
    mark, rule = which or kind.value, f"regulator.{kind}"
    report = RegulatorReport(
        claim=claim.number,
        report_id=report_id(claim.number, mark),
        kind=kind,
        line=notice.line,
        about=which,
        source=source,
        amount_minor=cost_minor,
        currency=notice.currency,
        at_ms=cause.at_ms,
        cause=cause.ref,
        rule=rule,
        reason=reason,
    )
    reported = replace(claim, reported=(*claim.reported, Reported(mark=mark)))
    return reported, Output(REPORT, claim.number, report, rule, reason)
