"""The ledger in PostgreSQL: one transaction a batch, of a fixed number of bulk statements."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple

import msgspec
import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import JSON, BigInteger, Column, Integer, LargeBinary, Table

from sinks.ledger import prepare as topics
from sinks.ledger.port import (
    Asked,
    CoverUseRow,
    Found,
    Lane,
    LaneCommit,
    LedgerRefused,
    LedgerUnavailable,
    OutboxRow,
    ParkedRow,
    PeerLimitRow,
    PositionMoved,
    Published,
    StaleToken,
    TopicChanged,
    TopicIdentity,
    TraceRow,
    UsedMeanwhile,
)
from sinks.ledger.tables import (
    IN_TURN,
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

# A frozen process must not hold a lane's row for long; a dead network must not hold a process for long.
_CONNECT: Final[Mapping[str, Any]] = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "options": "-c statement_timeout=10s -c lock_timeout=8s -c idle_in_transaction_session_timeout=5s",
}
_MANY: Final = 200
_PREPARE_LOCK: Final = 7_216_114
# SQLSTATE classes of statements that would fail again: data, integrity, syntax or privilege, raised by a trigger.
_REFUSED: Final = ("22", "23", "42", "P0")

# Nothing is moved, and no row but the lane's is waited for, unless the lane is ours.
_FENCE: Final = """
    WITH fenced AS (
        UPDATE lanes SET seq = seq + %s, entry = entry + %s,
            deaths = CASE WHEN %s THEN 0 ELSE deaths END, suspect = CASE WHEN %s THEN NULL ELSE suspect END
        WHERE lane = %s AND token = %s AND seq = %s AND entry = %s RETURNING lane),
    moved AS (
        UPDATE positions p SET next = (e ->> 2)::bigint
        FROM fenced, jsonb_array_elements(%b) e
        WHERE p.topic = e ->> 0 AND p.lane = fenced.lane AND p.next = (e ->> 1)::bigint RETURNING 1)
    SELECT (SELECT count(*) FROM fenced), (SELECT count(*) FROM moved)"""
_PARKED_GONE: Final = """
    DELETE FROM parked p
    USING unnest(%s::text[], %s::int[], %s::int[], %s::bigint[]) AS x (topic, generation, partition, "offset")
    WHERE (p.topic, p.generation, p.partition, p."offset") = (x.topic, x.generation, x.partition, x."offset")"""
_TOLD: Final = """
    UPDATE parked p SET since_ms = NULL
    FROM unnest(%s::text[], %s::int[], %s::int[], %s::bigint[]) AS x (topic, generation, partition, "offset")
    WHERE (p.topic, p.generation, p.partition, p."offset") = (x.topic, x.generation, x.partition, x."offset")"""
_TICKED: Final = "UPDATE claims SET due_at_ms = NULL WHERE claim = ANY (%s)"
_DUE: Final = """
    SELECT convert_to(state::text, 'UTF8') FROM claims WHERE lane = %s AND due_at_ms <= %s
    ORDER BY due_at_ms LIMIT %s"""
_TAKE: Final = """
    WITH free AS (SELECT lane FROM lanes WHERE lane = ANY (%(lanes)s) ORDER BY lane FOR UPDATE SKIP LOCKED)
    UPDATE lanes SET token = token + 1, owner = %(owner)s,
        deaths = CASE owner WHEN '' THEN deaths WHEN %(owner)s THEN 0 ELSE deaths + 1 END,
        suspect = CASE owner WHEN %(owner)s THEN NULL ELSE suspect END
    FROM free WHERE lanes.lane = free.lane
    RETURNING lanes.lane, token, seq, entry, deaths, suspect"""
_LET_GO: Final = """
    UPDATE lanes SET owner = '' FROM unnest(%s::int[], %s::bigint[]) AS x (lane, token)
    WHERE lanes.lane = x.lane AND lanes.token = x.token"""
_NAME_SUSPECT: Final = """
    UPDATE lanes SET suspect = %(ref)s, deaths = CASE suspect WHEN %(ref)s THEN deaths ELSE 0 END
    WHERE lane = %(lane)s AND token = %(token)s"""
_READ_POSITIONS: Final = """
    SELECT lane, topic, next, generation FROM positions JOIN topics USING (topic) WHERE lane = ANY (%s)"""
_COUNT_PARKED: Final = "SELECT lane, count(*) FROM parked WHERE lane = ANY (%s) GROUP BY lane"
_END_FROZEN: Final = """
    SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a
    WHERE a.application_name IN (SELECT owner FROM lanes WHERE lane = ANY (%s) AND owner <> '')
        AND a.xact_start < clock_timestamp() - interval '1.5 s' AND a.pid <> pg_backend_pid()"""
_LOAD_CLAIMS: Final = "SELECT claim, convert_to(state::text, 'UTF8') FROM claims WHERE claim = ANY (%s)"
_LOAD_POLICIES: Final = """
    SELECT number, convert_to(state::text, 'UTF8') FROM policies WHERE number = ANY (%s)
    UNION ALL SELECT number, convert_to(state::text, 'UTF8') FROM policies WHERE plate = ANY (%s)"""
_LOAD_TRACES: Final = """
    SELECT t.digest, t.at_ms, t.claim, t.lane FROM unnest(%s::bigint[]) AS x (digest) CROSS JOIN LATERAL (
        SELECT * FROM traces WHERE traces.digest = x.digest ORDER BY at_ms DESC, claim DESC LIMIT %s) t"""
_LOAD_PEERS: Final = "SELECT kind, line, currency, claims, per_cent, limit_minor FROM peer_limits"
_MARK: Final = """
    UPDATE relay r SET published = greatest(published, x.seq) FROM unnest(%s::int[], %s::bigint[]) AS x (lane, seq)
    WHERE r.lane = x.lane"""
_MARK_NEXT: Final = """
    INSERT INTO relay_next (lane, topic, partition, next)
    SELECT * FROM unnest(%s::int[], %s::text[], %s::int[], %s::bigint[])
    ON CONFLICT (lane, topic, partition) DO UPDATE SET next = greatest(relay_next.next, excluded.next)"""

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]
_json = msgspec.json.Encoder().encode


class _Bulk(NamedTuple):
    """How a table is written, and how many columns stand before those of bytes.

    `insert` takes all bytes of all rows as one run, and the rows as JSON that says where in it theirs are: arrays
    through unnest() cost this process twice the CPU, and bytes within the JSON would have to be quoted here and
    unquoted there. `copy`, of columns of these `types`, is for many new rows: it costs the server a third less, but has
    to be waited for twice, where the inserts of a batch are waited for together.
    """

    insert: str
    plain: int
    copy: str
    types: tuple[str, ...]


def _columns(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in row_columns(table))


def _bulk(table: Table, changing: Iterable[str] = ()) -> _Bulk:
    """Adds rows; with columns that are `changing`, a row of a key that is there changes in these."""
    columns = row_columns(table)
    plain = sum(not isinstance(column.type, LargeBinary | JSON) for column in columns)
    values = (_value(column, at if at < plain else 2 * at - plain) for at, column in enumerate(columns))
    insert = f"""
        INSERT INTO {table.name} ({_columns(table)}) SELECT {", ".join(values)}
        FROM (SELECT %b::bytea AS run) given, jsonb_array_elements(%b) e"""  # noqa: S608 - own names
    if changing:
        key = ", ".join(column.name for column in table.primary_key.columns)
        sets = ", ".join(f"{name} = excluded.{name}" for name in changing)
        insert = f"{insert} ON CONFLICT ({key}) DO UPDATE SET {sets}"
    types = {Integer: "int4", BigInteger: "int8", LargeBinary: "bytea"}
    copy = f"COPY {table.name} ({_columns(table)}) FROM STDIN (FORMAT binary)"
    return _Bulk(insert, plain, copy, tuple(types.get(type(column.type), "text") for column in columns))


def _value(column: Column[Any], at: int) -> str:
    """A column's value out of a row `e`, where it stands at `at`; bytes are there as where they begin and how many."""
    if isinstance(column.type, LargeBinary | JSON):
        part = f"substr(run, (e ->> {at})::int, (e ->> {at + 1})::int)"
        return part if isinstance(column.type, LargeBinary) else f"convert_from({part}, 'UTF8')::json"
    kind = "::bigint" if isinstance(column.type, BigInteger) else "::int" if isinstance(column.type, Integer) else ""
    return f"(e ->> {at}){kind}"


