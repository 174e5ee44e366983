"""Peers: other programs that do the hub's work on the same records. They are with the tests, not in the product."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from confluent_kafka import OFFSET_BEGINNING, Consumer, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import streams
from connectors.registry import EmbeddedRegistry
from schemas.topics import avro_schema
from streams.bench.ledgers import Places
from streams.bench.measure import BenchFailed, wait_for, wait_until
from streams.bench.sizes import Sizes
from streams.bench.throughput import watch
from streams.bench.workload import STEPS, record
from streams.bench.world import LANES, World, say
from streams.stack.java import java

_CHECKOUT: Final = Path(streams.__file__).parents[1]
_FOLDER: Final = _CHECKOUT / "tests" / "benchmarks" / "peers"
_TAKEN: Final = sorted({record(0, step).topic for step in range(STEPS)})
_OUTPUTS: Final = {"status": "peer.claim-status", "instructions": "peer.payment-instruction"}
_SAME_AS: Final = {"status": "claims.status.v1", "instructions": "finance.payment-instruction.v1"}
"""The hub's topics whose schemas the outputs have."""
_THREADS: Final = 2
_WARM_UP: Final = 4
"""A peer is measured once it has taken this part of its records: its compiler is warm then."""
_ANSWER_S: Final = 30.0


def peers(world: World, sizes: Sizes) -> dict[str, Any]:
    """Events per second of the hub and of each peer there is, and how many times as fast the hub is.

    The hub and Kafka Streams take all records, per-event Faust as many as it can in `faust_s` seconds.
    """
    if not _FOLDER.is_dir():
        say("peers are left out: they are in a checkout only")
        return {}
    start, records = world.end(), world.send(world.load(sizes.records))
    rates = {name: _PEERS[name](world, sizes, start, records) for name in sizes.peers}
    with world.ledger(start) as ledger, world.worker(ledger.url) as worker:
        hub = watch(world, [worker.process], ledger, records, published=True).events_per_s
    say(f"hub {hub:,.0f} events/s")
    measured = {
        name: {"events_per_s": rate, "hub_times": hub / rate} for name, rate in rates.items() if rate is not None
    }
    return {"peers": {"records": records, "hub": {"events_per_s": hub}, **measured}}


def _faust(world: World, sizes: Sizes, start: Places, records: int) -> float:
    """Events per second of a Faust agent with a transaction for each event."""
    with world.ledger(start) as ledger, tempfile.TemporaryDirectory(prefix="claimhub-bench-") as folder:
        group = _Group(world, start)
        words = ["-m", "tests.benchmarks.peers.faust_per_event", world.kafka.address, ledger.url, group.name, folder]
        with world.running([sys.executable, *words], _CHECKOUT) as process:
            wait_for([process], ledger, 1, published=False)
            began, already = time.monotonic(), ledger.taken()
            wait_until(
                lambda: time.monotonic() - began > sizes.faust_s or ledger.taken() == records,
                "per-event Faust goes on",
                [process],
            )
            rate = (ledger.taken() - already) / (time.monotonic() - began)
        ledger.check(ledger.taken(), published=False)
    say(f"per-event Faust {rate:,.0f} events/s")
    return rate


