"""A stand-in for the bank: reads payment files, says what became of each payment, and keeps the account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from lxml import etree

from schemas.money import parse_major
from schemas.records import BankAccount
from streams.demo import bank_says as says
from streams.demo.stories import Answer

OPENING_MINOR: Final = 1_000_000_00
"""What is in the account when the demo begins."""
_PAID: Final = frozenset({"ACSC", "ACCC"})


@dataclass(frozen=True)
class Payment:
    """A transfer as the payment file has it; the amount in minor units."""

    message_id: str
    id: str
    claim: str
    amount_minor: int
    currency: str


@dataclass
class Bank:
    """Our account at the bank: its balance, the number of its last statement, and what no statement has told of yet."""

    account: BankAccount
    balance_minor: int = OPENING_MINOR
    statements: int = 0
    unbooked: dict[str, int] = field(default_factory=dict)

    def payments(self, file: Path) -> list[Payment]:
        """The transfers of a payment file (pain.001.001.09), read as the bank reads it."""
        document = etree.parse(file)
        (message_id,) = _texts(document, "//p:GrpHdr/p:MsgId")
        return [
            Payment(
                message_id=message_id,
                id=_texts(transfer, "p:PmtId/p:EndToEndId")[0],
                claim=_texts(transfer, "p:RmtInf/p:Ustrd")[0],
                amount_minor=parse_major(_texts(transfer, "p:Amt/p:InstdAmt")[0], _currency(transfer)),
                currency=_currency(transfer),
            )
            for transfer in document.xpath("//p:CdtTrfTxInf", namespaces=_NAMESPACES)
        ]

    def answer(self, payment: Payment, answer: Answer, at: str) -> str:
        """A status report (pain.002.001.10) on one payment; what is settled stands on the next statement."""
        if answer.status in _PAID:
            self.unbooked[payment.id] = payment.amount_minor
        said = says.Said(answer.status, payment.id, answer.reason_code, payment.amount_minor, currency=payment.currency)
        report = f"R-{payment.id[2:20]}-{answer.status}"
        return says.report([said], of=payment.message_id, message_id=report, at=at)

    def statement(self, day: date, returned: Mapping[str, tuple[int, str | None]], at: str) -> str:
        """The day's statement (camt.053.001.08): all that is not booked yet, then the payments that came back, with
        their amounts and why."""
        entries = [
            says.paid(minor, id_, booked_on=day, reference=_reference(id_)) for id_, minor in self.unbooked.items()
        ]
        entries += [
            says.returned(minor, id_, code, booked_on=day, reference=_reference(id_, "R"))
            for id_, (minor, code) in returned.items()
        ]
        self.unbooked.clear()
        self.statements += 1
        opening, self.balance_minor = self.balance_minor, self.balance_minor + sum(it.minor for it in entries)
        return self._statement(entries, opening, day, at)

    def _statement(self, entries: Sequence[says.Entry], opening_minor: int, day: date, at: str) -> str:
        return says.statement(
            entries,
            self.statements,
            opening=opening_minor,
            account=self.account.account,
            day=day,
            message_id=f"ST{day:%Y%m%d}-{self.statements}",
            at=at,
        )


_NAMESPACES: Final = {"p": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"}


def _texts(element: etree._Element | etree._ElementTree, path: str) -> list[str]:
    return [found.text or "" for found in element.xpath(path, namespaces=_NAMESPACES)]


def _currency(transfer: etree._Element) -> str:
    found: str = transfer.xpath("string(p:Amt/p:InstdAmt/@Ccy)", namespaces=_NAMESPACES)
    return found


def _reference(id_: str, suffix: str = "") -> str:
    return f"B{id_[2:18]}{suffix}"
