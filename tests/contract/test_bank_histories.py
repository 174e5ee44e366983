"""Whatever a bank says, in whatever files and order, and wherever the program dies: no state goes back, every cent of a
statement is matched or a break, and a claim is told of each thing once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, select

from schemas.records import PaymentStatusCode, StatementLine
from sinks.ledger.bank_tables import (
    bank_breaks,
    bank_entries,
    bank_payments,
    bank_records,
    bank_statements,
    bank_statuses,
)
from sinks.ledger.open import read_engine
from sinks.ledger.verify import verify
from sinks.payments.book import RANK, BankState
from streams.demo import bank_says as bank
from streams.demo.bank_says import ACCOUNT, Entry, Said, Tx
from streams.reconciliation.take import take
from tests import book as make
from tests import claims
from tests.ledgers import make_ledger

OURS: Final = {(ACCOUNT, "CNY")}
AMOUNT: Final = 1_000_00
IDS: Final = ("PI-1", "PI-2", "PI-3")
NOW_MS: Final = claims.LOSS_MS
OPENING: Final = 1_000_000_00


def both(one: str, other: str, minor: int) -> Entry:
    """A line of two transactions, which add up or not."""
    return Entry(-AMOUNT - minor, (Tx(one, minor=-AMOUNT), Tx(other, minor=-AMOUNT)))


named = st.sampled_from([*IDS, "elsewhere"])
amounts = st.sampled_from([AMOUNT, AMOUNT, AMOUNT, AMOUNT + 1])
codes = st.sampled_from([*PaymentStatusCode, "ACWP"])
reasons = st.sampled_from(["AC01", "AM05", None])
statuses = st.builds(lambda id_, code, why: Said(code, id_, why), named, codes, reasons)
lines = st.one_of(
    st.builds(lambda id_, minor: bank.paid(minor, id_), named, amounts),
    st.builds(lambda id_, minor: bank.returned(minor, id_), named, amounts),
    st.builds(lambda id_, minor: Entry(-minor, (Tx(id_),), status="PDNG"), named, amounts),
    st.builds(both, named, named, amounts),
    st.builds(lambda count: Entry(-AMOUNT * count, batch=count, batch_information_id="PM-1-1"), st.integers(1, 3)),
    st.sampled_from([Entry(-7_00, code=bank.FEE), Entry(12_00)]),
)


class File(NamedTuple):
    """A file of the bank's, after how many statements of the database its taking dies, and whether it comes again."""

    content: str
    dies: int | None
    again: bool


class Died(Exception):
    """The program is no more."""


@st.composite
def histories(draw: st.DrawFn) -> list[File]:
    """Files in the order in which they come: of statements the balances follow their numbers, not their coming."""
    contents, opening = [], OPENING
    for number in range(1, draw(st.integers(1, 5)) + 1):
        match draw(st.sampled_from(["report", "statement", "statement", "advice"])):
            case "report":
                group = draw(st.sampled_from([None, None, "ACCP", "RJCT"]))
                said = draw(st.lists(statuses, max_size=4))
                contents.append(bank.report(said, message_id=f"R{number}", group=group))
            case "advice":
                contents.append(bank.advice(draw(st.lists(lines, max_size=4)), message_id=f"A{number}"))
            case _:
                entries = draw(st.lists(lines, max_size=5))
                contents.append(bank.statement(entries, number, opening=opening, message_id=f"S{number}"))
                opening += sum(it.minor for it in entries if it.status == "BOOK")
    order = draw(st.permutations(contents))
    return [File(it, draw(st.none() | st.integers(1, 12)), draw(st.booleans())) for it in order]


@contextmanager
def book() -> Iterator[Engine]:
    """A book with three payments in a file at the bank."""
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/ledger.db"
        make_ledger(url)
        engine = read_engine(url, begin="BEGIN IMMEDIATE")
        with engine.begin() as connection:
            make.message(connection, transactions=3, total_minor=3 * AMOUNT)
            for id_ in IDS:
                make.payment(connection, instruction_id=id_, uetr=f"u{id_}", amount_minor=AMOUNT)
        yield engine
        engine.dispose()


@contextmanager
def dying(engine: Engine, after: int) -> Iterator[None]:
    """The program dies before the next statement once it has made so many."""
    made = 0

    def count(*_: object) -> None:
        nonlocal made
        made += 1
        if made > after:
            raise Died

    event.listen(engine, "before_cursor_execute", count)
    try:
        yield
    except Died:
        pass
    finally:
        event.remove(engine, "before_cursor_execute", count)


def put_down(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """All that the book has."""
    found = {}
    with engine.connect() as connection:
        for table in (bank_payments, bank_statuses, bank_statements, bank_entries, bank_breaks, bank_records):
            rows = connection.execute(select(table).order_by(*table.primary_key))
            found[table.name] = [tuple(row) for row in rows]
    return found


def ranks(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        rows = connection.execute(select(bank_payments.c.instruction_id, bank_payments.c.state))
        return {id_: RANK[BankState(state)] for id_, state in rows}


def check(engine: Engine) -> None:
    """What holds of a book at any time. The balances of these statements do add up, so every cent is in the book."""
    failing = [it for it in verify(engine).checks if it.name in ("statements-add-up", "cents-matched") and not it.ok]
    assert not failing
    with engine.connect() as connection:
        kinds = set(connection.execute(select(bank_breaks.c.kind)).scalars())
        records = connection.execute(select(bank_records.c.topic, bank_records.c.value)).all()
        entries = connection.execute(select(bank_entries.c.instruction_id, bank_entries.c.kind)).all()
        codes = list(connection.execute(select(bank_statuses.c.code)).scalars())
    told = [msgspec.json.decode(value, type=StatementLine) for topic, value in records if topic.endswith("line.v1")]
    matched = {(id_, kind) for id_, kind in entries if kind in ("payment", "return")}
    assert not kinds & {"balance", "unreadable"}
    assert sorted((it.instruction_id, str(it.kind)) for it in told) == sorted(matched)
    assert len(records) - len(told) == len([code for code in codes if code in set(PaymentStatusCode)])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_whatever_the_bank_says_every_cent_is_accounted_for(history: list[File]) -> None:
    """The book is the same as without any death or repeat; a file whose taking died has left nothing."""
    with book() as engine, book() as undisturbed, TemporaryDirectory() as folder:
        for number, file in enumerate(history):
            path, before = bank.put(Path(folder), f"{number}.xml", file.content), put_down(engine)
            stood = ranks(engine)
            if file.dies is not None:
                with dying(engine, file.dies):
                    take(engine, path, OURS, NOW_MS)
                assert put_down(engine) == before or take(engine, path, OURS, NOW_MS).known
            take(engine, path, OURS, NOW_MS)
            if file.again:
                assert take(engine, path, OURS, NOW_MS).known
            take(undisturbed, path, OURS, NOW_MS)
            check(engine)
            assert all(stood[id_] <= rank for id_, rank in ranks(engine).items())
        assert put_down(engine) == put_down(undisturbed)
