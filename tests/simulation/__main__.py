"""`python -m tests.simulation --seeds 1000 [--first 1]` plays many seeds; `--seed 123 [--trace]` plays one again."""

import argparse
import json
import os
import sys
import time
from collections import Counter


def main() -> int:
    """Play seeds, print those that break a promise, and end with one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds to play")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, help="play this seed alone")
    parser.add_argument("--trace", action="store_true", help="print every step, and what the engine logs")
    given = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets must be the same every time
        again = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
        os.execve(sys.executable, again, {**os.environ, "PYTHONHASHSEED": "0"})  # noqa: S606 - this very interpreter

    from tests.simulation.play import log_to, play

    log_to(sys.stdout if given.trace else None)
    seeds = range(given.first, given.first + given.seeds) if given.seed is None else [given.seed]
    started, faults, steps, seconds, failed = time.perf_counter(), Counter[str](), 0, 0.0, []
    for seed in seeds:
        played = play(seed, print if given.trace else None)
        steps += played.steps
        seconds += played.seconds
        for (kind, _), count in played.faults.items():
            faults[kind] += count
        if played.broken:
            failed.append(seed)
            print(f"seed {seed} breaks a promise. Again: python -m tests.simulation --seed {seed} --trace")
            for line in played.broken[:10]:
                print(f"  {line}", flush=True)
    told = {
        "seeds": len(seeds),
        "failed": failed,
        "faults": dict(sorted(faults.items())),
        "steps": steps,
        "simulated_seconds": round(seconds),
    }
    if not given.trace:  # a trace is the same every time
        told["seconds"] = round(time.perf_counter() - started, 1)
    print(json.dumps(told))
    return 1 if failed else 0


sys.exit(main())
