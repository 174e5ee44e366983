"""`claimhub keys`: made, followed, retired, revoked, given to finance, and what instructions are worth by them."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from schemas.topics import INSTRUCTIONS, TOPICS
from sinks.payments.keys import KeyFolder
from streams.settings import Settings
from tests import claims as make
from tests.e2e.conftest import Claimhub
from tests.e2e.filled_ledger import FilledLedger
from tests.embedded_kafka import EmbeddedKafka
from tests.integration import workers
from tests.integration.hub_world import fresh_topics
from tests.keys import newest_in
from tests.lane import CODEC

BY = ("--by", "key-admin-01", "--reason", "in use from today")


def test_a_key_is_made_followed_retired_and_revoked_and_the_folder_says_by_whom_and_why(claimhub: Claimhub) -> None:
    """What cannot be done is one sentence and exit 1."""
    assert claimhub("keys", "ls").err.startswith("no key.")
    (first,) = claimhub("keys", "new", *BY, "--json").json
    (second,) = claimhub("keys", "new", *BY, "--json").json
    third = claimhub("keys", "new", *BY)
    claimhub("keys", "retire", first["key_id"], "--by", "key-admin-02", "--reason", "replaced")
    claimhub("keys", "revoke", second["key_id"], "--by", "key-admin-03", "--reason", "stolen")

    assert third.code == 1 and first["key_id"] in third.err
    found = [(key["state"], key["by"], key["reason"]) for key in claimhub("keys", "ls", "--json").json]
    assert found == [("retired", "key-admin-02", "replaced"), ("revoked", "key-admin-03", "stolen")]
    assert "revoked" in claimhub("keys", "ls").out


def test_who_changes_a_key_has_to_say_who_and_why(claimhub: Claimhub) -> None:
    """Wrong use, and nothing is made."""
    assert claimhub("keys", "new").code == claimhub("keys", "new", "--by", "key-admin-01").code == 2
    assert claimhub("keys", "ls", "--json").json == []


def test_what_is_exported_verifies_and_signs_nothing(claimhub: Claimhub, keys: KeyFolder, tmp_path: Path) -> None:
    """Finance puts it into a folder of its own."""
    exported = claimhub("keys", "export").out
    finance = KeyFolder(tmp_path / "finance")
    finance.folder.mkdir()
    finance.file.write_text(exported)

    assert finance.read() == keys.read()
    assert "PRIVATE" not in exported


@pytest.fixture
def kafka(ledger: FilledLedger, tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A hub's embedded broker, with the instruction of a claim."""
    broker = EmbeddedKafka(TOPICS)
    (tmp_path / ".claimhub" / "embedded-broker").write_text(broker.address)
    ledger.take(make.notice(), make.policy(), make.estimate(), make.invoice())
    ledger.publish(broker.address)
    yield broker
    broker.stop()


def test_an_instruction_on_kafka_is_good_until_its_key_is_revoked(
    claimhub: Claimhub, kafka: EmbeddedKafka, keys: KeyFolder
) -> None:
    """Also once its key is retired; then the refusal names the key, and the exit code says so."""
    (key_id,) = keys.read()
    first = claimhub("keys", "verify", "--json")
    claimhub("keys", "new", *BY)
    claimhub("keys", "retire", key_id, *BY)
    retired = claimhub("keys", "verify")
    claimhub("keys", "revoke", key_id, *BY)
    revoked = claimhub("keys", "verify")

    assert first.code == retired.code == 0
    assert first.json["counts"] == {"good": 1}
    (found,) = first.json["instructions"]
    assert (found["claim"], found["key_id"], found["verdict"]) == (make.CLAIM, key_id, "good")
    assert retired.err == "1 good\n"
    assert revoked.code == 1 and "revoked-key" in revoked.out
    assert f"{found['instruction_id']} is not to be paid: signed with key {key_id}, which is revoked" in revoked.err


def test_what_somebody_else_put_on_the_topic_is_told_from_what_the_hub_sent(
    claimhub: Claimhub, kafka: EmbeddedKafka, keys: KeyFolder
) -> None:
    """A copy for another payee, one without a signature, and bytes that are no record; each says why."""
    record = make.payment_instruction()
    headers: list[tuple[str, Any]] = [("lane", b"0"), ("seq", b"9"), *newest_in(keys)(record, 0, 9)]
    other = make.payment_instruction(payee=make.OTHER_PAYEE)
    producer = Producer({"bootstrap.servers": kafka.address})
    for said, with_headers in ((other, headers), (record, headers[:2])):
        producer.produce(INSTRUCTIONS, CODEC.encode(INSTRUCTIONS, said), headers=with_headers, partition=1)
    producer.produce(INSTRUCTIONS, b"no record", partition=2)
    producer.flush(10)

    ran = claimhub("keys", "verify", "--json")

    assert ran.code == 1 and not ran.json["ok"]
    assert ran.json["counts"] == {"good": 1, "forged": 2, "unsigned": 1}
    assert make.OTHER_PAYEE.account not in ran.out


def test_a_file_of_instructions_is_verified_without_kafka(claimhub: Claimhub, keys: KeyFolder, tmp_path: Path) -> None:
    """Row by row, as finance may have kept them; a row that is none is named by its place."""
    record = make.payment_instruction()
    headers = dict(newest_in(keys)(record, 2, 7))
    signed = {"lane": "2", "seq": "7", "key_id": headers["key_id"].decode(), "signature": headers["signature"].hex()}
    row = {"headers": signed, "record": msgspec.to_builtins(record)}
    file = tmp_path / "instructions.ndjson"
    file.write_text(f"{json(row)}\n{json({**row, 'headers': {**signed, 'seq': '8'}})}\n")
    found = claimhub("keys", "verify", file, "--json")
    file.write_text(json({**row, "headers": {**signed, "signature": "no hex"}}))
    wrong = claimhub("keys", "verify", file)

    assert found.code == 1
    assert [one["verdict"] for one in found.json["instructions"]] == ["good", "forged"]
    assert wrong.code == 2 and "hexadecimal" in wrong.err


def json(value: object) -> str:
    return msgspec.json.encode(value).decode()


@pytest.mark.slow
@pytest.mark.kafka
def test_a_hub_on_a_real_kafka_does_not_start_without_a_key(kafka_url: str, tmp_path: Path) -> None:
    """It names the command that makes one, and so does doctor; a key that others may read is not used either."""
    settings = Settings(kafka=kafka_url, data_dir=tmp_path, lanes=1)
    run = partial(workers.claimhub, settings)
    with fresh_topics(kafka_url, 1):
        none = run("up")
        asked = run("doctor", "--json")
        assert run("keys", "new", *BY).returncode == 0
        (pem,) = (tmp_path / "keys").glob("*.pem")
        pem.chmod(0o644)
        open_to_all = run("up")

    assert none.returncode == open_to_all.returncode == 69
    assert "claimhub keys new" in none.stderr
    mends = [check["mend"] for check in msgspec.json.decode(asked.stdout) if not check["ok"]]
    assert mends == ["claimhub keys new --by NAME --reason TEXT"]
    assert f"chmod 600 {pem}" in open_to_all.stderr
