"""`claimhub payments export`: takes new instructions into finance's book, says what is due and why something is held,
and writes what is due into files for the bank."""

import time
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Engine, func, select, text

from monitoring.clock import SystemClock
from schemas.codec import Codec, without_value
from schemas.money import format_minor
from schemas.records import BankAccount, Currency
from schemas.topics import INSTRUCTIONS
from sinks.clients import KafkaClients
from sinks.ledger.bank_tables import bank_cancellations, bank_messages, bank_payments
from sinks.ledger.prepare import check_topics
from sinks.ledger.tables import topics
from sinks.payments import cancellations
from sinks.payments.book import BankState
from sinks.payments.cancellations import CancellationDesk
from sinks.payments.files import Day, hold_unwritable, send_out
from sinks.payments.following import TopicNow, follow
from sinks.payments.instructions import InstructionDesk, TakenIn
from sinks.payments.keys import KeyFolder
from sinks.read_back import LogReader, LogUnreadable
from streams.cluster import KafkaCluster
from streams.commands import show
from streams.commands.broker import client_options
from streams.commands.failures import Unavailable, WrongInput
from streams.commands.ledger import open_engine
from streams.commands.send import open_codec
from streams.reconciliation.publish import publish
from streams.rules.banking_days import announced, next_banking_day, value_day
from streams.rules.breaks import break_id
from streams.settings import Settings, SettingsError

# What is asked back is read first: its payment was instructed before, so that it is seen too.
_TOPICS: Final = (cancellations.TOPIC, INSTRUCTIONS)


class Due(Struct, frozen=True):
    """Payments of one currency and value date, to be made from `account`, which is masked and None when none is set.
    `now` says that they go into a file at once."""

    account: str | None
    currency: str
    value_on: str
    payments: int
    amount_minor: int
    now: bool


class Kept(Struct, frozen=True):
    """A payment that goes into no file, and why; `by` holds it."""

    instruction_id: str
    claim: str
    amount_minor: int
    currency: str
    by: str | None
    reason: str


class AskedBack(Struct, frozen=True):
    """A payment that its claim asks back, what became of that, and the file in which the bank is asked."""

    instruction_id: str
    claim: str
    state: str
    message_id: str | None
    reason: str


class Exported(Struct, frozen=True):
    """What came in, what is to be paid, and the files. Payments up to the value date `as_of` are made on `execute_on`.
    `bad` are records that came and are not taken; `without_account` are currencies that no account is set for, and
    `unannounced` years whose holidays are not known. `waiting` files are committed and not written yet."""

    as_of: str
    execute_on: str
    new: int
    repeats: int
    bad: list[str]
    due: list[Due]
    held: list[Kept]
    refused: list[Kept]
    asked_back: list[AskedBack]
    written: list[str]
    waiting: list[str]
    without_account: list[str]
    unannounced: list[int]

    @property
    def ok(self) -> bool:
        """Whether nothing came that is not good, and nothing waits for an account."""
        return not self.bad and not self.without_account


def export(settings: Settings, out: Path | None, as_of: str | None) -> Exported:
    """Take in what came, and with `out` write what is due there.

    Raises WrongInput, SettingsError; NotWritten; LedgerUnavailable, Unavailable, ClusterUnavailable, TopicsMissing,
    TopicChanged, RecordsGone, KeysUnreadable, RegistryUnavailable, UnknownSchema.
    """
    now_ms = time.time_ns() // 1_000_000
    day, debtors = _day(as_of, now_ms), debtor_accounts(settings)
    folder = None if out is None else _folder(out)
    codec = open_codec(settings)
    with open_engine(settings, "BEGIN IMMEDIATE") as engine:
        taken = take_in(settings, engine, codec, now_ms)
        with engine.begin() as book:
            hold_unwritable(book, codec, day, now_ms)
        written = []
        if folder is not None:
            written = send_out(engine, codec, debtors, day, folder, now_ms)
        publish(engine, codec, client_options(settings), now_ms)
        with engine.begin() as book:
            return _read(book, day, debtors, taken, [str(file) for file in written])


def take_in(settings: Settings, engine: Engine, codec: Codec, now_ms: int) -> TakenIn:
    """Read the topics for finance up to where they end now, and do what was asked back where it can be done here."""
    asked_back = CancellationDesk(codec, break_id, now_ms)
    desk = InstructionDesk(codec, KeyFolder(settings.keys).read(), value_day, break_id, now_ms)
    options = client_options(settings)
    log, taken = LogReader(KafkaClients(options), SystemClock()), TakenIn()
    try:
        stops, payments = _topics_now(settings, engine, KafkaCluster(options))
        for page in follow(engine, log, stops, asked_back.take):
            taken.add(page)
        for page in follow(engine, log, payments, desk.take):
            taken.add(page)
    except LogUnreadable as error:
        raise Unavailable(f"Kafka at {settings.kafka} does not answer ({error}). See: claimhub doctor") from None
    finally:
        log.close()
    with engine.begin() as book:
        taken.bad += desk.review(book)
        asked_back.settle(book)
    return taken


def debtor_accounts(settings: Settings) -> Mapping[str, BankAccount]:
    """The account that payments of each currency are made from. Raises SettingsError."""
    try:
        return msgspec.convert(settings.debtor_accounts, dict[Currency, BankAccount])
    except msgspec.ValidationError as error:
        raise SettingsError(f"setting debtor_accounts: {without_value(error)}. Run: claimhub config show") from None


