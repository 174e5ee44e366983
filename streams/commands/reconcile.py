"""`claimhub reconcile run`: the bank's files into the book, what is overdue, and to the claims what follows."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from msgspec import Struct
from sqlalchemy import Engine, select

from connectors.bank.xml import BadXml
from sinks.ledger.bank_tables import bank_messages
from streams.commands import broker, show
from streams.commands.export import debtor_accounts
from streams.commands.failures import WrongInput
from streams.commands.ledger import open_engine
from streams.commands.send import open_codec
from streams.reconciliation.bank_file import readable
from streams.reconciliation.overdue import raise_overdue
from streams.reconciliation.publish import publish, waiting
from streams.reconciliation.statements import Accounts
from streams.reconciliation.take import Taken, take
from streams.settings import Settings


class Reconciled(Struct):
    """What came of a run: each file that was taken, why others were not, the breaks that the calendar raised (payments
    `missing` and `late`), and how many records the claims were told."""

    files: list[Taken]
    refused: list[str]
    missing: int
    late: int
    told: int

    @property
    def breaks(self) -> Counter[str]:
        """All breaks that were raised, by kind."""
        found = Counter[str]()
        for taken in self.files:
            found.update(taken.breaks)
        return found + Counter(missing=self.missing, late=self.late)


def run_reconciliation(settings: Settings, files: Sequence[Path], as_of: str | None) -> Reconciled:
    """Take each file, in the order given, raise a break for each payment that is overdue by `as_of`, or today, and send
    what the claims are to hear, what an earlier run has left too. A file that may not be read stops none of the others.

    Raises WrongInput for a day that is none, SettingsError, LedgerUnavailable; and Unavailable, RegistryUnavailable or
    UnknownSchema when everything was taken and the claims were not told of all.
    """
    now_ms = time.time_ns() // 1_000_000
    day = _day(as_of, now_ms)
    with open_engine(settings, "BEGIN IMMEDIATE") as engine:
        ours = own_accounts(engine, settings)
        found = Reconciled([], [], 0, 0, 0)
        for path in files:
            try:
                found.files.append(take(engine, path, ours, now_ms))
            except (BadXml, OSError) as error:
                name = readable(str(path))
                why = f"{name}, {error}" if isinstance(error, BadXml) else f"{name}: {error.strerror}"
                found.refused.append(why)
                show.note(f"claimhub: nothing was taken of {why}")
        with engine.begin() as book:
            found.missing, found.late = raise_overdue(book, day, settings.booking_days, now_ms)
        if waiting(engine):
            found.told = publish(engine, open_codec(settings), broker.client_options(settings), now_ms)
        return found


def show_reconciled(found: Reconciled) -> None:
    """Print it: a row for each file, then the sums."""
    rows = [
        (
            it.file,
            f"{it.message}.{it.version}" if it.version else it.message,
            "taken before" if it.known else it.statements,
            it.statuses,
            it.payments,
            it.returns,
            it.other,
            it.not_booked + it.left,
            _kinds(it.breaks),
        )
        for it in found.files
    ]
    headings = ("file", "message", "statements", "statuses", "paid", "returned", "other", "no money yet", "breaks")
    show.table(headings, rows, "no files")
    show.pairs([("breaks raised", _kinds(found.breaks) or "none"), ("told to claims", found.told)])


def _kinds(breaks: dict[str, int]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in sorted(breaks.items()))


def own_accounts(engine: Engine, settings: Settings) -> Accounts:
    """The accounts that payments are made from, and those that they were made from before. Raises SettingsError."""
    c = bank_messages.c
    with engine.connect() as book:
        before = {(row.account, row.currency) for row in book.execute(select(c.account, c.currency).distinct())}
    return before | {(it.account, currency) for currency, it in debtor_accounts(settings).items()}


def _day(as_of: str | None, now_ms: int) -> date:
    try:
        return datetime.fromtimestamp(now_ms / 1000, UTC).date() if as_of is None else date.fromisoformat(as_of)
    except ValueError:
        raise WrongInput("--as-of is not a day like 2026-03-31") from None
