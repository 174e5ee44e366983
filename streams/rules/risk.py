"""Risk signals of one claim and its policy: each a weight and the evidence it rests on. Weights, and from where on a
thing is a signal, are product data."""

from typing import Final, NamedTuple

from schemas.money import format_minor
from schemas.records import FindingKind
from streams.rules import repeats
from streams.rules.claim import Claim, Found, Notice, PolicyInForce, SettlementVersion
from streams.rules.places import UNKNOWN, region_of
from streams.rules.product import AuthorityLimits, RiskWeights, Terms

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
LATE_REASON: Final = "late_reason"
"""The fact of a notice that tells why it came late."""


class Signal(NamedTuple):
    """One thing that speaks against paying unseen."""

    name: str
    weight: int
    evidence: str


def signals(claim: Claim, notice: Notice, policy: PolicyInForce, terms: Terms) -> tuple[Signal, ...]:
    """The signals of a claim as far as its facts are known, whatever it may come to."""
    weights, loss_at_ms = terms.risk, notice.loss_at_ms
    found = []
    age_ms, late_ms = loss_at_ms - policy.inception_at_ms, notice.notified_at_ms - loss_at_ms
    if age_ms <= weights.early_ms:
        weight = weights.very_early_loss if age_ms <= weights.very_early_ms else weights.early_loss
        found.append(Signal("early-loss", weight, f"the loss came {age_ms / DAY_MS:.1f} days after inception"))
    raised_at_ms = policy.raised_at_ms
    if raised_at_ms is not None and loss_at_ms - raised_at_ms <= weights.cover_raised_ms:
        evidence = f"the loss came {(loss_at_ms - raised_at_ms) / DAY_MS:.1f} days after the cover was raised"
        found.append(Signal("cover-raised", weights.cover_raised, evidence))
    if late_ms > weights.late_notice_ms and LATE_REASON not in notice.facts:
        evidence = f"the notice came {late_ms / HOUR_MS:.0f} hours after the loss"
        found.append(Signal("late-notice", weights.late_notice, evidence))
    if notice.payee_changed:
        found.append(Signal("payee-changed", weights.payee_changed, "a later notice named another payee account"))
    elif policy.other_account:
        evidence = "the payee account is not in the name of the policy's holder"
        found.append(Signal("other-account", weights.other_account, evidence))
    if claim.same_papers:
        first, more = claim.same_papers[:2], len(claim.same_papers) - 2
        evidence = f"the same as {' and '.join(first)}" + (f" and {more} more" if more > 0 else "")
        found.append(Signal("same-paper", weights.same_paper, evidence))
    if claim.above_peers:
        found.append(Signal("above-peers", weights.above_peers, claim.above_peers[0]))
    if notice.repeats:
        evidence = repeats.in_words(notice.repeats, weights.repeated_months)
        found.append(Signal("repeated", weights.repeated, evidence))
    if claim.findings:
        found += _contradictions(claim, notice, weights)
    return tuple(found)


def near_limit(settlement: SettlementVersion, limits: AuthorityLimits, weights: RiskWeights) -> tuple[Signal, ...]:
    """A signal when a settlement keeps just below the amount from which another must decide."""
    amount_minor, per_cent = sum(settlement.covers.values()), weights.near_limit_per_cent
    for limit in (limits.automatic_minor, limits.handler_minor, limits.approver_minor):
        if amount_minor <= limit and (limit - amount_minor) * 100 <= limit * per_cent:
            amount, below = (format_minor(it, settlement.currency) for it in (amount_minor, limit))
            evidence = f"{amount} is within {per_cent} % below the limit of {below}"
            return (Signal("near-limit", weights.near_limit, evidence),)
    return ()


def score(found: tuple[Signal, ...], weights: RiskWeights) -> int:
    """The weights together, at most the highest score."""
    return min(sum([signal.weight for signal in found]), weights.highest)


def in_words(found: tuple[Signal, ...], weights: RiskWeights) -> str:
    """The score and what it is made of."""
    if not found:
        return "risk 0"
    return f"risk {score(found, weights)} ({', '.join([f'{signal.evidence}: {signal.weight}' for signal in found])})"


def _contradictions(claim: Claim, notice: Notice, weights: RiskWeights) -> list[Signal]:
    """What those who looked into the loss found otherwise than the notice says; the kinds that weigh the same are one
    signal."""
    against = [one.kind for one in claim.findings if one.contradicts_notice]
    others = [kind for kind in against if kind not in (FindingKind.POLICE, FindingKind.RE_INSPECTION)]
    found = []
    if others:
        evidence = f"the {' and the '.join(others)} contradicts the notice"
        found.append(Signal("contradicted", weights.contradicted, evidence))
    police = claim.found(FindingKind.POLICE)
    differs = None if police is None else _police_differs(police, notice, weights)
    if differs is not None:
        found.append(Signal("police-differs", weights.police_differs, differs))
    if FindingKind.RE_INSPECTION in against:
        found.append(Signal("re-inspected", weights.re_inspected, "the re-inspection contradicts the notice"))
    return found


def _police_differs(police: Found, notice: Notice, weights: RiskWeights) -> str | None:
    """How the police record is at odds with the notice: as whoever read it says, or by its place or time."""
    if police.contradicts_notice:
        return "the police record contradicts the notice"
    said, recorded = region_of(notice.place), police.region
    if UNKNOWN not in (said, recorded) and said != recorded:
        return f"the police record has the loss in {recorded}, the notice in {said}"
    if police.loss_at_ms is None:
        return None
    apart = abs(police.loss_at_ms - notice.loss_at_ms) // MINUTE_MS
    if apart > weights.police_minutes:
        return f"the police record has the loss {apart} minutes from the notice's time"
    return None
