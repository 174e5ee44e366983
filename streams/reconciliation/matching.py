"""What the bank says of our payments, matched with the book: values in, values out.

A payment is found by EndToEndId, InstrId or UETR; else what is said may be of a whole payment information, or of a
whole message, by its id: a status is then that of each of its payments, and one line for all is split over those that
were not booked yet, when their count and sum are exactly the line's. Only booked lines come here (`bank_file`), and
each ends as one of four kinds: a payment, a return, a break, or other. Other is what no id of ours names, if it is a
fee or interest by its bank transaction code, or a credit that does not say it is a return.

An advice (camt.054) tells early of money that the statement tells of again. So lines are counted apart in the two: the
first debit of a payment in each is the same money, the second in one of them is a duplicate. Of an advice only what
names our payments counts; the rest is left to the statement. Where a payment was booked twice, the first credit that
names it takes the second booking back, and only the next one is the payment's return.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from msgspec import Struct, field

from connectors.bank.messages import Level, Status, Transaction
from schemas.money import format_minor
from schemas.records import BreakKind, PaymentStatus, PaymentStatusCode, StatementLine, StatementLineKind
from sinks.payments.book import RANK, BankState, EntryKind
from sinks.payments.records import record_row
from streams.reconciliation.bank_file import Line
from streams.reconciliation.found import BookBreak, OfAccount, Source, book_break, day_ms
from streams.rules.derived import derived_id
from streams.rules.payment_status import MAYBE_PAID, STATE_OF

STATUS_TOPIC: Final = "finance.payment-status.v1"
LINE_TOPIC: Final = "finance.statement-line.v1"

UNDER_WAY: Final = "ACSP"
"""All checks are done and the payment is being made: a rejection after it contradicts it."""

FEES: Final = frozenset({"CHRG", "FEES", "COMM", "COMT", "INTR", "TAXE"})
"""Sub-families of ISO 20022 bank transaction codes that are what the bank takes for itself, or pays."""

DEAD: Final = (BankState.REJECTED, BankState.CANCELLED)

_LONGEST: Final = 64
"""Of an identifier in a record."""

_CODES: Final = frozenset(PaymentStatusCode)


class Booked(Struct):
    """How often a payment was booked in statements, or in advices: left as it was instructed, once more, or in another
    amount; came back, took a second booking back, or came back in another amount."""

    paid: int = 0
    again: int = 0
    other_debits: int = 0
    returned: int = 0
    taken_back: int = 0
    other_credits: int = 0


class Payment(Struct):
    """A payment of the book as the matching goes on. `under_way` is that the bank said ACSP of it."""

    instruction_id: str
    claim: str
    amount_minor: int
    currency: str
    uetr: str
    state: BankState
    under_way: bool = False
    on_statements: Booked = field(default_factory=Booked)
    on_advices: Booked = field(default_factory=Booked)


class OfMessage(NamedTuple):
    """A payment file of ours that something is said of as a whole, and by which id."""

    message_id: str
    by: str


class Whole(NamedTuple):
    """A line that is of a whole payment file: amount below zero when it left, and of how many payments, if told."""

    line: Line
    of: OfAccount
    message: OfMessage
    amount_minor: int
    transactions: int | None


class Sum(NamedTuple):
    """How many payments, and of what amount in all."""

    payments: int
    minor: int


class Outcome(Struct):
    """What follows from a part of a file: rows for the book, and the payments that were touched."""

    statuses: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    records: list[dict[str, Any]] = []
    breaks: list[BookBreak] = []
    moved: dict[str, BankState] = {}
    left_to_statement: int = 0


class Matching:
    """Matches one part of a file with the payments that it names, in its order."""

    def __init__(
        self, source: Source, payments: Mapping[str, Payment], messages: Mapping[str, OfMessage], numbers: Iterator[int]
    ) -> None:
        """`payments` are found by instruction id or UETR, `messages` by message id or payment information id; a status
        takes its number from `numbers`."""
        self.outcome = Outcome()
        self._source = source
        self.payments = payments
        self._messages = messages
        self._numbers = numbers

    # -- statuses

    def status(self, status: Status) -> None:
        """Take what the bank says of one transaction; nothing without a code."""
        if status.code is None:
            return
        payment, _ = self._named(status.end_to_end_id, status.instruction_id, status.uetr)
        if payment is None or payment.state is BankState.REFUSED:
            self._unknown_status(status, "TxInfAndSts", "a payment")
        else:
            self.status_of(payment, status)

    def message_of(self, status: Status) -> OfMessage | None:
        """The payment file that a status is of as a whole; a break when it is none of ours."""
        id_ = status.payment_information_id if status.level is Level.PAYMENT_INFORMATION else status.message_id
        found = self._messages.get(id_ or "")
        if found is None:
            element = "OrgnlPmtInfAndSts" if status.level is Level.PAYMENT_INFORMATION else "OrgnlGrpInfAndSts"
            self._unknown_status(status, element, "a payment file")
        return found

    def status_of(self, payment: Payment, status: Status) -> None:
        """Take a status as this payment's: its claim hears of it, and the book moves by rank."""
        code, reason_code = status.code or "", status.reason_code
        told = (status.amount_minor, status.currency)
        if status.amount_minor is not None and told != (payment.amount_minor, payment.currency):
            self._break(
                BreakKind.AMOUNT,
                f"{self._source.sha256}|status|{status.line}",
                status.line,
                "TxInfAndSts",
                f"the bank says {code} of a payment of {_money(*told)}; {_described(payment)}",
                payment=payment,
            )
            return
        number = next(self._numbers)
        self.outcome.statuses.append(
            {
                "sha256": self._source.sha256,
                "number": number,
                "instruction_id": payment.instruction_id,
                "level": status.level,
                "code": code,
                "reason_code": reason_code,
                "line": status.line,
                "at_ms": self._source.told_at_ms,
            }
        )
        if code not in _CODES:
            return  # kept; no state follows from it
        self._move(payment, _after(payment, PaymentStatusCode(code), reason_code))
        payment.under_way |= code == UNDER_WAY
        record = PaymentStatus(
            claim=payment.claim,
            instruction_id=payment.instruction_id,
            status=PaymentStatusCode(code),
            reason_code=reason_code[:_LONGEST] if reason_code else None,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            at_ms=self._source.told_at_ms,
        )
        self._tell(STATUS_TOPIC, f"status|{number}", record, self._source.told_at_ms)

    def _unknown_status(self, status: Status, element: str, what: str) -> None:
        reason = f"the bank says {status.code} of {what} that is none of ours"
        self._break(BreakKind.ORPHAN, f"{self._source.sha256}|status|{status.line}", status.line, element, reason)

    # -- lines

    def line(self, line: Line, of: OfAccount) -> Whole | None:
        """Take a booked line; one that is of a whole payment file is given back, to be split by `split`."""
        entry, amount_minor = line.entry, _signed(line)
        made = entry.transactions
        if entry.currency != of.currency:
            reason = f"a line of {_money(amount_minor, entry.currency)} on a statement in {of.currency}"
            self._line_break(BreakKind.AMOUNT, line, of, 0, amount_minor, reason)
            return None
        found = [self._named(it.end_to_end_id, it.instruction_id, it.uetr) for it in made]
        named = any(payment for payment, _ in found)
        if not named and (message := self._message(line)) is not None:
            return Whole(line, of, message, amount_minor, entry.batch_transactions)
        if len(made) <= 1:
            payment, by = found[0] if found else (None, None)
            self._part(line, of, 0, amount_minor, payment, by, made[0] if made else None)
            return None
        amounts = [_of_transaction(line, it, payment) for it, (payment, _) in zip(made, found, strict=True)]
        total = sum(it for it in amounts if it is not None)
        if None not in amounts and total == amount_minor and entry.batch_transactions in (None, len(made)):
            for part, (it, amount, (payment, by)) in enumerate(zip(made, amounts, found, strict=True), 1):
                self._part(line, of, part, amount or 0, payment, by, it)
        elif named:
            reason = (
                f"a line of {_money(amount_minor, of.currency)} for {entry.batch_transactions or len(made)} "
                f"transactions names {len(made)} of {_money(total, of.currency)} in all"
            )
            self._line_break(BreakKind.AMOUNT, line, of, 0, amount_minor, reason, expected_minor=total)
        else:
            self._part(line, of, 0, amount_minor, None, None, None)
        return None

    def split(self, whole: Whole, part: int, payment: Payment) -> None:
        """Take one payment's part of a line for its whole file."""
        amount_minor = -payment.amount_minor if whole.amount_minor < 0 else payment.amount_minor
        self._part(whole.line, whole.of, part, amount_minor, payment, whole.message.by, None)

    def not_split(self, whole: Whole, expected: Sum, *, booked_before: bool) -> None:
        """Take a line for a whole file that is not what its payments are."""
        amount, currency = whole.amount_minor, whole.of.currency
        told = f"{whole.transactions} payments of " if whole.transactions is not None else ""
        why = (
            "which was booked before"
            if booked_before
            else f"of which {expected.payments} payments of {_money(expected.minor, currency)} are open"
        )
        self._line_break(
            BreakKind.DUPLICATE if booked_before else BreakKind.AMOUNT,
            whole.line,
            whole.of,
            0,
            amount,
            f"a line for {told}{_money(amount, currency)} for payment file {whole.message.message_id}, {why}",
            expected_minor=0 if booked_before else expected.minor if amount > 0 else -expected.minor,
        )

    def _part(
        self,
        line: Line,
        of: OfAccount,
        part: int,
        amount_minor: int,
        payment: Payment | None,
        by: str | None,
        made: Transaction | None,
    ) -> None:
        returned = line.entry.reversal or (made is not None and made.return_code is not None)
        if payment is None:
            self._unnamed(line, of, part, amount_minor, returned)
        elif payment.state is BankState.REFUSED:
            reason = f"a line of {_money(amount_minor, of.currency)} for an instruction that was refused and never sent"
            self._line_break(BreakKind.ORPHAN, line, of, part, amount_minor, reason, payment=payment, by=by)
        elif amount_minor < 0:
            self._debit(line, of, part, amount_minor, payment, by)
        else:
            self._credit(line, of, part, amount_minor, payment, by, made)

    def _unnamed(self, line: Line, of: OfAccount, part: int, amount_minor: int, returned: bool) -> None:
        if self._source.advice:
            self.outcome.left_to_statement += 1
            return
        fee = (line.entry.code or "").rpartition("/")[2] in FEES
        if fee or (amount_minor >= 0 and not returned):
            self._entry(line, of, part, amount_minor, EntryKind.OTHER)
            return
        amount = _money(amount_minor, of.currency)
        reason = f"a line of {amount} that names no payment of ours" + (", and says it is a return" if returned else "")
        self._line_break(BreakKind.ORPHAN, line, of, part, amount_minor, reason)

    def _debit(self, line: Line, of: OfAccount, part: int, amount_minor: int, payment: Payment, by: str | None) -> None:
        here, there = self._counts(payment)
        id_, booked = payment.instruction_id, _money(amount_minor, of.currency)
        if (-amount_minor, of.currency) != (payment.amount_minor, payment.currency):
            here.other_debits += 1
            self._line_break(
                BreakKind.AMOUNT,
                line,
                of,
                part,
                amount_minor,
                f"the bank booked {booked}; {_described(payment)}",
                key=f"{id_}|debit|{here.other_debits}",
                payment=payment,
                by=by,
                expected_minor=-payment.amount_minor,
            )
        elif here.paid:
            here.again += 1
            self._line_break(
                BreakKind.DUPLICATE,
                line,
                of,
                part,
                amount_minor,
                f"the bank booked {booked} once more; {_described(payment)}",
                key=f"{id_}|debit|{here.again}",
                payment=payment,
                by=by,
                expected_minor=0,
            )
        else:
            here.paid += 1
            self._entry(line, of, part, amount_minor, EntryKind.PAYMENT, payment, by)
            self._move(payment, BankState.BOOKED)
            if not there.paid:
                self._tell_line(line, of, part, StatementLineKind.PAYMENT, payment, None)

    def _credit(
        self,
        line: Line,
        of: OfAccount,
        part: int,
        amount_minor: int,
        payment: Payment,
        by: str | None,
        made: Transaction | None,
    ) -> None:
        here, there = self._counts(payment)
        id_, booked = payment.instruction_id, _money(amount_minor, of.currency)
        code = None if made is None else made.return_code
        why = f" ({code})" if code else ""
        if (amount_minor, of.currency) != (payment.amount_minor, payment.currency):
            here.other_credits += 1
            self._line_break(
                BreakKind.AMOUNT,
                line,
                of,
                part,
                amount_minor,
                f"{booked} came back{why}; {_described(payment)}",
                key=f"{id_}|credit|{here.other_credits}",
                payment=payment,
                by=by,
                expected_minor=payment.amount_minor,
            )
        elif here.returned or here.taken_back < max(here.again, there.again):
            here.taken_back += 1
            twice = here.taken_back <= max(here.again, there.again)
            self._line_break(
                BreakKind.DUPLICATE,
                line,
                of,
                part,
                amount_minor,
                f"{booked} came back{why}, which takes a second booking back; {_described(payment)}"
                if twice
                else f"{booked} came back{why} once more; {_described(payment)}",
                key=f"{id_}|credit|{here.taken_back}",
                payment=payment,
                by=by,
                expected_minor=0,
            )
        else:
            here.returned += 1
            raised = self._break(
                BreakKind.RETURNED,
                id_,
                line.entry.line,
                "Ntry",
                f"{booked} came back{why}; {_described(payment)}",
                of=of,
                payment=payment,
                found_minor=amount_minor,
            )
            self._entry(line, of, part, amount_minor, EntryKind.RETURN, payment, by, raised)
            self._move(payment, BankState.RETURNED)
            if not there.returned:
                self._tell_line(line, of, part, StatementLineKind.RETURN, payment, code)

    # -- what follows

    def _counts(self, payment: Payment) -> tuple[Booked, Booked]:
        """How often it was booked in messages like this one, and in the other kind."""
        both = payment.on_advices, payment.on_statements
        return both if self._source.advice else (both[1], both[0])

    def _named(
        self, end_to_end_id: str | None, instruction_id: str | None, uetr: str | None
    ) -> tuple[Payment | None, str | None]:
        """The payment that one of these names, and which one does."""
        for by, id_ in (("end-to-end", end_to_end_id), ("instruction", instruction_id), ("uetr", uetr)):
            if id_ is not None and (found := self.payments.get(id_.lower() if by == "uetr" else id_)) is not None:
                return found, by
        return None, None

    def _message(self, line: Line) -> OfMessage | None:
        """The payment file that a line is of as a whole."""
        return next((found for id_ in whole_ids(line) if (found := self._messages.get(id_)) is not None), None)

    def _move(self, payment: Payment, state: BankState) -> None:
        if RANK[state] > RANK[payment.state]:
            payment.state = self.outcome.moved[payment.instruction_id] = state

    def _entry(
        self,
        line: Line,
        of: OfAccount,
        part: int,
        amount_minor: int,
        kind: EntryKind,
        payment: Payment | None = None,
        by: str | None = None,
        raised: BookBreak | None = None,
    ) -> None:
        entry = line.entry
        self.outcome.entries.append(
            {
                "sha256": self._source.sha256,
                "statement": entry.statement,
                "number": line.number,
                "part": part,
                "account": of.account,
                "day": entry.booked_on or of.day,
                "amount_minor": amount_minor,
                "currency": entry.currency,
                "kind": kind,
                "instruction_id": None if payment is None else payment.instruction_id,
                "matched_by": by,
                "break_id": None if raised is None else raised.break_id,
                "reference": entry.servicer_reference or entry.reference,
                "line": entry.line,
            }
        )

    def _line_break(
        self,
        kind: BreakKind,
        line: Line,
        of: OfAccount,
        part: int,
        amount_minor: int,
        reason: str,
        *,
        key: str | None = None,
        payment: Payment | None = None,
        by: str | None = None,
        expected_minor: int | None = None,
    ) -> None:
        """A line that is a break."""
        place = f"{self._source.sha256}|{line.entry.statement}|{line.number}|{part}"
        raised = self._break(
            kind,
            key or place,
            line.entry.line,
            "Ntry",
            reason,
            of=of,
            payment=payment,
            expected_minor=expected_minor,
            found_minor=amount_minor,
            currency=line.entry.currency,
        )
        self._entry(line, of, part, amount_minor, EntryKind.BREAK, payment, by, raised)

    def _break(
        self,
        kind: BreakKind,
        key: str,
        line: int,
        element: str,
        reason: str,
        *,
        of: OfAccount | None = None,
        payment: Payment | None = None,
        expected_minor: int | None = None,
        found_minor: int | None = None,
        currency: str | None = None,
    ) -> BookBreak:
        raised = book_break(
            kind,
            key,
            self._source,
            line,
            element,
            reason,
            of=of,
            instruction_id=None if payment is None else payment.instruction_id,
            claim=None if payment is None else payment.claim,
            expected_minor=expected_minor,
            found_minor=found_minor,
            currency=currency or (None if payment is None else payment.currency),
        )
        self.outcome.breaks.append(raised)
        return raised

    def _tell_line(
        self, line: Line, of: OfAccount, part: int, kind: StatementLineKind, payment: Payment, code: str | None
    ) -> None:
        entry, place = line.entry, f"{line.entry.statement}|{line.number}|{part}"
        booked_at_ms = day_ms(entry.booked_on or of.day)
        reference = entry.servicer_reference
        record = StatementLine(
            claim=payment.claim,
            line_id=reference if reference and len(reference) <= _LONGEST else self._event(place),
            instruction_id=payment.instruction_id,
            kind=kind,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            reason_code=code[:_LONGEST] if code else None,
            booked_at_ms=booked_at_ms,
        )
        self._tell(LINE_TOPIC, place, record, booked_at_ms)

    def _tell(self, topic: str, place: str, record: PaymentStatus | StatementLine, at_ms: int) -> None:
        self.outcome.records.append(record_row(self._event(place), topic, record.claim, record, at_ms))

    def _event(self, place: str) -> str:
        """The id of what stands in one place of the file."""
        return derived_id("BE", self._source.sha256, place)


