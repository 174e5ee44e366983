"""Topics that are not as the hub needs them, at its start and under it: on a real Kafka and PostgreSQL."""

from pathlib import Path
from typing import Final

from confluent_kafka.admin import AdminClient, NewPartitions

from streams.commands.topics import apply
from streams.exits import Exit
from tests.integration.hub_world import LANES, fresh_topics, hub_settings
from tests.integration.workers import LIMIT_S, claimhub, records, surroundings, wait_until, worker

ESTIMATE, INVOICE = "repair.estimate.v1", "repair.invoice.v1"
UP: Final = ("up", "--role", "worker")


def test_a_missing_topic_is_named_at_the_start(kafka_url: str, postgres_url: str, tmp_path: Path) -> None:
    """With the command that makes it; nothing is read before."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path)
    admin = AdminClient(settings.kafka_client())
    with fresh_topics(kafka_url):
        for future in admin.delete_topics([ESTIMATE, INVOICE]).values():
            future.result(LIMIT_S)
        wait_until(
            lambda: not {ESTIMATE, INVOICE} & admin.list_topics(timeout=LIMIT_S).topics.keys(),
            "the deleted topics are still listed",
        )
        refused = claimhub(settings, *UP)

    assert refused.returncode == Exit.UNAVAILABLE
    assert f"Kafka has no topic {ESTIMATE}, {INVOICE}. Run: claimhub topics apply" in refused.stderr


def test_a_topic_that_grows_ends_the_worker_and_is_refused_from_then_on(
    kafka_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """New partitions would take a claim's records to another lane, past its earlier ones: the worker leaves with 71
    and says so, and neither a new one nor `topics apply` has anything to do with that topic."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path)
    admin = AdminClient(settings.kafka_client())
    log = tmp_path / "stderr"
    with fresh_topics(kafka_url), surroundings(settings) as around:
        with log.open("wb") as stderr, worker(settings, Exit.TOPIC_CHANGED, stderr) as process:
            around.departments.send(*records(0, 4))
            around.idle.wait(LIMIT_S)
            admin.create_partitions([NewPartitions(ESTIMATE, LANES + 2)])[ESTIMATE].result(LIMIT_S)
            process.wait(LIMIT_S)
        (left,) = [line for line in log.read_text().splitlines() if '"leaving"' in line]
        assert f"topic {ESTIMATE} has {LANES + 2} partitions, the ledger knows {LANES}: a claim's records would" in left
        refused, applied = claimhub(settings, *UP), apply(settings, dry_run=True)

    assert refused.returncode == Exit.UNAVAILABLE
    assert f"{ESTIMATE} has {LANES + 2}; the setting lanes says {LANES}" in refused.stderr
    assert applied.mismatched == {ESTIMATE: LANES + 2}
