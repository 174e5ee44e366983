"""The one place that wires the hub's parts together. Nothing is built at import."""

import asyncio
import gc
import os
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any, NoReturn, cast

import faust
from faust.app.base import BootStrategy
from faust.contrib.asgi import AsgiService

from connectors.registry import ConfluentRegistry, EmbeddedRegistry
from monitoring.clock import Clock, SystemClock
from monitoring.health import Health, http_app, listen
from monitoring.log import get_logger
from monitoring.metrics import Metrics
from schemas.codec import Codec, SchemaSource
from sinks.clients import KafkaClients
from sinks.figures import show
from sinks.ledger.open import SQLITE, open_ledger, parse_url
from sinks.ledger.port import Ledger
from sinks.payments.keys import KeyFolder
from sinks.relay import Publisher, Relay
from sinks.relay_process import RelayProcess
from streams.cluster import Cluster, EmbeddedCluster, KafkaCluster
from streams.drift import DriftWatch
from streams.exits import Exit
from streams.intake import Intake
from streams.lanes import Batch, LaneProcessor
from streams.settings import Settings
from streams.signer import Signer

Leave = Callable[[Exit, str], NoReturn]

_STOP_S = 15.0

log = get_logger("hub")


def leave_at_once(code: Exit, reason: str) -> NoReturn:
    """End the process now, whatever it is doing: the ledger's positions say where the next one goes on."""
    log.error("leaving", exit_code=int(code), reason=reason)
    sys.stderr.flush()
    os._exit(code)


def open_cluster(settings: Settings) -> Cluster:
    """The Kafka cluster the settings name; the embedded broker starts here."""
    return EmbeddedCluster() if settings.embedded_kafka else KafkaCluster(settings.kafka_client())


def open_registry(settings: Settings) -> SchemaSource:
    """The schema registry the settings name."""
    return EmbeddedRegistry() if settings.embedded_registry else ConfluentRegistry(settings.registry)


def open_keys(settings: Settings) -> KeyFolder:
    """The keys the settings name. To the embedded broker, which is there to try the hub, the first one comes by itself.
    Raises KeysUnreadable."""
    keys = KeyFolder(settings.keys)
    if settings.embedded_kafka and not keys.read():
        keys.make("claimhub", "first key of a hub with its embedded broker", datetime.now(UTC))
    return keys


def open_settings_ledger(settings: Settings, owner: str) -> Ledger:
    """The ledger the settings name. Raises LedgerUnavailable with what to do."""
    return open_ledger(settings.ledger_url, _password(settings), owner)


def _password(settings: Settings) -> str | None:
    return settings.ledger_password.get_secret_value() if settings.ledger_password else None


def start_relay(settings: Settings) -> RelayProcess | None:
    """The relay's process, if these settings want one: neither an embedded broker nor SQLite is shared by two. Call it
    before any thread is started."""
    if settings.embedded_kafka or parse_url(settings.ledger_url).drivername == SQLITE:
        return None
    owner = f"{socket.gethostname()[:40]}-{os.getpid()}-relay"
    return RelayProcess(settings.ledger_url, _password(settings), owner, settings.kafka_client())


class _NoKafka(BootStrategy):
    """Faust runs services and agents here; records come through Intake, so its own Kafka client stays off."""

    enable_kafka = False
    enable_web = False


class _FaustApp(faust.App):
    BootStrategy = _NoKafka


