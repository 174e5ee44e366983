"""`verify` on both databases: silent on a sound ledger, and each promise broken by hand is named with its row."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from schemas.topics import avro_schema
from sinks.ledger.open import open_ledger, read_engine
from sinks.ledger.port import JournalRow, Ledger, OutboxRow
from sinks.ledger.verify import CHECKS, MOST_ROWS, AcceptedLoss, verify
from tests.contract import ledger_factory as make
from tests.contract.ledger_factory import CLAIM, INSTRUCTION, INVOICE, NOTICE
from tests.ledgers import make_ledger

STATE = msgspec.json.encode(
    {
        "number": CLAIM,
        "version": 2,
        "approvals": [
            {"role": "handler", "person": "handler-07"},
            {"role": "approver", "person": "approver-02"},
        ],
        "payments": [
            {"id": "P1", "settlement_version": 1, "amount_minor": 123_456, "currency": "CNY", "state": "settled"},
        ],
        "seen": ["desk 10", "desk 11"],
    }
).decode()
WAKE = "hub.wake.v1"
REST = "partition, key, subject, cause, rule, reason, at_ms, headers, value"


def instruction(seq: int, id_: str = "P1", amount_minor: int = 123_456, **given: Any) -> OutboxRow:
    """A payment instruction as the engine writes it, headers and Avro body."""
    body = io.BytesIO()
    payee = {"name": "投保人甲", "account": "6222020000000000", "bank_code": "102100099996"}
    record = {
        "instruction_id": id_,
        "claim": CLAIM,
        "settlement_version": 1,
        "attempt": 1,
        "payee": payee,
        "amount_minor": amount_minor,
        "currency": "CNY",
        "purpose": "INSC",
        "issued_at_ms": 1_700_000_000_000,
        "cause": f"{NOTICE}/1/1/10",
        "rule": "authority.fast-track",
        "reason": "low risk",
    }
    fastavro.schemaless_writer(body, fastavro.parse_schema(avro_schema(INSTRUCTION)), record)
    headers = msgspec.msgpack.encode([("instruction_id", id_.encode())])
    value = b"\0\0\0\0\7" + body.getvalue()
    return make.outbox(seq, **{"topic": INSTRUCTION, "headers": headers, "value": value} | given)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated, empty ledger of each kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_ledger"))
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    make_ledger(url)
    return url


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """A ledger prepared for four lanes."""
    ledger = open_ledger(url)
    yield make.prepared(ledger)
    ledger.close()


def fill(ledger: Ledger, *, in_batches: bool = False) -> None:
    """A sound ledger: a claim paid after two records, one parked, one dead letter, one policy."""
    lane = make.take(ledger)
    first = make.batch(
        lane,
        2,
        journal=[make.journal(10, 1), make.journal(11, 2)],
        claims=[make.claim(version=2, stage="paid", state=STATE.encode())],
        policies=[make.policy("PL1", "京A12345")],
        payments=[make.payment(state="settled")],
        outbox=[make.outbox(1), instruction(2)],
    )
    ledger.commit(first)
    lane = make.take(ledger) if in_batches else make.after(lane, first)
    end = {"parked": [make.parked(12, 3, subject="C-LATER")], "dead": [make.dead(13, 4)]}
    ledger.commit(make.batch(lane, 2, **end, outbox=[make.outbox(3, 12), make.outbox(4, 13, subject="")]))


@pytest.fixture
def engine(url: str, ledger: Ledger) -> Iterator[Engine]:
    """The sound ledger's database."""
    fill(ledger)
    engine = read_engine(url)
    yield engine
    engine.dispose()


def run(engine: Engine, *statements: str) -> None:
    """Change the ledger behind its back."""
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def broken(engine: Engine) -> dict[str, tuple[str, ...]]:
    """The checks that fail, with their rows."""
    return {check.name: check.rows for check in verify(engine).checks if not check.ok}


def test_a_sound_ledger_keeps_every_promise(engine: Engine) -> None:
    """No check fails, each says what it promises, and there are no holes."""
    found = verify(engine)

    assert broken(engine) == {}
    assert found.ok
    assert [check.name for check in found.checks] == list(CHECKS)
    assert all(check.promise for check in found.checks)
    assert found.holes == {}
    assert len(found.ledger_hash) == 64


