"""Where a claim stands, derived from its outcome, its open tasks and its payments (domain: facts, tasks, stages)."""

from typing import Final

from streams.rules.claim import DEAD, PAID, Claim, Outcome, Stage, TaskKind
from streams.rules.payments import unpaid

INVESTIGATING: Final = frozenset(
    {
        TaskKind.SURVEY,
        TaskKind.POLICE,
        TaskKind.WITNESS,
        TaskKind.HOSPITAL_CHECK,
        TaskKind.LOSS_ADJUSTER,
        TaskKind.SIU,
        TaskKind.RE_INSPECTION,
    }
)
"""The tasks of those who look into a loss."""


def stage_of(claim: Claim) -> Stage:
    """The stage of a claim that has a loss notice."""
    if claim.outcome is not None:
        return _after_outcome(claim, claim.outcome)
    if claim.policy is None:
        return Stage.REPORTED
    if not claim.open_tasks:
        return Stage.REGISTERED
    for task in claim.open_tasks:
        if task.kind in INVESTIGATING:
            return Stage.INVESTIGATING
    return Stage.ASSESSING


def _after_outcome(claim: Claim, outcome: Outcome) -> Stage:
    """A rejected, withdrawn or merged claim closes, since nothing more happens; an approval follows its payments."""
    match outcome:
        case Outcome.NOT_ACCEPTED:
            return Stage.NOT_ACCEPTED
        case Outcome.REJECTED | Outcome.WITHDRAWN | Outcome.MERGED:
            return Stage.CLOSED
        case Outcome.APPROVED if any(task.kind is TaskKind.AGREEMENT for task in claim.open_tasks):
            return Stage.DECIDED
        case Outcome.APPROVED if not claim.payments:
            agreed = claim.settlement is not None and claim.agreed == claim.settlement.version
            return Stage.AGREED if agreed else Stage.DECIDED
    alive = [payment.state for payment in claim.payments if payment.state not in DEAD]
    settled = alive and all(state in PAID for state in alive)
    return Stage.PAID if settled and not unpaid(claim) else Stage.PAYING
