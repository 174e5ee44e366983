"""How much each part of the bench does."""

from typing import NamedTuple


class Sizes(NamedTuple):
    """The sizes of one bench. The figures that count are those of the full sizes."""

    records: int = 400_000
    """Of one throughput run."""
    runs: int = 3
    rates: tuple[int, ...] = (1000, 5000)
    """Events per second at which latency is measured."""
    latency_s: int = 30
    latency_warm_up_s: int = 5
    burst_records: int = 200_000


FULL = Sizes()
