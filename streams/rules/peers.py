"""A shop or hospital that comes to more than nearly all others of its kind do (domain: risk).

What the others come to is computed over all claims by `claimhub reports peers --publish`. What it kept is looked up by
every record that brings such an amount; the claims that are above it already are told by a record.
"""

from typing import Final

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import PeerFigures, ProviderKind
from streams.outcomes import Dead
from streams.rules.admission import check_policy_currency, registered
from streams.rules.claim import Claim
from streams.rules.decision import Cause, Decision, Lookups, PeerLimit
from streams.rules.lines import terms_of
from streams.rules.progress import reconsider

RULE: Final = "peers.above"


def on_peer_figures(claim: Claim, figures: PeerFigures, cause: Cause, seen: Lookups) -> Decision:
    """Note that a claim's shop or hospital is above its peers, once.

    Raises Park until the claim is registered; Dead for a provider the claim does not have, for too few claims to
    compare with, and in another currency.
    """
    notice, policy = registered(claim, "what others come to")
    check_policy_currency(figures.currency, policy, "what others come to")
    name, least = _name(figures.kind, figures.provider), terms_of(notice).risk.peers_claims
    if figures.claims < least:
        raise Dead("too-few-peers", f"claims: {figures.claims} are too few to compare with, it takes {least}")
    amount_minor = provider_amounts(claim).get((figures.kind, figures.provider))
    if amount_minor is None:
        raise Dead("other-provider", f"provider: the claim has no {name}")
    limit = PeerLimit(figures.claims, figures.per_cent, figures.limit_minor)
    words = _in_words(name, amount_minor, limit, figures.currency)
    if amount_minor <= limit.limit_minor:
        return Decision(claim, RULE, words, noted=True)
    if _is_noted(claim, name):
        return Decision(claim, RULE, f"{words}: known", noted=True)
    return reconsider(_noted(claim, words), cause, RULE, words)


def compare(claim: Claim, kind: ProviderKind, provider: str, seen: Lookups, reason: str) -> tuple[Claim, str]:
    """A claim after a paper of this provider, with it noted, once, if it is above its peers; and the reason of the
    change, with that."""
    notice, policy, limit = claim.notice, claim.policy, seen.peers
    if limit is None or notice is None or policy is None or limit.claims < terms_of(notice).risk.peers_claims:
        return claim, reason
    name, amount_minor = _name(kind, provider), provider_amounts(claim)[kind, provider]
    if amount_minor <= limit.limit_minor or _is_noted(claim, name):
        return claim, reason
    words = _in_words(name, amount_minor, limit, policy.currency)
    return _noted(claim, words), f"{reason}; {words}"


def provider_amounts(claim: Claim) -> dict[tuple[str, str], int]:
    """What a claim comes to with each of its shops and hospitals, by kind and name, in minor units: the most that one
    paper of it comes to."""
    amounts: dict[tuple[str, str], int] = {}
    for known in claim.assessed:
        amount = known.first_minor if known.agreed_minor is None else known.agreed_minor
        _raise(amounts, (ProviderKind.SHOP, known.shop), amount)
    for bill in claim.bills:
        _raise(amounts, (ProviderKind.HOSPITAL, bill.hospital), bill.eligible_minor)
    return amounts


def _raise(amounts: dict[tuple[str, str], int], provider: tuple[str, str], amount_minor: int) -> None:
    amounts[provider] = max(amounts.get(provider, 0), amount_minor)


def _name(kind: str, provider: str) -> str:
    return f"{kind} {provider}"


def _in_words(name: str, amount_minor: int, limit: PeerLimit, currency: str) -> str:
    amount, most = format_minor(amount_minor, currency), format_minor(limit.limit_minor, currency)
    above = "above" if amount_minor > limit.limit_minor else "not above"
    return f"{name} comes to {amount}, {above} {most}, what {limit.per_cent} % of {limit.claims} claims come to at most"


def _is_noted(claim: Claim, name: str) -> bool:
    return any(known.startswith(f"{name} ") for known in claim.above_peers)


def _noted(claim: Claim, evidence: str) -> Claim:
    return replace(claim, above_peers=tuple(sorted((*claim.above_peers, evidence))))