def show_exported(found: Exported) -> None:
    """Print it: sums by account and value date, then what goes into no file and why, then the files."""
    rows = [
        (it.account or "none is set", it.value_on, it.payments, format_minor(it.amount_minor, it.currency), _when(it))
        for it in found.due
    ]
    show.table(("from account", "value date", "payments", "amount", "goes into"), rows, "nothing is due")
    for title, kept in (("held", found.held), ("refused", found.refused)):
        if kept:
            show.line()
            cells = [
                (it.instruction_id, it.claim, format_minor(it.amount_minor, it.currency), it.by, it.reason)
                for it in kept
            ]
            show.table((title, "claim", "amount", "by", "why"), cells, "")
    if found.asked_back:
        show.line()
        asked = [(it.instruction_id, it.claim, it.state, it.message_id, it.reason) for it in found.asked_back]
        show.table(("asked back", "claim", "state", "file", "why"), asked, "")
    for file in found.written:
        show.line(f"written: {file}")
    for file in found.waiting:
        show.line(f"not written yet: {file}")
    show.note(f"{found.new} new instructions, {found.repeats} known ones came again")
    for what in found.bad:
        show.note(what)
    for currency in found.without_account:
        show.note(f"no account is set to pay {currency} from: see debtor_accounts in claimhub config show")
    for year in found.unannounced:
        show.note(f"the holidays of {year} are not known, only its weekends: streams/rules/banking_days/{year}.toml")


def _when(due: Due) -> str:
    if due.account is None:
        return "none"
    return "the next file" if due.now else "a later file"


def _day(as_of: str | None, now_ms: int) -> Day:
    """The given day, or the banking day for which the bank still takes payments now."""
    if as_of is None:
        today = value_day(now_ms)
        return Day(today, today)
    try:
        given = date.fromisoformat(as_of)
    except ValueError:
        raise WrongInput("--as-of is not a day like 2026-03-31") from None
    return Day(given, next_banking_day(given))


def _folder(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongInput(f"--out: {out} cannot be made a folder: {error.strerror}. Nothing was written") from None
    return out.resolve()


def _topics_now(settings: Settings, engine: Engine, cluster: KafkaCluster) -> list[TopicNow]:
    """The topics for finance as they stand. An embedded broker's ids are those that its hub wrote into the ledger."""
    with engine.begin() as book:
        if settings.embedded_kafka:
            query = select(topics.c.topic, topics.c.id, topics.c.partitions).where(topics.c.topic.in_(_TOPICS))
            known = {topic: (id_, count) for topic, id_, count in book.execute(query)}
        else:
            identities = cluster.identities(_TOPICS)
            check_topics(lambda sql: book.execute(text(sql)).all(), identities)
            known = {it.topic: (it.id, it.partitions) for it in identities}
    if len(known) < len(_TOPICS):
        raise Unavailable("the ledger knows no topics yet: the hub has not run on it. Start it: claimhub up")
    bounds = cluster.bounds(_TOPICS, range(max(count for _, count in known.values())))
    return [
        TopicNow(
            name,
            known[name][0],
            {partition: at for (topic, partition), at in bounds.items() if topic == name},
            settings.embedded_kafka,
        )
        for name in _TOPICS
    ]


def _read(
    book: Connection, day: Day, debtors: Mapping[str, BankAccount], taken: TakenIn, written: list[str]
) -> Exported:
    due = list(_due(book, day, debtors))
    m = bank_messages.c
    waiting = select(m.file).where(m.content.is_not(None)).order_by(m.message_id)
    c = bank_cancellations.c
    asked = select(c.instruction_id, c.claim, c.state, c.message_id, c.reason).order_by(c.at_ms, c.instruction_id)
    years = {day.as_of.year, day.execute_on.year}
    return Exported(
        as_of=day.as_of.isoformat(),
        execute_on=day.execute_on.isoformat(),
        new=taken.new,
        repeats=taken.repeats,
        bad=taken.bad,
        due=due,
        held=_kept(book, BankState.HELD),
        refused=_kept(book, BankState.REFUSED),
        asked_back=[AskedBack(*row) for row in book.execute(asked)],
        written=written,
        waiting=list(book.scalars(waiting)),
        without_account=sorted({it.currency for it in due if it.account is None}),
        unannounced=sorted(year for year in years if not announced(year)),
    )


def _due(book: Connection, day: Day, debtors: Mapping[str, BankAccount]) -> Iterator[Due]:
    c = bank_payments.c
    sums = select(c.currency, c.value_on, func.count(), func.sum(c.amount_minor)).where(c.state == BankState.DUE)
    for currency, value_on, count, amount in book.execute(
        sums.group_by(c.currency, c.value_on).order_by(c.currency, c.value_on)
    ):
        debtor = debtors.get(currency)
        account = None if debtor is None else show.masked(debtor.account)
        yield Due(account, currency, value_on.isoformat(), count, int(amount), value_on <= day.as_of)


def _kept(book: Connection, state: BankState) -> list[Kept]:
    c = bank_payments.c
    query = select(c.instruction_id, c.claim, c.amount_minor, c.currency, c.held_by, c.reason).where(c.state == state)
    return [Kept(*row) for row in book.execute(query.order_by(c.at_ms, c.instruction_id))]
