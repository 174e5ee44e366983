"""Watches what waits for others: how far departments are behind with this worker's lanes, and which breaks stand open,
as metrics."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Engine

from monitoring.clock import Clock
from monitoring.log import get_logger
from monitoring.metrics import Metrics
from schemas.records import BreakKind
from sinks.ledger.open import read_engine
from streams.cluster import ClientOptions, KafkaCluster
from streams.commands.breaks import read_breaks
from streams.rules.departments import departments
from streams.sync_board import read_drift

LOOK_S: Final = 30.0

log = get_logger("drift")


class DriftWatch:
    """Looks at the sync board and the breaks now and then, in a thread of its own: the one that calls `run`. What fails
    is only logged: the hub's work does not rest on it, and what was seen last stays in the metrics."""

    def __init__(
        self,
        ledger_url: str,
        password: str | None,
        kafka: ClientOptions,
        metrics: Metrics,
        clock: Clock,
        lanes: Callable[[], Sequence[int]],
    ) -> None:
        """`lanes` tells which ones this worker holds: each lane has one owner, so workers add up."""
        self._ledger_url = ledger_url
        self._password = password
        self._kafka = kafka
        self._metrics = metrics
        self._clock = clock
        self._lanes = lanes
        self._stopped = threading.Event()
        for name, department in departments().items():
            metrics.drift_limit_seconds.labels(name).set(department.drift_limit_s)

    def run(self) -> None:
        """Look every 30 s until told to stop."""
        engine, cluster = read_engine(self._ledger_url, self._password), KafkaCluster(self._kafka)
        while not self._clock.wait(self._stopped, LOOK_S):
            try:
                self.look_at_breaks(engine)
                self.look(engine, cluster)
            except Exception as error:  # whatever it was, the next look may find it gone
                log.warning("sync board and breaks not read", error=type(error).__name__)
        engine.dispose()

    def stop(self) -> None:
        """Let `run` return once the look it is at is over."""
        self._stopped.set()

    def look_at_breaks(self, engine: Engine) -> None:
        """Bring the metrics of breaks up to date: they belong to no lane, so the owner of lane 0 tells of them all.
        Raises what the ledger raises."""
        counts, oldest_s = Counter[str](), Counter[str]()
        if 0 in self._lanes():
            with engine.connect() as connection:
                for found in read_breaks(connection):
                    counts[found.kind] += 1
                    oldest_s[found.kind] = max(oldest_s[found.kind], found.age_s)
        for kind in BreakKind:
            self._metrics.open_breaks.labels(kind).set(counts[kind])
            self._metrics.break_age_seconds.labels(kind).set(oldest_s[kind])

    def look(self, engine: Engine, cluster: KafkaCluster) -> None:
        """Bring the metrics up to date. Raises what the ledger and Kafka raise."""
        lanes, now_ms = self._lanes(), int(self._clock.time() * 1000)
        drifts = read_drift(engine, cluster, lanes, departments(), now_ms) if lanes else []
        found = {drift.department: drift for drift in drifts}
        for name in departments():
            drift = found.get(name)
            self._metrics.drift_claims.labels(name).set(drift.claims_behind if drift else 0)
            self._metrics.drift_seconds.labels(name).set(drift.oldest_s if drift else 0)
