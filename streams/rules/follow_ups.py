"""What follows from a claim's change, whatever rule made it: its clocks, and what is set aside for it.

Nothing here changes what is owed, or waits for anybody: a payment is never later for it (Insurance Law art. 28).
"""

from msgspec.structs import replace

from streams.rules import clocks, reserves
from streams.rules.claim import Claim, Notice
from streams.rules.decision import Cause, Output


def follow(before: Claim, after: Claim, cause: Cause) -> tuple[Claim, tuple[Output, ...]]:
    """The claim after a record, with all that follows from what the record changed, and what is sent for it."""
    after = clocks.run(before, after, cause)
    notice = after.notice
    if notice is None or _same_money(before, after):
        return after, ()
    return _reserved(after, before.version + 1, notice, cause)


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
    )


def _reserved(claim: Claim, version: int, notice: Notice, cause: Cause) -> tuple[Claim, tuple[Output, ...]]:
    reserve = reserves.reserve_of(claim, notice)
    if reserve.amount_minor == claim.reserve_minor:
        return claim, ()
    moved = reserves.movement(claim, version, notice, reserve, cause)
    return replace(claim, reserve_minor=reserve.amount_minor), (moved,)
