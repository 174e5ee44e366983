"""Records that Kafka deleted before the hub came to them: on a real Kafka and PostgreSQL."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from sqlalchemy import Engine, select

from schemas.partitioner import partition_for
from schemas.topics import INBOUND
from sinks.ledger.tables import lanes
from sinks.ledger.verify import verify
from streams.commands.failures import Failed
from streams.commands.positions import accept_loss, read_positions
from streams.commands.verify import show_verification
from streams.demo.stories import Said
from streams.exits import Exit
from streams.settings import Settings
from tests.integration.hub_world import LANES, fresh_topics, hub_settings, instruction_ids
from tests.integration.workers import (
    LIMIT_S,
    check_all_paid_once,
    claimhub,
    records,
    surroundings,
    told,
    wait_until,
    worker,
)

ESTIMATE: Final = "repair.estimate.v1"
LANE: Final = 2
PLACE: Final = f"{ESTIMATE}/{LANE}"
KEPT, LOST = range(8), [n for n in range(8, 60) if partition_for(f"C-{n:05d}".encode(), LANES) == LANE][:3]
"""Claims whose estimates are read in time, and claims of one lane whose estimates are not."""
ACCEPT: Final = ("positions", "accept-loss", PLACE, "--reason", "an exercise")


@pytest.mark.slow
def test_records_deleted_unread_stop_the_worker_until_somebody_gives_them_up(
    kafka_url: str, postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The worker leaves with 70 and names the command. That says what would be given up, refuses while a worker holds
    the lane, and with --yes keeps who gave up which records and why. The hub goes on with all the others, `verify`
    accounts for the gap, and the records can still be taken when their sender sends them again."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path)
    kept, others = records(0, len(KEPT)), records(100, 108)
    lost = list(chain.from_iterable(records(number, number + 1) for number in LOST))
    with fresh_topics(kafka_url), surroundings(settings) as around:
        around.departments.send(*kept)
        with worker(settings):
            around.idle.wait(LIMIT_S)
        around.departments.send(*lost)
        first, start = _delete(settings, len(LOST))
        around.departments.send(*others)

        _check_that_it_stops(settings, tmp_path / "stderr", first, start)
        _check_what_is_refused(settings, first, start)
        assert told(around.engine) == _events(kept)
        token = _token(around.engine)
        accepted = claimhub(settings, *ACCEPT, "--yes")
        assert _token(around.engine) == token + 1, "an old owner could still write"
        assert (accepted.returncode, accepted.stderr) == (0, "")
        with pytest.raises(Failed, match=f"nothing is lost in {PLACE}: it is read up to {start}"):
            accept_loss(settings, PLACE, "an exercise", yes=True)

        with worker(settings):
            around.idle.wait(LIMIT_S)
            show_verification(verified := verify(around.engine))
            assert (
                f"given up: {ESTIMATE}/1/{LANE} {first} to {start - 1} (3), deleted unread" in capsys.readouterr().out
            )
            (loss,) = verified.accepted_losses
            notices = [one for one in lost if one.topic == "reporting.loss-notice.v1"]
            assert told(around.engine) == _events([*kept, *others, *notices])
            assert (loss.log, loss.first, loss.last) == (f"{ESTIMATE}/1/{LANE}", first, start - 1)
            assert (loss.by, loss.reason) == (pwd.getpwuid(os.getuid()).pw_name, "an exercise")

            around.departments.send(*(one for one in lost if one.topic == ESTIMATE))
            around.idle.wait(LIMIT_S)
        check_all_paid_once(around.engine, [*kept, *others, *lost], instruction_ids(kafka_url))


def _check_that_it_stops(settings: Settings, log: Path, first: int, start: int) -> None:
    """A worker leaves and says which records are lost, and what to do."""
    with log.open("wb") as stderr, worker(settings, Exit.LOG_LOST, stderr) as process:
        process.wait(LIMIT_S)
    (left,) = [line for line in log.read_text().splitlines() if '"leaving"' in line]
    assert f"{PLACE}: records {first} to {start - 1} were deleted" in left
    assert f"claimhub positions accept-loss {PLACE}" in left
    assert {row.place: row.lost for row in read_positions(settings) if row.lost} == {PLACE: start - first}


def _check_what_is_refused(settings: Settings, first: int, start: int) -> None:
    """Not confirmed, not lost, or held by somebody: at first the worker that has just left, as Kafka sees it."""
    wait_until(lambda: "is held by" not in claimhub(settings, *ACCEPT).stderr, "Kafka did not forget the worker")
    asked = claimhub(settings, *ACCEPT)
    assert asked.returncode == 1 and f"records {first} to {start - 1} of {PLACE} ({start - first})" in asked.stdout
    with pytest.raises(Failed, match="nothing is lost"):
        accept_loss(settings, f"{ESTIMATE}/{LANE + 1}", "an exercise", yes=True)
    with _member(settings, "somebody"), pytest.raises(Failed, match="is held by the worker somebody"):
        accept_loss(settings, PLACE, "an exercise", yes=True)
    nobody = settings.model_copy(update={"group": "nobody"})
    assert not accept_loss(nobody, PLACE, "an exercise", yes=False).accepted


def _delete(settings: Settings, many: int) -> tuple[int, int]:
    """Have Kafka delete the last estimates of the lane; the first's offset, and where the log begins now."""
    consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": "looks"})
    _, end = consumer.get_watermark_offsets(TopicPartition(ESTIMATE, LANE), timeout=LIMIT_S)
    consumer.close()
    place = TopicPartition(ESTIMATE, LANE, end)
    admin = AdminClient(settings.kafka_client())
    admin.delete_records([place])[place].result(LIMIT_S)
    return end - many, end


@contextmanager
def _member(settings: Settings, name: str) -> Iterator[None]:
    """While it lasts, a consumer of the hub's group has all lanes."""
    options = {"group.id": settings.group, "client.id": name, "partition.assignment.strategy": "range"}
    consumer = Consumer({**settings.kafka_client(), **options})
    consumer.subscribe(list(INBOUND))

    def assigned() -> bool:
        consumer.poll(0.1)
        return len(consumer.assignment()) == LANES * len(INBOUND)

    wait_until(assigned, "the member got no lanes")
    yield
    consumer.close()


def _token(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(lanes.c.token).where(lanes.c.lane == LANE)).scalar_one())


def _events(sent: list[Said]) -> list[str]:
    return sorted(f"{one.sender} {one.event_id}" for one in sent)