_LOAD_PARKED: Final = f"SELECT {_columns(parked)} FROM parked WHERE subject = ANY (%s) ORDER BY lane, entry"  # noqa: S608 - own names
_OVERDUE: Final = f"""
    SELECT {_columns(parked)} FROM parked WHERE lane = %s AND since_ms <= %s ORDER BY since_ms LIMIT %s"""  # noqa: S608 - own names
_LOAD_USES: Final = f"SELECT {_columns(cover_uses)} FROM cover_uses WHERE policy = ANY (%s)"  # noqa: S608 - own names
_OUTBOX_AFTER: Final = f"""
    SELECT {_columns(outbox)} FROM outbox
    WHERE lane = %s AND seq > %s AND (SELECT token FROM lanes WHERE lane = %s) = %s ORDER BY seq LIMIT %s"""  # noqa: S608 - own names
_JOURNAL, _OUTBOX, _PARKED, _DEAD = (_bulk(table) for table in (journal, outbox, parked, dead_letters))
_CLAIMS: Final = _bulk(claims, ("lane", "version", "stage", "at_ms", "due_at_ms", "state"))
_POLICIES: Final = _bulk(policies, ("lane", "version", "plate", "at_ms", "state"))
# What was approved never changes: only the state moves.
_PAYMENTS: Final = _bulk(payments, ("state", "cause", "at_ms"))
_COVER_USES: Final = _bulk(cover_uses, USE_CHANGES)
_TRACES: Final = _bulk(traces)
_TRACES_ONCE: Final = _TRACES._replace(insert=f"{_TRACES.insert} ON CONFLICT DO NOTHING")


