"""What the customer is told: each kind once per claim and cause, in plain words."""

from msgspec.structs import replace

from schemas.records import CustomerNotice, NoticeKind
from streams.rules.claim import Claim
from streams.rules.decision import Cause, Output
from streams.rules.derived import derived_id


def tell(
    claim: Claim, kind: NoticeKind, about: str, text: str, cause: Cause, reason: str
) -> tuple[Claim, tuple[Output, ...]]:
    """The claim with this notice on it and the notice to send; nothing is sent when it was before.

    `about` is what makes two notices of a kind differ ("" when a claim gets only one), `reason` says why it is sent.
    """
    mark = f"{kind}:{about}" if about else kind.value
    if mark in claim.notices or claim.notice is None:
        return claim, ()
    rule = f"notices.{kind}"
    notice = CustomerNotice(
        notice_id=derived_id("CN", claim.number, mark),
        claim=claim.number,
        kind=kind,
        name=claim.notice.reporter_name,
        phone=claim.notice.reporter_phone,
        text=text,
        at_ms=cause.at_ms,
        cause=cause.ref,
        rule=rule,
        reason=reason,
    )
    told = replace(claim, notices=(*claim.notices, mark))
    return told, (Output("customer.notice.v1", claim.number, notice, rule, reason),)
