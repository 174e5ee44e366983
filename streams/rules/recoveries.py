"""What is to come back of what was paid: subrogation, salvage, repayment (domain: departments; Insurance Law art. 59
to 61). A recovery opens only once money was paid, and no payment ever waits for one."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final, NamedTuple

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import RecoveryCase, RecoveryKind, RecoveryReceipt, SiuResult
from streams.outcomes import Dead
from streams.rules.claim import ON_ITS_WAY, Claim, Notice, Outcome, PolicyInForce, Recovery
from streams.rules.deadlines import moment
from streams.rules.decision import Cause, Decision, Lookups, Output
from streams.rules.derived import derived_id
from streams.rules.lines import LINES, terms_of
from streams.rules.reserves import paid_minor
from streams.rules.settlement import CoverAmount, CoverKind, Settlement, round_half_away

CASE: Final = "recovery.case.v1"
_WHOLE: Final = 100
_MAY_BE_TOTAL: Final = frozenset({CoverKind.OWN_DAMAGE.value, CoverKind.PROPERTY.value})
"""The covers of things of which something may be left."""


class Owed(NamedTuple):
    """What is to come back altogether, of one kind, and why."""

    kind: RecoveryKind
    minor: int
    why: str


def follow(claim: Claim, notice: Notice, cause: Cause) -> tuple[Claim, tuple[Output, ...]]:
    """The claim with the recoveries that what is paid leads to, and what is told of them: of each kind what no earlier
    recovery of that kind asks for yet."""
    outputs = []
    for owed in _owed(claim, notice):
        more = owed.minor - sum([known.due_minor for known in claim.recoveries if known.kind is owed.kind])
        if more > 0:
            claim, _, told = open_case(claim, notice, Owed(owed.kind, more, owed.why), cause)
            outputs.append(told)
    return claim, tuple(outputs)


def open_case(claim: Claim, notice: Notice, owed: Owed, cause: Cause) -> tuple[Claim, Recovery, Output]:
    """The claim with a new recovery, and the record that tells of it."""
    product = LINES[notice.line].product
    days = product.terms_at(notice.loss_at_ms).recovery_days.get(owed.kind, 0)
    number = sum([known.kind is owed.kind for known in claim.recoveries])
    recovery = Recovery(
        id=derived_id("RC", claim.number, owed.kind, number),
        kind=owed.kind,
        due_minor=owed.minor,
        due_at_ms=moment(cause.at_ms, days, 100, (), product.calendar) or 0,
    )
    opened = replace(claim, recoveries=(*claim.recoveries, recovery))
    return opened, recovery, _case(claim, recovery, notice, cause, f"recoveries.{owed.kind}", owed.why)


def on_receipt(claim: Claim, receipt: RecoveryReceipt, cause: Cause, seen: Lookups) -> Decision:
    """Take what came in for a recovery, or below zero what went back; all of it closes the recovery.

    Raises Dead `no-recovery` for one that was never opened, for another currency, for nothing, for more than is due,
    for more going back than came, and for a receipt that is known with another amount.
    """
    notice = claim.notice
    recovery = next((known for known in claim.recoveries if known.id == receipt.recovery_id), None)
    if notice is None or recovery is None:
        raise Dead("no-recovery", "recovery_id: the claim has no recovery of this id")
    if receipt.currency != notice.currency:
        raise Dead("wrong-currency", f"currency: the receipt is in {receipt.currency}, the claim in {notice.currency}")
    if receipt.receipt_id in recovery.receipts:
        if recovery.receipts[receipt.receipt_id] != receipt.amount_minor:
            raise Dead("version-conflict", "receipt_id: this receipt is already known with another amount")
        return Decision(claim, "recoveries.known", f"receipt {receipt.receipt_id} is already known")
    amount, due = (format_minor(it, notice.currency) for it in (receipt.amount_minor, recovery.due_minor))
    received = recovery.received_minor + receipt.amount_minor
    if receipt.amount_minor == 0 or not 0 <= received <= recovery.due_minor:
        before = format_minor(recovery.received_minor, notice.currency)
        raise Dead("wrong-amount", f"amount_minor: {amount} does not go with {before} received of {due} due")
    recovery = replace(recovery, receipts={**recovery.receipts, receipt.receipt_id: receipt.amount_minor})
    claim = replace(claim, recoveries=tuple([recovery if it.id == recovery.id else it for it in claim.recoveries]))
    rule = "recoveries.closed" if received == recovery.due_minor else "recoveries.received"
    reason = f"{recovery.kind}: receipt {receipt.receipt_id} of {amount}, so {format_minor(received, notice.currency)}"
    reason += f" of {due} have come"
    return Decision(claim, rule, reason, (_case(claim, recovery, notice, cause, rule, reason),))


def salvage_minor(claim: Claim, policy: PolicyInForce, settled: Settlement) -> int:
    """What is left of a total loss, as valued: the insurer's by the part of the value that was insured (art. 59).

    A loss is total when a cover pays its whole sum insured, although what is left was taken off the loss; what less
    than that pays for stays the owner's, and was taken off.
    """
    valued = claim.salvage_minor
    for cover in settled.covers if valued else ():
        terms = policy.cover(cover.cover)
        if terms is not None and cover.cover in _MAY_BE_TOTAL and _whole_sum(cover, terms.sum_insured_minor):
            insured, value = terms.sum_insured_minor, terms.insurable_value_minor
            return valued if not value or insured >= value else round_half_away(Fraction(valued * insured, value))
    return 0


def _whole_sum(cover: CoverAmount, insured: int) -> bool:
    return any(step.step == "limit" and Fraction(step.after) == insured > 0 for step in cover.steps)


def _owed(claim: Claim, notice: Notice) -> Iterator[Owed]:
    """All that is to come back of what is paid, whatever recoveries there are."""
    paid, settlement = paid_minor(claim), claim.settlement
    if paid == 0:
        return

    def money(amount_minor: int) -> str:
        return format_minor(amount_minor, notice.currency)

    owing = _owing(claim, 0 if settlement is None else sum(settlement.covers.values()), paid)
    if paid > owing:
        why = f"{money(paid)} were paid and {money(owing)} are owed"
        yield Owed(RecoveryKind.REPAYMENT, paid - owing, why)
    if (
        settlement is None
        or claim.outcome is not Outcome.APPROVED
        or any(it.state in ON_ITS_WAY for it in claim.payments)
    ):
        return
    if settlement.salvage_minor:
        why = f"a total loss was paid, and what is left of it is valued at {money(settlement.salvage_minor)}"
        yield Owed(RecoveryKind.SALVAGE, settlement.salvage_minor, why)
    damage, share = settlement.covers.get(CoverKind.OWN_DAMAGE, 0), terms_of(notice).liability_share.get(claim.fault)
    if damage and share is not None and share < _WHOLE:
        had = claim.paid_by_others_minor
        theirs = round_half_away(Fraction((damage + had) * (_WHOLE - share), _WHOLE)) - had
        why = (
            f"{CoverKind.OWN_DAMAGE} paid {money(damage)}; {_WHOLE - share} % of the fault are a third party's, and so "
            f"{money(theirs)} (Insurance Law art. 60)"
        )
        if had:
            why = f"{why}; the insured had {money(had)} of it already"
        if theirs > 0:
            yield Owed(RecoveryKind.SUBROGATION, theirs, why)


def _owing(claim: Claim, covers_minor: int, paid: int) -> int:
    """What is owed of a claim as it is decided: nothing of a fraud; a later round that is rejected or withdrawn leaves
    what earlier ones paid."""
    if claim.referral is not None and claim.referral.result is SiuResult.CONFIRMED:
        return 0
    match claim.outcome:
        case Outcome.APPROVED:
            return covers_minor
        case Outcome.REJECTED | Outcome.WITHDRAWN if claim.round == 1:
            return 0
    return paid


def _case(claim: Claim, recovery: Recovery, notice: Notice, cause: Cause, rule: str, reason: str) -> Output:
    case = RecoveryCase(
        claim=claim.number,
        recovery_id=recovery.id,
        kind=recovery.kind,
        due_minor=recovery.due_minor,
        received_minor=recovery.received_minor,
        closed=recovery.received_minor == recovery.due_minor,
        currency=notice.currency,
        due_at_ms=recovery.due_at_ms,
        at_ms=cause.at_ms,
        cause=cause.ref,
        rule=rule,
        reason=reason,
    )
    return Output(CASE, claim.number, case, rule, reason)
