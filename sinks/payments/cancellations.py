"""Payments that their claims ask back: never put into a file, or asked back from the bank once they are in one."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from confluent_kafka import Message
from sqlalchemy import Connection, select, update

from schemas.codec import Codec, Undecodable
from schemas.records import BreakKind, CancellationRequest, PaymentStatus, PaymentStatusCode
from sinks.ledger.bank_tables import bank_breaks, bank_cancellations, bank_payments
from sinks.payments.book import BankState, CancellationState
from sinks.payments.following import place_of, unreadable
from sinks.payments.instructions import TakenIn
from sinks.payments.new_rows import insert_new
from sinks.payments.records import add_records, record_row

TOPIC: Final = "finance.cancellation-request.v1"
_STATUS: Final = "finance.payment-status.v1"
_OPEN: Final = (CancellationState.ASKED, CancellationState.TO_ASK)
_IN_NO_FILE: Final = (BankState.DUE, BankState.HELD, BankState.REFUSED)
_AT_THE_BANK: Final = (BankState.SENT, BankState.ACCEPTED, BankState.UNKNOWN)


class CancellationDesk:
    """Takes pages of requests in. `break_id` gives the id of a break of a kind about something."""

    def __init__(self, codec: Codec, break_id: Callable[[BreakKind, str], str], now_ms: int) -> None:
        self._codec = codec
        self._break_id = break_id
        self._now_ms = now_ms

    def take(self, book: Connection, page: Sequence[Message]) -> TakenIn:
        """Write a page into the book; a request that comes again changes nothing. Raises UnknownSchema,
        RegistryUnavailable."""
        taken, breaks, rows = TakenIn(), list[dict[str, Any]](), dict[str, dict[str, Any]]()
        for message in page:
            try:
                record = self._codec.decode(TOPIC, message.value(), message.headers() or [])  # type: ignore[arg-type]
            except Undecodable as error:
                place = place_of(message)
                taken.bad.append(f"{place} cannot be read: {error}")
                id_ = self._break_id(BreakKind.UNREADABLE, place)
                breaks.append(unreadable(id_, message, str(error), self._now_ms))
                continue
            assert isinstance(record, CancellationRequest)
            rows.setdefault(record.instruction_id, self._row(record, message))
        insert_new(book, bank_breaks, breaks)
        insert_new(book, bank_cancellations, list(rows.values()))
        return taken

    def settle(self, book: Connection) -> None:
        """Do what was asked where it can be done here: a payment in no file is never put into one, and its claim hears
        that it is cancelled; of one in a file the bank is to be asked. A request before its payment waits for it."""
        asked, p = bank_cancellations.c, bank_payments.c
        query = (
            select(p.instruction_id, p.claim, p.state, p.amount_minor, p.currency)
            .join_from(bank_cancellations, bank_payments, asked.instruction_id == p.instruction_id)
            .where(asked.state.in_(_OPEN))
        )
        for row in book.execute(query.order_by(p.instruction_id)).all():
            if row.state in _AT_THE_BANK:
                _move(book, row.instruction_id, CancellationState.TO_ASK)
            elif row.state not in _IN_NO_FILE:
                _move(book, row.instruction_id, CancellationState.TOO_LATE)
            elif self._stop(book, row):
                _move(book, row.instruction_id, CancellationState.DONE)

    def _stop(self, book: Connection, row: Any) -> bool:  # noqa: ANN401 - a row of `settle`
        """Cancel a payment in no file, and let its claim know; False when it got into one meanwhile."""
        p = bank_payments.c
        stopped = update(bank_payments).where(p.instruction_id == row.instruction_id, p.state == row.state)
        if book.execute(stopped.values(state=BankState.CANCELLED)).rowcount != 1:
            return False
        said = PaymentStatus(
            claim=row.claim,
            instruction_id=row.instruction_id,
            status=PaymentStatusCode.CANC,
            amount_minor=row.amount_minor,
            currency=row.currency,
            at_ms=self._now_ms,
        )
        add_records(book, [record_row(f"cancelled/{row.instruction_id}", _STATUS, row.claim, said, self._now_ms)])
        return True

    def _row(self, record: CancellationRequest, message: Message) -> dict[str, Any]:
        return {
            "instruction_id": record.instruction_id,
            "claim": record.claim,
            "state": CancellationState.ASKED,
            "reason": record.reason,
            "at_ms": self._now_ms,
            "value": message.value(),
        }


def _move(book: Connection, instruction_id: str, state: CancellationState) -> None:
    c = bank_cancellations.c
    asked = update(bank_cancellations).where(c.instruction_id == instruction_id, c.state.in_(_OPEN))
    book.execute(asked.values(state=state))
