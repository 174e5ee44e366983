"""What a policy's claims use up of its covers in a policy year: what others have used is not there for this one.

A cover is used from the moment an amount is settled or proposed as an advance, not only once it is paid: two claims
that wait for approval cannot both have what is left. A claim that ends without a payment gives back what it had used.
Claims that were settled before are not settled anew for it.
"""

from datetime import date
from fractions import Fraction
from typing import NamedTuple

from msgspec.structs import replace

from streams.rules.claim import DEAD, Claim, CoverUse, Notice, Outcome, PolicyInForce, SettlementVersion
from streams.rules.deadlines import Calendar, day_of
from streams.rules.product import Terms
from streams.rules.settlement import ANNUAL_DEDUCTIBLE, Settlement, round_half_away

_GIVES_BACK = frozenset({Outcome.REJECTED, Outcome.NOT_ACCEPTED, Outcome.WITHDRAWN, Outcome.MERGED})


class UsedBefore(NamedTuple):
    """What others have used of one cover in a policy year, in minor units."""

    paid_minor: int = 0
    deductible_minor: int = 0


def used_before(
    cover: str, claim: Claim, notice: Notice, policy: PolicyInForce, terms: Terms, calendar: Calendar
) -> UsedBefore:
    """What the policy's other claims have used of a cover in the policy year of this claim's loss; nothing of one that
    begins anew with each loss."""
    if not claim.used_by_others or cover not in terms.yearly_covers:
        return UsedBefore()
    year = _policy_year(policy, notice.loss_at_ms, calendar)
    used = [
        use
        for use in claim.used_by_others
        if (use.policy, use.cover) == (policy.number, cover) and _policy_year(policy, use.loss_at_ms, calendar) == year
    ]
    return UsedBefore(sum(use.paid_minor for use in used), sum(use.deductible_minor for use in used))


def deductibles(settled: Settlement) -> dict[str, int]:
    """What a settlement has taken of each cover's annual deductible, in minor units."""
    taken = {
        cover.cover: round_half_away(Fraction(step.before) - Fraction(step.after))
        for cover in settled.covers
        for step in cover.steps
        if step.step == ANNUAL_DEDUCTIBLE
    }
    return {cover: minor for cover, minor in taken.items() if minor}


def follow(before: Claim, after: Claim, notice: Notice, terms: Terms) -> Claim:
    """The claim after a change, with what it uses of its policy's covers now."""
    unchanged = (
        before.settlement is after.settlement
        and before.advance is after.advance
        and before.outcome is after.outcome
        and before.notice is after.notice
        and before.policy is after.policy
        and before.payments is after.payments
    )
    if unchanged or not terms.yearly_covers:
        return after
    uses = _uses(after, notice, terms)
    return after if uses == after.cover_uses else replace(after, cover_uses=uses)


def changes(before: Claim, after: Claim) -> list[CoverUse]:
    """What a claim uses now of each cover, where that has changed; nothing of one that it no longer uses."""
    if before.cover_uses is after.cover_uses:
        return []
    kept = {(use.policy, use.cover) for use in after.cover_uses}
    given_back = [
        replace(use, paid_minor=0, deductible_minor=0)
        for use in before.cover_uses
        if (use.policy, use.cover) not in kept
    ]
    return [use for use in after.cover_uses if use not in before.cover_uses] + given_back


def _uses(claim: Claim, notice: Notice, terms: Terms) -> tuple[CoverUse, ...]:
    if claim.outcome in _GIVES_BACK:  # what was paid before stays with the payee, and so used
        return claim.cover_uses if any(payment.state not in DEAD for payment in claim.payments) else ()
    settled = _newest(claim)
    # A notice without a policy's number was found by its plate: a line whose covers all begin anew with each loss.
    if settled is None or claim.policy is None or notice.policy_number != claim.policy.number:
        return claim.cover_uses
    uses = [
        CoverUse(
            claim.policy.number,
            claim.number,
            cover,
            notice.loss_at_ms,
            max(settled.covers.get(cover, 0), 0),
            settled.deductibles.get(cover, 0),
        )
        for cover in terms.yearly_covers
    ]
    return tuple([use for use in uses if use.paid_minor or use.deductible_minor])


def _newest(claim: Claim) -> SettlementVersion | None:
    """What was settled or proposed last."""
    settled, advance = claim.settlement, claim.advance
    if advance is None or advance.proposed is None or advance.refused:
        return settled
    return advance.proposed if settled is None or advance.proposed.version > settled.version else settled


def _policy_year(policy: PolicyInForce, loss_at_ms: int, calendar: Calendar) -> int:
    """How many whole years after the policy's inception a loss was, by the calendar."""
    began, lost = (date.fromordinal(day_of(at_ms, calendar)) for at_ms in (policy.inception_at_ms, loss_at_ms))
    return lost.year - began.year - ((lost.month, lost.day) < (began.month, began.day))
