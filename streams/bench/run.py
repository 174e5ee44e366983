"""The bench from start to end: services, the parts asked for, one JSON object, a table, a chart."""

import json
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from streams.bench.burst import burst
from streams.bench.chart import chart
from streams.bench.growth import growth
from streams.bench.latency import latency
from streams.bench.memory import memory
from streams.bench.peers import peers
from streams.bench.reconcile import reconcile
from streams.bench.sizes import FULL, Sizes
from streams.bench.stalls import stalls
from streams.bench.start_up import start_up
from streams.bench.table import table
from streams.bench.throughput import one_worker, two_workers
from streams.bench.world import World, open_world, say
from streams.commands.failures import WrongInput

Part = Callable[[World, Sizes], dict[str, Any]]

PARTS: Final[Mapping[str, Part]] = {
    "throughput": one_worker,
    "processes": two_workers,
    "latency": latency,
    "burst": burst,
    "growth": growth,
    "start-up": start_up,
    "memory": memory,
    "stalls": stalls,
    "reconcile": reconcile,
    "peers": peers,
}
"""What can be measured, in the order in which it is."""


def measure(parts: Sequence[str] = (), sizes: Sizes = FULL) -> dict[str, Any]:
    """Start services in a temporary folder and measure these parts, or all; the services end with the bench.

    Raises WrongInput for a part there is not, BenchFailed, Incomplete or NotSent when there is no honest figure.
    """
    if unknown := sorted(set(parts) - PARTS.keys()):
        raise WrongInput(f"the bench has no part {', '.join(unknown)}. Parts: {', '.join(PARTS)}")
    result: dict[str, Any] = {}
    with open_world() as world:
        for name, part in PARTS.items():
            if parts and name not in parts:
                continue
            say(f"part {name}")
            began = time.monotonic()
            result |= part(world, sizes)
            world.forget_records()
            say(f"part {name} took {time.monotonic() - began:.0f} s")
    return result


def run_bench(parts: Sequence[str], *, as_json: bool, chart_file: Path | None) -> None:
    """Measure and print: a table, or the JSON object; the chart goes to its file."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # services and files go with the bench
    result = measure(parts)
    if chart_file is not None:
        chart_file.write_text(chart(result), encoding="utf-8")
    if as_json:
        json.dump(result, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        Console().print(table(result))
