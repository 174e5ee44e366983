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
