"""How the bench measures: programs in processes of their own, progress from the ledger, CPU from the system."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from streams.bench.ledgers import BenchLedger
from streams.commands.failures import Failed

_PATIENCE_S: Final = 300.0
_POLL_S: Final = 0.05
_STOP_S: Final = 30.0
_LAST_LINES: Final = 15
_ENDS: Final = frozenset({0, -signal.SIGTERM, 128 + signal.SIGTERM, -signal.SIGKILL})


class Cost(NamedTuple):
    """CPU seconds so far of the programs under test, of the database and of the broker."""

    program_s: float
    database_s: float
    broker_s: float


class BenchFailed(Failed):
    """A program under test ended, stood still, or did not do what it should: there is no figure."""


@contextmanager
def running(
    arguments: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path | None = None
) -> Iterator[psutil.Popen]:
    """A program, begun in `folder`, whose words go to `log`; ended with SIGTERM when the context ends.

    Raises BenchFailed when it ended by itself and not well.
    """
    with log.open("ab") as output:
        process = psutil.Popen(
            arguments,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    except BenchFailed as failed:
        raise BenchFailed(f"{failed}. Its last words:\n{_last_words(log)}") from None
    finally:
        end(process)
    if process.returncode not in _ENDS:
        name = " ".join(arguments[:4])
        raise BenchFailed(f"{name} ended with {process.returncode}. Its last words:\n{_last_words(log)}")


def _last_words(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:])


def end(process: psutil.Popen) -> float:
    """Ask a program to end, and make it when it does not; seconds that took."""
    asked = time.monotonic()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except psutil.TimeoutExpired:
            for member in family(process):  # a frozen one does not hear that the first is gone
                member.kill()
            process.wait(_STOP_S)
    return time.monotonic() - asked


def wait_until(
    holds: Callable[[], bool], what: str, programs: Sequence[psutil.Popen] = (), poll_s: float = _POLL_S
) -> None:
    """Return once it holds. Raises BenchFailed saying `what` is missing when it takes too long or a program ends."""
    deadline = time.monotonic() + _PATIENCE_S
    while not holds():
        for program in programs:
            if program.poll() is not None:
                raise BenchFailed(f"the program under test ended with {program.returncode} while waiting: {what}")
        if time.monotonic() > deadline:
            raise BenchFailed(f"after {_PATIENCE_S:.0f} s: {what}")
        time.sleep(poll_s)


def wait_for(programs: Sequence[psutil.Popen], ledger: BenchLedger, records: int, *, published: bool) -> None:
    """Return once `records` records are taken into the ledger, and what they led to is out if that is waited for."""
    wait_until(lambda: ledger.taken() >= records, f"not all of {records} records are taken", programs)
    if published:
        wait_until(lambda: not ledger.unpublished(), "not all outputs are published", programs)


def wait_for_lanes(programs: Sequence[psutil.Popen], ledger: BenchLedger) -> None:
    """Return once each of these workers holds lanes."""
    wait_until(lambda: len(ledger.owners()) == len(programs), "not every worker has lanes", programs)


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and all that it started."""
    return [process, *process.children(recursive=True)]


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds of a process and its ended children."""
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def family_cpu_s(main: psutil.Process) -> float:
    """CPU seconds of a server: its main process, whose ended children it counts, and the children that live."""
    total = cpu_s(main)
    for child in main.children():
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total
