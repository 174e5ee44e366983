"""The AsyncAPI document is the registry in other words: nothing more, nothing less, no reference to nowhere."""

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from schemas.asyncapi import AVRO, asyncapi
from schemas.topics import INBOUND, OUTBOUND, TOPICS, Key, avro_schema
from sinks.envelope import headers_of
from tests import claims as make
from tests.lane import OneLane

DOCUMENT = asyncapi()
RENEW = "claimhub topics asyncapi > schemas/asyncapi.json"
SENT_WITH = {"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject", "seq", "lane"}


def references(part: Any) -> Iterator[str]:
    """Every $ref below a part, but not what an Avro schema or a description says."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "$ref":
                yield value
            elif name != "schema":
                yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def at(reference: str) -> Any:
    """What a reference leads to. A name holds neither `/` nor `~`, so nothing is escaped."""
    found: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def test_the_file_in_the_repository_is_what_the_registry_makes() -> None:
    """Departments read the file; a topic that is added or changed must show in it."""
    kept = json.loads(files("schemas").joinpath("asyncapi.json").read_text(encoding="utf-8"))

    assert kept == DOCUMENT, f"the topics have changed. Run: {RENEW}"


def test_every_reference_leads_somewhere_in_the_document() -> None:
    """A message stands in its channel, an operation uses its channel's messages."""
    found = list(references(DOCUMENT))

    assert found
    assert all(reference.startswith("#/") and at(reference) for reference in found)
    for operation in DOCUMENT["operations"].values():
        channel = operation["channel"]["$ref"]
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"])


def test_every_topic_is_a_channel_and_nothing_else_is() -> None:
    """With one message each, so that nobody can send another record there."""
    channels = DOCUMENT["channels"]

    assert list(channels) == list(TOPICS)
    assert list(DOCUMENT["components"]["messages"]) == list(TOPICS)
    for name, channel in channels.items():
        (message,) = channel["messages"].values()
        assert channel["address"] == channel["bindings"]["kafka"]["topic"] == name
        assert at(message["$ref"])["name"] == name


def test_the_hub_receives_what_it_reads_and_sends_what_it_writes() -> None:
    """An internal topic is both. The name of an operation says what it does with which topic."""
    done = {"receive": set[str](), "send": set[str]()}
    for name, operation in DOCUMENT["operations"].items():
        topic = at(operation["channel"]["$ref"])["address"]
        done[operation["action"]].add(topic)
        assert name == f"{operation['action']}.{topic}"

    assert done == {"receive": set(INBOUND), "send": set(OUTBOUND)}


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_a_message_has_its_avro_schema_key_and_headers(topic: str) -> None:
    """The schema as it is registered, found by the id before the body; what the hub sends has all of its headers."""
    message = DOCUMENT["components"]["messages"][topic]
    kafka, headers = message["bindings"]["kafka"], at(message["headers"]["$ref"])

    assert message["payload"] == {"schemaFormat": AVRO, "schema": avro_schema(topic)}
    assert (kafka["schemaIdLocation"], kafka["schemaIdPayloadEncoding"]) == ("payload", "confluent")
    assert {Key.CLAIM: "claim number", Key.POLICY: "policy number", Key.NONE: "record"}[TOPICS[topic].key] in kafka[
        "key"
    ]["description"]
    assert set(headers.get("required", ())) <= headers["properties"].keys()
    assert (topic in OUTBOUND) == (set(headers.get("required", ())) >= SENT_WITH)


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_a_channel_says_how_long_records_are_kept(topic: str) -> None:
    """Compacted, deleted after days, or never; how many partitions there are is the operator's affair."""
    kafka, known = DOCUMENT["channels"][topic]["bindings"]["kafka"], TOPICS[topic]
    days = known.retention_days

    assert kafka["topicConfiguration"] == {
        "cleanup.policy": ["compact" if known.compacted else "delete"],
        "retention.ms": -1 if days is None else days * 24 * 3600 * 1000,
    }
    assert "partitions" not in kafka


def test_what_the_hub_sends_carries_the_headers_described() -> None:
    """All that are required, and none that is not named."""
    lane = OneLane([make.policy()])
    lane.take(make.notice(), make.estimate(), lane.received(make.invoice(), headers=[("traceparent", b"00-1-2-01")]))

    for row in lane.outbox:
        described = at(DOCUMENT["components"]["messages"][row.topic]["headers"]["$ref"])
        names = {name for name, _ in headers_of(row)}
        assert set(described["required"]) <= names <= described["properties"].keys(), row.topic
    assert lane.outbox[-1].topic == "claims.status.v1"
