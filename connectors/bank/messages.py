"""What a bank says, message by message: pain.002 (statuses), camt.053 and camt.054 (what was booked), any version.

Elements are found by their names wherever they stand in their block, so that another order, a missing namespace or one
version's extra levels do no harm; what is odd is a warning. Only money is read strictly: an amount that is not exactly
one of its currency is not read at all, and that is said (ISO 20022 messages pain.002.001, camt.053.001, camt.054.001).
"""

import re
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Final

from lxml.etree import _Element
from msgspec import Struct
from msgspec.structs import replace

from connectors.bank.xml import OTHERWISE, BadXml, XmlFile, name_of
from schemas.money import EXPONENTS, parse_major

Element = _Element
_MESSAGE: Final = re.compile(r"((?:pain|camt)\.\d{3})\.\d{3}\.(\d{2})")
_BY_ROOT: Final = {
    "CstmrPmtStsRpt": "pain.002",
    "BkToCstmrStmt": "camt.053",
    "BkToCstmrDbtCdtNtfctn": "camt.054",
    "BkToCstmrAcctRpt": "camt.052",
    "CstmrCdtTrfInitn": "pain.001",
}
_KNOWN: Final = {"pain.002": ("03", "10"), "camt.053": ("02", "04", "08"), "camt.054": ("02", "04", "08")}
_DECIMAL: Final = re.compile(r"\+?(\d{0,18})(?:\.(\d{0,18}))?", re.ASCII)
_LONGEST_ID: Final = 35
"""Max35Text: the longest identification there may be."""
_LONGEST_NUMBER: Final = 18


class Level(StrEnum):
    """What a status is of: a whole message, one of its payment informations, or one transaction."""

    GROUP = "group"
    PAYMENT_INFORMATION = "payment-information"
    TRANSACTION = "transaction"


class Warned(Struct, frozen=True, kw_only=True):
    """Something odd: in which line and element, and what. With `money` it is about an amount that was not read."""

    line: int
    element: str
    what: str
    money: bool = False


class Message(Struct, frozen=True, kw_only=True):
    """The message itself: `name` as pain.002, its version as 10, None when the file does not say."""

    name: str
    version: str | None
    id: str | None
    created_at: str | None


