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
    latency_late: float = 0.05
    """The part of the time by which sending may be late at its end: beyond it, the figure is not that of its rate."""
    burst_records: int = 200_000
    full_claims: int = 1_000_000
    """In the full ledger, which growth and start-up share."""
    growth_records: int = 200_000
    growth_runs: int = 3
    kills: int = 3
    memory_records: int = 3_000_000
    blocked_records: int = 1_000_000
    """That wait while the database is blocked."""
    blocked_s: float = 25.0
    stall_rounds: int = 3
    stall_rate: int = 2000
    """Events per second while workers come and go."""
    stalls: tuple[str, ...] = ("leave", "kill", "freeze")
    broker_restart: bool = True
    drain_records: int = 100_000
    statement_lines: int = 100_000
    """Of a bank's statement, each one an open payment."""
    peers: tuple[str, ...] = ("faust", "kafka_streams")
    faust_s: float = 15.0
    """How long per-event Faust is measured."""


FULL = Sizes()
