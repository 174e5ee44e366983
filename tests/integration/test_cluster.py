"""What intake asks of a Kafka that was away in between."""

import time
from pathlib import Path

import pytest

from schemas.topics import INBOUND
from streams.cluster import ClusterUnavailable, KafkaCluster
from streams.stack.kafka import Kafka
from tests import services
from tests.integration.hub_world import LANES
from tests.integration.workers import wait_until

_AGAIN_S = 0.3


@pytest.mark.slow
def test_the_logs_bounds_are_known_again_after_a_crash_of_the_broker(tmp_path: Path) -> None:
    """A partition's leader has a new epoch then, and nobody asked while it was away."""
    server = Kafka(tmp_path / "kafka", services.FAST_KAFKA)
    with services.started(server) as address:
        cluster = KafkaCluster({"bootstrap.servers": address})
        cluster.create_missing(LANES, 1, dry_run=False)
        wait_until(lambda: _known(cluster), "the new topics have no leaders")
        server.kill()
        server.start()
        wait_until(lambda: _known(cluster), "the bounds are not known again")


def _known(cluster: KafkaCluster) -> bool:
    try:
        cluster.bounds(INBOUND, range(LANES))
    except ClusterUnavailable:
        time.sleep(_AGAIN_S)  # as intake does
        return False
    return True
