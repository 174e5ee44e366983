"""Start-up: from kill -9 of a worker at full load, on a full ledger, to the first commit of the one started next."""

import time
from typing import Any

from streams.bench.fill import full_ledger
from streams.bench.measure import wait_for, wait_until
from streams.bench.sizes import Sizes
from streams.bench.world import World, say

_POLL_S = 0.005


def start_up(world: World, sizes: Sizes) -> dict[str, Any]:
    """Seconds to the first commit: after each kill, the longest of them, and of a worker without a predecessor.

    After a kill most of it is Kafka's session of the dead worker, which must end before its lanes are given away.
    """
    ledger = full_ledger(world, sizes)
    records = world.send(world.load(sizes.growth_records))
    took_s: list[float] = []
    for kill in range(sizes.kills + 1):
        already, started = ledger.taken(), time.monotonic()
        with world.worker(ledger.url) as worker:
            programs = [worker.process]
            wait_until(lambda: ledger.taken() > already, "no commit after the start", programs, _POLL_S)  # noqa: B023
            took_s.append(time.monotonic() - started)
            say(f"first commit {took_s[-1]:.1f} s after {'the start' if kill == 0 else f'kill {kill}'}")
            if kill < sizes.kills:
                wait_for(programs, ledger, records * (kill + 1) // (sizes.kills + 2), published=False)
                worker.process.kill()
                worker.process.wait()
            else:
                wait_for(programs, ledger, records, published=True)
    ledger.check(records, published=False)
    cold_s, *after_kill_s = took_s
    return {
        "start_up": {
            "claims": sizes.full_claims,
            "cold_s": cold_s,
            "after_kill_s": after_kill_s,
            "longest_s": max(after_kill_s),
        }
    }
