"""The crash matrix: rounds in several cells side by side, each on its own services, and what they come to."""

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import Final

import msgspec

from monitoring.log import configure_logging
from tests.crash import cell, worker
from tests.crash.cell import Report

LOOK_S: Final = 0.5

_processes: Final = multiprocessing.get_context("forkserver")


class Summary(msgspec.Struct, frozen=True):
    """All rounds together."""

    rounds: int
    kills: int
    events_in: int
    lost: int
    double_effect: int
    repeats_on_topic: int
    ledger_hash_equal: bool
    seconds: float


def play(folder: Path, rounds: int, seed: int, cells: int) -> Iterator[Report]:
    """The reports of all rounds, as they are done. Services and workers keep their data and logs in `folder`."""
    _processes.set_forkserver_preload([worker.__name__, cell.__name__])
    done: Queue[Report] = _processes.Queue()
    seeds = [list(range(seed + number, seed + rounds, cells)) for number in range(min(cells, rounds))]
    started = [
        _processes.Process(target=play_in_cell, args=[folder / f"cell-{number}", mine, done])
        for number, mine in enumerate(seeds, 1)
    ]
    for process in started:
        process.start()
    while any(process.is_alive() for process in started) or not done.empty():
        with suppress(Empty):
            yield done.get(timeout=LOOK_S)


def play_in_cell(folder: Path, seeds: Sequence[int], done: "Queue[Report]") -> None:
    configure_logging("ERROR", json=True)  # the undisturbed run says what every worker says in its own log
    for report in cell.run(folder, seeds):
        done.put(report)


def summary(reports: Sequence[Report], seconds: float) -> Summary:
    """What the rounds come to."""
    return Summary(
        rounds=len(reports),
        kills=sum(report.kills for report in reports),
        events_in=sum(report.events_in for report in reports),
        lost=sum(report.lost for report in reports),
        double_effect=sum(report.double_effect for report in reports),
        repeats_on_topic=sum(report.repeats_on_topic for report in reports),
        ledger_hash_equal=all(report.ledger_hash_equal for report in reports),
        seconds=round(seconds, 1),
    )


def in_words(report: Report) -> str:
    """One round for people: a line, and all about it when it failed."""
    line = f"seed {report.seed}: {report.events_in} records, {report.kills} kills, {report.seconds} s"
    if report.repeats_on_topic:
        line += f", {report.repeats_on_topic} repeats"
    if not report.problems:
        return f"{line}, ok"
    faults, problems = ("".join(f"\n  {it}" for it in lines) for lines in (report.faults, report.problems))
    again = f"make crash ROUNDS=1 SEED={report.seed}"
    return f"{line}, FAILED\n faults:{faults}\n what differs:{problems}\n logs: {report.folder}\n again: {again}"
