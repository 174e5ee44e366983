"""What follows from a claim's change, whatever rule made it: its clocks, what is set aside for it, what is to come back
of what was paid, and what reinsurer, regulator, underwriting and legal hear.

Nothing here changes what is owed, or waits for anybody: a payment is never later for it (Insurance Law art. 29).
"""

from msgspec.structs import replace

from streams.rules import clocks, cover_use, experience, legal, recoveries, regulator, reinsurance, reserves
from streams.rules.claim import Claim, Notice
from streams.rules.decision import Cause, Output
from streams.rules.lines import terms_of
from streams.rules.stage import stage_of


def follow(before: Claim, after: Claim, cause: Cause) -> tuple[Claim, tuple[Output, ...]]:
    """The claim after a record, with all that follows from what the record changed, and what is sent for it."""
    after = clocks.run(before, after, cause)
    notice, outputs = after.notice, list[Output]()
    if notice is None:
        return after, ()
    after = cover_use.follow(before, after, notice, terms_of(notice))
    if not _same_money(before, after):
        paid_minor = reserves.paid_minor(after) if after.payments else 0
        after, told = _reserved(after, before.version + 1, notice, cause)
        outputs += told
        if paid_minor:
            after, told = recoveries.follow(after, notice, cause)
            outputs += told
        after, told = reinsurance.follow(after, notice, paid_minor, cause)
        outputs += told
        after, told = regulator.on_large_loss(after, notice, after.reserve_minor + paid_minor, cause)
        outputs += told
        outputs += _experience(before, after, notice, cause)
    if after.clocks is not before.clocks:
        cost_minor = after.reserve_minor + reserves.paid_minor(after)
        after, told = regulator.on_breaches(after, notice, cost_minor, cause)
        outputs += told
    if after.disputed and after.disputed != before.disputed:
        after, told = legal.refer(after, notice, cause)
        outputs += told
    return after, tuple(outputs)


def _same_money(before: Claim, after: Claim) -> bool:
    """Whether all that an amount follows from is as it was."""
    return (
        before.notice is after.notice
        and before.policy is after.policy
        and before.findings is after.findings
        and before.assessed is after.assessed
        and before.bills is after.bills
        and before.settlement is after.settlement
        and before.outcome is after.outcome
        and before.payments is after.payments
        and before.referral is after.referral
    )


def _experience(before: Claim, after: Claim, notice: Notice, cause: Cause) -> tuple[Output, ...]:
    """Underwriting hears of a claim once it has come to an end, and again when it ends anew."""
    if after.outcome is None or after.policy is None:
        return ()
    stage = stage_of(after)
    if stage not in experience.ENDS or (before.outcome is not None and stage_of(before) is stage):
        return ()
    return (experience.told(after, notice, after.policy, stage, cause),)


def _reserved(claim: Claim, version: int, notice: Notice, cause: Cause) -> tuple[Claim, tuple[Output, ...]]:
    reserve = reserves.reserve_of(claim, notice)
    if reserve.amount_minor == claim.reserve_minor:
        return claim, ()
    moved = reserves.movement(claim, version, notice, reserve, cause)
    return replace(claim, reserve_minor=reserve.amount_minor), (moved,)
