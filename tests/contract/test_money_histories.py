"""Claims, finance's book and the bank together, whatever is said in whatever order and wherever a program dies: what
was approved was instructed, and is settled, pending or returned; no id is used again; all three tell one story."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from connectors.registry import EmbeddedRegistry
from schemas.codec import Codec
from schemas.records import AdjusterDecision, PaymentStatusCode, Role
from sinks.ledger.bank_tables import bank_payments, bank_records
from sinks.ledger.open import read_engine
from sinks.ledger.tables import claims, payments
from sinks.ledger.verify import verify
from sinks.payments.book import RANK, BankState, BreakAction, Resolution
from streams.demo import bank_says as bank
from streams.demo.bank_says import ACCOUNT, Entry, Said
from streams.reconciliation.clearing import Action, Refused
from streams.reconciliation.closures import check_end, close
from streams.reconciliation.publish import outgoing
from streams.reconciliation.take import take
from streams.rules.claim import PaymentState
from tests import book as make_book
from tests import claims as make
from tests.e2e.filled_ledger import FilledLedger

OURS: Final = {(ACCOUNT, "CNY")}
NOW_MS: Final = make.LOSS_MS + 30 * make.DAY_MS
CLAIMS: Final = (make.CLAIM, "CLM-2026-000002")
AMOUNT: Final = 2_300_00
CODEC: Final = Codec(EmbeddedRegistry(), 1_000_000)
ON_BOTH_SIDES: Final = {
    BankState.SENT: PaymentState.INSTRUCTED,
    **{BankState(state): PaymentState(state) for state in PaymentState if state is not PaymentState.INSTRUCTED},
}
"""Where a payment stands in its claim once that has heard all that the book knows."""

STEPS: Final = ("status", "status", "statement", "statement", "approve", "hear", "close")


class World:
    """Two claims in a ledger, their payments in finance's book, and a bank with an account of ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = FilledLedger(f"sqlite:///{folder}/ledger.db")
        self.engine = read_engine(self.ledger.url, begin="BEGIN IMMEDIATE")
        self.files = 0
        self.balance_minor = 1_000_000_00
        self.sequence = 0
        self.ledger.take(make.policy())
        for number, claim in enumerate(CLAIMS):
            notice = make.notice(claim=claim, loss_at_ms=make.LOSS_MS - number * 9 * make.DAY_MS)
            self.ledger.take(notice, make.estimate(claim=claim), make.invoice(claim=claim))
        self.send()

    def close(self) -> None:
        self.ledger.close()
        self.engine.dispose()

    def payments(self) -> dict[str, tuple[str, str]]:
        """The state of each payment in its claim and in the book."""
        ours, theirs = payments.c, bank_payments.c
        query = select(ours.id, ours.state, theirs.state).join_from(
            payments, bank_payments, ours.id == theirs.instruction_id
        )
        with self.engine.begin() as connection:
            return {id_: (claimed, known) for id_, claimed, known in connection.execute(query.order_by(ours.id))}

    def send(self) -> None:
        """Take every new instruction into the book and put it into a payment file of its own."""
        with self.engine.begin() as book:
            known = set(book.scalars(select(bank_payments.c.instruction_id)))
            for row in book.execute(select(payments)).mappings().all():
                if row["id"] not in known:
                    message = f"PM{row['id'][2:]}"
                    make_book.message(book, message_id=message, total_minor=row["amount_minor"])
                    values = {"instruction_id": row["id"], "claim": row["claim"], "amount_minor": row["amount_minor"]}
                    make_book.payment(book, **values, uetr=row["id"], message_id=message)

    def say(self, content: str) -> None:
        """A file of the bank's, taken."""
        self.files += 1
        take(self.engine, bank.put(self.folder, f"{self.files}.xml", content), OURS, NOW_MS)

    def status(self, payment: str, code: str, reason: str | None) -> None:
        self.say(bank.report([Said(code, payment, reason)], of=f"PM{payment[2:]}", message_id=f"R{self.files}"))

    def statement(self, entries: list[Entry]) -> None:
        self.sequence += 1
        opening, self.balance_minor = self.balance_minor, self.balance_minor + sum(it.minor for it in entries)
        self.say(bank.statement(entries, self.sequence, opening=opening, message_id=f"S{self.sequence}"))

    def hear(self, dies_after: int | None) -> None:
        """Tell the claims, in order; a program that dies has told some of it and does not know."""
        c = bank_records.c
        with self.engine.begin() as book:
            rows = book.execute(select(bank_records).where(c.sent_at_ms.is_(None)).order_by(c.number)).mappings().all()
        for row in rows[:dies_after]:
            told = outgoing(CODEC, dict(row))
            self.ledger.take_bytes(told.topic, (told.key or b"").decode(), told.value or b"", told.headers)
        if dies_after is None:
            with self.engine.begin() as book:
                book.execute(update(bank_records).values(sent_at_ms=NOW_MS))

    def approve(self) -> None:
        """Let people approve whatever is up for approval; what they may not is refused."""
        with self.engine.begin() as connection:
            states = connection.execute(select(claims.c.claim, claims.c.state)).all()
        for claim, state in states:
            if any(task["kind"] == "approval" for task in state.get("open_tasks", ())):
                self.ledger.take(self._decision(claim, state["settlement"]["version"]))
        self.send()

    def end(self, payment: str, resolution: Resolution) -> None:
        """Two people say how a payment ended, if they may."""
        resolved = Action(
            break_id=f"BK{payment}{resolution}",
            number=2,
            action=BreakAction.RESOLVED,
            person="treasurer-02",
            proposed_by="cashier-01",
            resolution=resolution,
            reason="voucher 2026-0311",
            at_ms=NOW_MS,
        )
        try:
            with self.engine.begin() as book:
                check_end(book, payment, resolution)
                close(book, payment, resolved, "voucher 2026-0311")
        except Refused:
            return

    def check(self) -> None:
        """What holds at any time."""
        failing = [(it.name, it.rows) for it in verify(self.engine).checks if not it.ok]
        assert failing == []

    @staticmethod
    def _decision(claim: str, version: int) -> AdjusterDecision:
        return make.decision(Role.HANDLER, claim=claim, settlement_version=version)


