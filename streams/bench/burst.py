"""A burst: many records at once. No instruction may come later than the backlog before its record explains."""

import statistics
import time
from typing import Any, Final

from streams.bench.finance import finance
from streams.bench.measure import wait_for, wait_for_lanes
from streams.bench.sizes import Sizes
from streams.bench.workload import DECIDING_TOPIC
from streams.bench.world import LANES, World, say

SLACK_S: Final = 2.0
_WARM_UP: Final = 20


def burst(world: World, sizes: Sizes) -> dict[str, Any]:
    """Records handed over all at once to an idle worker that has seen a twentieth as many before.

    The backlog explains that the instruction of record k comes k / rate after the burst began, where rate is that at
    which the whole burst was taken. What comes later than that by more than SLACK_S (the first commit, lanes that are
    not equally full) was left behind.
    """
    before, load = world.load(sizes.burst_records // _WARM_UP), world.load(sizes.burst_records)
    records = list(load.records)
    with world.ledger() as ledger, world.worker(ledger.url) as worker, finance(world.cluster, LANES) as receiver:
        wait_for_lanes([worker.process], ledger)
        warm = world.send(before)
        wait_for([worker.process], ledger, warm, published=True)
        ledger.settle()
        say(f"burst of {len(records)} records")
        sender, waiting = world.sender(load.spread), dict[bytes, int]()
        began = time.perf_counter()
        for number, record in enumerate(records, 1):
            event = sender.send(record)
            if record.topic == DECIDING_TOPIC:
                waiting[event] = number
        sender.flush()
        sent_s = time.perf_counter() - began
        received_at = receiver.wait_for(set(waiting))
        wait_for([worker.process], ledger, warm + len(records), published=True)
        drained_s = time.perf_counter() - began
        ledger.check(warm + len(records), published=True)
    ages_s = [at - began for at in received_at.values()]
    rate = len(records) / max(ages_s)
    excess_s = [received_at[event] - began - number / rate for event, number in waiting.items()]
    return {
        "burst": {
            "records": len(records),
            "sent_s": sent_s,
            "drained_s": drained_s,
            "oldest_s": max(ages_s),
            "excess_s": max(excess_s),
            "excess_p99_s": statistics.quantiles(excess_s, n=100, method="inclusive")[98],
            "slack_s": SLACK_S,
        }
    }