def copied(**changed: str) -> str:
    """SQL that copies the first journal row with some columns changed."""
    columns = ", ".join(changed.get(name, f'"{name}"') for name in JournalRow._fields)
    return f'INSERT INTO journal SELECT {columns} FROM journal WHERE "offset" = 10'


def restated(old: str, new: str) -> str:
    """SQL that changes the claim's state."""
    assert old in STATE
    return f"UPDATE claims SET state = '{STATE.replace(old, new)}'"


PLACE = f"{NOTICE}/1/1"
BREAKS = {
    "above the position": ("below-positions", f"journal {PLACE}/14", copied(offset="14", entry="99")),
    "in another lane": ("below-positions", f"parked {PLACE}/12", "UPDATE parked SET lane = 2"),
    "of an unknown topic": (
        "below-positions",
        "dead_letters nowhere/1/1/13",
        "UPDATE dead_letters SET topic = 'nowhere'",
    ),
    "of a generation to come": (
        "below-positions",
        f"parked {NOTICE}/2/1/12",
        "UPDATE parked SET generation = 2",
    ),
    "parked and applied": ("one-end", f"{PLACE}/10 in journal and parked", 'UPDATE parked SET "offset" = 10'),
    "dead and applied": ("one-end", f"{PLACE}/10 in journal and dead_letters", 'UPDATE dead_letters SET "offset" = 10'),
    "dead and parked": ("one-end", f"{PLACE}/12 in parked and dead_letters", 'UPDATE dead_letters SET "offset" = 12'),
    "a loss that is not behind": (
        "losses-passed",
        f"{NOTICE}/1/1/12: the position is not behind it",
        f"INSERT INTO accepted_losses VALUES ('{NOTICE}', 1, 1, 12, 15, 0, 'operator', 'old')",
    ),
    "a record taken and accepted as lost": (
        "losses-passed",
        f"parked {PLACE}/12: taken, and accepted as lost",
        f"INSERT INTO accepted_losses VALUES ('{NOTICE}', 1, 1, 12, 13, 0, 'operator', 'old')",
    ),
    "a hole in the outbox": (
        "outbox-gapless",
        "lane 1: seq is 4, outbox has 3 rows from 1 to 4",
        "DELETE FROM outbox WHERE seq = 3",
    ),
    "an outbox that ends early": (
        "outbox-gapless",
        "lane 1: seq is 5, outbox has 4 rows from 1 to 4",
        "UPDATE lanes SET seq = 5 WHERE lane = 1",
    ),
    "an outbox of no lane": (
        "outbox-gapless",
        "lane 9: outbox has rows of a lane that is not there",
        "UPDATE outbox SET lane = 9 WHERE seq = 4",
    ),
    "an entry used twice": ("entries-unique", "lane 1 entry 1: used twice", "UPDATE parked SET entry = 1"),
    "an entry too high": ("entries-unique", "lane 1 entry 9: above the lane's", "UPDATE parked SET entry = 9"),
    "published before written": (
        "published-written",
        "lane 1: published 5, seq 4",
        "UPDATE relay SET published = 5 WHERE lane = 1",
    ),
    "a version too high": (
        "versions-counted",
        f"claim {CLAIM}: version 3, in its state 2, records applied 2",
        "UPDATE claims SET version = 3",
    ),
    "a state left behind": (
        "versions-counted",
        f"claim {CLAIM}: version 2, in its state 1, records applied 2",
        restated('"version":2', '"version":1'),
    ),
    "a claim that is gone": ("versions-counted", f"claim {CLAIM}: records applied, but no claim", "DELETE FROM claims"),
    "an unknown stage": ("states-legal", f"claim {CLAIM}: unknown stage", "UPDATE claims SET stage = 'lost'"),
    "an unknown payment state": ("states-legal", "payment P1: unknown state", "UPDATE payments SET state = 'lost'"),
    "an output without a cause": (
        "outputs-explained",
        "outbox 1/4: its cause is in no table",
        "UPDATE outbox SET cause = 'thin air' WHERE seq = 4",
    ),
    "an output of a record never taken": (
        "outputs-explained",
        "outbox 1/4: its cause is in no table",
        f"UPDATE outbox SET cause = '{PLACE}/14' WHERE seq = 4",
    ),
    "an output without a rule": (
        "outputs-explained",
        "outbox 1/1: no rule",
        "UPDATE outbox SET rule = '' WHERE seq = 1",
    ),
    "an output without a reason": (
        "outputs-explained",
        "outbox 1/1: no rule",
        "UPDATE outbox SET reason = '' WHERE seq = 1",
    ),
    "a payment never instructed": (
        "instructed-once",
        f"claim {CLAIM} payment P1: 0 instructions",
        "UPDATE outbox SET topic = 'claims.status.v1'",
    ),
    "an instruction without a payment": (
        "instructed-once",
        f"claim {CLAIM} outbox 1/2: instruction P1 has no payment",
        "DELETE FROM payments",
    ),
    "an instruction of another amount": (
        "instructed-once",
        f"claim {CLAIM} outbox 1/2: instruction P1 differs",
        "UPDATE payments SET amount_minor = amount_minor + 1",
    ),
    "a payment the claim does not know so": (
        "payments-as-claimed",
        f"claim {CLAIM} payment P1: ",
        "UPDATE payments SET state = 'instructed'",
    ),
    "a sum that is not the others": (
        "sums-agree",
        "CNY in minor units: approved 123456, instructed 123456, settled 0 + pending 123457 + returned 0",
        "UPDATE payments SET amount_minor = amount_minor + 1, state = 'accepted'",
    ),
    "one person in two roles": (
        "two-people",
        f"claim {CLAIM}: one person as approver and handler",
        restated("approver-02", "handler-07"),
    ),
}