def whole_ids(line: Line) -> Iterator[str]:
    """The ids of payment informations and messages that a line names, in the order in which they count."""
    entry = line.entry
    informations = {entry.batch_payment_information_id, *(it.payment_information_id for it in entry.transactions)}
    messages = {entry.batch_message_id, *(it.message_id for it in entry.transactions)}
    for ids in (informations - {None}, messages - {None}):
        if len(ids) == 1:
            yield str(*ids)


def agrees(whole: Whole, due: Sum) -> bool:
    """Whether a line is exactly these payments."""
    return due.payments > 0 and whole.transactions in (None, due.payments) and abs(whole.amount_minor) == due.minor


def _after(payment: Payment, code: PaymentStatusCode, reason_code: str | None) -> BankState:
    """Where a payment stands once the bank has said this: of two things that cannot both be true nobody knows which."""
    said = BankState(STATE_OF[code])
    if said is BankState.REJECTED and reason_code in MAYBE_PAID:
        return BankState.UNKNOWN
    rejected_under_way = said is BankState.REJECTED and payment.under_way and payment.state is BankState.ACCEPTED
    under_way_rejected = code == UNDER_WAY and payment.state is BankState.REJECTED
    return BankState.UNKNOWN if rejected_under_way or under_way_rejected else said


def _signed(line: Line) -> int:
    """A line's amount, below zero when it left the account."""
    amount_minor = line.entry.amount_minor or 0
    return amount_minor if line.entry.credit else -amount_minor


def _of_transaction(line: Line, made: Transaction, payment: Payment | None) -> int | None:
    """What one transaction is of its line: what it says, else what the payment that it names was; None when neither is
    told in the line's currency."""
    entry = line.entry
    if made.amount_minor is not None and made.currency == entry.currency:
        amount_minor = made.amount_minor
    elif made.amount_minor is None and payment is not None and payment.currency == entry.currency:
        amount_minor = payment.amount_minor
    else:
        return None
    credit = entry.credit if made.credit is None else made.credit
    return amount_minor if credit else -amount_minor


def _money(amount_minor: int | None, currency: str | None) -> str:
    return "?" if amount_minor is None or currency is None else format_minor(amount_minor, currency)


def _described(payment: Payment) -> str:
    return f"payment {payment.instruction_id} is of {format_minor(payment.amount_minor, payment.currency)}"