class Hub:
    """The worker role: intake, lanes and relay under Faust, with metrics and health over HTTP.

    Usable from any event loop: `start`, then `stop`, which drains.
    """

    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        leave: Leave = leave_at_once,
        relay: RelayProcess | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Without a `relay` of its own process, there is one in a thread; without a `clock` it is the machine's. Raises
        NoLiveKey, KeysUnreadable, LedgerUnavailable, AddressTaken."""
        self.settings = settings
        self.cluster = cluster
        self.owner = f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self.metrics = Metrics()
        self.health = Health()
        self._leave = leave
        clients, clock = KafkaClients(cluster.options), clock or SystemClock()
        self._signer = Signer(open_keys(settings), clock, partial(leave, Exit.KEYS))
        self._ledger = open_settings_ledger(settings, self.owner)
        self._codec = Codec(open_registry(settings), settings.max_record_bytes)
        tell, on_fatal = partial(show, self.metrics), partial(leave, Exit.RELAY)
        self._relay: Publisher
        if relay is None:
            self._relay = Relay(self._ledger, clients, clock, tell, on_fatal)
        else:
            relay.use(tell, on_fatal)
            self._relay = relay
        self._pool = ThreadPoolExecutor(settings.commits_in_flight, thread_name_prefix="commit")
        self._listening = listen(settings.http_host, settings.http_port)
        self.http_address = "http://{}:{}".format(*self._listening.getsockname()[:2])
        self._loop: asyncio.AbstractEventLoop
        self._app = self._build()
        self._intake = Intake(
            settings,
            cluster,
            clients,
            self._ledger,
            LaneProcessor(
                self._ledger,
                self._codec,
                self._signer,
                self.metrics,
                settings.dead_letter_limit,
                settings.parked_limit_ms,
            ),
            self._relay,
            clock,
            self.metrics,
            self.health,
            self.owner,
            self._dispatch,
            leave,
        )
        self._drift = DriftWatch(
            settings.ledger_url, _password(settings), cluster.options, self.metrics, clock, lambda: self._intake.owned
        )
        self._consuming = threading.Thread(target=self._intake.run, name="intake")
        self._relaying = threading.Thread(target=self._relay.run, name="relay", daemon=True)
        self._watching = (
            threading.Thread(target=self._drift.run, name="drift", daemon=True),
            threading.Thread(target=self._signer.run, name="keys", daemon=True),
        )

    async def start(self) -> None:
        """Start all parts; lanes are taken once Kafka assigns them."""
        self._loop = asyncio.get_running_loop()
        self._app.flow_control.resume()
        await self._app.start()
        self._relaying.start()
        self._consuming.start()
        for thread in self._watching:
            thread.start()
        self.health.start()

    async def stop(self) -> None:
        """Let batches in flight and their records' delivery end, then stop. Raises nothing; gives up after 15 s."""
        self._drift.stop()
        self._signer.stop()
        self._intake.stop()
        await self._loop.run_in_executor(None, self._consuming.join, _STOP_S)
        if self._consuming.is_alive():
            self._leave(Exit.STUCK, f"intake did not stop within {_STOP_S:.0f} s")
        await self._app.stop()
        # Faust's streams make a Kafka consumer that never starts; its event loop would stay open.
        cast(Any, self._app.consumer)._thread.thread_loop.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._ledger.close()
        self._listening.close()

    def _build(self) -> faust.App:
        """The Faust app: a channel of batches and the agent that commits them, `commits_in_flight` at a time."""
        app = _FaustApp("claimhub", broker="kafka://not-used", web_enabled=False, datadir=str(self.settings.data_dir))
        self._channel = app.channel(maxsize=256)
        http = http_app(self.metrics, self.health, version("claimhub"))
        http_options = {
            "fd": self._listening.fileno(),
            "timeout_graceful_shutdown": 2,
            "lifespan": "off",
            "access_log": False,
            "log_level": "warning",
        }

        @app.agent(self._channel, concurrency=self.settings.commits_in_flight, name="lanes")
        async def lanes(batches: faust.StreamT[Batch]) -> None:
            async for batch in batches:
                try:
                    await self._loop.run_in_executor(self._pool, self._intake.process, batch)
                except asyncio.CancelledError:
                    raise
                except BaseException as error:  # what leaves an agent is lost, with its lane standing still
                    log.exception("batch failed", lane=batch.lane.no)
                    self._leave(Exit.AGENT, f"a batch of lane {batch.lane.no} failed: {type(error).__name__}")

        @app.service
        class Http(AsgiService):
            """Metrics and health, on the socket that is already bound."""

            asgi_app = http
            host = self.settings.http_host
            port = self.settings.http_port
            uvicorn_options = http_options

        return app

    def _dispatch(self, batch: Batch) -> None:
        """From any thread: put a batch on the agent's channel.

        Once the loop is closed the process is ending, and the ledger knows nothing of the batch.
        """
        with suppress(RuntimeError):
            asyncio.run_coroutine_threadsafe(self._channel.send(value=batch), self._loop)


async def run_until_signal(hub: Hub, on_started: Callable[[Hub], Any] = lambda hub: None) -> Exit:
    """Run until SIGTERM or SIGINT, then drain."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await hub.start()
    on_started(hub)
    await stopped.wait()
    log.info("draining")
    await hub.stop()
    return Exit.OK


def tune_the_interpreter() -> None:
    """Collect garbage rarely, and let a thread that waits for the interpreter's lock have it after a millisecond.

    A batch makes thousands of values that reference counting frees: looking for cycles among them took an eighth of a
    worker's time. Each statement's answer waits for the lock: the usual five milliseconds made half of the latency.
    """
    sys.setswitchinterval(0.001)
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000_000, 50, 100)