def _kafka_streams(world: World, sizes: Sizes, start: Places, records: int) -> float | None:
    """Events per second of a Kafka Streams program, exactly once; None, and the reason told, where it is not built."""
    maven = shutil.which("mvn")
    if maven is None:
        say("Kafka Streams is left out: there is no Maven (mvn)")
        return None
    with tempfile.TemporaryDirectory(prefix="claimhub-bench-") as name:
        folder, target = Path(name), f"{name}/target"
        build = [maven, "--quiet", "--batch-mode", f"-Dtarget={target}", "package"]
        built = subprocess.run(build, cwd=_FOLDER / "kafka-streams", capture_output=True, text=True, check=False)
        if built.returncode:
            say(f"Kafka Streams is left out: Maven cannot build it.\n{built.stdout[-1000:]}")
            return None
        group = _Group(world, {place: offset for place, offset in start.items() if place[0] in _TAKEN})
        program = [java(), "-cp", f"{target}/peer.jar:{target}/jars/*", "Claims", _settings(world, folder, group.name)]
        with _topics(world, group.name):
            with world.running(program, folder) as process:
                wait_until(lambda: group.taken() >= records // _WARM_UP, "Kafka Streams has warmed up", [process])
                began, already = time.monotonic(), group.taken()
                wait_until(lambda: group.taken() == records, "Kafka Streams has taken all records", [process])
                rate = (records - already) / (time.monotonic() - began)
            _check(world, records)
    say(f"Kafka Streams {rate:,.0f} events/s")
    return rate


_PEERS: Final = {"faust": _faust, "kafka_streams": _kafka_streams}


class _Group:
    """A consumer group of the peer's that begins at given places."""

    def __init__(self, world: World, start: Places) -> None:
        self.name = f"peer-{uuid4().hex[:8]}"
        self._admin = AdminClient({**world.cluster.options, "log_level": 0})
        self._start = sum(start.values())
        places = [TopicPartition(*place, offset) for place, offset in start.items()]
        wanted = [ConsumerGroupTopicPartitions(self.name, places)]
        self._admin.alter_consumer_group_offsets(wanted)[self.name].result(_ANSWER_S)

    def taken(self) -> int:
        """Records whose offsets are committed: exactly once means, in one transaction with their outputs."""
        asked = [ConsumerGroupTopicPartitions(self.name)]
        found = self._admin.list_consumer_group_offsets(asked)[self.name].result(_ANSWER_S)
        return sum(int(place.offset) for place in found.topic_partitions) - self._start


@contextmanager
def _topics(world: World, prefix: str) -> Iterator[None]:
    """Topics for the peer's outputs; they are deleted afterwards, as are those it makes itself."""
    admin = AdminClient({**world.cluster.options, "log_level": 0})
    for made in admin.create_topics([NewTopic(topic, LANES, 1) for topic in _OUTPUTS.values()]).values():
        made.result(_ANSWER_S)
    try:
        yield
    finally:
        own = [topic for topic in admin.list_topics(timeout=_ANSWER_S).topics if topic.startswith(prefix)]
        for deleted in admin.delete_topics([*_OUTPUTS.values(), *own]).values():
            deleted.result(_ANSWER_S)


def _settings(world: World, folder: Path, application: str) -> str:
    """The file that tells the program its services, topics and schemas."""
    registry = EmbeddedRegistry()
    settings = {
        "servers": world.kafka.address,
        "application": application,
        "state": str(folder / "state"),
        "threads": str(_THREADS),
        "inbound": " ".join(_TAKEN),
        "schema.state": str(_FOLDER / "kafka-streams" / "claim-state.avsc"),
        **_OUTPUTS,
    }
    schemas = {**{topic: topic for topic in _TAKEN}, **_SAME_AS}
    for name, topic in schemas.items():
        file = folder / f"{name}.avsc"
        file.write_text(json.dumps(avro_schema(topic)))
        settings |= {f"schema.{name}": str(file), f"id.{name}": str(registry.id_of(topic))}
    properties = folder / "peer.properties"
    properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return str(properties)


def _check(world: World, records: int) -> None:
    """Raise BenchFailed unless there is one status for each record and one instruction for each claim."""
    for topic, count in ((_OUTPUTS["status"], records), (_OUTPUTS["instructions"], records // STEPS)):
        found = _committed_records(world, topic)
        if found != count:
            raise BenchFailed(f"Kafka Streams wrote {found} records to {topic} instead of {count}")


def _committed_records(world: World, topic: str) -> int:
    options = {"group.id": "peers", "isolation.level": "read_committed", "enable.partition.eof": True}
    consumer = Consumer({**world.cluster.options, **options})
    consumer.assign([TopicPartition(topic, lane, OFFSET_BEGINNING) for lane in range(LANES)])
    found = ended = 0
    while ended < LANES:
        for message in consumer.consume(10_000, 1.0):
            if message.error() is None:
                found += 1
            else:
                ended += 1
    consumer.close()
    return found
