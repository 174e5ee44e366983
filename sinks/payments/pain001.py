"""Credit transfers as the bank wants them: ISO 20022 pain.001.001.09, one file per debtor account and execution date.

A file follows from its instructions alone: the same ones make the same bytes and the same MsgId, so that one that is
written again is seen as the one it is. Names are kept as they are, Chinese ones too; what XML or the message cannot
carry is refused, never cut or spelt otherwise.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

from lxml import etree
from lxml.builder import ElementMaker
from msgspec import Struct

from schemas.money import format_major
from schemas.records import BankAccount, PaymentInstruction

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
_CNAPS: Final = "CNAPS"
"""China National Advanced Payment System, as an ISO 20022 external clearing system identification code."""
_LONGEST_NAME: Final = 140
_LONGEST_ACCOUNT: Final = 34
_LONGEST_ID: Final = 35
_LONGEST_CODE: Final = 4
_NOT_IN_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_E: Final = ElementMaker(namespace=NAMESPACE, nsmap={None: NAMESPACE})


class CannotBeWritten(Exception):
    """An instruction the message cannot carry: which one, and the field. It has to be held, not the others with it."""

    def __init__(self, instruction_id: str, field: str, why: str) -> None:
        super().__init__(f"instruction {instruction_id}: {field} {why}")
        self.instruction_id = instruction_id
        self.field = field


class Batch(Struct, frozen=True):
    """Instructions of one currency to be paid from one account on one day."""

    debtor: BankAccount
    execute_on: date
    instructions: tuple[PaymentInstruction, ...]

    @property
    def currency(self) -> str:
        """The one of all its instructions."""
        return self.instructions[0].currency

    @property
    def message_id(self) -> str:
        """MsgId: of this account, this day and these instructions, whatever order they came in."""
        content = [self.debtor.account, self.execute_on.isoformat(), *_lines(self.instructions)]
        return "PM" + sha256("\n".join(content).encode()).hexdigest()[:30]

    @property
    def payment_information_id(self) -> str:
        """PmtInfId: a file has one."""
        return f"{self.message_id}-1"


def check(instruction: PaymentInstruction) -> None:
    """Raise CannotBeWritten for what the message cannot carry."""
    payee = instruction.payee
    for field, text, longest in (
        ("instruction_id", instruction.instruction_id, _LONGEST_ID),
        ("payee.name", payee.name, _LONGEST_NAME),
        ("payee.account", payee.account, _LONGEST_ACCOUNT),
        ("purpose", instruction.purpose, _LONGEST_CODE),
        ("claim", instruction.claim, _LONGEST_NAME),
    ):
        if len(text) > longest:
            raise CannotBeWritten(instruction.instruction_id, field, f"is longer than {longest} characters")
        if _NOT_IN_XML.search(text):
            raise CannotBeWritten(instruction.instruction_id, field, "has a character that XML cannot carry")


def uetr(instruction_id: str) -> str:
    """The unique end-to-end transaction reference of an instruction: shaped as a UUID of version 4, as it must be, and
    the same whenever it is derived."""
    return str(UUID(bytes=sha256(instruction_id.encode()).digest()[:16], version=4))


def pain_001(batch: Batch) -> bytes:
    """The file of a batch, its instructions in the order of their ids.

    Raises CannotBeWritten; ValueError for none, for two currencies, and for an instruction that stands there twice.
    """
    instructions = sorted(batch.instructions, key=lambda it: it.instruction_id)
    _check_batch(instructions)
    count, total = str(len(instructions)), format_major(sum(it.amount_minor for it in instructions), batch.currency)
    issued = datetime.fromtimestamp(max(it.issued_at_ms for it in instructions) / 1000, UTC)
    document = _E.Document(
        _E.CstmrCdtTrfInitn(
            _E.GrpHdr(
                _E.MsgId(batch.message_id),
                _E.CreDtTm(f"{issued:%Y-%m-%dT%H:%M:%SZ}"),
                _E.NbOfTxs(count),
                _E.CtrlSum(total),
                _E.InitgPty(_E.Nm(batch.debtor.name)),
            ),
            _E.PmtInf(
                _E.PmtInfId(batch.payment_information_id),
                _E.PmtMtd("TRF"),
                _E.BtchBookg("false"),
                _E.NbOfTxs(count),
                _E.CtrlSum(total),
                _E.ReqdExctnDt(_E.Dt(batch.execute_on.isoformat())),
                _E.Dbtr(_E.Nm(batch.debtor.name)),
                _E.DbtrAcct(*_account(batch.debtor), _E.Ccy(batch.currency)),
                _E.DbtrAgt(agent(_E, batch.debtor)),
                *map(_transfer, instructions),
            ),
        )
    )
    return etree.tostring(document, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _check_batch(instructions: Sequence[PaymentInstruction]) -> None:
    if not instructions:
        raise ValueError("a payment file needs at least one instruction")
    if len({it.currency for it in instructions}) > 1:
        raise ValueError("a payment file is in one currency")
    if len({it.instruction_id for it in instructions}) < len(instructions):
        raise ValueError("an instruction stands twice in one payment file")
    for instruction in instructions:
        check(instruction)


def _transfer(instruction: PaymentInstruction) -> etree._Element:
    """InstrId and EndToEndId are the instruction's id: by either the bank's answers are matched."""
    payee, amount = instruction.payee, format_major(instruction.amount_minor, instruction.currency)
    return _E.CdtTrfTxInf(
        _E.PmtId(
            _E.InstrId(instruction.instruction_id),
            _E.EndToEndId(instruction.instruction_id),
            _E.UETR(uetr(instruction.instruction_id)),
        ),
        _E.Amt(_E.InstdAmt(amount, Ccy=instruction.currency)),
        _E.CdtrAgt(agent(_E, payee)),
        _E.Cdtr(_E.Nm(payee.name)),
        _E.CdtrAcct(*_account(payee)),
        _E.Purp(_E.Cd(instruction.purpose)),
        _E.RmtInf(_E.Ustrd(instruction.claim)),
    )


def _account(account: BankAccount) -> Iterable[etree._Element]:
    return [_E.Id(_E.Othr(_E.Id(account.account)))]


def agent(e: ElementMaker, account: BankAccount) -> etree._Element:
    """The account's bank by its CNAPS number, in the namespace of `e`."""
    return e.FinInstnId(e.ClrSysMmbId(e.ClrSysId(e.Cd(_CNAPS)), e.MmbId(account.bank_code)))


def _lines(instructions: Iterable[PaymentInstruction]) -> list[str]:
    """What is paid, a line each, in the order of ids."""
    return sorted(
        f"{it.instruction_id}|{it.amount_minor}|{it.currency}|{it.payee.name}|{it.payee.account}|{it.payee.bank_code}"
        for it in instructions
    )
