"""What every ledger promises the engine; the same tests on SQLite, PostgreSQL and the simulation's tables."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from msgspec.structs import replace
from sqlalchemy import Engine, create_engine, select, text
from sqlalchemy.exc import DBAPIError

from sinks.ledger import tables
from sinks.ledger.metadata import metadata
from sinks.ledger.migrate import migrate
from sinks.ledger.open import open_ledger, read_engine
from sinks.ledger.port import (
    Asked,
    Found,
    Lane,
    LaneCommit,
    Ledger,
    LedgerRefused,
    LedgerUnavailable,
    PeerLimitRow,
    PositionMoved,
    Published,
    StaleToken,
    TopicChanged,
    TraceRow,
    UsedMeanwhile,
)
from streams.reports import peers
from tests.contract import ledger_factory as make
from tests.contract.databases import Database, MemoryDatabase, SqlDatabase
from tests.contract.ledger_factory import CLAIM, INBOUND, INVOICE, LOG_START, NOTICE, OUTBOUND, STATUS
from tests.ledgers import make_ledger


def empty(request: pytest.FixtureRequest, folder: Path) -> str:
    """The URL of a database without tables of the kind the request names."""
    sqlite = f"sqlite:///{folder / 'ledger.db'}"
    return sqlite if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


def migrated(request: pytest.FixtureRequest, folder: Path) -> str:
    """The URL of an empty ledger of the kind the request names."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_ledger"))
    url = empty(request, folder)
    make_ledger(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables of each kind that has a URL."""
    return empty(request, tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated, empty ledger of each kind that has a URL."""
    return migrated(request, tmp_path)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """An empty database of each kind."""
    if request.param == "memory":
        return MemoryDatabase()
    url = migrated(request, tmp_path)
    return SqlDatabase(url)


@pytest.fixture
def ledger(database: Database) -> Iterator[Ledger]:
    """A ledger prepared for four lanes."""
    ledger = database.open("worker-1")
    yield make.prepared(ledger)
    ledger.close()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """The same database, to look behind the ledger's back."""
    engine = read_engine(url)
    yield engine
    engine.dispose()


def test_migrations_make_exactly_the_tables_in_code(url: str, engine: Engine) -> None:
    """Nobody changes tables.py without a migration, and migrating again changes nothing."""
    migrate(url)

    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert MigrationContext.configure(connection).get_current_revision() == tables.VERSION


def test_a_ledger_of_the_first_version_keeps_its_lanes(empty_url: str) -> None:
    """Migrating adds what is new since then to the rows that are there."""
    engine = create_engine(empty_url.replace("postgresql:", "postgresql+psycopg:"))
    migrations = Config()
    migrations.set_main_option("script_location", str(Path(tables.__file__).parent / "migrations"))
    with engine.begin() as connection:
        migrations.attributes["connection"] = connection
        command.upgrade(migrations, "0001")
        connection.execute(text("INSERT INTO lanes (lane, token, seq, entry, owner) VALUES (1, 5, 6, 7, 'worker-9')"))
    migrate(empty_url)

    with engine.connect() as connection:
        assert connection.execute(select(tables.lanes)).one() == (1, 5, 6, 7, "worker-9", 0, None)
    engine.dispose()


def test_a_lane_begins_at_the_start_of_its_logs(ledger: Ledger) -> None:
    """A first position is the log's start; a first token is 1."""
    lane = make.take(ledger, 2)

    assert lane.token == 1
    assert (lane.seq, lane.entry) == (0, 0)
    assert lane.positions == {NOTICE: 20, INVOICE: 20}
    assert lane.generations == {NOTICE: 1, INVOICE: 1}


def test_preparing_again_changes_nothing(ledger: Ledger) -> None:
    """Every worker prepares when it starts: tokens, positions and numbers stay."""
    lane = make.take(ledger)
    ledger.commit(make.batch(lane, 1, journal=[make.journal(10, 1)]))

    ledger.prepare(INBOUND, OUTBOUND, LOG_START, memory_only=False)

    assert make.take(ledger) == lane._replace(token=2, entry=1, positions={NOTICE: 11, INVOICE: 10})


def deaths(ledger: Ledger, owner: str) -> tuple[int, str | None]:
    """What a new owner learns of those before it."""
    lane = make.take(ledger, owner=owner)
    return lane.deaths, lane.suspect


def test_owners_that_died_are_counted_until_a_batch_is_written(ledger: Ledger) -> None:
    """Each that took the lane and was followed by another one, the one that died after a commit included."""
    assert [deaths(ledger, owner) for owner in ("one", "two", "three")] == [(0, None), (1, None), (2, None)]
    lane = make.take(ledger, owner="four")
    ledger.commit(make.batch(lane, 1, journal=[make.journal(10, 1)]))

    assert (lane.deaths, deaths(ledger, "five")) == (3, (1, None))


def test_an_owner_that_lets_go_has_not_died(ledger: Ledger) -> None:
    """A worker that stops or hands over leaves the count of those that died as it found it."""
    make.take(ledger, owner="one")
    two = make.take(ledger, owner="two")
    ledger.let_go({1: two.token})

    assert deaths(ledger, "three") == (1, None)


def test_only_the_owner_can_let_go(ledger: Ledger) -> None:
    """One that has lost the lane cannot vouch for the next."""
    one = make.take(ledger, owner="one")
    make.take(ledger, owner="two")
    ledger.let_go({1: one.token})

    assert deaths(ledger, "three") == (2, None)


def test_an_owner_that_takes_its_own_lane_again_has_lived_through_it(ledger: Ledger) -> None:
    """Its batch failed, for want of a database: that is nobody's death, and clears the record that was suspect."""
    make.take(ledger, owner="one")
    two = make.take(ledger, owner="two")
    ledger.name_suspect(1, two.token, f"{NOTICE}/1/1/10")

    assert deaths(ledger, "two") == (0, None)


def test_deaths_are_counted_anew_for_each_suspect(ledger: Ledger) -> None:
    """Naming the same record again goes on counting; a batch written clears it."""
    suspect, other = f"{NOTICE}/1/1/10", f"{INVOICE}/1/1/10"
    for number in range(3):
        make.take(ledger, owner=f"before-{number}")
    lane = make.take(ledger, owner="one")
    ledger.name_suspect(1, lane.token, suspect)
    lane = make.take(ledger, owner="two")
    ledger.name_suspect(1, lane.token, suspect)
    lane = make.take(ledger, owner="three")
    assert (lane.deaths, lane.suspect) == (2, suspect)

    ledger.name_suspect(1, lane.token, other)
    lane = make.take(ledger, owner="four")
    assert (lane.deaths, lane.suspect) == (1, other)

    ledger.commit(make.batch(lane, 1, journal=[make.journal(10, 1)]))
    assert deaths(ledger, "five") == (1, None)


def test_a_batch_that_takes_no_record_forgets_no_death(ledger: Ledger) -> None:
    """What a lane sends because time has passed, and the offsets without records that it steps over, come before the
    record that ends each of its owners, as often as they are started."""
    make.take(ledger, owner="one")
    lane = make.take(ledger, owner="two")
    ledger.commit(make.batch(lane, outbox=[make.outbox(1)]))
    lane = make.take(ledger, owner="three")
    ledger.commit(make.batch(lane, 1))
    ledger.name_suspect(1, lane.token, f"{NOTICE}/1/1/11")
    lane = make.take(ledger, owner="four")
    assert (lane.deaths, lane.suspect) == (1, f"{NOTICE}/1/1/11")

    ledger.commit(make.batch(lane, outbox=[make.outbox(2)]))

    assert deaths(ledger, "five") == (2, f"{NOTICE}/1/1/11")


def test_a_lane_let_go_keeps_its_suspect(ledger: Ledger) -> None:
    """What was learnt of a record is not lost when a worker leaves before it came to that record."""
    lane = make.take(ledger, owner="one")
    ledger.name_suspect(1, lane.token, f"{NOTICE}/1/1/10")
    lane = make.take(ledger, owner="two")
    ledger.let_go({1: lane.token})

    assert deaths(ledger, "three") == (1, f"{NOTICE}/1/1/10")


def test_a_stale_owner_can_name_no_suspect(ledger: Ledger) -> None:
    """The lane is another's: what it takes now is not this one's to say."""
    stale = make.take(ledger, owner="one")
    make.take(ledger, owner="two")

    with pytest.raises(StaleToken):
        ledger.name_suspect(1, stale.token, f"{NOTICE}/1/1/10")
    assert deaths(ledger, "three") == (2, None)


def test_a_new_topic_joins_the_ones_known(ledger: Ledger) -> None:
    """An upgrade may bring a topic: it starts at its own log's start."""
    added = make.identities("repair.estimate.v1")
    ledger.prepare([*INBOUND, *added], OUTBOUND, {("repair.estimate.v1", n): 7 for n in range(4)}, memory_only=False)

    assert make.take(ledger).positions == {NOTICE: 10, INVOICE: 10, "repair.estimate.v1": 7}


def test_a_commit_writes_every_kind_of_row(ledger: Ledger, database: Database) -> None:
    """One batch with all kinds of rows: what is read back is what was written, bytes and text alike."""
    lane = make.take(ledger)
    commit = make.batch(
        lane,
        3,
        journal=[make.journal(10, 1, inputs='{"policies":[]}', reason="投保人甲 ✓")],
        parked=[make.parked(11, 2)],
        dead=[make.dead(12, 3, key=b"\x00\xfe")],
        claims=[make.claim(due_at_ms=99)],
        policies=[make.policy("PL1", "京A12345")],
        outbox=[make.outbox(1), make.outbox(2)],
        payments=[make.payment()],
    )
    ledger.commit(commit)

    for table, rows in (
        ("journal", commit.journal),
        ("parked", commit.parked),
        ("dead_letters", commit.dead),
        ("outbox", commit.outbox),
        ("payments", commit.payments),
    ):
        assert database.rows(table) == rows
    assert [(row[5], json.loads(row[6])) for row in database.rows("claims")] == [(99, {"number": CLAIM, "version": 1})]
    again = make.take(ledger)
    assert (again.seq, again.entry, again.positions[NOTICE]) == (2, 3, 13)


@pytest.mark.parametrize("many", [2, 500])
def test_rows_that_differ_are_all_read_back_as_they_were(ledger: Ledger, database: Database, many: int) -> None:
    """A few or many in one batch, with no bytes, empty ones and long ones among each other."""
    values = [None, b"", b"\x00\xff", "本车".encode() * 1000]
    commit = make.batch(
        make.take(ledger),
        3 * many,
        journal=[make.journal(10 + n, n + 1, value=values[n % 4], headers=b"\x90" * n) for n in range(many)],
        parked=[make.parked(10 + n, n + 1, value=values[n % 4]) for n in range(many, 2 * many)],
        dead=[make.dead(10 + n, n + 1, key=values[n % 4], value=values[n % 3]) for n in range(2 * many, 3 * many)],
        outbox=[make.outbox(n + 1, reason=f"{n} ✓\t\\", value=values[n % 4] or b"\x00") for n in range(many)],
        claims=[make.claim(f"C{n}", due_at_ms=n if n % 2 else None) for n in range(many)],
    )
    ledger.commit(commit)

    for table, rows in (
        ("journal", commit.journal),
        ("parked", commit.parked),
        ("dead_letters", commit.dead),
        ("outbox", commit.outbox),
    ):
        assert sorted(database.rows(table)) == sorted(rows)
    found = {row[0]: (row[5], json.loads(row[6])["number"]) for row in database.rows("claims")}
    assert found == {row.claim: (row.due_at_ms, row.claim) for row in commit.claims}


def test_a_stale_token_writes_nothing(ledger: Ledger, database: Database) -> None:
    """Once another owner has the lane, the old one cannot write."""
    stale = make.take(ledger)
    make.take(ledger, owner="worker-2")

    with pytest.raises(StaleToken):
        ledger.commit(make.batch(stale, 1, journal=[make.journal(10, 1)], claims=[make.claim()]))
    assert len(database.rows("journal")) == len(database.rows("claims")) == 0


def test_two_workers_share_one_database(ledger: Ledger, database: Database) -> None:
    """Another process with the same ledger open takes over where the first stood, and fences it."""
    lane = make.take(ledger)
    ledger.commit(make.batch(lane, 1, journal=[make.journal(10, 1)], outbox=[make.outbox(1)]))
    other = database.open("worker-2")
    taken = make.take(other, owner="worker-2")

    with pytest.raises(StaleToken):
        ledger.commit(make.batch(lane._replace(seq=1, entry=1), outbox=[make.outbox(2)]))
    assert ledger.outbox_after(1, lane.token, 0, 10) == []
    other.commit(make.batch(taken, 1, journal=[make.journal(11, 2)], outbox=[make.outbox(2)]))
    other.close()
    assert (len(database.rows("journal")), len(database.rows("outbox"))) == (2, 2)


@pytest.mark.parametrize("wrong", ["seq", "entry"])
def test_a_batch_that_counts_from_another_number_writes_nothing(ledger: Ledger, database: Database, wrong: str) -> None:
    """The outbox has no hole and no number twice, whatever a confused owner sends."""
    lane = make.take(ledger)

    with pytest.raises(StaleToken):
        ledger.commit(make.batch(lane, 1, journal=[make.journal(10, 1)], **{wrong: 5}))
    assert len(database.rows("journal")) == 0


def test_a_batch_that_begins_elsewhere_writes_nothing(ledger: Ledger, database: Database) -> None:
    """A position moves only from the value the batch began at, and all of a batch's positions move or none."""
    lane = make.take(ledger)
    commit = make.batch(lane, journal=[make.journal(10, 1)], positions=[(NOTICE, 10, 11), (INVOICE, 9, 11)])

    with pytest.raises(PositionMoved):
        ledger.commit(commit)
    assert len(database.rows("journal")) == 0
    assert make.take(ledger).positions == {NOTICE: 10, INVOICE: 10}


def test_a_record_is_journalled_once(ledger: Ledger, database: Database) -> None:
    """The key topic, generation, partition, offset refuses a second row, and the whole batch with it."""
    lane = make.take(ledger)
    first = make.batch(lane, 1, journal=[make.journal(10, 1)])
    ledger.commit(first)

    with pytest.raises(LedgerRefused) as refused:
        ledger.commit(make.batch(make.after(lane, first), 1, journal=[make.journal(10, 2)], claims=[make.claim()]))
    assert "journal" in str(refused.value.constraint)
    assert len(database.rows("claims")) == 0


def test_a_refused_batch_moves_nothing(ledger: Ledger, database: Database) -> None:
    """A position that moves without its rows is a record lost: both are one transaction."""
    lane = make.take(ledger)
    alone = make.payment(proposed_by="handler-07", approved_by="handler-07")

    with pytest.raises(LedgerRefused):
        ledger.commit(make.batch(lane, 1, journal=[make.journal(10, 1)], outbox=[make.outbox(1)], payments=[alone]))
    assert make.take(ledger) == lane._replace(token=2)
    assert len(database.rows("journal")) == 0


def test_a_refusal_holds_no_value_of_the_row(ledger: Ledger) -> None:
    """A database's own words quote the row; ours do not."""
    lane = make.take(ledger)
    twice = [make.payment("P1"), make.payment("P2", claim="C-SECRET"), make.payment("P3", claim="C-SECRET")]

    with pytest.raises(LedgerRefused) as refused:
        ledger.commit(make.batch(lane, payments=twice))
    assert "SECRET" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("change", ["UPDATE journal SET outcome = 'undone'", "DELETE FROM journal"])
def test_the_journal_is_append_only(url: str, engine: Engine, change: str) -> None:
    """The database itself refuses to change or take away what happened."""
    ledger = make.prepared(open_ledger(url))
    ledger.commit(make.batch(make.take(ledger), 1, journal=[make.journal(10, 1)]))

    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(text(change))
    assert len(SqlDatabase(url).rows("journal")) == 1
    ledger.close()


def test_a_second_payment_of_one_settlement_is_refused(ledger: Ledger) -> None:
    """One settlement has one effective payment; the next attempt stands only once the first is rejected."""
    lane = make.take(ledger)
    first = make.batch(lane, payments=[make.payment("P1")])
    ledger.commit(first)
    with pytest.raises(LedgerRefused):
        ledger.commit(make.batch(lane, payments=[make.payment("P2", attempt=2)]))

    ledger.commit(make.batch(lane, payments=[make.payment("P1", state="rejected"), make.payment("P2", attempt=2)]))


def test_one_attempt_has_one_payment(ledger: Ledger) -> None:
    """The same attempt under another id is refused even when both are dead."""
    twins = [make.payment("P1", state="rejected"), make.payment("P2", state="rejected")]

    with pytest.raises(LedgerRefused):
        ledger.commit(make.batch(make.take(ledger), payments=twins))


def test_nobody_approves_what_they_proposed(ledger: Ledger) -> None:
    """The database refuses a payment with one person in both parts."""
    alone = make.payment(proposed_by="handler-07", approved_by="handler-07")

    with pytest.raises(LedgerRefused, match="two_people"):
        ledger.commit(make.batch(make.take(ledger), payments=[alone]))


def test_a_payment_once_approved_changes_its_state_only(ledger: Ledger, database: Database) -> None:
    """No later row can raise an amount or change who approved it."""
    lane = make.take(ledger)
    ledger.commit(make.batch(lane, payments=[make.payment()]))
    ledger.commit(make.batch(lane, payments=[make.payment(state="settled", amount_minor=9, approved_by="handler-07")]))

    assert database.rows("payments") == [make.payment(state="settled")]


def test_a_released_record_moves_from_parked_to_journal(ledger: Ledger, database: Database) -> None:
    """Release takes the record away from where it waited in the same commit."""
    lane = make.take(ledger)
    park = make.batch(lane, 1, parked=[make.parked(10, 1)])
    ledger.commit(park)
    ledger.commit(make.batch(make.after(lane, park), parked_gone=[(NOTICE, 1, 1, 10)], journal=[make.journal(10, 2)]))

    assert (len(database.rows("parked")), len(database.rows("journal"))) == (0, 1)


def test_a_waiting_record_can_get_a_new_reason(ledger: Ledger) -> None:
    """The same record may be taken away and parked again in one commit."""
    lane = make.take(ledger)
    park = make.batch(lane, 1, parked=[make.parked(10, 1)])
    ledger.commit(park)
    renewed = make.parked(10, 1, reason="waits for an estimate")
    ledger.commit(
        make.batch(make.after(lane, park), parked_gone=[(NOTICE, 1, 1, 10)], parked=[renewed], entries_used=0)
    )

    assert ledger.load_claims([CLAIM])[1] == [renewed]


def test_releasing_what_is_not_parked_is_refused(ledger: Ledger, database: Database) -> None:
    """A record can come out of the waiting room once."""
    lane = make.take(ledger)

    with pytest.raises(LedgerRefused):
        ledger.commit(make.batch(lane, parked_gone=[(NOTICE, 1, 1, 10)], journal=[make.journal(10, 1)]))
    assert len(database.rows("journal")) == 0


def read(states: Mapping[str, bytes]) -> dict[str, object]:
    """States as values: a database may lay out their text anew."""
    return {key: json.loads(state) for key, state in states.items()}


def test_claims_are_loaded_with_their_waiting_records_in_order(ledger: Ledger) -> None:
    """States of the claims that exist, and what waits for any of them in order of arrival."""
    lane = make.take(ledger)
    waiting = [make.parked(12, 1), make.parked(10, 2, subject="C-OTHER"), make.parked(11, 3)]
    ledger.commit(make.batch(lane, 3, claims=[make.claim()], parked=waiting))

    states, parked = ledger.load_claims([CLAIM, "C-NEW"])

    assert read(states) == {CLAIM: {"number": "C2026000001", "version": 1}}
    assert parked == [waiting[0], waiting[2]]
    assert ledger.load_claims([]) == ({}, [])


def test_a_new_owner_knows_how_many_records_wait(ledger: Ledger) -> None:
    """Of this lane, whichever claims they are of."""
    lane = make.take(ledger)
    ledger.commit(make.batch(lane, 2, parked=[make.parked(12, 1), make.parked(10, 2, subject="C-OTHER")]))

    assert [(lane.lane, lane.parked) for lane in ledger.take("next", [0, 1])[0]] == [(0, 0), (1, 2)]


def test_a_claim_keeps_its_newest_state(ledger: Ledger, database: Database) -> None:
    """A state replaces the one before it as a whole."""
    lane = make.take(ledger)
    newer = '{"number": "C2026000001", "version": 2, "notice": {"place": "路口"}}'.encode()
    ledger.commit(make.batch(lane, claims=[make.claim()]))
    ledger.commit(make.batch(lane, claims=[make.claim(version=2, stage="assessing", state=newer)]))

    assert read(ledger.load_claims([CLAIM])[0]) == read({CLAIM: newer})
    assert [row[2:4] for row in database.rows("claims")] == [(2, "assessing")]


def test_policies_are_found_by_number_and_by_plate(ledger: Ledger) -> None:
    """A plate finds the policies whose newest version has it, and no longer the one it left."""
    lane = make.take(ledger)
    rows = [make.policy("PL1", "京A12345"), make.policy("PL2", "京A12345"), make.policy("PL3", "沪B67890")]
    ledger.commit(make.batch(lane, policies=rows))
    ledger.commit(make.batch(lane, policies=[make.policy("PL2", "京C00001", version=2)]))

    assert ledger.load_policies([], ["京A12345"]).keys() == {"PL1"}
    assert ledger.load_policies(["PL2"], ["沪B67890", "京Z99999"]).keys() == {"PL2", "PL3"}
    assert read(ledger.load_policies(["PL1"], ["京A12345"])) == {"PL1": {"number": "PL1"}}


def test_the_outbox_is_read_in_order_under_the_right_token(ledger: Ledger) -> None:
    """Rows come in seq order after a number, as many as asked for; a stale token gets none."""
    lane = make.take(ledger)
    rows = [make.outbox(seq) for seq in range(1, 6)]
    ledger.commit(make.batch(lane, outbox=rows[::-1]))

    assert ledger.outbox_after(1, lane.token, 1, 3) == rows[1:4]
    assert ledger.outbox_after(1, lane.token, 5, 3) == []
    assert ledger.outbox_after(1, lane.token - 1, 0, 3) == []


def test_the_records_that_wait_longest_are_found_until_they_are_told(ledger: Ledger) -> None:
    """Of the lane, the oldest first, as many as asked for; not those that wait behind another or were told."""
    lane = make.take(ledger)
    waiting = [make.parked(12, 1, since_ms=300), make.parked(10, 2, since_ms=100), make.parked(11, 3)]
    first = make.batch(lane, 3, parked=[*waiting, make.parked(13, 4, since_ms=100, lane=2)])
    ledger.commit(first)

    assert ledger.overdue(1, 99, 10) == []
    assert ledger.overdue(1, 300, 10) == [waiting[1], waiting[0]]
    assert ledger.overdue(1, 300, 1) == [waiting[1]]
    told = make.batch(make.after(lane, first), outbox=[make.outbox(1)], overdue=[waiting[1][:4]])
    ledger.commit(told)
    assert ledger.overdue(1, 300, 10) == [waiting[0]]
    assert waiting[1]._replace(since_ms=None) in ledger.load_claims([CLAIM])[1]


def test_a_record_that_is_told_of_and_goes_on_at_once_is_gone(ledger: Ledger) -> None:
    """Its break and its release may be in one batch; so may its break and its wait for something else."""
    lane = make.take(ledger)
    gone, renewed = make.parked(10, 1, since_ms=100), make.parked(11, 2, since_ms=100)
    first = make.batch(lane, 2, parked=[gone, renewed])
    ledger.commit(first)
    places, again = [gone[:4], renewed[:4]], renewed._replace(reason="waits for a notice", since_ms=None)
    both = make.batch(make.after(lane, first), journal=[make.journal(10, 3)], outbox=[make.outbox(1)])
    ledger.commit(replace(both, parked=[again], parked_gone=places, overdue=places))

    assert ledger.load_claims([CLAIM])[1] == [again]


def due(ledger: Ledger, until_ms: int, limit: int = 10) -> list[str]:
    """The numbers of lane 1's claims that are due."""
    return [json.loads(state)["number"] for state in ledger.due_claims(1, until_ms, limit)]


def test_claims_are_due_in_their_lane_by_their_time_the_oldest_first(ledger: Ledger) -> None:
    """As many as were asked for; and none of which nothing is due."""
    lane = make.take(ledger)
    claims = [make.claim("C-3", due_at_ms=300), make.claim("C-1", due_at_ms=100), make.claim("C-2", due_at_ms=200)]
    ledger.commit(make.batch(lane, claims=[*claims, make.claim("C-0"), make.claim("C-9", due_at_ms=100, lane=2)]))

    assert due(ledger, 99) == []
    assert due(ledger, 200) == ["C-1", "C-2"]
    assert due(ledger, 900, limit=2) == ["C-1", "C-2"]


def test_a_tick_and_its_claim_no_longer_due_are_written_together(ledger: Ledger) -> None:
    """Nothing else of the claim changes; a state of the same batch or a later one says anew when something is due."""
    lane = make.take(ledger)
    first = make.batch(lane, claims=[make.claim("C-1", due_at_ms=100), make.claim("C-2", due_at_ms=100)])
    ledger.commit(first)
    states = ledger.load_claims(["C-1"])[0]
    ticked = make.batch(
        make.after(lane, first),
        outbox=[make.outbox(1)],
        ticked=["C-1", "C-2"],
        claims=[make.claim("C-2", 2, due_at_ms=200)],
    )
    ledger.commit(ticked)

    assert due(ledger, 900) == ["C-2"]
    assert ledger.load_claims(["C-1"])[0] == states
    lane = make.after(make.after(lane, first), ticked)
    ledger.commit(make.batch(lane, claims=[make.claim("C-1", 2, due_at_ms=150)]))
    assert due(ledger, 900) == ["C-1", "C-2"]


def test_a_tick_that_is_not_written_leaves_its_claim_due(ledger: Ledger) -> None:
    """Under a stale token, or when the batch is refused."""
    lane = make.take(ledger)
    first = make.batch(lane, claims=[make.claim("C-1", due_at_ms=100)])
    ledger.commit(first)
    with pytest.raises(StaleToken):
        ledger.commit(make.batch(lane._replace(token=0), outbox=[make.outbox(1)], ticked=["C-1"]))
    refused = make.batch(
        make.after(lane, first), outbox=[make.outbox(1)], ticked=["C-1"], parked_gone=[(NOTICE, 1, 1, 99)]
    )
    with pytest.raises(LedgerRefused):
        ledger.commit(refused)

    assert due(ledger, 900) == ["C-1"]


def test_published_marks_never_go_back(ledger: Ledger) -> None:
    """Two relays may report for one lane after a take-over: the furthest stands."""
    assert ledger.published([1, 2]) == {1: Published(0, {}), 2: Published(0, {})}

    ledger.mark_published({1: Published(5, {(STATUS, 1): 50}), 2: Published(1, {})})
    ledger.mark_published({1: Published(3, {(STATUS, 1): 40, (STATUS, 2): 7})})

    assert ledger.published([1]) == {1: Published(5, {(STATUS, 1): 50, (STATUS, 2): 7})}
    assert ledger.published([2]) == {2: Published(1, {})}


def test_a_topic_created_anew_is_noticed(ledger: Ledger) -> None:
    """A log with the same name and another id holds other records: reading on would be silent nonsense."""
    ledger.check_topics([*INBOUND, *OUTBOUND])
    anew = make.identities(NOTICE, id_="second")

    with pytest.raises(TopicChanged, match=NOTICE):
        ledger.check_topics(anew)
    with pytest.raises(TopicChanged, match=NOTICE):
        ledger.prepare(anew, OUTBOUND, LOG_START, memory_only=False)
    with pytest.raises(TopicChanged, match="not in the ledger"):
        ledger.check_topics(make.identities("no.such.v1"))


@pytest.mark.parametrize("memory_only", [True, False])
def test_another_partition_count_is_refused(ledger: Ledger, memory_only: bool) -> None:
    """A key would move to another lane, past its earlier records."""
    wider = make.identities(NOTICE, partitions=6)

    with pytest.raises(TopicChanged, match="6 partitions, the ledger knows 4"):
        ledger.check_topics(wider)
    with pytest.raises(TopicChanged, match="6 partitions, the ledger knows 4"):
        ledger.prepare(wider, OUTBOUND, LOG_START, memory_only)


def test_a_broker_without_a_disk_starts_a_new_generation(ledger: Ledger, database: Database) -> None:
    """Its topics are empty again: positions and relay offsets start at 0, numbers and rows stay."""
    lane = make.take(ledger)
    ledger.commit(make.batch(lane, 1, journal=[make.journal(10, 1)], outbox=[make.outbox(1)]))
    ledger.mark_published({1: Published(1, {(STATUS, 1): 50})})

    renewed = make.identities(NOTICE, id_="second"), make.identities(STATUS, id_="second")
    ledger.prepare(*renewed, {}, memory_only=True)

    again = make.take(ledger)
    assert again.positions == {NOTICE: 0, INVOICE: 10}
    assert again.generations == {NOTICE: 2, INVOICE: 1}
    assert (again.seq, again.entry) == (1, 1)
    assert ledger.published([1]) == {1: Published(1, {(STATUS, 1): 0})}
    anew = make.batch(again, 1, journal=[make.journal(10, 2, generation=2)], outbox=[make.outbox(2)])
    ledger.commit(anew)
    assert len(database.rows("journal")) == 2


def test_a_lane_beyond_the_partitions_cannot_be_taken(ledger: Ledger) -> None:
    """Lanes are made by `prepare` alone."""
    with pytest.raises(TopicChanged, match="9"):
        ledger.take("worker-1", [1, 9])


def test_a_lane_can_be_used_from_any_thread(ledger: Ledger, database: Database) -> None:
    """The engine takes in one thread, commits in another and reads in a third."""
    lane = make.take(ledger)
    commit = make.batch(lane, 1, journal=[make.journal(10, 1)])
    thread = threading.Thread(target=ledger.commit, args=(commit,))
    thread.start()
    thread.join()

    assert len(database.rows("journal")) == 1


def test_a_closed_ledger_says_so(database: Database) -> None:
    """After close nothing is written."""
    ledger = database.open("worker-1")
    ledger.close()

    with pytest.raises(LedgerUnavailable):
        ledger.published([1])


def commit_in_thread(ledger: Ledger, commit: LaneCommit) -> tuple[threading.Thread, list[Exception]]:
    """A commit under way in another thread, and what it ends with."""
    ended: list[Exception] = []

    def run() -> None:
        try:
            ledger.commit(commit)
        except (LedgerUnavailable, StaleToken) as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, ended


def until_waiting(url: str, owner: str = "worker-1") -> None:
    """Return once a session of this owner waits for a lock."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(waiting, (owner,)).fetchone() is None:
            pass


def until_older_than(url: str, owner: str, age: str) -> None:
    """Return once this owner's transaction has been open for longer."""
    older = (
        "SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND xact_start < clock_timestamp() - %s::interval"
    )
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(older, (owner, age)).fetchone() is None:
            pass


# A trigger of a statement runs after the statement's snapshot is taken and before its first row is locked.
A_TAKE_WAITS_AFTER_ITS_SNAPSHOT = """
    CREATE FUNCTION wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF current_setting('application_name') = 'worker-2' THEN
            PERFORM pg_advisory_xact_lock(1);
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER gate BEFORE UPDATE ON lanes FOR EACH STATEMENT EXECUTE FUNCTION wait_at_the_gate();
"""


class TestPostgresAlone:
    """What only a server with many sessions can show."""

    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        """A migrated, empty PostgreSQL ledger."""
        migrate(postgres_url)
        return postgres_url

    @pytest.fixture
    def database(self, url: str) -> Database:
        """The same, for the ledger."""
        return SqlDatabase(url)

    def test_a_locked_lane_comes_back_and_the_others_are_taken(self, ledger: Ledger, url: str) -> None:
        """A commit still open elsewhere holds up its own lane only."""
        with psycopg.connect(url) as other:
            other.execute("SELECT * FROM lanes WHERE lane = 2 FOR UPDATE")

            taken, locked = ledger.take("worker-1", [1, 2, 3])

        assert [lane.lane for lane in taken] == [1, 3]
        assert locked == [2]
        assert make.take(ledger, 2).token == 1

    def test_a_frozen_owner_is_put_out(self, ledger: Ledger, url: str) -> None:
        """An owner that holds its lane's row for longer than a commit takes loses its session, and the lane is
        free."""
        make.take(ledger, 2, owner="frozen")
        with psycopg.connect(url, application_name="frozen") as frozen:
            frozen.execute("SELECT * FROM lanes WHERE lane = 2 FOR UPDATE")
            assert ledger.end_frozen_owner([2]) == 0, "a young transaction is no frozen one"
            frozen.execute("SELECT pg_sleep(1.5)")

            assert ledger.end_frozen_owner([1]) == 0, "another lane's owner is left alone"
            assert ledger.end_frozen_owner([2]) == 1
            with pytest.raises(psycopg.OperationalError):
                frozen.execute("SELECT 1")
        assert make.take(ledger, 2).token == 2

    def test_a_free_lane_has_no_owner_to_put_out(self, ledger: Ledger, url: str) -> None:
        """A session without a name that locks a free lane for long, a backup for one, is left alone."""
        with psycopg.connect(url) as unnamed:
            unnamed.execute("SELECT * FROM lanes WHERE lane = 2 FOR UPDATE")
            unnamed.execute("SELECT pg_sleep(1.5)")

            assert ledger.end_frozen_owner([2]) == 0
            unnamed.execute("SELECT 1")

    def test_an_owner_frozen_inside_its_copy_is_put_out(self, ledger: Ledger, url: str, database: Database) -> None:
        """No timeout of the server fires while it waits for the rows of a COPY: only ending the session frees the
        lane, and nothing of that batch stays."""
        lane = make.take(ledger, owner="frozen")
        with psycopg.connect(url, application_name="frozen") as frozen, frozen.cursor() as cursor:
            cursor.execute("SET statement_timeout = '100 ms'; SET idle_in_transaction_session_timeout = '100 ms'")
            cursor.execute("UPDATE lanes SET seq = seq + 1 WHERE lane = 1")
            with suppress(psycopg.OperationalError), cursor.copy("COPY relay_next FROM STDIN") as copy:
                copy.write_row((1, STATUS, 1, 50))
                until_older_than(url, "frozen", "1.5 s")
                assert ledger.take("worker-1", [1]) == ([], [1]), "the timeouts did not free the lane"

                assert ledger.end_frozen_owner([1]) == 1

        assert make.take(ledger) == lane._replace(token=lane.token + 1, deaths=1)
        assert len(database.rows("relay_next")) == 0

    def test_a_running_commit_can_be_cancelled(self, ledger: Ledger, url: str, database: Database) -> None:
        """A worker that stops does not wait for a lock: the commit is rolled back and may be done again."""
        lane = make.take(ledger)
        commit = make.batch(lane, 1, journal=[make.journal(10, 1)])
        with psycopg.connect(url) as other:
            other.execute("SELECT * FROM lanes WHERE lane = 1 FOR UPDATE")
            thread, ended = commit_in_thread(ledger, commit)
            until_waiting(url)
            ledger.cancel()
            thread.join()

        assert [type(error) for error in ended] == [LedgerUnavailable]
        assert len(database.rows("journal")) == 0
        ledger.commit(commit)
        assert len(database.rows("journal")) == 1

    def test_a_lost_session_is_replaced(self, ledger: Ledger, url: str) -> None:
        """One call fails, the next has a new connection."""
        lane = make.take(ledger)
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'worker-1'")

        with pytest.raises(LedgerUnavailable):
            ledger.commit(make.batch(lane, 1, journal=[make.journal(10, 1)]))
        ledger.commit(make.batch(lane, 1, journal=[make.journal(10, 1)]))

    def test_a_commit_between_a_takes_snapshot_and_its_lock_is_not_missed(self, ledger: Ledger, url: str) -> None:
        """The last owner commits after the taking statement has begun and before it has the lane's row: the new owner
        goes on behind that commit. Positions read by the same statement would be older than its lock."""
        lane = make.take(ledger)
        last = make.batch(lane, 1, journal=[make.journal(10, 1)], outbox=[make.outbox(1)])
        heir = open_ledger(url, owner="worker-2")
        taken: list[Lane] = []
        with psycopg.connect(url, autocommit=True) as gate:
            gate.execute(A_TAKE_WAITS_AFTER_ITS_SNAPSHOT)
            gate.execute("SELECT pg_advisory_lock(1)")
            thread = threading.Thread(target=lambda: taken.append(make.take(heir, owner="worker-2")))
            thread.start()
            until_waiting(url, "worker-2")
            ledger.commit(last)
            gate.execute("SELECT pg_advisory_unlock(1)")
            thread.join()
        heir.close()

        assert taken == [make.after(lane, last)._replace(token=lane.token + 1, deaths=1)]


def test_traces_are_found_by_digest_each_claim_once_a_time(ledger: Ledger) -> None:
    """What a claim leaves again changes nothing; signed 64 bits stay what they are."""
    lane = make.take(ledger)
    first = [TraceRow(-(2**63), 10, "C-1", 1), TraceRow(7, 10, "C-1", 1), TraceRow(7, 10, "C-1", 2)]
    ledger.commit(make.batch(lane, traces=first))
    ledger.commit(make.batch(lane, traces=[TraceRow(7, 10, "C-1", 3), TraceRow(7, 20, "C-2", 1)]))

    shared = [TraceRow(7, 10, "C-1", 1), TraceRow(7, 20, "C-2", 1)]
    assert sorted(ledger.look_up(Asked(digests=[7, 7, 8], most=5)).traces) == shared
    assert ledger.look_up(Asked(digests=[-(2**63)], most=5)).traces == [TraceRow(-(2**63), 10, "C-1", 1)]


def test_of_a_trace_only_so_many_claims_are_loaded(ledger: Ledger) -> None:
    """The newest, and of one time those of the highest numbers, in bytes' order; of each trace its own."""
    lane = make.take(ledger)
    rows = [TraceRow(1, at_ms, claim, 1) for at_ms, claim in ((1, "C-9"), (2, "C-2"), (3, "C-1"))]
    rows += [TraceRow(2, 5, claim, 1) for claim in ("C-1", "C-10", "C-2")]
    ledger.commit(make.batch(lane, traces=rows))

    found = [(row.digest, row.claim) for row in ledger.look_up(Asked(digests=[1, 2], most=2)).traces]

    assert sorted(found) == [(1, "C-1"), (1, "C-2"), (2, "C-10"), (2, "C-2")]


def test_a_batch_is_answered_at_once_as_it_would_be_one_by_one(ledger: Ledger) -> None:
    """Policies, traces and limits; what is not asked for is not there."""
    lane = make.take(ledger)
    left = [TraceRow(7, 10, "C-1", 1)]
    ledger.commit(make.batch(lane, policies=[make.policy("PL1", "A-1")], traces=left, cover_uses=[make.use("C-1", 1)]))
    policies, traces, limits = Asked(["PL1"], ["A-2"]), Asked(digests=[7], most=5), Asked(peers=True)
    uses = Asked(shared=["PL1", "PL2"])
    asked = policies._replace(digests=[7], most=5, peers=True, shared=["PL1", "PL2"])

    found = [ledger.look_up(one) for one in (policies, traces, limits, uses)]

    assert ledger.look_up(asked) == Found(found[0].policies, found[1].traces, found[2].peers, found[3].uses)
    assert [bool(it) for it in ledger.look_up(policies)] == [True, False, False, False]
    assert [bool(it) for it in ledger.look_up(traces)] == [False, True, False, False]
    assert [bool(it) for it in ledger.look_up(uses)] == [False, False, False, True]
    assert not any(ledger.look_up(limits)[:2])
    assert [one.statements for one in (Asked(), policies, traces, limits, uses, asked)] == [0, 1, 1, 1, 1, 4]


def test_a_claim_s_use_of_a_cover_is_the_newest(ledger: Ledger) -> None:
    """It stands there once, whatever it was before; those of another policy are not found."""
    lane = make.take(ledger)
    first = [make.use("C-1", 1, paid_minor=2**40), make.use("C-2", 2), make.use("C-1", 1, policy="PL2")]
    ledger.commit(make.batch(lane, cover_uses=first))
    ledger.commit(make.batch(lane, cover_uses=[make.use("C-1", 3, paid_minor=5, deductible_minor=7)]))

    now = [make.use("C-1", 3, paid_minor=5, deductible_minor=7), make.use("C-2", 2)]
    assert sorted(ledger.look_up(Asked(shared=["PL1", "PL3"])).uses) == now


def test_who_has_not_seen_what_others_use_writes_nothing(ledger: Ledger) -> None:
    """Two lanes looked at the same moment, and both write what is next: the second has to look again."""
    one, other = make.take(ledger), make.take(ledger, 2)
    ledger.commit(make.batch(one, cover_uses=[make.use("C-1", 1)]))

    with pytest.raises(UsedMeanwhile):
        ledger.commit(make.batch(other, 1, journal=[], cover_uses=[make.use("C-2", 1, lane=2)]))

    assert make.take(ledger, 2).positions == other.positions
    assert ledger.look_up(Asked(shared=["PL1"])).uses == [make.use("C-1", 1)]
    ledger.commit(make.batch(make.take(ledger, 2), cover_uses=[make.use("C-2", 2, lane=2)]))


def test_limits_are_kept_as_a_whole(url: str, engine: Engine) -> None:
    """Those of the newest report and no others; a batch sees all of one report."""
    ledger = open_ledger(url)
    first = [PeerLimitRow("shop", line, "CNY", 30, 95, 2**40) for line in ("motor", "property")]
    newer = [PeerLimitRow("hospital", "health", "HKD", 31, 90, 0), first[1]._replace(limit_minor=5)]
    assert ledger.look_up(Asked(peers=True)).peers == []

    for limits in (first, newer, []):
        with engine.begin() as connection:
            peers.keep(connection, limits, 1)
        assert sorted(ledger.look_up(Asked(peers=True)).peers) == sorted(limits)
        assert ledger.look_up(Asked(["PL1"])).peers == []
    ledger.close()
