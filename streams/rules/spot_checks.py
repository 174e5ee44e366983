"""A small share of what was approved without a person is looked at again, drawn so that it can be drawn again."""

from hashlib import sha256

from msgspec.structs import replace

from streams.rules.claim import Claim, Task, TaskKind
from streams.rules.decision import Cause, Decision
from streams.rules.product import SpotChecks
from streams.rules.requests import requests


def drawn(claim: str, spot_checks: SpotChecks) -> bool:
    """Whether a claim number is drawn: by nothing but the number and the seed."""
    digest = sha256(f"{spot_checks.seed}|{claim}".encode()).digest()
    return int.from_bytes(digest[:8]) % 10_000 < spot_checks.share_bp


def draw(decision: Decision, spot_checks: SpotChecks, cause: Cause) -> Decision:
    """The decision of a claim just approved, with the re-inspection to ask for if it is drawn. It waits for nothing:
    the payment is on its way."""
    claim = decision.claim
    if claim.notice is None or not drawn(claim.number, spot_checks):
        return decision
    why = f"drawn as a spot check: {spot_checks.share_bp / 100:g} % of what is approved without a person"
    task = Task(kind=TaskKind.RE_INSPECTION, addressee="surveyor", opened=cause.ref, about="spot check")
    asked = requests(claim, claim.notice, [task], cause, why)
    reason = f"{decision.reason}; {why}"
    return replace(
        decision,
        claim=replace(claim, open_tasks=(*claim.open_tasks, task)),
        reason=reason,
        outputs=(*decision.outputs, *asked),
    )


def awaited(claim: Claim) -> bool:
    """Whether somebody is asked to inspect a decided claim again."""
    return any(task.kind is TaskKind.RE_INSPECTION for task in claim.open_tasks)