@pytest.mark.parametrize("case", BREAKS.values(), ids=BREAKS.keys())
def test_a_broken_promise_is_named_with_its_row(engine: Engine, case: tuple[str, str, str]) -> None:
    """Whatever was changed behind the ledger's back, the check of that promise lists it."""
    name, row, statement = case
    run(engine, statement)

    assert not verify(engine).ok
    assert row in "\n".join(broken(engine).get(name, ()))


def test_a_second_effective_payment_is_named(engine: Engine) -> None:
    """Seen even where somebody took away the index that forbids it."""
    run(engine, "DROP INDEX payments_one_effective")
    run(
        engine,
        """INSERT INTO payments SELECT 'P2', claim, lane, settlement_version, 2, amount_minor, currency, state,
        proposed_by, approved_by, cause, at_ms FROM payments""",
    )

    assert broken(engine)["one-effective-payment"] == (f"claim {CLAIM} settlement 1: 2 effective payments",)


def test_a_second_instruction_is_named(engine: Engine, ledger: Ledger) -> None:
    """A payment sent twice under one id is two instructions of one payment."""
    ledger.commit(make.batch(make.take(ledger), outbox=[instruction(5)]))

    assert broken(engine)["instructed-once"] == (f"claim {CLAIM} payment P1: 2 instructions",)


def test_an_unreadable_instruction_is_named(engine: Engine) -> None:
    """An instruction nobody can read asks for no known amount."""
    run(engine, "UPDATE outbox SET value = headers WHERE seq = 2")

    assert broken(engine)["instructed-once"] == (f"claim {CLAIM} outbox 1/2: instruction P1 differs from its payment",)


def test_a_long_list_is_cut(engine: Engine, ledger: Ledger) -> None:
    """A ledger broken everywhere does not fill the screen."""
    ledger.commit(make.batch(make.take(ledger), outbox=[make.outbox(5 + n, cause="thin air") for n in range(30)]))

    rows = broken(engine)["outputs-explained"]
    assert len(rows) == MOST_ROWS + 1
    assert rows[-1] == "and more"


def test_a_hole_is_counted_and_breaks_nothing(engine: Engine, ledger: Ledger) -> None:
    """Control records fill offsets: a position may step over them."""
    ledger.commit(make.batch(make.take(ledger), positions=[(INVOICE, 10, 13)]))

    found = verify(engine)
    assert found.ok
    assert found.holes == {f"{INVOICE}/1/1": 3}


def accepted(first: int, next_: int) -> str:
    """SQL that accepts a loss of lane 1's invoices."""
    return f"INSERT INTO accepted_losses VALUES ('{INVOICE}', 1, 1, {first}, {next_}, 1700000000000, 'operator', 'old')"


