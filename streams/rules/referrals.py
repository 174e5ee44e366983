"""A claim of high risk is referred to SIU with the evidence; before it has answered nothing is paid (domain: risk)."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from schemas.records import RiskSignal, SiuReferral, SiuResult
from streams.rules import risk
from streams.rules.claim import Claim, Referral, Task, TaskKind
from streams.rules.decision import Cause, Output
from streams.rules.derived import derived_id
from streams.rules.line import Wanted
from streams.rules.product import Terms

REFERRAL: Final = "siu.referral.v1"
RULE: Final = "siu.referred"


def referral_id(claim: str, number: int) -> str:
    """The id of a claim's first, second … referral, the same whenever it is derived."""
    return derived_id("SR", claim, number)


def refer(claim: Claim, found: tuple[risk.Signal, ...], terms: Terms, cause: Cause) -> tuple[Claim, tuple[Output, ...]]:
    """The claim with the referral that its signals ask for, and that to send. A score is referred once; a claim is
    referred anew when its score has risen, unless SIU has confirmed the fraud."""
    if not found:
        return claim, ()
    score, before = risk.score(found, terms.risk), claim.referral
    if score < terms.risk.refer_from:
        return claim, ()
    if before is not None and (score <= before.score or before.result is SiuResult.CONFIRMED):
        return claim, ()
    return send(claim, found, risk.in_words(found, terms.risk), terms, cause)


def send(
    claim: Claim, found: tuple[risk.Signal, ...], reason: str, terms: Terms, cause: Cause
) -> tuple[Claim, tuple[Output, ...]]:
    """The claim with its next referral, on these signals, and that to send."""
    score, before = risk.score(found, terms.risk), claim.referral
    referral = Referral(number=1 if before is None else before.number + 1, score=score)
    record = SiuReferral(
        claim=claim.number,
        referral_id=referral_id(claim.number, referral.number),
        score=score,
        signals=tuple([RiskSignal(name=it.name, weight=it.weight, evidence=it.evidence) for it in found]),
        at_ms=cause.at_ms,
        cause=cause.ref,
        rule=RULE,
        reason=reason,
    )
    return replace(claim, referral=referral), (Output(REFERRAL, claim.number, record, RULE, reason),)


def awaited(claim: Claim) -> Iterator[Wanted]:
    """SIU's answer, while a referral has none."""
    if claim.referral is not None and claim.referral.result is None:
        yield Wanted(TaskKind.SIU, "siu", f"referral {claim.referral.number}")


def refer_decided(claim: Claim, terms: Terms, cause: Cause) -> tuple[Claim, tuple[Output, ...]]:
    """Refer a claim that is decided already, if its signals ask for it: SIU's task stays open beside its payments."""
    if claim.notice is None or claim.policy is None:
        return claim, ()
    found = risk.signals(claim, claim.notice, claim.policy, terms)
    claim, referred = refer(claim, found, terms, cause)
    return (with_task(claim, cause) if referred else claim), referred


def with_task(claim: Claim, cause: Cause) -> Claim:
    """A claim that is decided already, with what SIU has to answer as its task."""
    others = [task for task in claim.open_tasks if task.kind is not TaskKind.SIU]
    opened = [Task(kind=it.kind, addressee=it.addressee, opened=cause.ref, about=it.about) for it in awaited(claim)]
    return replace(claim, open_tasks=(*others, *opened))
