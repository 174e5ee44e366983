"""Risk signals of one claim and its policy: each a weight and the evidence it rests on (weights are product data)."""

from typing import Final, NamedTuple

from schemas.money import format_minor
from streams.rules.claim import Claim, Notice, PolicyInForce
from streams.rules.product import Terms

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
HIGHEST: Final = 100


class Signal(NamedTuple):
    """One thing that speaks against paying unseen."""

    name: str
    weight: int
    evidence: str


def signals(claim: Claim, notice: Notice, policy: PolicyInForce, terms: Terms, amount_minor: int) -> tuple[Signal, ...]:
    """The signals of a claim about to be settled for `amount_minor`."""
    weights = terms.risk
    found = []
    days, hours = _days_since_inception(notice, policy), (notice.notified_at_ms - notice.loss_at_ms) / HOUR_MS
    if days <= 7:
        found.append(Signal("early-loss", weights.loss_within_7_days, f"the loss came {days:.1f} days after inception"))
    elif days <= 30:
        found.append(
            Signal("early-loss", weights.loss_within_30_days, f"the loss came {days:.1f} days after inception")
        )
    if hours > 48:
        found.append(Signal("late-notice", weights.late_notice, f"the notice came {hours:.0f} hours after the loss"))
    if notice.payee_changed:
        found.append(Signal("payee-changed", weights.payee_changed, "a later notice named another payee account"))
    against = [one.kind for one in claim.findings if one.contradicts_notice]
    if against:
        found.append(
            Signal("contradicted", weights.contradicted, f"the {' and the '.join(against)} contradicts the notice")
        )
    limits = terms.authority
    for limit in (limits.automatic_minor, limits.handler_minor, limits.approver_minor):
        if amount_minor <= limit and (limit - amount_minor) * 20 <= limit:
            words = f"{_money(amount_minor, policy)} is within 5 % below the limit of {_money(limit, policy)}"
            found.append(Signal("near-limit", weights.near_limit, words))
    return tuple(found)


def score(found: tuple[Signal, ...]) -> int:
    """The weights together, at most 100."""
    return min(sum(signal.weight for signal in found), HIGHEST)


def _days_since_inception(notice: Notice, policy: PolicyInForce) -> float:
    return (notice.loss_at_ms - policy.inception_at_ms) / DAY_MS


def _money(amount_minor: int, policy: PolicyInForce) -> str:
    return format_minor(amount_minor, policy.currency)
