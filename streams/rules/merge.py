"""Two claims about one loss become one: the second asks the first, and hands it all that is said for it from then on.

What may be the same loss is found by what notices leave; whether it is, the first claim says once it has the second's
notice. Nothing of a claim that was merged can be taken apart again yet.
"""

from typing import Final

from msgspec.structs import replace

from schemas.records import Contact, ContactKind, LossNotice, NoticeKind, Record, SameLoss
from schemas.topics import TOPICS, Direction, Key
from streams.outcomes import Dead, Park
from streams.rules import notices
from streams.rules.claim import Claim, Merge, Notice, Outcome, Task, TaskKind
from streams.rules.decision import Cause, Decision, Lookups, Output
from streams.rules.lines import terms_of

SAME_LOSS: Final = "hub.same-loss.v1"
ASKED: Final = "merge.asked"
ANSWERED: Final = "merge.answered"
JOINED: Final = "merge.joined"
MERGED: Final = "merge.merged"
FORWARDED: Final = "merge.forwarded"
_OURS: Final = frozenset({"operations.command.v1", "adjuster.decision.v1"})
"""What is said about this very claim, and not about its loss."""

HELD: Final = frozenset(
    topic.name for topic in TOPICS.values() if topic.direction is Direction.IN and topic.key is Key.CLAIM
).difference(_OURS)
"""The topics whose records wait while a claim has asked, and go to the claim that it became part of."""

_MINUTE_MS: Final = 60_000
_ENDED: Final = (Outcome.NOT_ACCEPTED, Outcome.WITHDRAWN, Outcome.MERGED)


def may_ask(claim: Claim, seen: Lookups) -> bool:
    """Whether other claims may be about the same loss, and this one is young enough to become part of one."""
    return bool(seen.same_losses) and claim.policy is None and claim.merge is None and not claim.joined


def ask(claim: Claim, seen: Lookups, cause: Cause, reason: str, told: tuple[Output, ...]) -> Decision:
    """Hand the notice to the claims that may be about the same loss, and wait for what they say."""
    asked = tuple(sorted({shared.claim for shared in seen.same_losses}))
    names = " and ".join(asked)
    task = Task(kind=TaskKind.SAME_LOSS, addressee="claims", opened=cause.ref, about=f"claim {names}")
    claim = replace(claim, merge=Merge(asked=asked), open_tasks=(task,))
    reason = f"{reason}; claim {names} may be about the same loss and is asked"
    return Decision(claim, ASKED, reason, told, refused=True, forward_to=asked)


def on_notice(claim: Claim, record: LossNotice, cause: Cause, seen: Lookups) -> Decision:
    """Say whether another claim, whose notice this is, is about this claim's loss, and take it in if so."""
    other = record.claim
    if other in claim.joined:
        return Decision(claim, JOINED, f"claim {other} is part of this one: its notice changes nothing", noted=True)
    why = _why_not(claim, claim.notice, record)
    answer = SameLoss(
        claim=other,
        other=claim.number,
        same=why is None,
        policy_number=record.policy_number,
        plate=record.plate,
        at_ms=cause.at_ms,
    )
    if why is not None:
        reason = f"claim {other} is not about this claim's loss: {why}"
        return Decision(claim, ANSWERED, reason, (Output(SAME_LOSS, other, answer, ANSWERED, reason),), noted=True)
    reason = f"claim {other} is about the same loss, so it becomes part of this claim"
    text = f"Claim {claim.number}: the loss was reported once more as claim {other}; both go on as this one (并案)."
    claim = replace(claim, joined=(*claim.joined, other))
    claim, told = notices.tell(claim, NoticeKind.MERGED, other, text, cause, reason)
    return Decision(claim, JOINED, reason, (Output(SAME_LOSS, other, answer, JOINED, reason), *told))


def become_part(claim: Claim, into: str, cause: Cause) -> Decision:
    """End a claim that became part of another."""
    reason = f"claim {into} is about the same loss, so this claim is merged into it"
    text = f"Claim {claim.number}: this loss was reported before; it goes on as claim {into} (并案). Use that number."
    claim = replace(claim.decided(Outcome.MERGED), merge=Merge(into=into))
    claim, told = notices.tell(claim, NoticeKind.MERGED, into, text, cause, reason)
    return Decision(claim, MERGED, reason, told)


def held(claim: Claim, merge: Merge, topic: str, record: Record | None) -> Decision | None:
    """What becomes of a record instead of what its own rules say: nothing, when the claim is one of its own.

    Raises Park while other claims are asked, and Dead `merged` for a withdrawal: one reporter's cannot end what another
    reported as well.
    """
    if topic not in HELD:
        return None
    if merge.asked:
        names = " and ".join(merge.asked)
        raise Park(f"waits until it is known whether claim {names} is about the same loss", until=(SAME_LOSS,))
    if merge.into is None:
        return None
    if isinstance(record, Contact) and record.kind is ContactKind.WITHDRAWAL:
        where = f"the claim was merged into {merge.into}, which somebody else reported as well"
        raise Dead("merged", f"kind: {where}. To withdraw the whole of it, withdraw that claim")
    reason = f"the claim is part of claim {merge.into}, which takes this"
    return Decision(claim, FORWARDED, reason, noted=True, forward_to=(merge.into,))


def _why_not(claim: Claim, notice: Notice | None, record: LossNotice) -> str | None:
    """Why another claim's notice is of another loss, or cannot become part of this claim; None when it can."""
    if notice is None or notice.line != record.line:
        return "it is of another line of business"
    if claim.outcome in _ENDED or (claim.merge is not None and (claim.merge.asked or claim.merge.into)):
        return f"this claim takes no other in ({claim.outcome or 'it has asked itself'})"
    minutes = abs(notice.loss_at_ms - record.loss_at_ms) // _MINUTE_MS
    most = terms_of(notice).same_loss_minutes
    return f"their times are {minutes} minutes apart, at most {most} may be one" if minutes > most else None
