"""The ledger in one SQLite file: the same promises as PostgreSQL for one process at a time writing."""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Table

from sinks.ledger import prepare as topics
from sinks.ledger.port import (
    Asked,
    ClaimRow,
    CoverUseRow,
    Found,
    Lane,
    LaneCommit,
    LedgerRefused,
    LedgerUnavailable,
    OutboxRow,
    ParkedRow,
    PeerLimitRow,
    PolicyRow,
    PositionMoved,
    Published,
    StaleToken,
    TopicChanged,
    TopicIdentity,
    TraceRow,
    UsedMeanwhile,
)
from sinks.ledger.tables import (
    USE_CHANGES,
    claims,
    cover_uses,
    dead_letters,
    journal,
    outbox,
    parked,
    payments,
    policies,
    row_columns,
    traces,
)

_WAIT_MS: Final = 5000

_FENCE: Final = """
    UPDATE lanes SET seq = seq + ?, entry = entry + ?,
        deaths = CASE WHEN ? THEN 0 ELSE deaths END, suspect = CASE WHEN ? THEN NULL ELSE suspect END
    WHERE lane = ? AND token = ? AND seq = ? AND entry = ?"""
_POSITIONS: Final = "UPDATE positions SET next = ? WHERE topic = ? AND lane = ? AND next = ?"
_PARKED_GONE: Final = 'DELETE FROM parked WHERE topic = ? AND generation = ? AND "partition" = ? AND "offset" = ?'
_TAKE: Final = """
    UPDATE lanes SET token = token + 1, owner = :owner,
        deaths = CASE owner WHEN '' THEN deaths WHEN :owner THEN 0 ELSE deaths + 1 END,
        suspect = CASE owner WHEN :owner THEN NULL ELSE suspect END
    WHERE lane = :lane RETURNING token, seq, entry, deaths, suspect"""
_LET_GO: Final = "UPDATE lanes SET owner = '' WHERE lane = ? AND token = ?"
_NAME_SUSPECT: Final = """
    UPDATE lanes SET suspect = :ref, deaths = CASE suspect WHEN :ref THEN deaths ELSE 0 END
    WHERE lane = :lane AND token = :token"""
_READ_POSITIONS: Final = "SELECT topic, next, generation FROM positions JOIN topics USING (topic) WHERE lane = ?"
_TOLD: Final = """
    UPDATE parked SET since_ms = NULL WHERE topic = ? AND generation = ? AND "partition" = ? AND "offset" = ?"""
_OVERDUE: Final = "WHERE lane = ? AND since_ms <= ? ORDER BY since_ms LIMIT ?"
_TICKED: Final = "UPDATE claims SET due_at_ms = NULL WHERE claim = ?"
_DUE: Final = """
    SELECT CAST(state AS BLOB) FROM claims WHERE lane = ? AND due_at_ms <= ? ORDER BY due_at_ms LIMIT ?"""
_IN_TURN: Final = "UNIQUE constraint failed: cover_uses.policy, cover_uses.number"
_IN: Final = "IN (SELECT value FROM json_each(?))"
_OUTBOX_AFTER: Final = """
    WHERE lane = ? AND seq > ? AND (SELECT token FROM lanes WHERE lane = ?) = ? ORDER BY seq LIMIT ?"""
_MARK: Final = "UPDATE relay SET published = max(published, ?) WHERE lane = ?"
_MARK_NEXT: Final = """
    INSERT INTO relay_next (lane, topic, "partition", next) VALUES (?, ?, ?, ?)
    ON CONFLICT (lane, topic, "partition") DO UPDATE SET next = max(next, excluded.next)"""


def _columns(table: Table) -> list[str]:
    return [f'"{column.name}"' for column in row_columns(table)]


def _insert(table: Table) -> str:
    columns = _columns(table)
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - own names


def _upsert(table: Table, changing: Iterable[str]) -> str:
    key = ", ".join(column.name for column in table.primary_key.columns)
    return f"{_insert(table)} ON CONFLICT ({key}) DO UPDATE SET " + ", ".join(f"{c} = excluded.{c}" for c in changing)


def _select(table: Table) -> str:
    return f"SELECT {', '.join(_columns(table))} FROM {table.name} "  # noqa: S608 - own names


