"""Lag by topic, and the watchdog: lag and a position that stands still mean something is wrong with this process."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from monitoring.health import Health
from monitoring.metrics import Metrics
from schemas.topics import INBOUND
from streams.exits import Exit
from streams.lanes import Lane


class Watch:
    """Looks at the lanes once a second. A lane's progress outlives its token: dropping and taking it again is none."""

    def __init__(
        self, metrics: Metrics, health: Health, patience_s: float, leave: Callable[[Exit, str], NoReturn]
    ) -> None:
        """After half of `patience_s` with lag and no progress the worker is not ready, after all of it it leaves."""
        self._metrics = metrics
        self._health = health
        self._patience_s = patience_s
        self._leave = leave
        self._moved: dict[int, tuple[dict[str, int], float]] = {}

    def look(self, lanes: Sequence[Lane], now: float) -> None:
        """Bring the metrics up to date and judge each lane's progress. `now` is monotonic, in seconds."""
        behind = dict.fromkeys(INBOUND, 0)
        oldest_ms: dict[str, int] = {}
        for lane in lanes:
            positions = dict(lane.positions)
            lag = {topic: lane.lag(topic) for topic in positions}
            for topic, count in lag.items():
                behind[topic] += count
                first_ms = lane.buffer.oldest_ms(topic)
                if count and first_ms is not None:
                    oldest_ms[topic] = min(first_ms, oldest_ms.get(topic, first_ms))
            self._judge(lane, positions, any(lag.values()), now)
        for topic, count in behind.items():
            self._metrics.lag_records.labels(topic).set(count)
            age_s = max(0.0, time.time() - oldest_ms[topic] / 1000) if topic in oldest_ms else 0.0
            self._metrics.lag_seconds.labels(topic).set(age_s)
        self._metrics.buffered_records.set(sum(lane.buffer.size for lane in lanes))
        self._metrics.parked_records.set(sum(lane.parked for lane in lanes))
        self._metrics.due_claims.set(sum(lane.due for lane in lanes))
        self._metrics.last_progress_timestamp_seconds.set_to_current_time()

    def forget(self, numbers: Iterable[int]) -> None:
        """These lanes are another worker's now."""
        for number in numbers:
            self._moved.pop(number, None)
            self._health.forget(f"progress of lane {number}")

    def _judge(self, lane: Lane, positions: dict[str, int], lagging: bool, now: float) -> None:
        before, since = self._moved.get(lane.no, (None, now))
        if not lagging or lane.stopped is not None or positions != before:
            self._moved[lane.no] = (positions, now)
            self._health.set(f"progress of lane {lane.no}", ok=True)
            return
        reason = f"lane {lane.no} has lag and made no progress for {now - since:.0f} s"
        if now - since > self._patience_s:
            self._leave(Exit.STUCK, reason)
        if now - since > self._patience_s / 2:
            self._health.set(f"progress of lane {lane.no}", ok=False, reason=reason)
