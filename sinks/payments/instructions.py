"""Takes payment instructions into finance's book: each id once, whatever comes again, and none that is not genuine."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any, Final, cast

from confluent_kafka import Message
from msgspec import Struct, msgpack
from sqlalchemy import Connection, delete, insert, select, update

from schemas.codec import Codec, Undecodable
from schemas.days import day_of_number
from schemas.records import BreakKind, PaymentInstruction
from schemas.topics import INSTRUCTIONS
from sinks.ledger.bank_tables import bank_breaks, bank_payments
from sinks.payments.book import BankState
from sinks.payments.following import place_of, unreadable
from sinks.payments.keys import Keys, KeyState
from sinks.payments.new_rows import insert_new
from sinks.payments.pain001 import uetr
from sinks.payments.signatures import Checked, Verdict, verify_instruction

Headers = list[tuple[str, bytes | None]]
Row = dict[str, Any]

_pack: Final = msgpack.Encoder().encode
unpacked: Final = msgpack.Decoder(Headers).decode


def read_instruction(codec: Codec, value: bytes | None, headers: Headers) -> PaymentInstruction:
    """The record as it came. Raises Undecodable, UnknownSchema, RegistryUnavailable."""
    record = codec.decode(INSTRUCTIONS, value, headers)
    assert isinstance(record, PaymentInstruction)
    return record


class TakenIn(Struct):
    """What came: payments that are new, records of ones that are known, and a sentence about each that is not good."""

    new: int = 0
    repeats: int = 0
    bad: list[str] = []

    def add(self, other: "TakenIn") -> None:
        """Count another page's as well."""
        self.new += other.new
        self.repeats += other.repeats
        self.bad += other.bad


class InstructionDesk:
    """Takes pages of instructions in, checked against the public `keys`. `value_day` gives the banking day of a time of
    issue, for instructions that do not say theirs; `break_id` the id of a break of a kind about something."""

    def __init__(
        self,
        codec: Codec,
        keys: Keys,
        value_day: Callable[[int], date],
        break_id: Callable[[BreakKind, str], str],
        now_ms: int,
    ) -> None:
        self._codec = codec
        self._keys = keys
        self._value_day = value_day
        self._break_id = break_id
        self._now_ms = now_ms

    def take(self, book: Connection, page: Sequence[Message]) -> TakenIn:
        """Write a page into the book. A forged record takes no genuine one's place, whichever came first.

        Raises UnknownSchema, RegistryUnavailable: what is not known yet may be good.
        """
        taken, rows, breaks = TakenIn(), list[tuple[str, Row]](), list[Row]()
        for message in page:
            place = place_of(message)
            try:
                rows.append((place, self._row(message)))
            except Undecodable as error:
                taken.bad.append(f"{place} cannot be read: {error}")
                id_ = self._break_id(BreakKind.UNREADABLE, place)
                breaks.append(unreadable(id_, message, str(error), self._now_ms))
        insert_new(book, bank_breaks, breaks)
        known = _known(book, {row["instruction_id"] for _, row in rows})
        new: dict[str, Row] = {}
        for place, row in rows:
            id_ = row["instruction_id"]
            before = known.get(id_)
            if before is not None and before["value"] == row["value"] and before["state"] == row["state"]:
                taken.repeats += 1
            elif row["state"] == BankState.REFUSED:
                taken.bad.append(f"{place}: instruction {id_} is refused: {row['reason']}")
                if before is None:
                    known[id_] = new[id_] = row
            elif before is None or before["state"] == BankState.REFUSED:
                known[id_] = new[id_] = row
                taken.new += 1
            elif before["value"] == row["value"]:
                taken.repeats += 1
            else:
                taken.bad.append(f"{place} says instruction {id_} otherwise than it came before; the first one stands")
        _write(book, list(new.values()))
        return taken

    def review(self, book: Connection) -> list[str]:
        """Look again where the keys of today say otherwise: what was signed with a key that is known only now is due,
        and what is in no file yet and was signed with one revoked since is refused. A sentence about each of these."""
        c = bank_payments.c
        later = select(c.instruction_id, c.headers, c.value).where(
            c.state == BankState.REFUSED, c.key_id.in_(self._keys), c.headers.is_not(None)
        )
        for id_, headers, value in book.execute(later).all():
            kept = unpacked(headers)
            if self._check(read_instruction(self._codec, value, kept), kept).verdict is Verdict.GOOD:
                genuine = update(bank_payments).where(c.instruction_id == id_, c.state == BankState.REFUSED)
                book.execute(genuine.values(state=BankState.DUE, reason=None))
        revoked = [key.key_id for key in self._keys.values() if key.state is KeyState.REVOKED]
        signed = select(c.instruction_id, c.key_id).where(
            c.state.in_((BankState.DUE, BankState.HELD)), c.key_id.in_(revoked)
        )
        bad = []
        for id_, key_id in book.execute(signed.order_by(c.instruction_id)).all():
            reason = Checked(Verdict.REVOKED_KEY, key_id).reason
            refused = update(bank_payments).where(c.instruction_id == id_, c.state.in_((BankState.DUE, BankState.HELD)))
            book.execute(refused.values(state=BankState.REFUSED, held_by=None, reason=reason))
            bad.append(f"instruction {id_} is refused: {reason}")
        return bad

    def _row(self, message: Message) -> Row:
        headers = _headers(message)
        record = read_instruction(self._codec, message.value(), headers)
        checked = self._check(record, headers)
        good = checked.verdict is Verdict.GOOD
        on = self._value_day(record.issued_at_ms) if record.value_on is None else day_of_number(record.value_on)
        return {
            "instruction_id": record.instruction_id,
            "claim": record.claim,
            "lane": message.partition(),
            "amount_minor": record.amount_minor,
            "currency": record.currency,
            "value_on": on,
            "uetr": uetr(record.instruction_id),
            "state": BankState.DUE if good else BankState.REFUSED,
            "message_id": None,
            "held_by": None,
            "reason": None if good else checked.reason,
            "key_id": checked.key_id,
            "at_ms": self._now_ms,
            "headers": _pack(headers),
            "value": message.value(),
        }

    def _check(self, record: PaymentInstruction, headers: Headers) -> Checked:
        return verify_instruction(record, headers, self._keys)


def _known(book: Connection, ids: Iterable[str]) -> dict[str, Row]:
    """State and record of those of the instructions that the book has."""
    c = bank_payments.c
    query = select(c.instruction_id, c.state, c.value).where(c.instruction_id.in_(ids))
    return {row["instruction_id"]: dict(row) for row in book.execute(query).mappings()}


def _write(book: Connection, rows: Sequence[Row]) -> None:
    """Put payments into the book; one that is there and refused makes room."""
    ids = [row["instruction_id"] for row in rows]
    c = bank_payments.c
    if ids:
        book.execute(delete(bank_payments).where(c.instruction_id.in_(ids), c.state == BankState.REFUSED))
        book.execute(insert(bank_payments), rows)


def _headers(message: Message) -> Headers:
    return cast(Headers, message.headers() or [])
