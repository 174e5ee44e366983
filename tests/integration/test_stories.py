"""The demo's stories on a real Kafka and a real PostgreSQL."""

from io import StringIO
from pathlib import Path
from typing import NoReturn

import pytest
from rich.console import Console

from sinks.ledger.migrate import migrate
from sinks.topic_check import OnTopics
from streams.cluster import EmbeddedCluster, KafkaCluster
from streams.commands.replay import rebuild_ledger
from streams.commands.verify import OfLedgerAndTopics, read_verification
from streams.demo.play import play_in_hub
from streams.demo.screen import PlainLines
from streams.demo.stories import Story, short_stories, stories
from streams.exits import Exit
from streams.settings import Settings
from tests.integration.hub_world import fresh_topics, hub_settings, instruction_ids
from tests.services import empty_database


@pytest.mark.parametrize(
    "told",
    [pytest.param(short_stories(), id="the demo's"), pytest.param(stories(), id="every one", marks=pytest.mark.slow)],
)
async def test_the_stories_end_alike_on_kafka_and_postgres_and_on_the_embedded_parts(
    told: tuple[Story, ...], kafka_url: str, postgres_server: str, postgres_url: str, tmp_path: Path
) -> None:
    """Every story ends as it says; both ledgers keep every promise and have the same hash, the instructions' topic
    holds exactly what the ledger says, and all topics what the outbox says. Replayed in batches of any size, into
    either database, both ledgers come to that hash."""
    with fresh_topics(kafka_url):
        real = hub_settings(kafka_url, postgres_url, tmp_path)
        report = await play_in_hub(real, KafkaCluster(real.kafka_client()), _nowhere(), told, _leave)
        instructions = instruction_ids(kafka_url)
        topics = read_verification(real, topics=True)
    small = Settings(data_dir=tmp_path, http_port=0)
    migrate(small.ledger_url)
    embedded = await play_in_hub(small, EmbeddedCluster(), _nowhere(), told, _leave)

    assert [story.name for story in report.stories] == [story.name for story in told]
    assert [difference for story in report.stories for difference in story.differences] == []
    assert sorted(instructions) == sorted(payment.instruction_id for payment in report.payments)
    assert [(record.subject, record.until) for record in report.parked] == [("C26-0021", ["repair.estimate.v1"])]
    assert [check for check in report.verify.checks if not check.ok] == []
    assert report == embedded
    assert topics.ok
    assert isinstance(topics, OfLedgerAndTopics) and topics.topics == OnTopics(topics.topics.records)
    for batch_size in (1, 7, 500):
        file = f"sqlite:///{tmp_path}/replayed-{batch_size}.db"
        with empty_database(postgres_server) as database:
            replays = [rebuild_ledger(real, file, batch_size), rebuild_ledger(small, database, batch_size)]
        assert [replay.first_difference for replay in replays] == [None, None]
        assert {replay.replayed_hash for replay in replays} == {report.verify.ledger_hash}


def _nowhere() -> PlainLines:
    return PlainLines(Console(file=StringIO()))


def _leave(code: Exit, reason: str) -> NoReturn:
    raise AssertionError(f"the hub left ({code.name}): {reason}")