@contextmanager
def world() -> Iterator[World]:
    with TemporaryDirectory() as folder:
        made = World(Path(folder))
        yield made
        made.close()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_three_tell_one_story(data: st.DataObject) -> None:
    """After every step all that verify promises holds, and no state of the book goes back but by two people; once the
    claims have heard everything each payment stands in its claim where it stands in the book."""
    with world() as it:
        for _ in range(data.draw(st.integers(1, 9), "steps")):
            before = it.payments()
            payment = data.draw(st.sampled_from(sorted(before)), "payment")
            step = data.draw(st.sampled_from(STEPS), "step")
            match step:
                case "status":
                    code = data.draw(st.sampled_from([*PaymentStatusCode]), "code")
                    it.status(payment, code, data.draw(st.sampled_from(["AC01", "AM04", "AM05"]), "reason"))
                case "statement":
                    it.statement(data.draw(st.lists(_lines(payment), max_size=3), "lines"))
                case "approve":
                    it.approve()
                case "close":
                    it.end(payment, data.draw(st.sampled_from([Resolution.PAID, Resolution.NOT_PAID]), "end"))
                case _:
                    it.hear(data.draw(st.none() | st.integers(0, 3), "dies after"))
            it.check()
            if step != "close":
                after = it.payments()
                assert all(
                    RANK[BankState(known)] <= RANK[BankState(after[id_][1])] for id_, (_, known) in before.items()
                )
        it.hear(None)
        it.check()
        apart = {id_: both for id_, both in it.payments().items() if ON_BOTH_SIDES[BankState(both[1])] != both[0]}
        assert apart == {}


def _rank(state: str) -> int:
    return RANK[BankState(state)]


def _lines(payment: str) -> st.SearchStrategy[Entry]:
    return st.sampled_from(
        [
            bank.paid(AMOUNT, payment),
            bank.paid(AMOUNT + 1, payment),
            bank.returned(AMOUNT, payment),
            bank.paid(AMOUNT, "elsewhere"),
            Entry(-7_00, code=bank.FEE),
        ]
    )