def test_an_accepted_loss_is_listed_and_is_no_hole(engine: Engine, ledger: Ledger) -> None:
    """Of five offsets passed over, three are accounted for by name."""
    ledger.commit(make.batch(make.take(ledger), positions=[(INVOICE, 10, 15)]))
    run(engine, accepted(11, 14))

    found = verify(engine)
    assert found.ok
    assert found.holes == {f"{INVOICE}/1/1": 2}
    assert found.accepted_losses == (AcceptedLoss(f"{INVOICE}/1/1", 11, 13, "operator", 1_700_000_000_000, "old"),)


@pytest.mark.parametrize("change", ["UPDATE accepted_losses SET reason = 'none'", "DELETE FROM accepted_losses"])
def test_who_accepted_a_loss_stays(engine: Engine, change: str) -> None:
    """The database itself refuses to change or take away what was decided."""
    run(engine, accepted(8, 10))

    with pytest.raises(DBAPIError, match="append-only"):
        run(engine, change)


class TestHash:
    """The business hash."""

    def test_reading_changes_nothing(self, engine: Engine) -> None:
        """Twice the same ledger is twice the same hash."""
        assert verify(engine).ledger_hash == verify(engine).ledger_hash

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE lanes SET token = 7, owner = 'worker-9'",
            "UPDATE outbox SET seq = seq + 100",
            "UPDATE outbox SET at_ms = at_ms + 1",
            "UPDATE claims SET at_ms = at_ms + 1, lane = 3",
            "UPDATE parked SET entry = 77",
            f"INSERT INTO outbox SELECT lane, 99, '{WAKE}', {REST} FROM outbox WHERE seq = 1",
            restated('"desk 10","desk 11"', '"desk 11","desk 10"'),
        ],
    )
    def test_what_a_run_decides_is_left_out(self, engine: Engine, change: str) -> None:
        """Batches, tokens, numbers and the clock on the wall are no business."""
        before = verify(engine).ledger_hash
        run(engine, change)

        assert verify(engine).ledger_hash == before

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE claims SET stage = 'closed'",
            restated("handler-07", "handler-08"),
            "UPDATE policies SET plate = '京A12346'",
            "UPDATE payments SET amount_minor = amount_minor + 1",
            "UPDATE payments SET state = 'accepted'",
            "UPDATE outbox SET reason = 'another' WHERE seq = 1",
            "UPDATE outbox SET key = 'another' WHERE seq = 1",
            "DELETE FROM outbox WHERE seq = 4",
        ],
    )
    def test_a_change_of_business_changes_it(self, engine: Engine, change: str) -> None:
        """States, money and outputs count."""
        before = verify(engine).ledger_hash
        run(engine, change)

        assert verify(engine).ledger_hash != before

    def test_every_database_gives_the_same(self, engine: Engine, tmp_path: Path) -> None:
        """PostgreSQL and SQLite, in other batches and under other tokens: one input, one hash."""
        other = f"sqlite:///{tmp_path / 'other.db'}"
        make_ledger(other)
        ledger = open_ledger(other)
        fill(make.prepared(ledger), in_batches=True)
        ledger.close()
        second = read_engine(other)

        assert verify(second).ledger_hash == verify(engine).ledger_hash
        second.dispose()

    def test_schema_ids_are_the_registrys_affair(self, engine: Engine) -> None:
        """The same instruction under another registry's schema id is the same instruction."""
        before = verify(engine).ledger_hash
        with engine.begin() as connection:
            other = {"value": b"\0\0\0\1\1" + instruction(2).value[5:]}
            connection.execute(text("UPDATE outbox SET value = :value WHERE seq = 2"), other)

        assert verify(engine).ledger_hash == before

    def test_offsets_of_internal_topics_are_left_out(self, engine: Engine) -> None:
        """Lanes publish to one another in any order; a claim woken later is woken all the same."""
        run(engine, "UPDATE outbox SET cause = 'hub.wake.v1/1/3/9' WHERE seq = 1")
        before = verify(engine).ledger_hash
        run(engine, "UPDATE outbox SET cause = 'hub.wake.v1/1/3/10' WHERE seq = 1")

        assert verify(engine).ledger_hash == before