_CLAIMS: Final = _upsert(claims, ("lane", "version", "stage", "at_ms", "state", "due_at_ms"))
_POLICIES: Final = _upsert(policies, ("lane", "version", "plate", "at_ms", "state"))
_JOURNAL, _PARKED, _DEAD, _OUTBOX = (_insert(table) for table in (journal, parked, dead_letters, outbox))
# What was approved never changes: only the state moves.
_PAYMENTS: Final = _upsert(payments, ("state", "cause", "at_ms"))
_COVER_USES: Final = _upsert(cover_uses, USE_CHANGES)
_USES_OF: Final = f"{_select(cover_uses)} WHERE policy {_IN}"
_TRACES: Final = f"{_insert(traces)} ON CONFLICT DO NOTHING"
_LOAD_TRACES: Final = f"{_select(traces)} WHERE digest = ? ORDER BY at_ms DESC, claim DESC LIMIT ?"
_LOAD_PEERS: Final = "SELECT kind, line, currency, claims, per_cent, limit_minor FROM peer_limits"


class SqliteLedger:
    """The Ledger of `port.py` in a SQLite file. One connection behind one lock; other processes are waited for."""

    def __init__(self, file: Path) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(file, timeout=_WAIT_MS / 1000, isolation_level=None, check_same_thread=False)
        with self._locked("opening the ledger") as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk: it may be money

    def prepare(
        self,
        inbound: Sequence[TopicIdentity],
        outbound: Sequence[TopicIdentity],
        log_start: Mapping[tuple[str, int], int],
        memory_only: bool,
    ) -> None:
        with self._transaction("preparing the topics") as connection:
            topics.prepare(_query(connection), connection.executemany, inbound, outbound, log_start, memory_only)

    def check_topics(self, identities: Iterable[TopicIdentity]) -> None:
        with self._locked("checking the topics") as connection:
            topics.check_topics(_query(connection), identities)

    def take(self, owner: str, lanes: Sequence[int]) -> tuple[list[Lane], list[int]]:
        taken = []
        with self._transaction("taking lanes") as connection:
            for lane in sorted(set(lanes)):
                row = connection.execute(_TAKE, {"owner": owner, "lane": lane}).fetchone()
                if row is None:
                    raise TopicChanged(f"lanes [{lane}] are not in the ledger: it was prepared for fewer partitions")
                where = connection.execute(_READ_POSITIONS, (lane,)).fetchall()
                positions = {topic: next_ for topic, next_, _ in where}
                generations = {topic: generation for topic, _, generation in where}
                token, seq, entry, deaths, suspect = row
                (parked,) = connection.execute("SELECT count(*) FROM parked WHERE lane = ?", (lane,)).fetchone()
                taken.append(Lane(lane, token, seq, entry, positions, generations, parked, deaths, suspect))
        return taken, []

    def let_go(self, tokens: Mapping[int, int]) -> None:
        with self._transaction("letting go of lanes") as connection:
            connection.executemany(_LET_GO, list(tokens.items()))

    def name_suspect(self, lane: int, token: int, ref: str) -> None:
        with self._transaction(f"naming a suspect of lane {lane}") as connection:
            if connection.execute(_NAME_SUSPECT, {"lane": lane, "token": token, "ref": ref}).rowcount != 1:
                raise _stale(lane, token)

    def end_frozen_owner(self, lanes: Sequence[int]) -> int:
        """None: the only lock is the whole file's, and a frozen process's is not ours to break."""
        return 0

    def load_claims(self, claims: Sequence[str]) -> tuple[dict[str, bytes], list[ParkedRow]]:
        names = (json.dumps(list(claims)),)
        with self._locked("loading claims") as connection:
            states = dict(connection.execute(f"SELECT claim, CAST(state AS BLOB) FROM claims WHERE claim {_IN}", names))  # noqa: S608 - own text
            waiting = connection.execute(
                f"{_select(parked)} WHERE subject {_IN} ORDER BY lane, entry", names
            ).fetchall()
        return states, [ParkedRow(*row) for row in waiting]

    def load_policies(self, numbers: Sequence[str], plates: Sequence[str]) -> dict[str, bytes]:
        sql = f"SELECT number, CAST(state AS BLOB) FROM policies WHERE number {_IN} OR plate {_IN}"  # noqa: S608 - own text
        with self._locked("loading policies") as connection:
            return dict(connection.execute(sql, (json.dumps(list(numbers)), json.dumps(list(plates)))))

    def look_up(self, asked: Asked) -> Found:
        with self._locked("looking up what a batch asks for") as connection:
            policies = self.load_policies(asked.numbers, asked.plates) if asked.numbers or asked.plates else {}
            traces = [
                TraceRow(*row)
                for digest in dict.fromkeys(asked.digests)
                for row in connection.execute(_LOAD_TRACES, (digest, asked.most))
            ]
            peers = [PeerLimitRow(*row) for row in connection.execute(_LOAD_PEERS)] if asked.peers else []
            shared = connection.execute(_USES_OF, (json.dumps(list(asked.shared)),)) if asked.shared else ()
            uses = [CoverUseRow(*row) for row in shared]
        return Found(policies, traces, peers, uses)

    def due_claims(self, lane: int, until_ms: int, limit: int) -> list[bytes]:
        with self._locked(f"asking for due claims of lane {lane}") as connection:
            return [state for (state,) in connection.execute(_DUE, (lane, until_ms, limit))]

    def overdue(self, lane: int, since_ms: int, limit: int) -> list[ParkedRow]:
        with self._locked(f"asking for overdue records of lane {lane}") as connection:
            return [ParkedRow(*row) for row in connection.execute(_select(parked) + _OVERDUE, (lane, since_ms, limit))]

    def commit(self, commit: LaneCommit) -> None:
        with self._transaction(f"committing a batch of lane {commit.lane}") as connection:
            _fence(connection, commit)
            if connection.executemany(_PARKED_GONE, commit.parked_gone).rowcount not in (-1, len(commit.parked_gone)):
                raise LedgerRefused(f"lane {commit.lane} releases records that are not parked", "parked")
            connection.executemany(_JOURNAL, commit.journal)
            connection.executemany(_PARKED, commit.parked)
            connection.executemany(_DEAD, commit.dead)
            connection.executemany(_TOLD, commit.overdue)
            connection.executemany(_TICKED, [(claim,) for claim in commit.ticked])
            connection.executemany(_CLAIMS, map(_with_text, commit.claims))
            connection.executemany(_POLICIES, map(_with_text, commit.policies))
            connection.executemany(_TRACES, commit.traces)
            connection.executemany(_COVER_USES, commit.cover_uses)
            connection.executemany(_PAYMENTS, commit.payments)
            connection.executemany(_OUTBOX, commit.outbox)

    def published(self, lanes: Sequence[int]) -> dict[int, Published]:
        wanted = (json.dumps(list(lanes)),)
        with self._locked("reading the relay's marks") as connection:
            marks = connection.execute(f"SELECT lane, published FROM relay WHERE lane {_IN}", wanted)  # noqa: S608 - own text
            found = {lane: Published(seq, {}) for lane, seq in marks}
            for lane, topic, partition, next_ in connection.execute(
                f'SELECT lane, topic, "partition", next FROM relay_next WHERE lane {_IN}',  # noqa: S608 - own text
                wanted,
            ):
                found[lane].out_next[topic, partition] = next_
        return found

    def outbox_after(self, lane: int, token: int, seq: int, limit: int) -> list[OutboxRow]:
        with self._locked(f"reading the outbox of lane {lane}") as connection:
            rows = connection.execute(_select(outbox) + _OUTBOX_AFTER, (lane, seq, lane, token, limit)).fetchall()
        return [OutboxRow(*row) for row in rows]

    def mark_published(self, published: Mapping[int, Published]) -> None:
        nexts = [(lane, *place, next_) for lane, mark in published.items() for place, next_ in mark.out_next.items()]
        with self._transaction("marking what is published") as connection:
            connection.executemany(_MARK, [(mark.seq, lane) for lane, mark in published.items()])
            connection.executemany(_MARK_NEXT, nexts)

    def cancel(self) -> None:
        with suppress(sqlite3.ProgrammingError):  # closed already: nothing to cancel
            self._connection.interrupt()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._locked(doing) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # some errors have rolled back already
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _locked(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.IntegrityError as error:
                if str(error) == _IN_TURN:
                    raise UsedMeanwhile(f"{doing}: {error}") from None
                raise LedgerRefused(f"{doing}: {error}", str(error).rpartition(": ")[2]) from None
            except sqlite3.InterfaceError as error:
                raise LedgerRefused(f"{doing}: {error}") from None
            except sqlite3.Error as error:
                raise LedgerUnavailable(f"{doing}: {error}") from None


def _fence(connection: sqlite3.Connection, commit: LaneCommit) -> None:
    """Hold the lane's row as its owner and move every position from where this batch began."""
    before = (commit.lane, commit.token, commit.seq, commit.entry)
    lived = commit.entries_used > 0
    if connection.execute(_FENCE, (commit.seq_used, commit.entries_used, lived, lived, *before)).rowcount != 1:
        raise _stale(commit.lane, commit.token)
    moves = [(after, topic, commit.lane, before) for topic, before, after in commit.positions]
    if moves and connection.executemany(_POSITIONS, moves).rowcount != len(moves):
        raise PositionMoved(f"lane {commit.lane} is not where this batch begins: {commit.positions}")


def _stale(lane: int, token: int) -> StaleToken:
    return StaleToken(f"lane {lane} is no longer held under token {token}")


def _query(connection: sqlite3.Connection) -> topics.Query:
    return lambda sql: connection.execute(sql).fetchall()


def _with_text(row: ClaimRow | PolicyRow) -> tuple[Any, ...]:
    """A row whose state is text: SQLite keeps bytes apart from it."""
    return (*row[:-1], row.state.decode())
