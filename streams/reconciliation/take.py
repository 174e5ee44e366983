"""Takes a bank's file into the book: all of it in one transaction, or nothing.

Lines and statuses are matched some thousand at a time, with a fixed number of statements for each such part. Files are
taken one after the other, whoever takes them: what one books the next one knows.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import ColumnElement, Connection, Engine, and_, exists, func, insert, or_, select, text, true, update

from connectors.bank.messages import Level, Status
from schemas.records import BreakKind
from sinks.ledger.bank_tables import (
    bank_breaks,
    bank_entries,
    bank_files,
    bank_messages,
    bank_payments,
    bank_statements,
    bank_statuses,
)
from sinks.payments.book import RANK, BankState, EntryKind, MessageKind
from sinks.payments.new_rows import among, insert_new, insert_rows
from sinks.payments.records import add_records
from streams.reconciliation.bank_file import ADVICE, STATUSES, BankFile, Line, bank_file
from streams.reconciliation.found import BookBreak, OfAccount, Source, book_break
from streams.reconciliation.matching import (
    DEAD,
    UNDER_WAY,
    Booked,
    Matching,
    OfMessage,
    Outcome,
    Payment,
    Sum,
    Whole,
    agrees,
    whole_ids,
)
from streams.reconciliation.statements import Accounts, Known, account_of, check_statement

PART: Final = 2_000
"""Lines, statuses or payments in one part: what is in memory at a time."""

_PARTIAL: Final = "PART"
"""The status of a message some of whose payments were accepted: of which ones is told apart."""

_LOCK: Final = text("LOCK TABLE bank_files IN SHARE ROW EXCLUSIVE MODE")

Item = TypeVar("Item")


class Taken(Struct, kw_only=True):
    """What a file became. `known` is a file that was taken before: nothing changed. Of an advice, `left` are the lines
    that the statement is left to tell of; `not_booked` are no money yet."""

    file: str
    sha256: str
    message: str
    version: str | None
    message_id: str | None
    known: bool = False
    statements: int = 0
    statuses: int = 0
    payments: int = 0
    returns: int = 0
    other: int = 0
    not_booked: int = 0
    left: int = 0
    breaks: dict[str, int] = {}
    warnings: int = 0


def take(engine: Engine, path: Path, ours: Accounts, now_ms: int) -> Taken:
    """Take a file: what it says moves payments and raises breaks, and what their claims are to hear is put down.

    The same bytes again change nothing. Raises BadXml, with nothing taken, for what may not be read, OSError.
    """
    with bank_file(path) as file, engine.begin() as book:
        if book.dialect.name == "postgresql":
            book.execute(_LOCK)
        return _Taking(book, file, now_ms).take(ours)


class _Taking:
    """One file on its way into the book."""

    def __init__(self, book: Connection, file: BankFile, now_ms: int) -> None:
        self._book = book
        self._file = file
        self._now_ms = now_ms
        told_at_ms = _time_ms(file.message.created_at)
        advice = file.message.name == ADVICE
        self._source = Source(file.name, file.sha256, advice, now_ms, now_ms if told_at_ms is None else told_at_ms)
        self._numbers = count(1)
        self._breaks: Counter[str] = Counter()
        self._taken = Taken(
            file=file.name,
            sha256=file.sha256,
            message=file.message.name,
            version=file.message.version,
            message_id=file.message.id,
            not_booked=file.not_booked,
            warnings=file.warnings,
        )

    def take(self, ours: Accounts) -> Taken:
        """The whole file."""
        if not self._keep():
            self._taken.known = True
            return self._taken
        if (other := self._same_message()) is not None:
            reason = f"message {self._file.message.id} came before with other content, as {other}: nothing was taken"
            key = f"{self._file.sha256}|message"
            self._raise([book_break(BreakKind.DUPLICATE, key, self._source, 1, "MsgId", reason)])
        else:
            self._take_statuses()
            self._take_lines(ours)
        self._taken.breaks = dict(sorted(self._breaks.items()))
        return self._taken

    def _keep(self) -> bool:
        """Keep the file as it is; False when the book has it."""
        if self._book.execute(select(true()).where(bank_files.c.sha256 == self._file.sha256)).scalar():
            return False
        values = {
            "sha256": self._file.sha256,
            "name": self._file.name,
            "message": self._file.message.name,
            "version": self._file.message.version,
            "bank_message_id": self._file.message.id,
            "received_at_ms": self._now_ms,
            "warnings": self._file.warnings,
            "content": self._file.compressed,
        }
        self._book.execute(insert(bank_files).values(values))
        return True

    def _same_message(self) -> str | None:
        """The name of another file that calls itself the same message."""
        c, file = bank_files.c, self._file
        same = and_(c.message == file.message.name, c.bank_message_id == file.message.id, c.sha256 != file.sha256)
        return self._book.execute(select(c.name).where(same).order_by(c.received_at_ms)).scalar()

    # -- statuses

    def _take_statuses(self) -> None:
        """Those of single payments first: a status of a whole message is of the payments that are not named."""
        for part in _parts(self._file.statuses()):
            ids = {it for status in part for it in (status.end_to_end_id, status.instruction_id) if it}
            matching = self._matching(ids, {it.uetr.lower() for it in part if it.uetr})
            for status in part:
                matching.status(status)
            self._write(matching.outcome)
        for level in (Level.PAYMENT_INFORMATION, Level.GROUP):
            for status in self._file.wholes:
                if status.level is level and status.code not in (None, _PARTIAL):
                    self._take_whole_status(status)

    def _take_whole_status(self, status: Status) -> None:
        ids = {it for it in (status.payment_information_id, status.message_id) if it}
        matching = self._matching(set(), set(), ids)
        message = matching.message_of(status)
        self._write(matching.outcome)
        if message is None:
            return
        named = exists().where(
            bank_statuses.c.sha256 == self._file.sha256,
            bank_statuses.c.instruction_id == bank_payments.c.instruction_id,
        )
        for page in self._payments_of(message, ~named):
            matching = self._matching(page, set())
            for id_ in page:
                matching.status_of(matching.payments[id_], status)
            self._write(matching.outcome)

    # -- lines

    def _take_lines(self, ours: Accounts) -> None:
        accounts = self._check_statements(ours)
        for part in _parts(it for it in self._file.lines() if it.entry.statement in accounts):
            rest = part
            while rest:
                rest = self._take_some(rest, accounts)

    def _check_statements(self, ours: Accounts) -> dict[int, OfAccount]:
        """The account of each statement that is taken, by its place in the file."""
        found: dict[int, OfAccount] = {}
        known: dict[tuple[str, str], list[Known]] = {}
        rows = []
        self._raise([self._unreadable(number) for number in range(len(self._file.unreadable))])
        for number, page in self._file.pages.items():
            account = account_of(page, ours)
            before = known.setdefault(account, self._known(account)) if account is not None else []
            today = datetime.fromtimestamp(self._now_ms / 1000, UTC).date()
            checked = check_statement(page, account, before, self._source, today)
            self._raise(checked.breaks)
            if checked.of is not None:
                found[number] = checked.of
            if checked.row is not None:
                rows.append(checked.row)
                before.append(Known(*(checked.row[name] for name in Known.__struct_fields__)))
        insert_rows(self._book, bank_statements, rows)
        self._taken.statements = len(found)
        return found

    def _unreadable(self, number: int) -> BookBreak:
        odd = self._file.unreadable[number]
        key = f"{self._file.sha256}|unreadable|{number}"
        return book_break(BreakKind.UNREADABLE, key, self._source, odd.line, odd.element, odd.what)

    def _known(self, account: tuple[str, str]) -> list[Known]:
        c = bank_statements.c
        query = select(*(c[name] for name in Known.__struct_fields__))
        rows = self._book.execute(query.where(c.account == account[0], c.currency == account[1]))
        return [Known(*row) for row in rows]

    def _take_some(self, lines: list[Line], accounts: dict[int, OfAccount]) -> list[Line]:
        """Take lines until one is of a whole payment file, and that; what is left of them then."""
        made = [it for line in lines for it in line.entry.transactions]
        ids = {id_ for it in made for id_ in (it.end_to_end_id, it.instruction_id) if id_}
        wholes = {id_ for line in lines for id_ in whole_ids(line)}
        matching = self._matching(ids, {it.uetr.lower() for it in made if it.uetr}, wholes)
        for number, line in enumerate(lines, 1):
            whole = matching.line(line, accounts[line.entry.statement])
            if whole is not None:
                self._write(matching.outcome)
                self._take_whole_line(whole)
                return lines[number:]
        self._write(matching.outcome)
        return []

    def _take_whole_line(self, whole: Whole) -> None:
        """Split a line over the payments of its file that it is of: those that are not known to be dead, else all."""
        alive = bank_payments.c.state.not_in(DEAD)
        booked = self._has_entry(EntryKind.PAYMENT, here=whole.amount_minor < 0)
        done = booked if whole.amount_minor < 0 else self._has_entry(EntryKind.RETURN, here=True)
        wanted = ~done if whole.amount_minor < 0 else and_(booked, ~done)
        for payments in (and_(wanted, alive), wanted):
            if agrees(whole, self._sum(whole.message, payments)):
                self._split(whole, payments)
                return
        matching = self._matching(set(), set())
        matching.not_split(
            whole, self._sum(whole.message, wanted), booked_before=agrees(whole, self._sum(whole.message, done))
        )
        self._write(matching.outcome)

    def _split(self, whole: Whole, payments: ColumnElement[bool]) -> None:
        parts = count(1)
        for page in self._payments_of(whole.message, payments):
            matching = self._matching(page, set())
            for id_ in page:
                matching.split(whole, next(parts), matching.payments[id_])
            self._write(matching.outcome)

    def _has_entry(self, kind: EntryKind, *, here: bool) -> ColumnElement[bool]:
        """Whether a payment has a line of this kind; `here` in messages like this one, else in any."""
        entry, file = bank_entries.c, bank_files.c
        mine = (file.message == ADVICE) if self._source.advice else (file.message != ADVICE)
        return exists().where(
            entry.instruction_id == bank_payments.c.instruction_id,
            entry.kind == kind,
            entry.sha256 == file.sha256,
            mine if here else true(),
        )

    # -- the book

    def _sum(self, message: OfMessage, payments: ColumnElement[bool]) -> Sum:
        c = bank_payments.c
        query = select(func.count(), func.coalesce(func.sum(c.amount_minor), 0))
        number, minor = self._book.execute(query.where(_in_file(message), payments)).one()
        return Sum(number, int(minor))

    def _payments_of(self, message: OfMessage, payments: ColumnElement[bool]) -> Iterator[list[str]]:
        """The ids of a file's payments, some at a time; what is done to some does not matter to the next."""
        c, last = bank_payments.c, ""
        query = select(c.instruction_id).where(_in_file(message), payments).order_by(c.instruction_id).limit(PART)
        while page := list(self._book.execute(query.where(c.instruction_id > last)).scalars()):
            yield page
            last = page[-1]

    def _matching(self, ids: Iterable[str], uetrs: Iterable[str], wholes: Iterable[str] = ()) -> Matching:
        """A matching with what the book has of these."""
        payments = self._payments(ids, uetrs)
        return Matching(self._source, payments, self._messages(wholes), self._numbers)

    def _payments(self, ids: Iterable[str], uetrs: Iterable[str]) -> dict[str, Payment]:
        """Payments by instruction id and by UETR."""
        c, wanted = bank_payments.c, list(ids)
        query = select(c.instruction_id, c.claim, c.amount_minor, c.currency, c.uetr, c.state)
        rows = list(self._book.execute(query.where(among(self._book, c.instruction_id, wanted)))) if wanted else []
        if by_uetr := list(uetrs):
            rows += self._book.execute(query.where(among(self._book, c.uetr, by_uetr)))
        found = {row[0]: Payment(*row[:5], state=BankState(row[5])) for row in rows}
        if found:
            self._count_booked(found)
        if found and self._file.message.name == STATUSES:
            self._see_under_way(found)
        return {**{it.uetr.lower(): it for it in found.values()}, **found}

    def _count_booked(self, found: dict[str, Payment]) -> None:
        entry, file = bank_entries.c, bank_files.c
        of = (entry.instruction_id, file.message, entry.kind, entry.amount_minor, entry.currency)
        query = select(*of, func.count()).join_from(bank_entries, bank_files, entry.sha256 == file.sha256)
        for id_, message, kind, minor, currency, number in self._book.execute(
            query.where(among(self._book, entry.instruction_id, found)).group_by(*of)
        ):
            payment = found[id_]
            booked = payment.on_advices if message == ADVICE else payment.on_statements
            _count(booked, EntryKind(kind), minor, number, exact=(abs(minor), currency) == _amount(payment))

    def _see_under_way(self, found: dict[str, Payment]) -> None:
        c = bank_statuses.c
        told = select(c.instruction_id).where(among(self._book, c.instruction_id, found), c.code == UNDER_WAY)
        for id_ in self._book.execute(told).scalars():
            found[id_].under_way = True

    def _messages(self, ids: Iterable[str]) -> dict[str, OfMessage]:
        c, wanted = bank_messages.c, list(ids)
        if not wanted:
            return {}
        query = select(c.message_id, c.payment_information_id).where(
            c.kind == MessageKind.PAYMENTS, or_(c.message_id.in_(wanted), c.payment_information_id.in_(wanted))
        )
        found = {}
        for message_id, information_id in self._book.execute(query):
            found[message_id] = OfMessage(message_id, "message")
            found[information_id] = OfMessage(message_id, "payment-information")
        return found

    def _write(self, outcome: Outcome) -> None:
        """Put down what follows from a part."""
        insert_rows(self._book, bank_statuses, outcome.statuses)
        insert_rows(self._book, bank_entries, outcome.entries)
        self._raise(outcome.breaks)
        add_records(self._book, outcome.records)
        for state in set(outcome.moved.values()):
            ids = [id_ for id_, moved in outcome.moved.items() if moved is state]
            below = [it for it, rank in RANK.items() if rank < RANK[state]]
            c = bank_payments.c
            moved = update(bank_payments).where(among(self._book, c.instruction_id, ids), c.state.in_(below))
            self._book.execute(moved.values(state=state))
        kinds = Counter(it["kind"] for it in outcome.entries)
        self._taken.statuses += len(outcome.statuses)
        self._taken.payments += kinds[EntryKind.PAYMENT]
        self._taken.returns += kinds[EntryKind.RETURN]
        self._taken.other += kinds[EntryKind.OTHER]
        self._taken.left += outcome.left_to_statement

    def _raise(self, breaks: Iterable[BookBreak]) -> None:
        rows = [asdict(it) for it in breaks]
        self._breaks.update(it["kind"] for it in rows)
        insert_new(self._book, bank_breaks, rows)


def _parts(items: Iterable[Item]) -> Iterator[list[Item]]:
    left = iter(items)
    while part := list(islice(left, PART)):
        yield part


def _in_file(message: OfMessage) -> ColumnElement[bool]:
    """Payments that stand in one payment file."""
    return and_(bank_payments.c.message_id == message.message_id, bank_payments.c.state != BankState.REFUSED)


def _count(booked: Booked, kind: EntryKind, amount_minor: int, number: int, *, exact: bool) -> None:
    """Add lines that the book has of a payment."""
    if kind is EntryKind.PAYMENT:
        booked.paid += number
    elif kind is EntryKind.RETURN:
        booked.returned += number
    elif amount_minor < 0:
        booked.again += number if exact else 0
        booked.other_debits += 0 if exact else number
    else:
        booked.taken_back += number if exact else 0
        booked.other_credits += 0 if exact else number


def _amount(payment: Payment) -> tuple[int, str]:
    return payment.amount_minor, payment.currency


def _time_ms(text_: str | None) -> int | None:
    """A time that says its zone; None for one that does not, or is none."""
    try:
        time = datetime.fromisoformat(text_ or "")
    except ValueError:
        return None
    return None if time.tzinfo is None or time.year < 1970 else int(time.timestamp() * 1000)
