"""Growth: throughput on a full ledger against throughput on an empty one, in turns on the same records."""

from typing import Any

from streams.bench.fill import full_ledger
from streams.bench.ledgers import BenchLedger
from streams.bench.sizes import Sizes
from streams.bench.throughput import Throughput, median, watch
from streams.bench.world import World, say


def growth(world: World, sizes: Sizes) -> dict[str, Any]:
    """One worker, a fresh load for each pair of runs: what the full ledger has taken it cannot take again."""
    fulls, empties = [], []
    for number in range(1, sizes.growth_runs + 1):
        full = full_ledger(world, sizes)
        start, records = world.end(), world.send(world.load(sizes.growth_records))
        fulls.append(_run(world, full, records))
        with world.ledger(start) as empty:
            empties.append(_run(world, empty, records))
        say(f"run {number}: full {fulls[-1].events_per_s:,.0f} events/s, empty {empties[-1].events_per_s:,.0f}")
    on_full, on_empty = median(fulls), median(empties)
    return {
        "growth": {
            "claims": sizes.full_claims,
            "records": sizes.growth_records,
            "runs": sizes.growth_runs,
            "full": on_full._asdict(),
            "empty": on_empty._asdict(),
            "ratio": on_full.events_per_s / on_empty.events_per_s,
        }
    }


def _run(world: World, ledger: BenchLedger, records: int) -> Throughput:
    ledger.settle()
    with world.worker(ledger.url) as worker:
        return watch(world, [worker.process], ledger, records, published=True)
