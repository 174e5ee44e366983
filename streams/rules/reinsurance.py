"""What the reinsurer of a large claim hears, and what it says: no payment ever waits for it (Insurance Law art. 29)."""

from fractions import Fraction
from typing import Final, NamedTuple

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import RecoveryKind, ReinsuranceNotice, ReinsuranceNoticeKind, ReinsuranceReply
from streams.outcomes import Dead
from streams.rules import recoveries
from streams.rules.claim import Ceded, Claim, Notice
from streams.rules.decision import Cause, Decision, Lookups, Output
from streams.rules.derived import derived_id
from streams.rules.lines import terms_of
from streams.rules.product import Treaty
from streams.rules.settlement import round_half_away

NOTICE: Final = "reinsurance.notice.v1"
_WHOLE_BP: Final = 10_000


class _Said(NamedTuple):
    """One notice to send: of what amount, of which the reinsurer bears how much, and the recovery that it pays into."""

    kind: ReinsuranceNoticeKind
    gross_minor: int
    share_minor: int
    why: str
    recovery_id: str | None = None


def follow(claim: Claim, notice: Notice, paid_minor: int, cause: Cause) -> tuple[Claim, tuple[Output, ...]]:
    """Tell the reinsurer what is new: a step above the treaty's threshold that the claim's cost was never at, once; its
    share of what was paid, once; and that a claim it was told of is no longer above the threshold."""
    treaty, cost = terms_of(notice).treaty, claim.reserve_minor + paid_minor
    if treaty is None or (cost <= treaty.threshold_minor and not claim.ceded):
        return claim, ()
    outputs = []
    said = _cost(claim, notice, treaty, cost)
    if said is not None:
        claim, told = _tell(claim, notice, treaty, said, cause)
        outputs.append(told)
    due = share_minor(paid_minor, treaty) - sum(
        [known.due_minor for known in claim.recoveries if known.kind is RecoveryKind.REINSURANCE]
    )
    if due > 0:
        why = f"{format_minor(paid_minor, notice.currency)} are paid; {_share(treaty, due, notice.currency)} now"
        owed = recoveries.Owed(RecoveryKind.REINSURANCE, due, why)
        claim, recovery, opened = recoveries.open_case(claim, notice, owed, cause)
        at_once = due >= treaty.cash_call_minor
        kind = ReinsuranceNoticeKind.CASH_CALL if at_once else ReinsuranceNoticeKind.RECOVERY_DUE
        claim, told = _tell(claim, notice, treaty, _Said(kind, paid_minor, due, why, recovery.id), cause)
        outputs += [opened, told]
    return claim, tuple(outputs)


def on_reply(claim: Claim, reply: ReinsuranceReply, cause: Cause, seen: Lookups) -> Decision:
    """Note what the reinsurer says to a notice; the newest word counts, and nothing that is owed changes by it.

    Raises Dead `no-notice` for a notice that it was never sent.
    """
    answered = next((known for known in claim.ceded if known.id == reply.notice_id), None)
    if answered is None:
        raise Dead("no-notice", "notice_id: the reinsurer was sent no notice of this id")
    now = replace(answered, agreed=reply.agreed)
    claim = replace(claim, ceded=tuple([now if known.id == now.id else known for known in claim.ceded]))
    said = "agrees with" if reply.agreed else "does not agree with"
    return Decision(claim, "reinsurance.reply", f"the reinsurer {said} the {now.kind} {now.id}")


def share_minor(gross_minor: int, treaty: Treaty) -> int:
    """What the reinsurer bears of an amount, in minor units."""
    return round_half_away(Fraction(max(gross_minor - treaty.threshold_minor, 0) * treaty.share_bp, _WHOLE_BP))


def step_of(gross_minor: int, treaty: Treaty) -> int:
    """How many steps an amount is above the threshold: 0 is not above it, each begun step counts."""
    return -(-max(gross_minor - treaty.threshold_minor, 0) // treaty.step_minor)


def _cost(claim: Claim, notice: Notice, treaty: Treaty, cost: int) -> _Said | None:
    """What is to be told of the claim's cost, if that is new."""
    step, told = step_of(cost, treaty), _told_step(claim)
    threshold, now = (format_minor(it, notice.currency) for it in (treaty.threshold_minor, cost))
    if step > told:
        share = share_minor(cost, treaty)
        why = f"the claim costs {now}, {threshold} is the threshold; {_share(treaty, share, notice.currency)}"
        return _Said(ReinsuranceNoticeKind.NOTICE, cost, share, why)
    if step == 0 and told > 0:
        why = f"the claim costs {now}, which is not above the threshold of {threshold} any more"
        return _Said(ReinsuranceNoticeKind.RELEASE, cost, 0, why)
    return None


def _told_step(claim: Claim) -> int:
    """The highest step the reinsurer was told of since the last release."""
    step = 0
    for known in claim.ceded:
        if known.kind is ReinsuranceNoticeKind.RELEASE:
            step = 0
        elif known.kind is ReinsuranceNoticeKind.NOTICE:
            step = known.step
    return step


def _share(treaty: Treaty, share: int, currency: str) -> str:
    return f"the reinsurer bears {treaty.share_bp} bp of what is above it: {format_minor(share, currency)}"


def _tell(claim: Claim, notice: Notice, treaty: Treaty, said: _Said, cause: Cause) -> tuple[Claim, Output]:
    rule = f"reinsurance.{said.kind}"
    record = ReinsuranceNotice(
        claim=claim.number,
        notice_id=derived_id("RN", claim.number, said.kind, len(claim.ceded)),
        kind=said.kind,
        treaty=treaty.name,
        gross_minor=said.gross_minor,
        ceded_minor=said.share_minor,
        recovery_id=said.recovery_id,
        currency=notice.currency,
        at_ms=cause.at_ms,
        cause=cause.ref,
        rule=rule,
        reason=said.why,
    )
    kept = Ceded(
        id=record.notice_id, kind=said.kind, step=step_of(said.gross_minor, treaty), share_minor=said.share_minor
    )
    return replace(claim, ceded=(*claim.ceded, kept)), Output(NOTICE, claim.number, record, rule, said.why)
