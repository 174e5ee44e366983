"""Workers that come and go, and services that do, while records keep coming: on a real Kafka and PostgreSQL."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic
from sqlalchemy import Engine, select

from sinks.ledger.tables import lanes
from sinks.payments.keys import KeyFolder
from streams.commands.keys import verify_topic
from streams.demo.departments import Departments
from streams.demo.stories import Said
from streams.exits import Exit
from streams.stack.postgres import Postgres
from tests import services
from tests.integration.hub_world import LANES, TIMELESS, fresh_topics, hub_settings, instruction_ids
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

NOTICE: Final = "reporting.loss-notice.v1"
UNREAD: Final = "investigation.finding.v1"
"""A topic that has no records."""
# Unlike elsewhere in the tests, a commit is written before it is answered: this server is crashed.
CRASHABLE: Final = {"fsync": "off"}
CLAIMS_AT_ONCE, PACE_S = 4, 0.04
"""How many claims' records the departments send together, and the time until they send the next."""


@pytest.mark.slow
def test_a_second_worker_joins_under_load_and_the_first_leaves(
    kafka_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """They share the lanes, then the second has them all; nothing is lost or done twice."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path)
    with fresh_topics(kafka_url), surroundings(settings) as around, ExitStack() as workers:
        first = workers.enter_context(worker(settings))
        with _load(around.departments) as sent:
            wait_until(lambda: told(around.engine) != [], "the first worker took no record")
            (one,) = _owners(around.engine)
            workers.enter_context(worker(settings))
            wait_until(lambda: len(_owners(around.engine)) == 2, "the lanes were never shared")
            both = _owners(around.engine)
            first.terminate()
            assert first.wait(LIMIT_S) == Exit.OK
            wait_until(lambda: _owners(around.engine) == both - {one}, "the second worker did not take all lanes")
        around.idle.wait(LIMIT_S)
        check_all_paid_once(around.engine, sent, instruction_ids(kafka_url))


@pytest.mark.slow
def test_a_worker_told_to_stop_under_load_leaves_the_rest_to_the_next(
    kafka_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """It ends with 0 while records keep coming, nobody reads for a while, and a new worker goes on without loss."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path)
    with fresh_topics(kafka_url), surroundings(settings) as around, ExitStack() as workers:
        first = workers.enter_context(worker(settings))
        with _load(around.departments) as sent:
            wait_until(lambda: told(around.engine) != [], "the first worker took no record")
            first.terminate()
            assert first.wait(LIMIT_S) == Exit.OK
            taken = len(told(around.engine))
            wait_until(lambda: len(sent) > taken, "no record came while nobody read")
            workers.enter_context(worker(settings))
            wait_until(lambda: len(told(around.engine)) > taken, "the second worker did not go on")
        around.idle.wait(LIMIT_S)
        check_all_paid_once(around.engine, sent, instruction_ids(kafka_url))


@pytest.mark.slow
def test_a_worker_outlives_a_crash_of_its_database(kafka_url: str, tmp_path: Path) -> None:
    """PostgreSQL crashes in the middle of commits and comes back: the same process goes on by itself."""
    server = Postgres(tmp_path / "postgres", CRASHABLE)
    with services.started(server) as address, services.empty_database(address) as database:
        settings = hub_settings(kafka_url, database, tmp_path)
        with fresh_topics(kafka_url), surroundings(settings) as around, worker(settings) as process:
            with _load(around.departments) as sent:
                wait_until(lambda: told(around.engine) != [], "the worker took no record")
                server.stop("immediate")
                around.engine.dispose()  # our own connections are gone as well
                server.start()
                taken = len(told(around.engine))
                wait_until(lambda: len(told(around.engine)) > taken, "the worker did not go on")
            around.idle.wait(LIMIT_S)
            assert process.poll() is None
            check_all_paid_once(around.engine, sent, instruction_ids(kafka_url))


@pytest.mark.parametrize("topic", [NOTICE, UNREAD])
def test_a_topic_made_anew_under_a_running_worker_ends_it(
    kafka_url: str, postgres_url: str, tmp_path: Path, topic: str
) -> None:
    """Its offsets mean other records now: the worker leaves with 71 and names the topic. That also of a topic whose new
    log still has our position, which Kafka's library would read on in silence."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path)
    with (
        (tmp_path / "stderr").open("wb") as stderr,
        fresh_topics(kafka_url),
        surroundings(settings) as around,
        worker(settings, Exit.TOPIC_CHANGED, stderr) as process,
    ):
        around.departments.send(*records(0, 10))
        around.idle.wait(LIMIT_S)
        _make_anew(AdminClient(settings.kafka_client()), topic)
        process.wait(LIMIT_S)
    (left,) = [line for line in (tmp_path / "stderr").read_text().splitlines() if '"leaving"' in line]
    assert f"topic {topic}" in left


@pytest.mark.slow
def test_keys_follow_one_another_while_two_workers_sign(kafka_url: str, postgres_url: str, tmp_path: Path) -> None:
    """Without a stop: each worker takes up the new key, then the old one is retired. What both signed is good, nothing
    is unsigned, and finance refused nothing."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path)
    by = ("--by", "key-admin-01", "--reason", "rotation")

    def signed_by(key: str) -> set[str]:
        """The partitions with an instruction that is signed with this key."""
        return {one.record.split("/")[1] for one in verify_topic(settings).instructions if one.key_id == key}

    with fresh_topics(kafka_url), surroundings(settings) as around, worker(settings), worker(settings):
        with _load(around.departments) as sent:
            wait_until(lambda: len(_owners(around.engine)) == 2, "the lanes were never shared")
            (old,) = KeyFolder(settings.keys).read()
            wait_until(lambda: len(signed_by(old)) == LANES, "the workers did not sign")
            assert claimhub(settings, "keys", "new", *by).returncode == 0
            new = KeyFolder(settings.keys).newest_live().key_id
            wait_until(lambda: len(signed_by(new)) == LANES, "a worker did not take up the new key")
            assert claimhub(settings, "keys", "retire", old, *by).returncode == 0
            retired = len(sent)
            wait_until(lambda: len(sent) > retired, "no record came after the old key was retired")
        around.idle.wait(LIMIT_S)
        verified = verify_topic(settings)
        check_all_paid_once(around.engine, sent, instruction_ids(kafka_url))

    assert verified.ok
    assert {one.key_id for one in verified.instructions} == {old, new}
    assert around.finance.refused == []


def _owners(engine: Engine) -> set[str]:
    """Those who hold lanes; a lane that was let go of has none."""
    with engine.connect() as connection:
        return set(connection.execute(select(lanes.c.owner).where(lanes.c.owner != "")).scalars())


@contextmanager
def _load(departments: Departments) -> Iterator[list[Said]]:
    """Records of ever more claims come at a steady pace; the list of those sent so far."""
    sent: list[Said] = []
    enough = threading.Event()

    def send() -> None:
        for start in count(0, CLAIMS_AT_ONCE):
            departments.send(*(said := records(start, start + CLAIMS_AT_ONCE)))
            sent.extend(said)
            if enough.wait(PACE_S):
                return

    sender = threading.Thread(target=send, name="load")
    sender.start()
    try:
        yield sent
    finally:
        enough.set()
        sender.join()


def _make_anew(admin: AdminClient, topic: str) -> None:
    """Delete the topic and create it again, as soon as Kafka lets us."""
    admin.delete_topics([topic])[topic].result(LIMIT_S)

    def created() -> bool:
        try:
            admin.create_topics([NewTopic(topic, LANES, 1, config=TIMELESS)])[topic].result(LIMIT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
            return False
        return True

    wait_until(created, f"{topic} is still there")
