"""What a relay counts between two looks, told to whoever shows it: the relay may be in a process without metrics."""

from msgspec import Struct

from monitoring.metrics import Metrics


class Figures(Struct, kw_only=True, omit_defaults=True):
    """Records `published` by topic, delivery `failures`, `repeats` found on topics and `instruction_seconds` (from the
    record's time to its instruction's delivery) since the last figures; `pending` are those without a report now."""

    published: dict[str, int] = {}
    failures: int = 0
    repeats: int = 0
    instruction_seconds: list[float] = []
    pending: int = 0


def show(metrics: Metrics, figures: Figures) -> None:
    """Add these figures to the metrics."""
    for topic, count in figures.published.items():
        metrics.published.labels(topic).inc(count)
    metrics.delivery_failures.inc(figures.failures)
    metrics.publish_repeats.inc(figures.repeats)
    for seconds in figures.instruction_seconds:
        metrics.event_to_instruction_seconds.observe(seconds)
    metrics.outbox_pending_records.set(figures.pending)
