"""The command line run in this process, and the ledger it reads."""

import io
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from msgspec import json

from schemas.topics import TOPICS
from sinks.payments.keys import KeyFolder
from streams.cli import main
from tests.e2e.filled_ledger import FilledLedger
from tests.embedded_kafka import PARTITIONS, PRODUCE, EmbeddedKafka
from tests.keys import keys_in, newest_in


class Ran(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, read as JSON."""
        return json.decode(self.out)


Claimhub = Callable[..., Ran]


@pytest.fixture
def claimhub(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Claimhub:
    """Runs `claimhub` with these arguments in an empty folder; its data is in `.claimhub` there."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "argv", ["claimhub", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Ran(code or 0, out, err)

    return run


@pytest.fixture
def keys(claimhub: Claimhub, tmp_path: Path) -> KeyFolder:
    """A live key where the commands look for theirs."""
    return keys_in(tmp_path / ".claimhub" / "keys")


@pytest.fixture
def ledger(keys: KeyFolder, tmp_path: Path) -> Iterator[FilledLedger]:
    """An empty ledger where the commands look for theirs; it signs with the key there."""
    filled = FilledLedger(f"sqlite:///{tmp_path}/.claimhub/ledger.db", newest_in(keys))
    yield filled
    filled.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def filled(
    request: pytest.FixtureRequest, ledger: FilledLedger, keys: KeyFolder, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FilledLedger]:
    """What the test's module puts in by its `fill`, in each kind of ledger."""
    if request.param == "sqlite":
        yield request.module.fill(ledger)
    else:
        url = request.getfixturevalue("postgres_ledger")
        monkeypatch.setenv("CLAIMHUB_LEDGER", url)
        other = FilledLedger(url, newest_in(keys))
        yield request.module.fill(other)
        other.close()


class Broker:
    """A broker with every topic, shared by the tests; each sees only what came since `since_now`."""

    def __init__(self) -> None:
        self._kafka = EmbeddedKafka(TOPICS)
        self.address = self._kafka.address
        self._consumer = Consumer({"bootstrap.servers": self.address, "group.id": "test", "fetch.wait.max.ms": 10})
        self._seen: dict[tuple[str, int], int] = {}

    def since_now(self) -> None:
        """Forget what came so far."""
        self._seen = {
            (topic, partition): self._end(topic, partition) for topic in TOPICS for partition in range(PARTITIONS)
        }

    def came(self, topic: str) -> list[Message]:
        """What came to a topic, in order within each partition."""
        ends = {partition: self._end(topic, partition) for partition in range(PARTITIONS)}
        seen = {partition: self._seen[topic, partition] for partition in ends}
        self._consumer.assign([TopicPartition(topic, p, seen[p]) for p, end in ends.items() if end > seen[p]])
        found: list[Message] = []
        while len(found) < sum(ends.values()) - sum(seen.values()):
            message = self._consumer.poll(5)
            assert message is not None and message.error() is None
            found.append(message)
        return found

    def commit(self, group: str, topic: str) -> None:
        """Let a consumer group have read all of a topic."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": group})
        ends = [TopicPartition(topic, partition, self._end(topic, partition)) for partition in range(PARTITIONS)]
        consumer.commit(offsets=ends, asynchronous=False)
        consumer.close()

    def desynchronize(self) -> None:
        """Answer the next record so that its producer can never send again."""
        self._kafka.answer(PRODUCE, KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER))

    def stop(self) -> None:
        """End the broker."""
        self._consumer.close()
        self._kafka.stop()

    def _end(self, topic: str, partition: int) -> int:
        bounds = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=5)
        assert bounds is not None
        return bounds[1]


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """One broker for all tests here."""
    started = Broker()
    yield started
    started.stop()


@pytest.fixture
def kafka(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Broker:
    """The broker, which the settings name."""
    broker.since_now()
    monkeypatch.setenv("CLAIMHUB_KAFKA", broker.address)
    return broker


@pytest.fixture
def closed_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port
