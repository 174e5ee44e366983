"""Finance as it works in earnest: its book takes the instructions in, payment files go to a stand-in for the bank, and
what the bank answers comes back in files of its own."""

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, func, select

from monitoring.clock import Clock
from schemas.codec import Codec
from schemas.records import BankAccount, PaymentInstruction, StatementLine, StatementLineKind
from schemas.topics import INSTRUCTIONS
from sinks.ledger.bank_tables import bank_payments
from sinks.ledger.tables import outbox
from sinks.payments.instructions import read_instruction, unpacked
from streams.commands.export import export
from streams.commands.reconcile import run_reconciliation
from streams.demo.bank import Bank, Payment
from streams.demo.finance import ANSWERS, WAIT_MS, Paid
from streams.demo.stories import SHANGHAI, bank_answers
from streams.rules.banking_days import value_day
from streams.settings import Settings

ACCOUNT: Final = BankAccount(
    name="示例财产保险股份有限公司", account="622202000000000000000017", bank_code="102100099996"
)
"""Our own, from which all is paid."""
_LOOK_AGAIN_S: Final = 0.05


class Desk:
    """Looks in a thread of its own for instructions that the hub has published, exports them, and brings the bank's
    answers. Files are in `out` and `in` below the `folder`."""

    def __init__(self, settings: Settings, engine: Engine, codec: Codec, clock: Clock, folder: Path) -> None:
        """The bank answers as the stories say."""
        self._settings = settings
        self._engine = engine
        self._codec = codec
        self._clock = clock
        self._out, self._in = folder / "out", folder / "in"
        self._answers = {claim: deque(answers) for claim, answers in bank_answers().items()}
        self._bank = Bank(ACCOUNT)
        self._files = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="desk")
        self.paid: dict[str, Paid] = {}
        self.refused: list[str] = []

    def start(self) -> None:
        """Start looking."""
        self._in.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopping.set()
        self._thread.join()

    def book(self, line: StatementLine) -> None:
        """Let the bank have paid, whatever it said of it, or have the money back, and tell of that at once."""
        if line.kind is StatementLineKind.RETURN:
            self._statement(self._now(), {line.instruction_id: (line.amount_minor, line.reason_code)})
        else:
            self._bank.unbooked[line.instruction_id] = line.amount_minor
            self._statement(self._now(), {})

    def ends_day(self, next_ms: int | None) -> bool:
        """Bring the statement of the day before the one that comes next, if the bank has paid what stands on none."""
        evening = self._now().replace(hour=22, minute=0, second=0, microsecond=0)
        over = next_ms is None or _local(next_ms).date() > evening.date()
        if over and self._bank.unbooked:
            self._statement(evening, {})
            return True
        return False

    def _statement(self, at: datetime, returned: Mapping[str, tuple[int, str | None]]) -> None:
        self._bring("camt.053", self._bank.statement(at.date(), returned, at.isoformat()))

    def _now(self) -> datetime:
        return _local(int(self._clock.time() * 1000))

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_AGAIN_S):
            with self._engine.connect() as connection:
                instructed = connection.execute(_INSTRUCTED).scalar_one()
            if instructed > len(self.paid):
                self._pay()

    def _pay(self) -> None:
        as_of = value_day(int(self._clock.time() * 1000)).isoformat()
        exported = export(self._settings, self._out, as_of)
        self.refused += exported.bad
        for file in exported.written:
            payments = self._bank.payments(Path(file))
            instructions = {it.instruction_id: it for it in self._instructions()}
            for payment in payments:
                self.paid[payment.id] = self._answered(payment, instructions[payment.id])

    def _answered(self, payment: Payment, instruction: PaymentInstruction) -> Paid:
        waiting = self._answers.get(payment.claim)
        answers, at_ms = waiting.popleft() if waiting else ANSWERS, instruction.issued_at_ms
        for nth, answer in enumerate(answers):
            at_ms += WAIT_MS[nth > 0]
            self._bring("pain.002", self._bank.answer(payment, answer, _local(at_ms).isoformat()))
        return Paid(instruction, tuple([answer.status for answer in answers]))

    def _instructions(self) -> Iterator[PaymentInstruction]:
        with self._engine.connect() as connection:
            for headers, value in connection.execute(select(bank_payments.c.headers, bank_payments.c.value)):
                yield read_instruction(self._codec, value, unpacked(headers))

    def _bring(self, message: str, content: str) -> None:
        self._files += 1
        file = self._in / f"{self._files:03}-{message}.xml"
        file.write_text(content, encoding="utf-8")
        run_reconciliation(self._settings, [file], value_day(int(self._clock.time() * 1000)).isoformat())


_INSTRUCTED: Final = select(func.count()).select_from(outbox).where(outbox.c.topic == INSTRUCTIONS)


def _local(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, SHANGHAI)
