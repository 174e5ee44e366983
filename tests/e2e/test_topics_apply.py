"""`claimhub topics apply` on a real Kafka."""

import pytest
from confluent_kafka.admin import AdminClient

from tests.e2e.conftest import Claimhub
from tests.integration.hub_world import fresh_topics
from tests.integration.workers import wait_until

NOTICE = "reporting.loss-notice.v1"


def test_topics_apply_makes_what_is_missing_and_tells_what_does_not_fit(
    claimhub: Claimhub, kafka_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a real Kafka: nothing in a dry run, then all, then nothing more; another count of partitions is exit 1."""
    monkeypatch.setenv("CLAIMHUB_KAFKA", kafka_url)
    with fresh_topics(kafka_url):
        admin = AdminClient({"bootstrap.servers": kafka_url})
        admin.delete_topics([NOTICE])[NOTICE].result(10)
        would = f"would create {NOTICE} with 4 partitions\n"
        wait_until(lambda: claimhub("topics", "apply", "--dry-run").out == would, "the deleted topic is still listed")
        assert claimhub("topics", "apply", "--json").json["created"] == [NOTICE]
        wait_until(lambda: claimhub("topics", "apply").out == "every topic is there\n", "the new topic is not listed")
        assert all(check["ok"] for check in claimhub("doctor", "--json").json if check["name"] in ("kafka", "topics"))
        monkeypatch.setenv("CLAIMHUB_LANES", "5")
        apply = claimhub("topics", "apply")
        assert apply.code == 1 and f"{NOTICE} has 4 partitions, the setting lanes says 5" in apply.out
        assert claimhub("up").code == 69