class Status(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the bank says became of what we sent. Identifications are ours; `code` is an ISO 20022 external status code,
    `reason_code` why."""

    level: Level
    line: int
    code: str | None = None
    message_id: str | None = None
    payment_information_id: str | None = None
    instruction_id: str | None = None
    end_to_end_id: str | None = None
    uetr: str | None = None
    reason_code: str | None = None
    reason: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    control_sum: str | None = None
    transactions: int | None = None


class Transaction(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One transaction of an entry."""

    line: int
    end_to_end_id: str | None = None
    instruction_id: str | None = None
    uetr: str | None = None
    payment_information_id: str | None = None
    message_id: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    credit: bool | None = None
    return_code: str | None = None
    remittance: str | None = None


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of a statement or notification; `statement` is the place of that in the file, from 1. Only a `status` of
    BOOK is money. A batch has its number of transactions, and names them or not."""

    statement: int
    line: int
    amount_minor: int | None
    currency: str | None
    credit: bool | None
    status: str | None
    reversal: bool = False
    reference: str | None = None
    servicer_reference: str | None = None
    booked_on: date | None = None
    value_on: date | None = None
    code: str | None = None
    batch_transactions: int | None = None
    batch_message_id: str | None = None
    batch_payment_information_id: str | None = None
    transactions: tuple[Transaction, ...] = ()


class Balance(Struct, frozen=True, kw_only=True):
    """A balance of a statement: below zero when the account is overdrawn."""

    statement: int
    line: int
    type: str | None
    amount_minor: int | None
    currency: str | None
    on: date | None


class Statement(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A statement or notification, told once all its entries are; of what account, and which one in its order."""

    statement: int
    line: int
    id: str | None = None
    account: str | None = None
    currency: str | None = None
    sequence: int | None = None
    page: int | None = None
    last_page: bool | None = None
    entries: int = 0


Read = Message | Status | Entry | Balance | Statement | Warned


def read(path: Path) -> Iterator[Read]:
    """All that a bank's file says, in its order but for the statements, which follow their entries.

    Raises BadXml for what is not XML that may be read, or not one of these messages; OSError.
    """
    reader = _Reader(XmlFile(path))
    yield from reader.read()


class _Reader:
    """Goes through a file once. A transaction's status waits until its payment information has said which it is."""

    def __init__(self, file: XmlFile) -> None:
        self._file = file
        self._warned: list[Warned] = []
        self._message_id: str | None = None
        self._held: list[Status] = []
        self._statement = 1
        self._entries = 0

    def read(self) -> Iterator[Read]:
        told = False
        for element, around in self._file.pieces(_READ):
            if not told:
                yield self._message(element, around)
                told = True
            yield from self._piece(element)
            yield from self._warned
            self._warned.clear()
        if not told:
            raise BadXml("line 1: there is nothing in this file that a bank's message has")

    def _piece(self, element: Element) -> Iterator[Read]:
        match name_of(element):
            case "OrgnlGrpInfAndSts":
                status = self._status(element, Level.GROUP, "GrpSts")
                self._message_id = status.message_id
                yield status
            case "TxInfAndSts":
                yield from self._transaction_status(element)
            case "OrgnlPmtInfAndSts":
                yield from self._payment_information_status(element)
            case "Ntry":
                self._entries += 1
                yield self._entry(element)
            case "Bal":
                yield self._balance(element)
            case "Stmt" | "Ntfctn":
                yield self._statement_ended(element)
                self._statement, self._entries = self._statement + 1, 0

    def _message(self, element: Element, around: tuple[str, ...]) -> Message:
        """Which message this is: by its namespace, else by the name of what it holds. The group header is first."""
        if self._file.recoded:
            self._warn(element, f"the file is not in the encoding that it names, and was read as {OTHERWISE}")
        named = _MESSAGE.search(self._file.namespace)
        root = around[1] if len(around) > 1 else around[0] if around else ""
        by_root = _BY_ROOT.get(root)
        name = named[1] if named else by_root
        version = named[2] if named else None
        if name is None or name not in _BY_ROOT.values() or by_root not in (None, name):
            raise BadXml(f"line {element.sourceline}: {root or 'the root'} is no message a bank answers with")
        if named is None:
            self._warn(element, "the namespace does not say which message and version this is")
        if name not in _KNOWN:
            self._warn(element, f"{name} is not an answer to a payment: nothing of it counts")
        elif version is not None and version not in _KNOWN[name]:
            self._warn(element, f"version {version} of {name} is read as those that are known")
        header = element if name_of(element) == "GrpHdr" else None
        if header is None:
            self._warn(element, "the group header does not stand first")
        return Message(
            name=name,
            version=version,
            id=None if header is None else self._id(header, "MsgId"),
            created_at=None if header is None else _text(header, "CreDtTm"),
        )

    def _transaction_status(self, element: Element) -> Iterator[Status]:
        status = self._status(element, Level.TRANSACTION, "TxSts")
        around = element.getparent()
        if around is None or name_of(around) != "OrgnlPmtInfAndSts":
            yield status
        elif (known := _text(around, "OrgnlPmtInfId")) is not None:
            yield replace(status, payment_information_id=known)
        else:
            self._held.append(status)

    def _payment_information_status(self, element: Element) -> Iterator[Status]:
        status = self._status(element, Level.PAYMENT_INFORMATION, "PmtInfSts")
        for held in self._held:
            yield replace(held, payment_information_id=status.payment_information_id)
        self._held.clear()
        yield status

    def _status(self, element: Element, level: Level, code: str) -> Status:
        why = _find(element, "StsRsnInf")
        amount = _find(element, "OrgnlTxRef/Amt/InstdAmt") if level is Level.TRANSACTION else None
        minor, currency = (None, None) if amount is None else self._amount(amount)
        return Status(
            level=level,
            line=_line(element),
            code=_text(element, code),
            message_id=self._id(element, "OrgnlMsgId") or self._message_id,
            payment_information_id=self._id(element, "OrgnlPmtInfId"),
            instruction_id=self._id(element, "OrgnlInstrId"),
            end_to_end_id=self._id(element, "OrgnlEndToEndId"),
            uetr=_text(element, "OrgnlUETR"),
            reason_code=None if why is None else _text(why, "Rsn/Cd") or _text(why, "Rsn/Prtry"),
            reason=None if why is None else _texts(why, "AddtlInf"),
            amount_minor=minor,
            currency=currency,
            control_sum=_text(element, "OrgnlCtrlSum"),
            transactions=self._number(element, "OrgnlNbOfTxs"),
        )

    def _entry(self, element: Element) -> Entry:
        amount, details = _find(element, "Amt"), _find(element, "NtryDtls")
        minor, currency = self._amount(amount) if amount is not None else self._no_amount(element)
        batch = None if details is None else _find(details, "Btch")
        made = [it for block in _all(element, "NtryDtls") for it in _all(block, "TxDtls")]
        return Entry(
            statement=self._statement,
            line=_line(element),
            amount_minor=minor,
            currency=currency,
            credit=self._credit(element),
            status=_text(element, "Sts/Cd") or _text(element, "Sts/Prtry") or _text(element, "Sts"),
            reversal=_text(element, "RvslInd") in ("true", "1"),
            reference=_text(element, "NtryRef"),
            servicer_reference=_text(element, "AcctSvcrRef"),
            booked_on=self._day(element, "BookgDt"),
            value_on=self._day(element, "ValDt"),
            code=_code(element),
            batch_transactions=None if batch is None else self._number(batch, "NbOfTxs"),
            batch_message_id=None if batch is None else self._id(batch, "MsgId"),
            batch_payment_information_id=None if batch is None else self._id(batch, "PmtInfId"),
            transactions=tuple([self._transaction(it) for it in made]),
        )

    def _transaction(self, element: Element) -> Transaction:
        places = ("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt")
        amount = next((found for place in places if (found := _find(element, place)) is not None), None)
        minor, currency = (None, None) if amount is None else self._amount(amount)
        return Transaction(
            line=_line(element),
            end_to_end_id=self._id(element, "Refs/EndToEndId"),
            instruction_id=self._id(element, "Refs/InstrId"),
            uetr=_text(element, "Refs/UETR"),
            payment_information_id=self._id(element, "Refs/PmtInfId"),
            message_id=self._id(element, "Refs/MsgId"),
            amount_minor=minor,
            currency=currency,
            credit=None if _find(element, "CdtDbtInd") is None else self._credit(element),
            return_code=_text(element, "RtrInf/Rsn/Cd") or _text(element, "RtrInf/Rsn/Prtry"),
            remittance=None if (said := _find(element, "RmtInf")) is None else _texts(said, "Ustrd"),
        )

    def _balance(self, element: Element) -> Balance:
        amount = _find(element, "Amt")
        minor, currency = self._amount(amount) if amount is not None else self._no_amount(element)
        return Balance(
            statement=self._statement,
            line=_line(element),
            type=_text(element, "Tp/CdOrPrtry/Cd") or _text(element, "Tp/CdOrPrtry/Prtry"),
            amount_minor=-minor if minor is not None and self._credit(element) is False else minor,
            currency=currency,
            on=self._day(element, "Dt"),
        )

    def _statement_ended(self, element: Element) -> Statement:
        account = _find(element, "Acct")
        if account is None:
            self._warn(element, "there is no Acct, so whose account this is of is not known")
        id_ = None if account is None else _text(account, "Id/IBAN") or _text(account, "Id/Othr/Id")
        id_ = id_ or (None if account is None else _text(account, "Id/PrtryAcct/Id") or _text(account, "Id/BBAN"))
        sequence = self._number(element, "ElctrncSeqNb")
        last_page = _text(element, "StmtPgntn/LastPgInd")
        return Statement(
            statement=self._statement,
            line=_line(element),
            id=self._id(element, "Id"),
            account=id_,
            currency=None if account is None else _text(account, "Ccy"),
            sequence=self._number(element, "LglSeqNb") if sequence is None else sequence,
            page=self._number(element, "StmtPgntn/PgNb"),
            last_page=None if last_page is None else last_page in ("true", "1"),
            entries=self._entries,
        )

    def _amount(self, element: Element) -> tuple[int | None, str | None]:
        """Minor units and currency; zeros behind the currency's last digit change nothing. Never a guess."""
        text, currency = (element.text or "").strip(), element.get("Ccy")
        if currency is None or currency not in EXPONENTS:
            self._warn(element, "Ccy is not an active ISO 4217 currency: the amount was not read", money=True)
            return None, None
        minor = _minor(text, currency)
        if minor is None:
            self._warn(element, f"this is no amount of {currency}, or below zero: it was not read", money=True)
        return minor, currency

    def _no_amount(self, element: Element) -> tuple[None, None]:
        self._warn(element, "there is no Amt", money=True)
        return None, None

    def _credit(self, element: Element) -> bool | None:
        text = _text(element, "CdtDbtInd")
        if text not in ("CRDT", "DBIT"):
            self._warn(element, "CdtDbtInd is neither CRDT nor DBIT: which way the money went is not known", money=True)
            return None
        return text == "CRDT"

    def _id(self, element: Element, path: str) -> str | None:
        text = _text(element, path)
        if text is not None and len(text) > _LONGEST_ID:
            self._warn(element, f"{path} is longer than {_LONGEST_ID} characters")
        return text

    def _number(self, element: Element, path: str) -> int | None:
        text = _text(element, path)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
            self._warn(element, f"{path} is not a number")
            return None
        return int(text)

    def _day(self, element: Element, path: str) -> date | None:
        """A date, or the date of a time as the bank wrote it."""
        text = _text(element, f"{path}/Dt") or _text(element, f"{path}/DtTm") or _text(element, path)
        if text is None:
            return None
        try:
            return date.fromisoformat(text[:10])
        except ValueError:
            self._warn(element, f"{path} is not a date")
            return None

    def _warn(self, element: Element, what: str, *, money: bool = False) -> None:
        self._warned.append(Warned(line=_line(element), element=name_of(element), what=what, money=money))


_READ: Final = frozenset(
    {"GrpHdr", "OrgnlGrpInfAndSts", "TxInfAndSts", "OrgnlPmtInfAndSts", "Ntry", "Bal", "Stmt", "Ntfctn"}
)


def _minor(text: str, currency: str) -> int | None:
    """The minor units of an XML decimal: zeros before it, and behind the currency's last digit, change nothing."""
    decimal = _DECIMAL.fullmatch(text)
    if decimal is None or not (decimal[1] or decimal[2]):
        return None
    fraction = (decimal[2] or "").rstrip("0")
    try:
        return parse_major(f"{decimal[1].lstrip('0') or '0'}{'.' if fraction else ''}{fraction}", currency)
    except ValueError:
        return None


def _line(element: Element) -> int:
    return element.sourceline or 0


def _all(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if name_of(child) == name)


def _find(element: Element, path: str) -> Element | None:
    """The first element on a path of names."""
    found = element
    for name in path.split("/"):
        for child in found:
            if name_of(child) == name:
                found = child
                break
        else:
            return None
    return found


def _text(element: Element, path: str) -> str | None:
    """The text of the first element on a path; None when there is none."""
    found = _find(element, path)
    return (found.text or "").strip() or None if found is not None else None


def _texts(element: Element, name: str) -> str | None:
    return " ".join(text for it in _all(element, name) if (text := (it.text or "").strip())) or None


def _code(element: Element) -> str | None:
    """The bank transaction code: domain/family/sub-family, else the bank's own."""
    codes = ("BkTxCd/Domn/Cd", "BkTxCd/Domn/Fmly/Cd", "BkTxCd/Domn/Fmly/SubFmlyCd")
    return "/".join(filter(None, (_text(element, it) for it in codes))) or _text(element, "BkTxCd/Prtry/Cd")
