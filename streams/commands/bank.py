"""`claimhub bank read`: what a bank's file says, without a ledger."""

from pathlib import Path

from msgspec import Struct

from connectors.bank.messages import Balance, Entry, Message, Read, Statement, Status, Warned, read
from connectors.bank.xml import BadXml
from schemas.money import format_minor
from streams.commands import show
from streams.commands.failures import WrongInput


class BankMessage(Struct):
    """A bank's message in whole: which it is, and all it says; amounts in minor units."""

    message: str
    version: str | None
    id: str | None
    created_at: str | None
    statuses: list[Status] = []
    statements: list[Statement] = []
    entries: list[Entry] = []
    balances: list[Balance] = []
    warnings: list[Warned] = []


def read_bank_file(path: Path) -> BankMessage:
    """The message in a file. Raises WrongInput naming file, line and element."""
    try:
        return _whole(list(read(path)))
    except OSError as error:
        raise WrongInput(f"{path} cannot be read: {error.strerror}") from None
    except BadXml as error:
        raise WrongInput(f"{path}, {error}") from None


def show_bank_message(message: BankMessage) -> None:
    """Print what a message says, one table for each kind of thing."""
    show.pairs([("message", message.message), ("version", message.version or "?"), ("id", message.id or "?")])
    if message.statuses:
        rows = [
            (it.level, it.payment_information_id, it.end_to_end_id, it.code, it.reason_code, it.reason)
            for it in message.statuses
        ]
        show.table(("status of", "payment information", "end to end", "code", "reason", "in words"), rows, "")
    if message.statements:
        held = [(it.statement, it.id, _account(it), it.sequence, it.entries) for it in message.statements]
        show.table(("statement", "id", "account", "sequence", "entries"), held, "")
    if message.balances:
        amounts = [(it.statement, it.type, _money(it.amount_minor, it.currency), it.on) for it in message.balances]
        show.table(("statement", "balance", "amount", "on"), amounts, "")
    if message.entries:
        show.table(
            ("statement", "booked", "status", "amount", "end to end", "reference"), [*map(_entry, message.entries)], ""
        )
    odd = [(it.line, it.element, it.what, "yes" if it.money else "") for it in message.warnings]
    show.table(("line", "element", "warning", "money"), odd, "no warnings")


def _whole(said: list[Read]) -> BankMessage:
    (header,) = (it for it in said if isinstance(it, Message))
    return BankMessage(
        message=header.name,
        version=header.version,
        id=header.id,
        created_at=header.created_at,
        statuses=[it for it in said if isinstance(it, Status)],
        statements=[it for it in said if isinstance(it, Statement)],
        entries=[it for it in said if isinstance(it, Entry)],
        balances=[it for it in said if isinstance(it, Balance)],
        warnings=[it for it in said if isinstance(it, Warned)],
    )


def _entry(entry: Entry) -> tuple[object, ...]:
    ids = " ".join(it.end_to_end_id for it in entry.transactions if it.end_to_end_id)
    minor = entry.amount_minor if entry.credit or entry.amount_minor is None else -entry.amount_minor
    amount = _money(minor, entry.currency)
    return entry.statement, entry.booked_on, entry.status, amount, ids, entry.servicer_reference or entry.reference


def _account(statement: Statement) -> str:
    return show.masked(statement.account) if statement.account else "?"


def _money(amount_minor: int | None, currency: str | None) -> str:
    return "?" if amount_minor is None or currency is None else format_minor(amount_minor, currency)
