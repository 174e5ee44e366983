"""Ways in which a hub could stand still, lose or double something though each part does its own work, on a real Kafka
and PostgreSQL.

Others are shown nearer to the code: `test_intake.py` (several batches of a lane at once, a lane nobody takes back, a
pause that outlives its lane, an owner frozen inside its COPY), `test_workers.py` (a topic made anew under a running
worker), `test_relay.py` (a compacted topic read back), `test_hub_embedded.py` (a fault in a rule),
`tests/contract/test_ledger.py` (a commit between a take's snapshot and its lock), `tests/contract/test_take.py` (a log
that grows while its lane is taken), `tests/unit/test_lane.py` (a client that goes on behind records it gave nobody).
"""

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg
import pytest
from confluent_kafka import Consumer, Producer

from schemas.codec import Codec
from schemas.partitioner import partition_for
from schemas.records import Record
from schemas.topics import INBOUND
from streams.cluster import KafkaCluster
from streams.demo.stories import Said
from streams.exits import Exit
from streams.settings import Settings
from streams.stack.postgres import Postgres
from tests import services
from tests.integration.hub_world import LANES, fresh_topics, hub_settings, instruction_ids
from tests.integration.workers import (
    LIMIT_S,
    check_all_paid_once,
    codec,
    positions_in,
    records,
    surroundings,
    told,
    wait_until,
    wait_until_a_commit_waits,
    worker,
)

NOTICE: Final = "reporting.loss-notice.v1"


def test_control_records_at_the_logs_end_are_stepped_over(kafka_url: str, postgres_url: str, tmp_path: Path) -> None:
    """A transaction ends with a marker, and an aborted one leaves records that nobody may read: with nothing behind
    them positions come to the log's end all the same. Else an idle hub shows lag, and its watchdog ends it."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path)
    taken, aborted = records(0, 4), records(4, 8)
    with fresh_topics(kafka_url), surroundings(settings) as around, worker(settings):
        sender = Producer({**settings.kafka_client(), "transactional.id": "desk"})
        sender.init_transactions()
        _begin(sender, codec(settings), taken)
        sender.commit_transaction()
        wait_until(lambda: len(told(around.engine)) == len(taken), "what was committed is not taken")
        around.idle.wait(LIMIT_S)
        _begin(sender, codec(settings), aborted)
        sender.abort_transaction()
        cluster = KafkaCluster(settings.kafka_client())

        def at_the_end() -> bool:
            ends = {place: end for place, (_, end) in cluster.bounds(INBOUND, range(LANES)).items()}
            return positions_in(around.engine) == ends

        wait_until(at_the_end, "the positions do not come to the log's end")
        check_all_paid_once(around.engine, taken, instruction_ids(kafka_url))


@pytest.mark.parametrize(
    ("assignor", "says"),
    [("range", "assigned without all their topics"), ("cooperative-sticky", "does not use the range assignor")],
    ids=["reads-one-topic", "shares-out-partitions"],
)
def test_a_group_that_would_split_lanes_is_refused(
    kafka_url: str, postgres_url: str, tmp_path: Path, assignor: str, says: str
) -> None:
    """A stranger in the group reads one of the topics, or shares out partitions one by one: the worker leaves with 73
    before it takes a record, and says why."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path)
    with (
        (tmp_path / "stderr").open("wb") as stderr,
        fresh_topics(kafka_url),
        _member(settings, assignor) as stranger,
        worker(settings, Exit.LANES_NOT_WHOLE, stderr) as process,
    ):
        wait_until(lambda: stranger.poll(0.1) is None and process.poll() is not None, "the worker does not leave")
    assert says in _reason_to_leave(tmp_path / "stderr")


@pytest.mark.slow
def test_a_worker_told_to_stop_leaves_though_its_database_stands_still(kafka_url: str, tmp_path: Path) -> None:
    """In the middle of a commit every process of the server stops answering, so that no timeout of it fires and nothing
    can be cancelled: the worker leaves by itself, and once the server is back the next one goes on without loss."""
    server = Postgres(tmp_path / "postgres", services.FAST_POSTGRES)
    first, second = records(0, 10), records(10, 40)
    with services.started(server) as address, services.empty_database(address) as database:
        settings = hub_settings(kafka_url, database, tmp_path)
        with fresh_topics(kafka_url), surroundings(settings) as around:
            with worker(settings, Exit.STUCK) as process:
                around.departments.send(*first)
                around.idle.wait(LIMIT_S)
                with psycopg.connect(database) as locker:
                    locker.execute("LOCK TABLE claims IN SHARE MODE")
                    around.departments.send(*second)
                    wait_until_a_commit_waits(database)
                    with _standing_still(locker):
                        process.terminate()
                        process.wait(LIMIT_S)
            with worker(settings):
                around.idle.wait(LIMIT_S)
            check_all_paid_once(around.engine, [*first, *second], instruction_ids(kafka_url))


@contextmanager
def _standing_still(session: psycopg.Connection[Any]) -> Iterator[None]:
    """Every process of the server that this session is connected to stands still, itself included."""
    server = psutil.Process(psutil.Process(session.info.backend_pid).ppid())
    server.suspend()  # first: from now on it starts no further process
    family = [server, *server.children()]
    for process in family:
        with suppress(psutil.NoSuchProcess):  # it had just ended
            process.suspend()
    try:
        yield
    finally:
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.resume()


@contextmanager
def _member(settings: Settings, assignor: str) -> Iterator[Consumer]:
    """A plain consumer of one topic, in the hub's group."""
    group = {"group.id": settings.group, "partition.assignment.strategy": assignor}
    consumer = Consumer({**settings.kafka_client(), **group})
    assigned = threading.Event()
    consumer.subscribe([NOTICE], on_assign=lambda *given: assigned.set())
    wait_until(lambda: consumer.poll(0.1) is None and assigned.is_set(), "the stranger is not in the group")
    try:
        yield consumer
    finally:
        consumer.close()


def _reason_to_leave(stderr: Path) -> str:
    """Why a worker said it left."""
    (reason,) = [json.loads(line)["reason"] for line in stderr.read_text().splitlines() if '"leaving"' in line]
    return str(reason)


def _begin(sender: Producer, codec: Codec, said: Iterable[Said]) -> None:
    """Begin a transaction, and send these in it."""
    sender.begin_transaction()
    for one in said:
        assert isinstance(one.content, Record)
        headers: list[tuple[str, str | bytes | None]] = [("ce_id", one.event_id), ("ce_source", one.sender)]
        value, partition = codec.encode(one.topic, one.content), partition_for(one.key.encode(), LANES)
        sender.produce(one.topic, value, one.key, partition, headers=headers, timestamp=one.at_ms)
    assert sender.flush(LIMIT_S) == 0
