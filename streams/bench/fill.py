"""A full ledger: what the hub itself wrote for some claims, multiplied by the database."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import psycopg

from sinks.ledger.metadata import metadata
from streams.bench.ledgers import BenchLedger
from streams.bench.measure import BenchFailed, wait_for
from streams.bench.sizes import Sizes
from streams.bench.workload import STEPS
from streams.bench.world import World, say

COPIES: Final = 100
"""Claims for each that the hub wrote itself."""

# Copies stand among the claims whose records are still to come, so that these go into the middle of every index.
_CLAIM: Final = f"'B' || lpad(((substr(claim, 2)::int - first) * {COPIES} + copy)::text, 9, '0') || 'F'"
# What differs from copy to copy; every other column is as the hub wrote it. Generation 0: an older log of the topic.
_COPIED: Final[Mapping[str, Mapping[str, str]]] = {
    "journal": {
        "generation": "0",
        "offset": '"offset" + copy * 100000000::bigint',
        "entry": "entry + copy * entries",
        "subject": _CLAIM,
        "event_id": "event_id || '-' || copy",
    },
    "outbox": {"seq": "seq + copy * seqs", "key": _CLAIM, "subject": _CLAIM},
    "claims": {"claim": _CLAIM, "state": f"replace(state::text, claim, {_CLAIM})::json"},
    "payments": {"id": "'PI' || substr(md5(id || copy), 1, 30)", "claim": _CLAIM},
    "traces": {"digest": "hashint8extended(digest, copy)", "claim": _CLAIM},
}
# Kept up to date row by row these would take most of the time: claims lie all over them.
_BUILT_AFTERWARDS: Final = {"journal": "journal_subject", "outbox": "outbox_subject"}
_BY_SIZE: Final = (["outbox"], ["journal", "claims", "payments", "traces"])
_SAY_EVERY: Final = 25
_SESSION: Final = "-c synchronous_commit=off -c maintenance_work_mem=512MB -c max_parallel_maintenance_workers=0"


def full_ledger(world: World, sizes: Sizes) -> BenchLedger:
    """A ledger of `full_claims` claims with their journal rows, outputs and payments, filled when first asked for.

    It reads from the log's end on.
    """
    if world.full is None:
        world.full = world.kept.enter_context(_filled(world, sizes))
    world.full.begin(world.end())
    return world.full


@contextmanager
def _filled(world: World, sizes: Sizes) -> Iterator[BenchLedger]:
    with world.ledger() as ledger:
        with world.worker(ledger.url) as worker:
            records = world.send(world.load(sizes.full_claims // COPIES * STEPS))
            wait_for([worker.process], ledger, records, published=True)
            ledger.check(records, published=True)
        say(f"filling a ledger with {sizes.full_claims} claims")
        began = time.monotonic()
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(_multiply, ledger.url, names) for names in _BY_SIZE]:
                done.result()
        with psycopg.connect(ledger.url) as connection:
            connection.execute("UPDATE lanes SET seq = seq * %s, entry = entry * %s", (COPIES, COPIES))
            connection.execute("UPDATE relay SET published = seq FROM lanes WHERE lanes.lane = relay.lane")
            row = connection.execute("SELECT (SELECT count(*) FROM claims), (SELECT count(*) FROM journal)").fetchone()
        if row is None or row[0] != sizes.full_claims or row[1] < sizes.full_claims * STEPS:
            raise BenchFailed(f"the full ledger has {row} claims and journal rows")
        ledger.settle()
        say(f"filling took {time.monotonic() - began:.0f} s")
        yield ledger


def _multiply(url: str, names: list[str]) -> None:
    """Add COPIES - 1 copies of the rows of these tables."""
    with psycopg.connect(url, autocommit=True, options=_SESSION) as connection:
        for name in names:
            columns = [column.name for column in metadata.tables[name].columns]
            claim = "claim" if "claim" in columns else "subject"
            copied = ", ".join(_COPIED[name].get(column, f'"{column}"') for column in columns)
            # By name: a migration adds its columns at the end.
            into = ", ".join(f'"{column}"' for column in columns)
            # Autovacuum would come in the middle of a measurement.
            connection.execute(f"ALTER TABLE {name} SET (autovacuum_enabled = off)")
            connection.execute(
                f"""CREATE UNLOGGED TABLE sample_{name} AS
                SELECT x.*, {"" if claim == "claim" else "subject AS claim,"} l.seq AS seqs, l.entry AS entries,
                    min(substr({claim}, 2)::int) OVER () AS first
                FROM {name} x JOIN lanes l USING (lane) WHERE {claim} LIKE 'B%'"""  # noqa: S608 - own names
            )
            definition = _dropped_index(connection, name)
            for copy in range(1, COPIES):
                connection.execute(
                    f"INSERT INTO {name} ({into}) SELECT {copied} FROM sample_{name}, (SELECT %s::int AS copy) x",  # noqa: S608 - own names
                    (copy,),
                )
                if not copy % _SAY_EVERY:
                    say(f"{name}: {copy} of {COPIES}")
            if definition:
                connection.execute(definition)
            connection.execute(f"DROP TABLE sample_{name}")
            connection.execute(f"ANALYZE {name}")


def _dropped_index(connection: psycopg.Connection[tuple[str]], table: str) -> str:
    """Drop the table's index that is built afterwards; the statement that makes it, empty when there is none."""
    name = _BUILT_AFTERWARDS.get(table)
    row = connection.execute("SELECT indexdef FROM pg_indexes WHERE indexname = %s", (name,)).fetchone()
    if row is None:
        return ""
    connection.execute(f"DROP INDEX {name}")
    return row[0]
