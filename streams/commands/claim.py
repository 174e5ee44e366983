"""`claimhub claim show`: a claim as it stands."""

from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, func, select

from schemas.money import format_minor
from sinks.ledger.tables import claims, parked
from streams.commands import show
from streams.commands.failures import Failed
from streams.commands.payments import PaymentAttempt, read_payments
from streams.rules.claim import Approval, Claim, SettlementVersion, Task


class ClaimView(Struct, frozen=True):
    """A claim for an operator: nothing in it names a person it concerns, and the account shows its last four digits."""

    claim: str
    version: int
    stage: str
    at: str
    line: str | None
    policy_number: str | None
    policy_version: int | None
    account: str | None
    open_tasks: tuple[Task, ...]
    settlement: SettlementVersion | None
    approvals: tuple[Approval, ...]
    outcome: str | None
    payments: list[PaymentAttempt]
    parked: int


def read_state(connection: Connection, number: str) -> Claim:
    """All that decisions on a claim rest on. Raises Failed when there is no such claim."""
    state = connection.execute(select(claims.c.state).where(claims.c.claim == number)).scalar_one_or_none()
    if state is None:
        raise Failed(f"there is no claim {number} in the ledger")
    return msgspec.convert(state, Claim)


def read_claim(connection: Connection, number: str) -> ClaimView:
    """A claim as the ledger has it. Raises Failed when there is none."""
    waiting = connection.execute(select(func.count()).where(parked.c.subject == number)).scalar_one()
    row = connection.execute(select(claims).where(claims.c.claim == number)).one_or_none()
    if row is None:
        more = f"; {waiting} records wait for it: claimhub parked ls --claim {number}" if waiting else ""
        raise Failed(f"there is no claim {number} in the ledger{more}")
    state = msgspec.convert(row.state, Claim)
    notice, policy = state.notice, state.policy
    return ClaimView(
        claim=number,
        version=row.version,
        stage=row.stage,
        at=show.time(row.at_ms),
        line=notice.line if notice else None,
        policy_number=policy.number if policy else notice.policy_number if notice else None,
        policy_version=policy.version if policy else None,
        account=show.masked(notice.payee.account) if notice else None,
        open_tasks=state.open_tasks,
        settlement=state.settlement,
        approvals=state.approvals,
        outcome=state.outcome,
        payments=read_payments(connection, number),
        parked=waiting,
    )


def show_claim(claim: ClaimView) -> None:
    """Print a claim."""
    version = f" version {claim.policy_version}" if claim.policy_version else " (not in the ledger)"
    rows: list[tuple[str, Any]] = [
        ("claim", claim.claim),
        ("stage", claim.stage),
        ("version", f"{claim.version} at {claim.at}"),
        ("line", claim.line),
        ("policy", claim.policy_number and claim.policy_number + version),
        ("account", claim.account),
        ("open tasks", ", ".join(f"{task.kind} ({task.addressee})" for task in claim.open_tasks) or "none"),
        ("outcome", claim.outcome),
    ]
    if settlement := claim.settlement:
        payable = format_minor(settlement.payable_minor, settlement.currency)
        covers = ", ".join(
            f"{name} {format_minor(amount, settlement.currency)}" for name, amount in settlement.covers.items()
        )
        rows.append(("settlement", f"version {settlement.version}: payable {payable} ({covers})"))
    rows += [("approved by", f"{approval.person} as {approval.role}") for approval in claim.approvals]
    rows += [("payment", f"{p.id} {p.amount} {p.state}, attempt {p.attempt}") for p in claim.payments]
    rows.append(("parked", claim.parked))
    show.pairs(rows)
