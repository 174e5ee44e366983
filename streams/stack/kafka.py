"""Apache Kafka on loopback: one node that is broker and controller, with data that survives a restart."""

import os
import signal
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from secrets import token_bytes
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.stack.errors import StackError
from streams.stack.java import artifact, java, with_dependencies
from streams.stack.process import kept_port, log_tail, need_free_port, send, spawn, spawned, terminate, wait_ready

VERSION: Final = "4.3.1"
COORDINATES: Final = f"org.apache.kafka:kafka_2.13:{VERSION}+org.apache.kafka:kafka-tools:{VERSION}"
# Without this binding Kafka dies without a word. Fetched alone: its parent would dictate Kafka other versions.
LOG_BINDING: Final = ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4")
# On a machine that it shares, the broker's own collector threads took more than the records did.
JVM: Final = ("-Xmx512m", "-XX:+UseSerialGC")
START_S: Final = 60.0
STOP_S: Final = 30.0
ANSWER_S: Final = 1.0

LOGGING: Final = """<Configuration status="OFF">
  <Appenders><Console name="out"><PatternLayout pattern="%d %p %c{1} %m%n"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""


class Kafka:
    """One Kafka node whose data, log, port and pid are in `folder`."""

    name = "kafka"

    def __init__(self, folder: Path, options: Mapping[str, str] | None = None) -> None:
        """`options` are broker settings on top of those a single node needs."""
        self.folder = folder.absolute()
        self.options = options or {}

    @property
    def address(self) -> str:
        """Bootstrap servers."""
        return f"127.0.0.1:{kept_port(self.folder / 'port')}"

    @property
    def running(self) -> bool:
        """Whether the node's process lives."""
        return spawned(self.folder) is not None

    def start(self) -> str:
        """Start the node unless it runs, wait until it answers, return its bootstrap servers.

        Raises MissingPart without Java or Kafka's jars, StackError when it does not come up.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.running:
            launch = self._launch()
            for file in (self.folder / "port", self.folder / "controller-port"):
                need_free_port(self.name, kept_port(file), file)
            properties = self._write_settings()
            self._format(launch, properties)
            spawn([*launch, "kafka.Kafka", properties], self.folder)
        client = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        wait_ready(self.name, self.folder, lambda: _answers(client), START_S)
        return self.address

    def stop(self) -> None:
        """Shut the node down; nothing happens when it does not run."""
        if process := spawned(self.folder):
            terminate(process, STOP_S)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send the node a signal; after SIGKILL it is gone on return."""
        if process := spawned(self.folder):
            send(process, number)

    def _launch(self) -> list[str]:
        logging = self.folder / "log4j2.xml"
        logging.write_text(LOGGING)
        class_path = os.pathsep.join([*with_dependencies(COORDINATES), str(artifact(*LOG_BINDING))])
        return [java(), *JVM, f"-Dlog4j2.configurationFile={logging}", "-cp", class_path]

    def _write_settings(self) -> str:
        listeners = f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{kept_port(self.folder / 'controller-port')}"
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": listeners,
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": listeners.rpartition("/")[2],
            "log.dirs": str(self.folder / "data"),
            # A misspelt topic is an error here as in production.
            "auto.create.topics.enable": "false",
            # One node can hold one copy.
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # Few clients, and no waiting for more of them: groups form at once.
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.num.partitions": "4",
            "group.initial.rebalance.delay.ms": "0",
            # After a kill -9 the controller waits for the session of the dead broker, itself, to end.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            # Of the threads for a machine of its own each request wakes too many on one that is shared.
            "num.network.threads": "1",
            "num.io.threads": "2",
            **self.options,
        }
        file = self.folder / "server.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        return str(file)

    def _format(self, launch: list[str], properties: str) -> None:
        if (self.folder / "data" / "meta.properties").exists():
            return
        # As Kafka's own tool writes an id, a second of Java earlier; with this start it is never taken for an option.
        cluster = urlsafe_b64encode(b"claimhub" + token_bytes(8)).decode().rstrip("=")
        format_it = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties, "--standalone"]
        with (self.folder / "log").open("a") as log:
            formatted = subprocess.run([*launch, *format_it], stdout=log, stderr=log, check=False)
        if formatted.returncode:
            raise StackError(f"Kafka's storage cannot be formatted.\n{log_tail(self.folder)}")


def _answers(client: AdminClient) -> bool:
    try:
        client.list_topics(timeout=ANSWER_S)
    except KafkaException:
        return False
    return True
