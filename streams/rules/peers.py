"""A shop or hospital that comes to more than nearly all others of its kind do (domain: risk).

What the others come to is computed over all claims by `claimhub reports peers`, and told to the claims that are above
it as a record. So it is an input like any other, and no record has to look it up.
"""

from typing import Final

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import PeerFigures, ProviderKind
from streams.outcomes import Dead
from streams.rules.admission import check_policy_currency, registered
from streams.rules.claim import Claim
from streams.rules.decision import Cause, Decision, Lookups
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
    name, least = f"{figures.kind} {figures.provider}", terms_of(notice).risk.peers_claims
    if figures.claims < least:
        raise Dead("too-few-peers", f"claims: {figures.claims} are too few to compare with, it takes {least}")
    amounts = provider_amounts(claim).get((figures.kind, figures.provider))
    if amounts is None:
        raise Dead("other-provider", f"provider: the claim has no {name}")
    amount, limit = format_minor(amounts, figures.currency), format_minor(figures.limit_minor, figures.currency)
    most = f"{limit}, what {figures.per_cent} % of {figures.claims} claims come to at most"
    if amounts <= figures.limit_minor:
        return Decision(claim, RULE, f"{name} comes to {amount}, not above {most}", noted=True)
    if any(known.startswith(f"{name} ") for known in claim.above_peers):
        return Decision(claim, RULE, f"{name} comes to {amount}, above {most}: known", noted=True)
    evidence = f"{name} comes to {amount}, above {most}"
    claim = replace(claim, above_peers=tuple(sorted((*claim.above_peers, evidence))))
    return reconsider(claim, cause, RULE, evidence)


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
