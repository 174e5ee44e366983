"""Direct settlement: a hospital under contract is guaranteed its bill and paid in the patient's place (domain: route
plan, health)."""

from typing import Final

from schemas.records import BankAccount, HospitalRequest, HospitalRequestKind
from streams.rules.claim import Claim, Notice, Payment, PolicyInForce
from streams.rules.decision import Cause, Output
from streams.rules.lines import terms_of
from streams.rules.product import Contracted
from streams.rules.settlement import CoverKind

RULE: Final = "direct.advice"
_WISH: Final = "settle_with"


def contracted(notice: Notice) -> Contracted | None:
    """The contract of the hospital the notice wants paid, if it does and the hospital has one."""
    if notice.facts.get(_WISH) != "hospital":
        return None
    return terms_of(notice).contracted.get(notice.facts.get("hospital", ""))


def guaranteed_minor(notice: Notice, policy: PolicyInForce) -> int | None:
    """What the hospital is guaranteed at most: by its contract and by the policy's medical cover. None: nothing."""
    contract, cover = contracted(notice), policy.cover(CoverKind.MEDICAL)
    if contract is None or cover is None:
        return None
    return min(contract.guarantee_minor, cover.sum_insured_minor)


def payee(claim: Claim, notice: Notice) -> BankAccount:
    """Who is paid: the hospital when it was guaranteed and every bill is its own, else whom the notice names."""
    contract = contracted(notice)
    if contract is None or not claim.bills:
        return notice.payee
    hospital = notice.facts["hospital"]
    return contract.account if all(bill.hospital == hospital for bill in claim.bills) else notice.payee


def advice(claim: Claim, notice: Notice, paid: Payment, cause: Cause, reason: str) -> tuple[Output, ...]:
    """The advice to the hospital that it was paid; nothing when somebody else was."""
    if payee(claim, notice) == notice.payee:
        return ()
    told = HospitalRequest(
        claim=claim.number,
        request_id=paid.id,
        kind=HospitalRequestKind.SETTLEMENT_ADVICE,
        facts=notice.facts,
        at_ms=cause.at_ms,
        cause=cause.ref,
        rule=RULE,
        reason=reason,
        amount_minor=paid.amount_minor,
        currency=paid.currency,
    )
    return (Output("hospital.request.v1", claim.number, told, RULE, reason),)
