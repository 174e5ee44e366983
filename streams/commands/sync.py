"""`claimhub resync`: a claim's snapshot once more, to one department."""

import time

from sqlalchemy import Connection, select

from schemas.records import Command, CommandKind
from sinks.ledger.tables import claims
from streams.commands.deliver import Outgoing
from streams.commands.failures import Failed, WrongInput
from streams.commands.send import encoded, open_codec
from streams.rules.departments import departments
from streams.settings import Settings


def resync(settings: Settings, connection: Connection, claim: str, department: str) -> Outgoing:
    """The record that has a claim's snapshot sent to one department once more. Raises WrongInput, Failed."""
    check_department(department)
    if connection.execute(select(claims.c.claim).where(claims.c.claim == claim)).one_or_none() is None:
        raise Failed(f"there is no claim {claim} in the ledger, so nothing can be sent again")
    command = Command(claim=claim, kind=CommandKind.RESYNC, department=department, at_ms=time.time_ns() // 1_000_000)
    return encoded(open_codec(settings), "operations.command.v1", claim, command)


def check_department(name: str) -> None:
    """Raise WrongInput for a department that is not in the list."""
    if name not in departments():
        raise WrongInput(f"there is no department {name}. Departments: {', '.join(departments())}")
