"""The same phone, account, vehicle or person in several claims within so many months (domain: risk)."""

from collections.abc import Mapping
from typing import Final

from streams.rules.deadlines import Calendar, months_before
from streams.rules.decision import Lookups
from streams.rules.product import RiskWeights
from streams.rules.traces import MOST

Repeats = Mapping[str, tuple[int, str]]
"""By what is the same: in how many claims it is, this one among them, and the newest of the others."""

ACCOUNT: Final = "account"


def repeats(seen: Lookups, weights: RiskWeights, at_ms: int, calendar: Calendar) -> dict[str, tuple[int, str]]:
    """What a claim notified at this time has in common with so many others, as the look-up found."""
    if not seen.repeats:
        return {}
    since_ms = months_before(at_ms, weights.repeated_months, calendar)
    by_kind: dict[str, list[str]] = {}
    for shared in seen.repeats:
        if shared.at_ms >= since_ms:
            by_kind.setdefault(shared.kind.name.lower(), []).append(shared.claim)
    return {
        kind: (len(claims) + 1, claims[0])
        for kind, claims in by_kind.items()
        if len(claims) + 1 >= weights.repeated_claims
    }


def in_words(found: Repeats, months: int) -> str:
    """The evidence: of a look-up that found as many as it looks for, there may be more."""
    parts = [f"{kind} in {'at least ' if claims > MOST else ''}{claims} claims" for kind, (claims, _) in found.items()]
    newest = next(iter(found.values()))[1]
    return f"within {months} months the same {', '.join(parts)} (as in claim {newest})"
