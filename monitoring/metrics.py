"""Every metric of the hub in one typed list, and the objects made from it for one registry."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

PREFIX: Final = "claimhub_"


class Outcome(StrEnum):
    """How a record ended: the values of the label `outcome`."""

    DONE = "done"
    DUPLICATE = "duplicate"
    RETRY = "retry"
    NOTED = "noted"
    PARKED = "parked"
    DEAD = "dead"


class Dropped(StrEnum):
    """Why a worker let go of a lane: the values of the label `reason`."""

    REVOKED = "revoked"
    STALE = "stale"
    LEDGER = "ledger"
    TOPIC = "topic"
    DEAD_LETTERS = "dead-letters"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One metric: `name` without prefix ends in its base unit (counters in `_total`).

    The attribute of Metrics is the name without `_total`. Label values come from closed sets only: the topics of the
    registry, the enumerations above, the codes of dead letters in our own source, the departments, the kinds of
    breaks. Never from a record.
    """

    name: str
    kind: type[Counter] | type[Gauge] | type[Histogram]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def attribute(self) -> str:
        """The name of this metric in Metrics."""
        return self.name.removesuffix("_total")


# A commit is milliseconds on an idle machine; 10 s is where the database's own limits strike.
COMMIT_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
END_TO_END_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
BATCH: Final = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 5000.0, 10_000.0)

METRICS: Final = (
    Definition(name="build_info", kind=Gauge, help="Always 1; the label is the version running", labels=("version",)),
    # Intake and lanes
    Definition(name="records_total", kind=Counter, help="Records committed to the ledger", labels=("topic", "outcome")),
    Definition(name="records_released_total", kind=Counter, help="Parked records tried again after their wait ended"),
    Definition(
        name="dead_letters_total", kind=Counter, help="Records that can never be taken", labels=("topic", "code")
    ),
    Definition(
        name="parked_records", kind=Gauge, help="Records waiting for another record or a person, in owned lanes"
    ),
    Definition(
        name="overdue_records_total", kind=Counter, help="Records that waited too long and were told as a break"
    ),
    Definition(name="lag_records", kind=Gauge, help="Records in the log and not yet in the ledger", labels=("topic",)),
    Definition(name="lag_seconds", kind=Gauge, help="Age of the oldest unread record, 0 when none", labels=("topic",)),
    Definition(name="buffered_records", kind=Gauge, help="Records fetched from Kafka and not yet in a batch"),
    Definition(name="lanes_owned", kind=Gauge, help="Lanes this worker holds a token for"),
    Definition(name="lanes_dropped_total", kind=Counter, help="Lanes this worker let go of", labels=("reason",)),
    Definition(name="last_progress_timestamp_seconds", kind=Gauge, help="Unix time of the last commit or idle check"),
    # Batches
    Definition(name="batches_total", kind=Counter, help="Batches committed to the ledger"),
    Definition(name="batch_records", kind=Histogram, help="Records in a batch", buckets=BATCH),
    Definition(name="decide_seconds", kind=Histogram, help="Decoding and deciding a batch", buckets=COMMIT_S),
    Definition(name="commit_seconds", kind=Histogram, help="The one transaction of a batch", buckets=COMMIT_S),
    Definition(name="sql_statements_total", kind=Counter, help="Statements sent by the commits of batches"),
    # Clocks
    Definition(name="due_claims", kind=Gauge, help="Claims whose next warning or breach is due, in owned lanes"),
    Definition(name="clock_warnings_total", kind=Counter, help="Records of clocks that ran to half or four fifths"),
    Definition(name="clock_breaches_total", kind=Counter, help="Records of clocks that ran out"),
    # Relay
    Definition(name="outbox_pending_records", kind=Gauge, help="Committed outputs without a delivery report"),
    Definition(name="published_total", kind=Counter, help="Outputs with a delivery report", labels=("topic",)),
    Definition(name="publish_repeats_total", kind=Counter, help="Outputs sent again with the same number and bytes"),
    Definition(name="delivery_failures_total", kind=Counter, help="Delivery reports that carried an error"),
    Definition(
        name="event_to_instruction_seconds",
        kind=Histogram,
        help="From the time of the causing record to the delivery report of its payment instruction",
        buckets=END_TO_END_S,
    ),
    # Departments
    Definition(
        name="drift_claims",
        kind=Gauge,
        help="Claims of owned lanes whose newest version a department has not seen",
        labels=("department",),
    ),
    Definition(
        name="drift_seconds",
        kind=Gauge,
        help="Age of the oldest version in owned lanes that a department has not seen, 0 when none",
        labels=("department",),
    ),
    Definition(
        name="drift_limit_seconds",
        kind=Gauge,
        help="Age from which a version a department has not seen is an alarm",
        labels=("department",),
    ),
    # Breaks
    Definition(name="open_breaks", kind=Gauge, help="Breaks that nobody has cleared yet", labels=("kind",)),
    Definition(
        name="break_age_seconds", kind=Gauge, help="Age of the oldest open break, 0 when none", labels=("kind",)
    ),
)


class Metrics:
    """The metrics of one process part, in a registry of its own: two parts in one process never collide.

    Intake and lanes update them once per batch, never once per record. All are thread-safe.
    """

    build_info: Gauge
    records: Counter
    records_released: Counter
    dead_letters: Counter
    parked_records: Gauge
    overdue_records: Counter
    lag_records: Gauge
    lag_seconds: Gauge
    buffered_records: Gauge
    lanes_owned: Gauge
    lanes_dropped: Counter
    last_progress_timestamp_seconds: Gauge
    batches: Counter
    batch_records: Histogram
    decide_seconds: Histogram
    commit_seconds: Histogram
    sql_statements: Counter
    due_claims: Gauge
    clock_warnings: Counter
    clock_breaches: Counter
    outbox_pending_records: Gauge
    published: Counter
    publish_repeats: Counter
    delivery_failures: Counter
    event_to_instruction_seconds: Histogram
    drift_claims: Gauge
    drift_seconds: Gauge
    drift_limit_seconds: Gauge
    open_breaks: Gauge
    break_age_seconds: Gauge

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Make every metric in `registry`, or in a new one. Raises ValueError when the registry has them already."""
        self.registry = registry if registry is not None else CollectorRegistry()
        for metric in METRICS:
            setattr(self, metric.attribute, _make(metric, self.registry))
        ProcessCollector(registry=self.registry)
        for reason in Dropped:  # a series that starts at 0 lets rate() see its first step
            self.lanes_dropped.labels(reason)


def _make(metric: Definition, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    name = PREFIX + metric.name
    if metric.kind is Histogram:
        return Histogram(name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)
    return metric.kind(name, metric.help, metric.labels, registry=registry)
