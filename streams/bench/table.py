"""The figures for people, each with what it must reach."""

from typing import Any, Final, NamedTuple

from rich.table import Table

from streams.bench.burst import SLACK_S


class Figure(NamedTuple):
    """One figure of the result: what it is, where it stands in the JSON object, how it is written, its limit."""

    title: str
    path: str
    form: str = "{:,.0f}"
    at_least: float | None = None
    at_most: float | None = None

    def value(self, result: dict[str, Any]) -> float | None:
        """The figure; None when it was not measured."""
        found: Any = result
        for name in self.path.split("."):
            if not isinstance(found, dict) or name not in found:
                return None
            found = found[name]
        return float(found)

    @property
    def limit(self) -> float | None:
        """What it must reach, if anything."""
        return self.at_most if self.at_least is None else self.at_least

    @property
    def must(self) -> str:
        """What it must reach, in words."""
        if self.limit is None:
            return ""
        return f"{'at most' if self.at_least is None else 'at least'} {self.form.format(self.limit)}"

    def reached(self, value: float) -> bool:
        """Whether a value is within the limit."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


_MS: Final = "{:,.0f} ms"

FIGURES: Final = (
    Figure("events per second, floor", "floor.events_per_s"),
    Figure("events per second, one worker", "hub.events_per_s"),
    Figure("events per second, two workers", "two_workers.events_per_s"),
    Figure("one worker to the floor", "ratio", "{:.2f}", at_least=0.70),
    Figure("CPU seconds per million events, floor", "floor.program_cpu_s_per_million", "{:.1f}"),
    Figure("CPU seconds per million events, one worker", "hub.program_cpu_s_per_million", "{:.1f}"),
    Figure("CPU seconds per million events, two workers", "two_workers.program_cpu_s_per_million", "{:.1f}"),
    Figure("… database under the floor", "floor.database_cpu_s_per_million", "{:.1f}"),
    Figure("… database under one worker", "hub.database_cpu_s_per_million", "{:.1f}"),
    Figure("… broker under the floor", "floor.broker_cpu_s_per_million", "{:.1f}"),
    Figure("… broker under one worker", "hub.broker_cpu_s_per_million", "{:.1f}"),
    Figure("SQL statements per batch, loads included", "statements_per_batch", "{:.1f}"),
    Figure("event to instruction at 1 000/s, p50", "latency_ms.p50", _MS, at_most=25),
    Figure("event to instruction at 1 000/s, p99", "latency_ms.p99", _MS, at_most=80),
    Figure("event to instruction at 1 000/s, p99.9", "latency_ms.p999", _MS),
    Figure("event to instruction at 5 000/s, p50", "latency_at_5000_ms.p50", _MS),
    Figure("event to instruction at 5 000/s, p99", "latency_at_5000_ms.p99", _MS, at_most=250),
    Figure("event to instruction at 5 000/s, p99.9", "latency_at_5000_ms.p999", _MS),
    Figure("burst: time to the last output", "burst.drained_s", "{:.1f} s"),
    Figure("burst: latest beyond what the backlog explains", "burst.excess_s", "{:.2f} s", at_most=SLACK_S),
    Figure("events per second, full ledger", "growth.full.events_per_s"),
    Figure("events per second, empty ledger", "growth.empty.events_per_s"),
    Figure("full ledger to empty ledger", "growth.ratio", "{:.2f}", at_least=0.90),
    Figure("kill -9 to first commit, full ledger", "start_up.longest_s", "{:.1f} s", at_most=10),
    Figure("start to first commit, full ledger", "start_up.cold_s", "{:.1f} s"),
    Figure("memory: growth over the events after warm-up", "memory.growth", "{:.1%}", at_most=0.05),
    Figure("memory: growth while the database is blocked", "memory.blocked.growth", "{:.1%}", at_most=0.05),
    Figure("stall: a worker joins", "stalls.join_s", "{:.2f} s", at_most=1.5),
    Figure("stall: a worker leaves", "stalls.leave_s", "{:.2f} s", at_most=1.5),
    Figure("stall: kill -9", "stalls.kill_s", "{:.2f} s", at_most=7),
    Figure("stall: a worker is frozen", "stalls.freeze_s", "{:.2f} s", at_most=12),
    Figure("stall: a frozen worker wakes up", "stalls.thaw_s", "{:.2f} s"),
    Figure("stall: the broker restarts", "stalls.broker_restart_s", "{:.2f} s"),
    Figure("… of which the broker is away", "stalls.broker_away_s", "{:.2f} s"),
    Figure("SIGTERM to the end of a worker at full load", "stalls.drain_s", "{:.2f} s", at_most=5),
    Figure("100 000 statement lines into the book", "reconcile.book.seconds", "{:.1f} s", at_most=30),
    Figure("… CPU seconds", "reconcile.book.cpu_s", "{:.1f}"),
    Figure("… floor: read and looked up only", "reconcile.floor.seconds", "{:.1f} s"),
    Figure("… CPU to the floor", "reconcile.times_floor", "{:.1f}"),
    Figure("… peak memory above that of 10 000 lines", "reconcile.growth", "{:.1%}", at_most=0.05),
    Figure("events per second, per-event Faust", "peers.faust.events_per_s"),
    Figure("events per second, Kafka Streams exactly-once", "peers.kafka_streams.events_per_s"),
    Figure("events per second, one worker on the peers' records", "peers.hub.events_per_s"),
    Figure("one worker to per-event Faust", "peers.faust.hub_times", "{:.1f}", at_least=30),
    Figure("one worker to Kafka Streams", "peers.kafka_streams.hub_times", "{:.2f}", at_least=1),
)


def table(result: dict[str, Any]) -> Table:
    """The figures that were measured; a missed limit is marked."""
    made = Table()
    for column in ("", "measured", "must reach", ""):
        made.add_column(column, justify="right" if column else "left")
    for figure in FIGURES:
        value = figure.value(result)
        if value is not None:
            mark = "" if figure.reached(value) else "missed"
            made.add_row(figure.title, figure.form.format(value), figure.must, mark)
    return made