class PostgresLedger:
    """The Ledger of `port.py` in PostgreSQL. Each thread has a connection of its own, named after the owner."""

    def __init__(self, url: str, password: str | None, owner: str) -> None:
        """`owner` finds this process's sessions when it is frozen: unique, ASCII, 63 characters at most."""
        if len(owner) > 63 or not (owner.isascii() and owner.isprintable()):
            raise ValueError("the owner's name must be printable ASCII of 63 characters at most")
        self._url, self._password, self._owner = url, password, owner
        self._thread = threading.local()
        self._connections: set[Connection] = set()
        self._guard = threading.Lock()
        self._closed = False

    def prepare(
        self,
        inbound: Sequence[TopicIdentity],
        outbound: Sequence[TopicIdentity],
        log_start: Mapping[tuple[str, int], int],
        memory_only: bool,
    ) -> None:
        with self._transaction("preparing the topics") as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_PREPARE_LOCK,))
            topics.prepare(_query(cursor), _write(cursor), inbound, outbound, log_start, memory_only)

    def check_topics(self, identities: Iterable[TopicIdentity]) -> None:
        with self._connection("checking the topics") as connection:
            topics.check_topics(_query(connection.cursor()), identities)

    def take(self, owner: str, lanes: Sequence[int]) -> tuple[list[Lane], list[int]]:
        with self._transaction("taking lanes") as cursor:
            taken = sorted(cursor.execute(_TAKE, {"lanes": list(lanes), "owner": owner}).fetchall())
            # A statement of its own: its snapshot is younger than the row locks, so no commit before them is missed.
            where = cursor.execute(_READ_POSITIONS, ([row[0] for row in taken],)).fetchall()
            waiting = dict(cursor.execute(_COUNT_PARKED, ([row[0] for row in taken],)).fetchall())
            locked = sorted(set(lanes) - {row[0] for row in taken})
            known = {lane for (lane,) in cursor.execute("SELECT lane FROM lanes WHERE lane = ANY (%s)", (locked,))}
            if unknown := set(locked) - known:
                raise TopicChanged(
                    f"lanes {sorted(unknown)} are not in the ledger: it was prepared for fewer partitions"
                )
        positions: dict[int, dict[str, int]] = {row[0]: {} for row in taken}
        generations: dict[int, dict[str, int]] = {row[0]: {} for row in taken}
        for lane, topic, position, generation in where:
            positions[lane][topic] = position
            generations[lane][topic] = generation
        return [
            Lane(lane, token, seq, entry, positions[lane], generations[lane], waiting.get(lane, 0), deaths, suspect)
            for lane, token, seq, entry, deaths, suspect in taken
        ], locked

    def let_go(self, tokens: Mapping[int, int]) -> None:
        with self._connection("letting go of lanes") as connection:
            connection.execute(_LET_GO, (list(tokens), list(tokens.values())))

    def name_suspect(self, lane: int, token: int, ref: str) -> None:
        with self._connection(f"naming a suspect of lane {lane}") as connection:
            if connection.execute(_NAME_SUSPECT, {"lane": lane, "token": token, "ref": ref}).rowcount != 1:
                raise _stale(lane, token)

    def end_frozen_owner(self, lanes: Sequence[int]) -> int:
        with self._connection("ending a frozen owner's sessions") as connection:
            return sum(ended for (ended,) in connection.execute(_END_FROZEN, (list(lanes),)))

    def load_claims(self, claims: Sequence[str]) -> tuple[dict[str, bytes], list[ParkedRow]]:
        names = list(claims)
        with self._connection("loading claims") as connection:
            with connection.pipeline():
                states = connection.execute(_LOAD_CLAIMS, (names,), binary=True)
                waiting = connection.execute(_LOAD_PARKED, (names,))
            return dict(states.fetchall()), [ParkedRow(*row) for row in waiting.fetchall()]

    def load_policies(self, numbers: Sequence[str], plates: Sequence[str]) -> dict[str, bytes]:
        with self._connection("loading policies") as connection:
            return dict(connection.execute(_LOAD_POLICIES, (list(numbers), list(plates)), binary=True).fetchall())

    def look_up(self, asked: Asked) -> Found:
        policies: Iterable[tuple[Any, ...]] = ()
        traces, peers, uses = policies, policies, policies
        with self._connection("looking up what a batch asks for") as connection:
            with connection.pipeline():
                if asked.numbers or asked.plates:
                    named = (list(asked.numbers), list(asked.plates))
                    policies = connection.execute(_LOAD_POLICIES, named, binary=True)
                if asked.digests:
                    traces = connection.execute(_LOAD_TRACES, (list(set(asked.digests)), asked.most), binary=True)
                if asked.peers:
                    peers = connection.execute(_LOAD_PEERS, binary=True)
                if asked.shared:
                    uses = connection.execute(_LOAD_USES, (list(asked.shared),), binary=True)
            return Found(
                dict(policies),
                [TraceRow(*row) for row in traces],
                [PeerLimitRow(*row) for row in peers],
                [CoverUseRow(*row) for row in uses],
            )

    def due_claims(self, lane: int, until_ms: int, limit: int) -> list[bytes]:
        with self._connection(f"asking for due claims of lane {lane}") as connection:
            return [state for (state,) in connection.execute(_DUE, (lane, until_ms, limit), binary=True)]

    def overdue(self, lane: int, since_ms: int, limit: int) -> list[ParkedRow]:
        with self._connection(f"asking for overdue records of lane {lane}") as connection:
            return [ParkedRow(*row) for row in connection.execute(_OVERDUE, (lane, since_ms, limit))]

    def commit(self, commit: LaneCommit) -> None:
        doing = f"committing a batch of lane {commit.lane}"
        with self._connection(doing) as connection, connection.cursor() as cursor:
            with connection.pipeline():
                connection.execute("BEGIN")
                _fence(cursor, commit)
            _check(cursor, commit)
            if commit.parked_gone:
                cursor.execute(_PARKED_GONE, _arrays(commit.parked_gone))
                if cursor.rowcount != len(commit.parked_gone):
                    raise LedgerRefused(f"lane {commit.lane} releases records that are not parked", "parked")
            added = (
                (_JOURNAL, commit.journal), (_PARKED, commit.parked), (_DEAD, commit.dead), (_OUTBOX, commit.outbox)
            )  # fmt: skip
            for bulk, rows in added:
                if len(rows) >= _MANY:
                    _copy(cursor, bulk, rows)
            with connection.pipeline():  # what fails takes the statements after it with it, COMMIT too
                if commit.overdue:
                    cursor.execute(_TOLD, _arrays(commit.overdue))
                if commit.ticked:
                    cursor.execute(_TICKED, (commit.ticked,))
                _insert(cursor, _CLAIMS, commit.claims)
                _insert(cursor, _POLICIES, commit.policies)
                _insert(cursor, _TRACES_ONCE, commit.traces)
                _insert(cursor, _COVER_USES, commit.cover_uses)
                _insert(cursor, _PAYMENTS, commit.payments)
                for bulk, rows in added:
                    if len(rows) < _MANY:
                        _insert(cursor, bulk, rows)
                cursor.execute("COMMIT")

    def published(self, lanes: Sequence[int]) -> dict[int, Published]:
        with self._connection("reading the relay's marks") as connection:
            marks = connection.execute(
                "SELECT lane, published FROM relay WHERE lane = ANY (%s)", (list(lanes),)
            ).fetchall()
            found = {lane: Published(seq, {}) for lane, seq in marks}
            for lane, topic, partition, next_ in connection.execute(
                "SELECT lane, topic, partition, next FROM relay_next WHERE lane = ANY (%s)", (list(found),)
            ):
                found[lane].out_next[topic, partition] = next_
        return found

    def outbox_after(self, lane: int, token: int, seq: int, limit: int) -> list[OutboxRow]:
        with self._connection(f"reading the outbox of lane {lane}") as connection:
            rows = connection.execute(
                _OUTBOX_AFTER,
                (lane, seq, lane, token, limit),
                binary=True,
            ).fetchall()
        return [OutboxRow(*row) for row in rows]

    def mark_published(self, published: Mapping[int, Published]) -> None:
        nexts = [(lane, *place, next_) for lane, mark in published.items() for place, next_ in mark.out_next.items()]
        with self._transaction("marking what is published") as cursor:
            cursor.execute(_MARK, (list(published), [mark.seq for mark in published.values()]))
            if nexts:
                cursor.execute(_MARK_NEXT, _arrays(sorted(nexts)))

    def cancel(self) -> None:
        with self._guard:
            connections = list(self._connections)
        for connection in connections:
            with suppress(psycopg.Error):  # the server is away: nothing to cancel
                connection.cancel_safe(timeout=2)

    def close(self) -> None:
        with self._guard:
            self._closed = True
            connections, self._connections = self._connections, set()
        for connection in connections:
            connection.close()

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[Cursor]:
        with self._connection(doing) as connection, connection.transaction(), connection.cursor() as cursor:
            yield cursor

    @contextmanager
    def _connection(self, doing: str) -> Iterator[Connection]:
        """This thread's connection. Whatever goes wrong ends it: its state is never guessed, and it keeps no lock."""
        connection = self._connect()
        try:
            yield connection
        except psycopg.Error as error:
            connection.close()
            raise _failure(doing, error) from None
        except BaseException:
            connection.close()
            raise

    def _connect(self) -> Connection:
        connection: Connection | None = getattr(self._thread, "connection", None)
        if connection is not None and not connection.closed:
            return connection
        options = dict(_CONNECT) if self._password is None else {**_CONNECT, "password": self._password}
        try:
            new = psycopg.connect(self._url, autocommit=True, application_name=self._owner, **options)
        except psycopg.Error as error:
            raise LedgerUnavailable(
                f"the ledger's PostgreSQL cannot be reached: {_first_line(error)}. "
                "Start it, or correct CLAIMHUB_LEDGER and CLAIMHUB_LEDGER_PASSWORD"
            ) from None
        new.isolation_level = psycopg.IsolationLevel.READ_COMMITTED  # take() needs a fresh snapshot per statement
        with self._guard:
            if self._closed:
                new.close()
                raise LedgerUnavailable("the ledger is closed")
            self._connections = {other for other in self._connections if not other.closed} | {new}
        self._thread.connection = new
        return new


