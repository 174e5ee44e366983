"""A ledger of the bench: begun at any place of the log, read for progress, checked at the end of a run."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import LiteralString, NamedTuple

import psycopg

from schemas.topics import OUTBOUND
from streams.cluster import KafkaCluster
from streams.commands.failures import Failed

Places = Mapping[tuple[str, int], int]
"""An offset by topic and partition."""


def log_ends(cluster: KafkaCluster, topics: Sequence[str], lanes: Iterable[int]) -> Places:
    """Where topics end now."""
    return {place: end for place, (_, end) in cluster.bounds(topics, lanes).items()}


class Incomplete(Failed):
    """A ledger, or a topic, does not hold what a run should have written."""


class _Counters(NamedTuple):
    """The lanes' numbers: the last outbox number and the last journal entry of each, in the order of `lanes`."""

    lanes: list[int]
    seq: list[int]
    entry: list[int]


class BenchLedger:
    """One ledger, seen from outside through a connection of its own. What comes after `begin` is one run."""

    def __init__(self, url: str, cluster: KafkaCluster, lanes: int) -> None:
        self.url = url
        self._cluster = cluster
        self._lanes = range(lanes)
        self._connection = psycopg.connect(url, autocommit=True)

    def begin(self, at: Places) -> None:
        """Have reading go on from these places."""
        with self._connection.cursor() as cursor:
            cursor.executemany(
                "UPDATE positions SET first = %s, next = %s WHERE topic = %s AND lane = %s",
                [(offset, offset, topic, lane) for (topic, lane), offset in at.items()],
            )
        self._before = self._counters()
        self._sent_before = self._sent()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every worker from taking a lane, as long as the context lasts."""
        with psycopg.connect(self.url) as holding:
            holding.execute("SELECT FROM lanes FOR UPDATE")
            yield

    def taken(self) -> int:
        """Records taken in this run."""
        return self._number("SELECT coalesce(sum(next - first), 0) FROM positions")

    def by_lane(self) -> dict[int, int]:
        """Records taken in this run, by lane."""
        rows = self._connection.execute("SELECT lane, sum(next - first)::bigint FROM positions GROUP BY lane")
        return dict(rows.fetchall())

    def unpublished(self) -> int:
        """Outputs in the outbox that are not known to be out."""
        return self._number("SELECT coalesce(sum(seq - published), 0) FROM lanes JOIN relay USING (lane)")

    def owners(self) -> set[str]:
        """The workers that hold lanes."""
        return {owner for (owner,) in self._connection.execute("SELECT owner FROM lanes WHERE owner <> ''")}

    def execute(self, statement: LiteralString) -> None:
        """Run one statement in a transaction of its own."""
        self._connection.execute(statement)

    def settle(self) -> None:
        """Write out what the load before left behind, so that the database does not do so during what follows."""
        self.execute("CHECKPOINT")

    @property
    def backend_pid(self) -> int:
        """Process of the server that serves this connection."""
        return self._connection.info.backend_pid

    def check(self, records: int, *, published: bool, in_order: bool = True) -> None:
        """Raise Incomplete unless each of `records` records is in the journal, and each output in its topic, once.

        The bench's records are all good: none may be a dead letter, or stay parked. Sent `in_order`, none may have been
        parked for a while, or other work would have been measured.
        """
        now = self._counters()
        journalled = self._number(
            """SELECT count(*) FROM journal JOIN unnest(%s::int[], %s::bigint[]) AS x (lane, before) USING (lane)
            WHERE entry > before AND outcome = 'done'""",
            self._before.lanes,
            self._before.entry,
        )
        aside = self._number("SELECT (SELECT count(*) FROM parked) + (SELECT count(*) FROM dead_letters)")
        entries = sum(now.entry) - sum(self._before.entry)
        if not journalled == self.taken() == records or aside:
            raise Incomplete(f"{journalled} of {records} records are in the journal, {aside} parked or dead letters")
        if in_order and entries != records:
            raise Incomplete(f"{entries - records} records were parked for a while: they were not sent in order")
        outputs, sent = sum(now.seq) - sum(self._before.seq), self._sent() - self._sent_before
        if published and not outputs == sent > records:
            raise Incomplete(f"{sent} records are in the outbound topics, {outputs} are in the outbox")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _counters(self) -> _Counters:
        rows = self._connection.execute("SELECT lane, seq, entry FROM lanes ORDER BY lane").fetchall()
        return _Counters(*(list(column) for column in zip(*rows, strict=True)))

    def _sent(self) -> int:
        return sum(log_ends(self._cluster, OUTBOUND, self._lanes).values())

    def _number(self, query: LiteralString, *parameters: list[int]) -> int:
        row = self._connection.execute(query, parameters).fetchone()
        return int(row[0]) if row else 0
