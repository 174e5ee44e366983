"""`claimhub sync` and `claimhub resync`: which department has seen which version, and a snapshot once more."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, select

from schemas.records import Command, CommandKind
from sinks.ledger.tables import claims
from sinks.read_back import LogUnreadable
from streams.cluster import KafkaCluster
from streams.commands import show
from streams.commands.broker import client_options
from streams.commands.deliver import Outgoing
from streams.commands.failures import Failed, Unavailable, WrongInput
from streams.commands.ledger import open_engine
from streams.commands.send import encoded, open_codec
from streams.rules.departments import departments
from streams.settings import Settings
from streams.sync_board import Drift, Seen, read_drift, read_seen


def read_departments(settings: Settings, department: str | None, *, drifting: bool) -> list[Drift]:
    """How far every department is behind, or only one; with `drifting` only of those that are.

    Raises WrongInput, Unavailable, LedgerUnavailable, ClusterUnavailable.
    """
    if department is not None:
        _check_department(department)
    names = departments() if department is None else [department]
    with _cluster(settings) as cluster, open_engine(settings) as engine:
        found = read_drift(engine, cluster, range(settings.lanes), names, time.time_ns() // 1_000_000)
    return [drift for drift in found if drift.claims_behind or not drifting]


def show_departments(found: list[Drift]) -> None:
    """Print the departments; of one that is too far behind it says so."""
    rows = [
        (
            drift.department,
            drift.group,
            f"{drift.claims_behind}{' or more' if drift.at_least else ''}",
            drift.oldest_s if drift.claims_behind else None,
            drift.limit_s,
            "ALARM" if drift.alarm else "behind" if drift.claims_behind else "level",
        )
        for drift in found
    ]
    headings = ("department", "reads as", "claims behind", "for seconds", "limit", "state")
    show.table(headings, rows, "no department is behind")


def read_claim(settings: Settings, claim: str) -> list[Seen]:
    """Which version of a claim each department has seen. Raises Failed and what `read_departments` raises."""
    with _cluster(settings) as cluster, open_engine(settings) as engine:
        found = read_seen(engine, cluster, claim)
    if found is None:
        raise _no_claim(claim)
    return found


def show_claim(found: list[Seen]) -> None:
    """Print the departments with what each has seen, and how that is known."""
    rows = [
        (one.department, one.sent, one.seen, one.read, one.acknowledged, "behind" if one.behind else "level")
        for one in found
    ]
    show.table(("department", "sent", "seen", "read", "acknowledged", "state"), rows, "no departments")


def resync(settings: Settings, connection: Connection, claim: str, department: str) -> Outgoing:
    """The record that has a claim's snapshot sent to one department once more. Raises WrongInput, Failed."""
    _check_department(department)
    if connection.execute(select(claims.c.claim).where(claims.c.claim == claim)).one_or_none() is None:
        raise _no_claim(claim)
    at_ms = time.time_ns() // 1_000_000
    command = Command(claim=claim, kind=CommandKind.RESYNC, department=department, at_ms=at_ms)
    return encoded(open_codec(settings), "operations.command.v1", claim, command)


@contextmanager
def _cluster(settings: Settings) -> Iterator[KafkaCluster]:
    try:
        yield KafkaCluster(client_options(settings))
    except LogUnreadable as error:
        raise Unavailable(f"Kafka at {settings.kafka} does not answer ({error}). See: claimhub doctor") from None


def _check_department(name: str) -> None:
    if name not in departments():
        raise WrongInput(f"there is no department {name}. Departments: {', '.join(departments())}")


def _no_claim(claim: str) -> Failed:
    return Failed(f"there is no claim {claim} in the ledger, so no department has been sent anything of it")
