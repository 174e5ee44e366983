"""Payment files from a real Kafka and PostgreSQL: by an export that is killed, and from a topic that was made anew."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import update

from schemas.days import day_number
from sinks.ledger.bank_tables import bank_messages, bank_payments
from sinks.ledger.migrate import migrate
from sinks.ledger.port import TopicChanged
from sinks.ledger.tables import topics
from streams.cluster import ClusterUnavailable, KafkaCluster
from tests.finance_desk import DAY, TOPICS, FinanceDesk
from tests.integration.hub_world import LANES, fresh_topics
from tests.integration.workers import LIMIT_S, wait_until


@pytest.mark.slow
def test_an_export_that_is_killed_leaves_no_payment_in_two_files_and_none_in_no_file(
    kafka_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """kill -9 at one step after the other, each run beginning with what the one before left."""
    with fresh_topics(kafka_url):
        desk = at_desk(kafka_url, postgres_url, tmp_path)
        ids = [desk.instruct(number).instruction_id for number in range(1, 6)]
        desk.instruct(6, currency="EUR")
        desk.instruct(7, value_on=day_number(DAY) + 1)
        *killed, last = ends(desk, [*range(1, 60, 3), 0])

    assert last == 0 and killed.count(-signal.SIGKILL) > 5, killed
    assert desk.paid() == [*ids, f"PI{6:030}"]
    assert [row["content"] for row in desk.rows(bank_messages)] == [None, None] and len(list(desk.out.iterdir())) == 2
    states = {row["instruction_id"]: row["state"] for row in desk.rows(bank_payments)}
    assert states.pop(f"PI{7:030}") == "due" and set(states.values()) == {"sent"}


def test_a_topic_that_was_deleted_and_made_again_is_refused(kafka_url: str, postgres_url: str, tmp_path: Path) -> None:
    """Its offsets are another log's, and who made it may not be the hub: nothing of it is taken in."""
    with fresh_topics(kafka_url):
        desk = at_desk(kafka_url, postgres_url, tmp_path)
        desk.instruct(1)
        assert desk.export(write=False).new == 1
    with fresh_topics(kafka_url):
        wait_until(lambda: _has_bounds(KafkaCluster(desk.settings.kafka_client())), "the new topics have no leader")
        desk.instruct(2)
        with pytest.raises(TopicChanged, match="was deleted and created again: its offsets no longer mean"):
            desk.export()
        know(desk)  # as a ledger made anew would, whose book is the old one
        with pytest.raises(TopicChanged, match="the payment book has read another one of this name"):
            desk.export()

    assert [row["instruction_id"] for row in desk.rows(bank_payments)] == [f"PI{1:030}"] and not desk.paid()


def at_desk(kafka: str, postgres: str, folder: Path) -> FinanceDesk:
    """A desk on the real services."""
    migrate(postgres)
    desk = FinanceDesk(folder, postgres, kafka)
    desk.settings = desk.settings.model_copy(update={"kafka": kafka})
    know(desk)
    return desk


def _has_bounds(cluster: KafkaCluster) -> bool:
    try:
        return bool(cluster.bounds(TOPICS, range(LANES)))
    except ClusterUnavailable:
        return False


def know(desk: FinanceDesk) -> None:
    """Let the ledger know the topics as they are, as a hub does when it starts."""
    cluster = KafkaCluster(desk.settings.kafka_client())
    wait_until(lambda: _has_bounds(cluster), "the new topics have no leader")
    with desk.engine() as engine, engine.begin() as ledger:
        for topic in cluster.identities(TOPICS):
            known = update(topics).where(topics.c.topic == topic.topic)
            ledger.execute(known.values(id=topic.id, partitions=topic.partitions))


def ends(desk: FinanceDesk, steps: list[int]) -> list[int]:
    """Export in a process of its own for each step, which is killed there if it comes so far; how each ended."""
    settings = {
        "KAFKA": desk.settings.kafka,
        "LEDGER": desk.ledger,
        "DATA_DIR": str(desk.settings.data_dir),
        "DEBTOR_ACCOUNTS": json.dumps(desk.settings.debtor_accounts),
    }
    others = {name: value for name, value in os.environ.items() if not name.startswith("CLAIMHUB_")}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.integration.mortal_export", str(desk.out), str(DAY), *map(str, steps)],
        env=others | {f"CLAIMHUB_{name}": value for name, value in settings.items()},
        timeout=2 * LIMIT_S,
        check=True,
        stdout=subprocess.PIPE,
    )
    found: list[int] = json.loads(ran.stdout)
    return found