def _fence(cursor: Cursor, commit: LaneCommit) -> None:
    """Lock the lane's row as its owner and move every position from where this batch began."""
    before = (commit.lane, commit.token, commit.seq, commit.entry)
    positions = Jsonb(commit.positions, dumps=_json)
    lived = commit.entries_used > 0
    cursor.execute(_FENCE, (commit.seq_used, commit.entries_used, lived, lived, *before, positions))


def _check(fenced_by: Cursor, commit: LaneCommit) -> None:
    """Raise when the lane is not this owner's, or not where the batch began."""
    fenced, moved = fenced_by.fetchone() or (0, 0)
    if fenced != 1:
        raise _stale(commit.lane, commit.token)
    if moved != len(commit.positions):
        raise PositionMoved(f"lane {commit.lane} is not where this batch begins: {commit.positions}")


def _stale(lane: int, token: int) -> StaleToken:
    return StaleToken(f"lane {lane} is no longer held under token {token}")


def _copy(cursor: Cursor, bulk: _Bulk, rows: Sequence[tuple[Any, ...]]) -> None:
    with cursor.copy(bulk.copy) as copy:
        copy.set_types(bulk.types)
        for row in rows:
            copy.write_row(row)


def _insert(cursor: Cursor, bulk: _Bulk, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        cursor.execute(bulk.insert, _in_one_run(rows, bulk.plain))


def _in_one_run(rows: Sequence[tuple[Any, ...]], plain: int) -> tuple[bytes, Jsonb]:
    """All bytes one after the other; and the rows, with the place (from 1) and number of bytes for each run of them."""
    parts: list[bytes] = []
    placed: list[list[Any]] = []
    place = 1
    for row in rows:
        values: list[Any] = [*row[:plain]]
        for part in row[plain:]:
            if part is None:
                values += (None, None)
            else:
                values += (place, len(part))
                place += len(part)
                parts.append(part)
        placed.append(values)
    return b"".join(parts), Jsonb(placed, dumps=_json)


def _arrays(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """The rows' columns, for unnest()."""
    return [list(column) for column in zip(*rows, strict=True)]


def _query(cursor: Cursor) -> topics.Query:
    return lambda sql: cursor.execute(sql).fetchall()


def _write(cursor: Cursor) -> topics.Write:
    return lambda sql, rows: cursor.executemany(sql.replace("?", "%s"), rows)


def _failure(doing: str, error: psycopg.Error) -> Exception:
    """The port's exception for a database error. Its DETAIL is left out: it quotes values of the row."""
    text = f"{doing}: {_first_line(error)}"
    if error.diag.constraint_name == IN_TURN:
        return UsedMeanwhile(text)
    if error.sqlstate is not None and error.sqlstate.startswith(_REFUSED):
        return LedgerRefused(text, error.diag.constraint_name)
    if isinstance(error, psycopg.DataError | psycopg.ProgrammingError):
        return LedgerRefused(text)
    return LedgerUnavailable(text)


def _first_line(error: psycopg.Error) -> str:
    if error.diag.message_primary is not None:
        return f"{error.diag.message_primary} (SQLSTATE {error.sqlstate})"
    # Without a server's diagnosis this is libpq speaking of the connection, or psycopg of a type: no values.
    return str(error).partition("\n")[0]
