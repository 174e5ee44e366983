"""What is seen of lanes: lag by topic in events and seconds, what waits, and a lane that stands still."""

import time
from typing import NoReturn

import pytest

from monitoring.health import Health
from monitoring.metrics import Metrics
from schemas.topics import INBOUND
from sinks.ledger.port import Lane as TakenLane
from sinks.relay import RelayLane
from streams.exits import Exit
from streams.lanes import Lane
from streams.received import Received
from streams.watch import Watch

NOTICE, ESTIMATE = "reporting.loss-notice.v1", "repair.estimate.v1"
PATIENCE_S = 60.0


class Left(Exception):
    """The process would have ended."""


def leave(code: Exit, reason: str) -> NoReturn:
    raise Left(code, reason)


def lane(number: int = 0, parked: int = 0) -> Lane:
    taken = TakenLane(number, 1, 0, 0, dict.fromkeys(INBOUND, 0), dict.fromkeys(INBOUND, 1), parked)
    return Lane(taken, 4, RelayLane(number, 1), 5000)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"claimhub_{name}", labels)


def test_lag_is_counted_in_events_and_in_the_age_of_the_oldest() -> None:
    """Per topic, over the lanes; a topic that is read up has neither."""
    metrics, first, second = Metrics(), lane(0), lane(1, parked=3)
    first.ends[NOTICE], second.ends[NOTICE], first.ends[ESTIMATE] = 5, 2, 0
    first.buffer.add(Received(NOTICE, 0, b"C1", b"", [], int((time.time() - 90) * 1000)))

    Watch(metrics, Health(), PATIENCE_S, leave).look([first, second], 100.0)

    age_s = value(metrics, "lag_seconds", topic=NOTICE)
    assert value(metrics, "lag_records", topic=NOTICE) == 7
    assert age_s is not None and 90 <= age_s < 1000
    assert (value(metrics, "lag_records", topic=ESTIMATE), value(metrics, "lag_seconds", topic=ESTIMATE)) == (0, 0)
    assert (value(metrics, "parked_records"), value(metrics, "buffered_records")) == (3, 1)


def test_a_lane_with_lag_that_stands_still_is_first_not_ready_then_ends_the_process() -> None:
    """Taking it again under a new token is no progress; a moved position is."""
    health = Health()
    watch = Watch(Metrics(), health, PATIENCE_S, leave)
    health.start()
    stuck = lane()
    stuck.ends[NOTICE] = 5
    watch.look([stuck], 0.0)
    watch.look([stuck], 29.0)
    assert health.ready().ok

    again = lane()
    again.ends[NOTICE] = 5
    watch.look([again], 31.0)
    assert not health.ready().ok
    with pytest.raises(Left, match="lane 0 has lag and made no progress"):
        watch.look([again], 61.0)

    again.positions[NOTICE] = 1
    watch.look([again], 62.0)
    assert health.ready().ok


def test_a_lane_without_lag_may_stand_still() -> None:
    """Nothing comes at night."""
    watch = Watch(Metrics(), Health(), PATIENCE_S, leave)
    for now in (0.0, 100.0, 200.0):
        watch.look([lane()], now)
