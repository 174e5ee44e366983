"""Latency at a steady rate: from the record that decides a claim to its instruction in a read-committed consumer."""

import statistics
import time
from typing import Any, Final

from streams.bench.finance import Finance, finance
from streams.bench.measure import BenchFailed, wait_for, wait_for_lanes
from streams.bench.sizes import Sizes
from streams.bench.workload import DECIDING_TOPIC, STEPS
from streams.bench.world import LANES, World, say

_NAP_S: Final = 0.005


def latency(world: World, sizes: Sizes) -> dict[str, Any]:
    """Milliseconds at each rate, one after the other on one worker."""
    found: dict[str, Any] = {}
    with world.ledger() as ledger, world.worker(ledger.url) as worker, finance(world.cluster, LANES) as receiver:
        wait_for_lanes([worker.process], ledger)
        records = 0
        for rate in sizes.rates:
            say(f"latency at {rate} events/s for {sizes.latency_s} s")
            ledger.settle()
            sent_at, sent = send_steadily(world, rate, sizes.latency_warm_up_s + sizes.latency_s, sizes.latency_late)
            records += sent
            found["latency_ms" if rate == sizes.rates[0] else f"latency_at_{rate}_ms"] = {
                "rate": rate,
                **_percentiles(receiver, sent_at, sizes.latency_warm_up_s),
            }
            wait_for([worker.process], ledger, records, published=True)
        ledger.check(records, published=True, in_order=False)  # a machine that is late sends what it owes at once
    return found


def send_steadily(world: World, rate: int, seconds: int, late: float) -> tuple[dict[bytes, float], int]:
    """Send `rate` events a second; when each record that decides a claim was handed over, and how many were sent.

    Raises BenchFailed when this machine cannot keep up the rate: at the end behind by more than `late` of the time.
    """
    load = world.load(rate * seconds, spread=max(1, rate // STEPS))
    sender, sent_at = world.sender(), dict[bytes, float]()
    started = time.perf_counter()
    for number, record in enumerate(load.records, 1):
        ahead_s = started + number / rate - time.perf_counter()
        if ahead_s > _NAP_S:  # a sleep for every record would be a load of its own
            sender.poll()
            time.sleep(ahead_s)
        now = time.perf_counter()
        event = sender.send(record)
        if record.topic == DECIDING_TOPIC:
            sent_at[event] = now
    late_s = time.perf_counter() - started - load.size / rate
    if late_s > seconds * late:
        raise BenchFailed(f"this machine sent {load.size} records {late_s:.1f} s too late for {rate} a second")
    sender.flush()
    return sent_at, load.size


def _percentiles(receiver: Finance, sent_at: dict[bytes, float], warm_up_s: int) -> dict[str, float]:
    """Of the milliseconds to each instruction; the first seconds, in which caches fill on all sides, do not count."""
    received_at = receiver.wait_for(set(sent_at))
    from_then_on = min(sent_at.values()) + warm_up_s
    took_ms = [(received_at[event] - at) * 1000 for event, at in sent_at.items() if at >= from_then_on]
    cuts = statistics.quantiles(took_ms, n=1000, method="inclusive")
    return {"instructions": len(took_ms), "p50": cuts[499], "p99": cuts[989], "p999": cuts[998]}
