"""How the bench measures: processes started apart, progress read from the ledger, CPU from the operating system."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

import psutil
import psycopg
from psycopg import sql

_PATIENCE_S: Final = 300
_POLL_S: Final = 0.05

Connection = psycopg.Connection[tuple[int, ...]]


class Sample(NamedTuple):
    """Progress and cost at one moment: records in the ledger, CPU seconds of the program and of the database."""

    at: float
    records: int
    program_cpu_s: float
    database_cpu_s: float


class Throughput(NamedTuple):
    """One run: events per second between the first commits and the last, and CPU seconds per million events."""

    events_per_s: float
    program_cpu_s_per_million: float
    database_cpu_s_per_million: float


class BenchFailed(Exception):
    """A program under test ended or stood still."""


@contextmanager
def fresh_database(server: str, name: str, template: str = "template1") -> Iterator[str]:
    """URL of a new copy of a database, dropped afterwards."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute("CHECKPOINT")


def free_port() -> int:
    """A port of this machine nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def running(arguments: list[str], environment: Mapping[str, str]) -> Iterator[psutil.Process]:
    """A program of ours, ended with SIGTERM when the context ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
    )
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def throughput(program: psutil.Process, ledger: str, records: int, *, published: bool) -> Throughput:
    """Watch a program take `records` records into a ledger, and publish what they led to if it is one that does.

    Counted from the first commits on: start-up is not throughput.
    """
    with psycopg.connect(ledger, autocommit=True) as connection:
        already = _taken(connection)
        first = _wait_for(program, connection, already + 1, published=False)
        last = _wait_for(program, connection, already + records, published=published)
    events, seconds = last.records - first.records, last.at - first.at
    if not events:
        raise BenchFailed("all records were taken in one commit: give the bench more")
    return Throughput(
        events / seconds,
        (last.program_cpu_s - first.program_cpu_s) / events * 1e6,
        (last.database_cpu_s - first.database_cpu_s) / events * 1e6,
    )


def checkpoint(ledger: str) -> None:
    """Have the database write out what the load before left behind, so that it does not do so during what follows."""
    with psycopg.connect(ledger, autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def finish(program: psutil.Process, ledger: str, records: int) -> None:
    """Wait until a program has taken `records` records and published what they led to."""
    with psycopg.connect(ledger, autocommit=True) as connection:
        _wait_for(program, connection, records, published=True)


def _wait_for(program: psutil.Process, connection: Connection, records: int, *, published: bool) -> Sample:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        _alive(program)
        taken = _taken(connection)
        if taken >= records and not (published and _unpublished(connection)):
            return Sample(time.monotonic(), taken, _cpu_s(program), _database_cpu_s(connection))
        if time.monotonic() > deadline:
            raise BenchFailed(f"only {taken} of {records} records in the ledger after {_PATIENCE_S} s")
        time.sleep(_POLL_S)


def _alive(program: psutil.Process) -> None:
    if not program.is_running() or program.status() == psutil.STATUS_ZOMBIE:
        raise BenchFailed("the program under test ended; see its lines above")


def _taken(connection: Connection) -> int:
    row = connection.execute("SELECT coalesce(sum(next - first), 0)::bigint FROM positions").fetchone()
    return row[0] if row else 0


def _unpublished(connection: Connection) -> int:
    row = connection.execute("SELECT sum(seq - published)::bigint FROM lanes JOIN relay USING (lane)").fetchone()
    return row[0] if row else 0


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def _database_cpu_s(connection: Connection) -> float:
    """CPU of the whole PostgreSQL server: its main process, whose ended children it counts, and those that live."""
    backend = psutil.Process(connection.info.backend_pid)
    main = backend.parent()
    if main is None:
        raise BenchFailed("the database does not run on this machine: its CPU cannot be read")
    total = _cpu_s(main)
    for child in main.children():
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total
