"""The topic registry holds together: no orphans, owners known, dead letters and examples for all."""

import re
from importlib.resources import files

import pytest

from schemas.records import Record
from schemas.topics import (
    INBOUND,
    OUTBOUND,
    TOPICS,
    Direction,
    Key,
    Owner,
    avro_schema,
    record_file,
    released_schemas,
)

NAMES = sorted(TOPICS)
AVRO = files("schemas").joinpath("avro")
EXAMPLES = sorted(file.name for file in files("schemas").joinpath("examples").iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_topic_is_named_for_its_owner(name: str) -> None:
    """`<department>.<noun>.v<major>`, and the schema's namespace says the same."""
    topic = TOPICS[name]
    found = re.fullmatch(r"([a-z]+)\.([a-z]+(?:-[a-z]+)*)\.v([1-9][0-9]*)", name)

    assert found and topic.name == name
    assert topic.owner is Owner(found[1])
    assert topic.subject == f"{name}-value"
    assert avro_schema(name)["namespace"] == f"claimhub.{found[1]}.v{found[3]}"
    assert avro_schema(name)["name"] == topic.record.__name__


@pytest.mark.parametrize("name", NAMES)
def test_a_topic_has_examples_that_pass_and_that_fail(name: str) -> None:
    """At least one of each."""
    mine = [file for file in EXAMPLES if file.startswith(f"{name}.")]

    assert any(file.endswith(".pass.json") for file in mine)
    assert any(file.endswith(".fail.json") for file in mine)


def test_every_example_belongs_to_a_topic() -> None:
    """`<topic>.<word>.pass.json` or `.fail.json`, nothing else."""
    for file in EXAMPLES:
        found = re.fullmatch(r"(.+)\.[a-z0-9-]+\.(?:pass|fail)\.json", file)
        assert found and found[1] in TOPICS, file


def test_every_schema_file_and_record_class_belongs_to_one_topic() -> None:
    """No schema without a topic, no topic without a schema, and no record class sent nowhere."""
    current = sorted(file.name for file in AVRO.iterdir() if file.name.endswith(".avsc"))
    nested = {"BankAccount", "PolicyCover", "BucketAmount", "EstimateLine", "BillItem", "RiskSignal"}

    assert current == sorted(f"{record_file(name)}.avsc" for name in TOPICS)
    assert sorted(cls.__name__ for cls in Record.__subclasses__() if cls.__name__ not in nested) == sorted(
        topic.record.__name__ for topic in TOPICS.values()
    )


def test_every_released_file_is_a_version_of_a_topic() -> None:
    """Versions count from 1 without a hole, so every file is found."""
    released = {file.name for file in AVRO.joinpath("released").iterdir()}
    known = {f"{record_file(name)}.v{n}.avsc" for name in TOPICS for n in range(1, len(released_schemas(name)) + 1)}

    assert released == known


@pytest.mark.parametrize("name", NAMES)
def test_what_the_hub_reads_has_a_dead_letter_topic(name: str) -> None:
    """Outputs need none: the hub alone writes them."""
    topic = TOPICS[name]

    assert (topic.dead_letter is None) == (topic.direction is Direction.OUT)
    assert topic.dead_letter is None or TOPICS[topic.dead_letter].direction is Direction.OUT


@pytest.mark.parametrize("name", NAMES)
def test_the_key_is_a_field_of_the_record(name: str) -> None:
    """`claim` or `policy_number`; only dead letters and breaks are keyed by what they are about."""
    fields = TOPICS[name].record.__struct_fields__
    wanted = {Key.CLAIM: "claim", Key.POLICY: "policy_number", Key.NONE: "key"}[TOPICS[name].key]

    assert wanted in fields
    assert (TOPICS[name].key is Key.NONE) == (name in ("hub.dead-letter.v1", "hub.break.v1"))


def test_money_and_compaction_are_declared() -> None:
    """Payment instructions are FULL_TRANSITIVE; snapshots and policies are compacted and kept for ever."""
    assert {n for n, t in TOPICS.items() if t.money} == {"finance.payment-instruction.v1"}
    assert {n for n, t in TOPICS.items() if t.compacted} == {"underwriting.policy.v1", "claims.status.v1"}
    assert all(t.retention_days is None for t in TOPICS.values() if t.compacted)
    assert {t.compatibility for t in TOPICS.values() if t.money} == {"FULL_TRANSITIVE"}


def test_internal_topics_are_read_and_written() -> None:
    """Every topic is read, written or both."""
    assert set(INBOUND) | set(OUTBOUND) == set(TOPICS)
    assert set(INBOUND) & set(OUTBOUND) == {
        "hub.clock.v1",
        "hub.forward.v1",
        "hub.policy-wanted.v1",
        "hub.same-loss.v1",
        "hub.same-paper.v1",
        "hub.wake.v1",
    }
    assert list(INBOUND) == sorted(INBOUND) and list(OUTBOUND) == sorted(OUTBOUND)
