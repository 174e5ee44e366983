"""The bench from start to end: real services, floor and hub in turns on the same records, then latency."""

import json
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
from confluent_kafka import Producer
from rich.console import Console
from rich.table import Table

from connectors.registry import EmbeddedRegistry
from schemas.codec import Codec
from sinks.ledger.migrate import migrate
from streams.bench import latency
from streams.bench.measure import Throughput, checkpoint, finish, free_port, fresh_database, running, throughput
from streams.bench.workload import POLICIES, STEPS, claims, policies
from streams.cluster import KafkaCluster
from streams.stack.kafka import Kafka
from streams.stack.postgres import Postgres

LANES: Final = 4
_POSTGRES: Final = {"shared_buffers": "256MB", "max_wal_size": "4GB"}
_BASE: Final = "bench_base"

console = Console(stderr=True)


class Bench:
    """One bench on services that are already running."""

    def __init__(self, kafka: str, postgres: str, records: int) -> None:
        self._cluster = KafkaCluster({"bootstrap.servers": kafka})
        self._kafka = kafka
        self._postgres = postgres
        self._claims = records // STEPS
        self._records = self._claims * STEPS
        self._codec = Codec(EmbeddedRegistry(), 1_000_000)
        self._statements_per_batch = 0.0

    def run(self, runs: int, rate: int, seconds: int) -> dict[str, Any]:
        """Everything, as the JSON object of `claimhub bench --json`."""
        self._cluster.create_missing(LANES, 1, dry_run=False)
        self._send_policies()
        with fresh_database(self._postgres, _BASE) as base:
            migrate(base)
            with self._hub(base) as (hub, _):
                finish(hub, base, POLICIES)
            self._send_claims()
            floors, hubs, waits = [], [], None
            for number in range(1, runs + 1):
                floors.append(self._floor(number))
                last = number == runs
                hub_run, waits = self._hub_run(number, (rate, seconds) if last else None)
                hubs.append(hub_run)
        if waits is None:
            raise ValueError("runs must be at least 1")
        return self._result(floors, hubs, waits)

    def _send_policies(self) -> None:
        producer = Producer({**self._cluster.options, "linger.ms": 20})
        for number, sent in enumerate(policies()):
            latency.produce(producer, self._codec, LANES, sent, f"policy-{number}")
        producer.flush(60)

    def _send_claims(self) -> None:
        console.print(f"sending {self._records} records")
        producer = Producer({**self._cluster.options, "linger.ms": 20})
        for number, sent in enumerate(claims(self._claims)):
            latency.produce(producer, self._codec, LANES, sent, f"claim-{number}")
            if not number % 1000:
                producer.poll(0)
        producer.flush(60)

    def _floor(self, number: int) -> Throughput:
        with fresh_database(self._postgres, f"bench_floor_{number}", _BASE) as ledger:
            arguments = ["streams.bench.floor", self._kafka, f"bench-floor-{number}", ledger]
            with running(arguments, {}) as program:
                measured = throughput(program, ledger, self._records, published=False)
        console.print(f"run {number}: floor {measured.events_per_s:,.0f} events/s")
        return measured

    def _hub_run(self, number: int, then: tuple[int, int] | None) -> tuple[Throughput, latency.Latency | None]:
        with (
            fresh_database(self._postgres, f"bench_hub_{number}", _BASE) as ledger,
            self._hub(ledger) as (hub, address),
        ):
            measured = throughput(hub, ledger, self._records, published=True)
            console.print(f"run {number}: hub   {measured.events_per_s:,.0f} events/s")
            self._statements_per_batch = _per_batch(address)
            if then is None:
                return measured, None
            rate, seconds = then
            checkpoint(ledger)
            console.print(f"latency at {rate} events/s for {seconds} s")
            waits = latency.measure(
                self._cluster, self._codec, LANES, rate=rate, seconds=seconds, first_claim=self._claims
            )
            return measured, waits

    def _result(self, floors: list[Throughput], hubs: list[Throughput], waits: latency.Latency) -> dict[str, Any]:
        floor, hub = _middle(floors), _middle(hubs)
        return {
            "records": self._records,
            "runs": len(hubs),
            "floor": floor._asdict(),
            "hub": hub._asdict(),
            "ratio": hub.events_per_s / floor.events_per_s,
            "latency_ms": {"rate": waits.rate, "p50": waits.p50, "p99": waits.p99, "p999": waits.p999},
            "statements_per_batch": self._statements_per_batch,
        }

    @contextmanager
    def _hub(self, ledger: str) -> Iterator[tuple[psutil.Process, str]]:
        """A worker in a process of its own, and the address of its metrics."""
        port = free_port()
        settings = {
            "CLAIMHUB_KAFKA": self._kafka,
            "CLAIMHUB_LEDGER": ledger,
            "CLAIMHUB_LANES": str(LANES),
            "CLAIMHUB_HTTP_PORT": str(port),
            "CLAIMHUB_LOG_LEVEL": "WARNING",
        }
        with running(["streams", "up", "--role", "worker"], settings) as process:
            yield process, f"http://127.0.0.1:{port}/metrics"


def _middle(runs: list[Throughput]) -> Throughput:
    """The run with the median speed."""
    return sorted(runs)[len(runs) // 2]


def _per_batch(address: str) -> float:
    """Statements per batch, by the worker's own counters."""
    with urllib.request.urlopen(address, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return float(found["claimhub_sql_statements_total"]) / float(found["claimhub_batches_total"])


def run_bench(*, as_json: bool, records: int = 400_000, runs: int = 3, rate: int = 1000, seconds: int = 30) -> None:
    """Start services in a temporary folder, measure, print; the services end with the bench."""
    with tempfile.TemporaryDirectory(prefix="claimhub-bench-") as folder:
        kafka, postgres = Kafka(Path(folder) / "kafka"), Postgres(Path(folder) / "postgres", _POSTGRES)
        try:
            result = Bench(kafka.start(), postgres.start(), records).run(runs, rate, seconds)
        finally:
            kafka.stop()
            postgres.stop("immediate")
    if as_json:
        json.dump(result, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        _print(result)


def _print(result: dict[str, Any]) -> None:
    table = Table(title=f"{result['records']} records, median of {result['runs']} runs, one worker")
    for column in ("", "floor", "hub"):
        table.add_column(column, justify="right" if column else "left")
    for name, label in (
        ("events_per_s", "events per second"),
        ("program_cpu_s_per_million", "CPU seconds per million events, program"),
        ("database_cpu_s_per_million", "CPU seconds per million events, database"),
    ):
        table.add_row(label, f"{result['floor'][name]:,.1f}", f"{result['hub'][name]:,.1f}")
    out = Console()
    out.print(table)
    waits = result["latency_ms"]
    out.print(f"ratio to the floor: {result['ratio']:.2f}")
    out.print(f"statements per batch: {result['statements_per_batch']:.1f}")
    out.print(
        f"event to instruction at {waits['rate']} events/s: "
        f"p50 {waits['p50']:.1f} ms, p99 {waits['p99']:.1f} ms, p99.9 {waits['p999']:.1f} ms"
    )
