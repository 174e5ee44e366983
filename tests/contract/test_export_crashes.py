"""An export that ends at any step, again and again: every payment is in one file, every file is whole."""

import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.days import day_number
from sinks.ledger.bank_tables import bank_cancellations, bank_messages, bank_payments
from sinks.payments.book import BankState
from sinks.payments.files import Day, send_out
from streams.commands.export import debtor_accounts
from tests.export_steps import each_step
from tests.finance_desk import DAY, FinanceDesk, broker
from tests.ledgers import make_ledger

LATER: Final = 7
"""The instruction that is due another day."""


class Crashed(BaseException):
    """The process is gone: nothing catches this."""


class Desks:
    """A ledger where some is in a file, of that some is asked back, and some is due; and copies of it to end on."""

    def __init__(self, folder: Path, address: str) -> None:
        self._folder = folder
        self._numbers = count(1)
        self._ledger = folder / "ledger.db"
        make_ledger(f"sqlite:///{self._ledger}")
        self.desk = FinanceDesk(folder, f"sqlite:///{self._ledger}", address)
        first, second = self.desk.instruct(1), self.desk.instruct(2)
        self.desk.export()
        self.desk.ask_back(first)
        self.desk.ask_back(second)
        for number in (3, 4, 5):
            self.desk.instruct(number)
        self.desk.instruct(6, currency="EUR")
        self.desk.instruct(LATER, value_on=day_number(DAY) + 1)
        self.desk.export(write=False)

    def copy(self) -> FinanceDesk:
        """The desk with its ledger as it was, and an empty folder for files."""
        number = next(self._numbers)
        ledger = self._folder / f"ledger-{number}.db"
        shutil.copy(self._ledger, ledger)
        self.desk.move(f"sqlite:///{ledger}")
        self.desk.out = self._folder / f"bank-{number}"
        self.desk.out.mkdir()
        return self.desk


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desks]:
    """One ledger for all crashes."""
    with broker() as address:
        yield Desks(tmp_path_factory.mktemp("desk"), address)


def ends(run: Callable[[], object], at: int) -> bool:
    """Run, and end at this step; whether it came so far."""

    def end(step: int) -> None:
        if step == at:
            raise Crashed

    try:
        with each_step(end):
            run()
    except Crashed:
        return True
    return False


def write(desk: FinanceDesk) -> None:
    with desk.engine() as engine:
        send_out(engine, desk.codec, debtor_accounts(desk.settings), Day(DAY, DAY), desk.out, 1)


def check_whole(desk: FinanceDesk) -> None:
    """What stands under a file's name is what the book has for it, and nobody is paid twice."""
    known = {row["file"]: row["sha256"] for row in desk.rows(bank_messages)}
    for file in desk.out.glob("*.xml"):
        assert sha256(file.read_bytes()).hexdigest() == known[str(file)]
    assert len(set(desk.paid())) == len(desk.paid())


def check_done(desk: FinanceDesk) -> None:
    """As if nothing had happened."""
    check_whole(desk)
    states = {row["instruction_id"]: row["state"] for row in desk.rows(bank_payments)}
    assert {id_ for id_, state in states.items() if state != BankState.SENT} == {f"PI{LATER:030}"}
    assert desk.paid() == [f"PI{number:030}" for number in (3, 4, 5, 6)]
    messages = desk.rows(bank_messages)
    assert sorted((row["kind"], row["currency"], row["transactions"]) for row in messages) == [
        ("camt.055", "CNY", 2),
        ("pain.001", "CNY", 2),
        ("pain.001", "CNY", 3),
        ("pain.001", "EUR", 1),
    ]
    assert all(row["content"] is None for row in messages) and len(list(desk.out.iterdir())) == 3
    assert {row["state"] for row in desk.rows(bank_cancellations)} == {"sent"}


def test_an_export_that_ended_at_any_step_is_finished_by_the_next(desks: Desks) -> None:
    """Step by step through all of them."""
    for at in count(1):
        desk = desks.copy()
        ended = ends(lambda: write(desk), at)  # noqa: B023 - it runs here
        check_whole(desk)
        write(desk)
        check_done(desk)
        if not ended:
            assert at > 25, "an export has more steps than these"
            return


@pytest.mark.slow
@settings(max_examples=50)
@given(steps=st.lists(st.integers(1, 40), max_size=6))
def test_an_export_that_ends_again_and_again_pays_everybody_once(desks: Desks, steps: list[int]) -> None:
    """Whatever the steps at which the runs before ended."""
    desk = desks.copy()
    for at in steps:
        ends(lambda: write(desk), at)
        check_whole(desk)
    write(desk)

    check_done(desk)


@pytest.mark.slow
def test_intake_that_ended_at_any_step_goes_on_where_it_was(tmp_path: Path) -> None:
    """Each instruction is in the book once, with its page's place in the log."""
    with broker() as address:
        desk = FinanceDesk(tmp_path, _empty(tmp_path, 0), address)
        records = [desk.instruct(number) for number in (1, 2, 3)]
        desk.ask_back(records[0])
        for at in range(1, 12):
            desk.move(_empty(tmp_path, at))
            desk.connect(address)
            assert ends(lambda: desk.export(write=False), at)
            found = desk.export(write=False)

            assert [row["instruction_id"] for row in desk.rows(bank_payments)] == [it.instruction_id for it in records]
            assert [it.state for it in found.asked_back] == ["done"] and not found.bad


def _empty(folder: Path, number: int) -> str:
    url = f"sqlite:///{folder}/ledger-{number}.db"
    make_ledger(url)
    return url
