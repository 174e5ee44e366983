"""Files as a bank writes them: statuses (pain.002.001.10), statements (camt.053.001.08); and the official schemas."""

import os
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from lxml import etree
from lxml.builder import ElementMaker

from schemas.money import format_major
from tests.services import absent

PAIN_002: Final = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"
CAMT_053: Final = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
TRANSFER: Final = ("PMNT", "ICDT", "DMCT")
RETURNED: Final = ("PMNT", "RCDT", "RRTN")
FEE: Final = ("ACMT", "MDOP", "CHRG")

Element = etree._Element


class Said(NamedTuple):
    """What the bank says of one payment: a status code, and why."""

    instruction: str
    code: str
    reason: str | None = None


class Line(NamedTuple):
    """A line of a statement: minor units, below zero when they left; which payment it names, if any; why it came back.
    `code` is its bank transaction code, `status` BOOK unless it is no money yet."""

    amount_minor: int
    instruction: str | None = None
    returned: str | None = None
    code: tuple[str, str, str] = TRANSFER
    status: str = "BOOK"


@cache
def schema(message: str) -> etree.XMLSchema:
    """The official schema of an ISO 20022 message; skips unless CLAIMHUB_TEST_DATA names a folder that has it."""
    folder = os.environ.get("CLAIMHUB_TEST_DATA")
    if folder is None:
        pytest.skip("CLAIMHUB_TEST_DATA names no folder with the schemas")
    file = Path(folder) / "iso20022-xsd" / f"{message}.xsd"
    if not file.exists():
        absent(f"CLAIMHUB_TEST_DATA has no {file.name}")
    return etree.XMLSchema(etree.parse(file))


def status_file(message: str, of_message: str, said: Sequence[Said]) -> bytes:
    """What the bank says of payments of one of our files."""
    e = _maker(PAIN_002)
    of = e.OrgnlGrpInfAndSts(e.OrgnlMsgId(of_message), e.OrgnlMsgNmId("pain.001.001.09"))
    payments = e.OrgnlPmtInfAndSts(e.OrgnlPmtInfId(f"{of_message}-1"), *(_status(e, it) for it in said))
    return _written(e.Document(e.CstmrPmtStsRpt(_header(e, message), of, payments)))


def statement_file(
    message: str,
    account: str,
    day: date,
    opening_minor: int,
    lines: Sequence[Line],
    *,
    sequence: int = 1,
    currency: str = "CNY",
    closing_minor: int | None = None,
) -> bytes:
    """A statement of one day; its closing balance is what its booked lines make it, unless it is given."""
    e = _maker(CAMT_053)
    if closing_minor is None:
        closing_minor = opening_minor + sum(line.amount_minor for line in lines if line.status == "BOOK")
    statement = e.Stmt(
        e.Id(f"{message}-1"),
        e.ElctrncSeqNb(str(sequence)),
        e.Acct(e.Id(e.Othr(e.Id(account))), e.Ccy(currency)),
        _balance(e, "OPBD", opening_minor, currency, day),
        _balance(e, "CLBD", closing_minor, currency, day),
        *(_entry(e, line, number, currency, day) for number, line in enumerate(lines, 1)),
    )
    return _written(e.Document(e.BkToCstmrStmt(_header(e, message), statement)))


def _header(e: ElementMaker, message: str) -> Element:
    return e.GrpHdr(e.MsgId(message), e.CreDtTm("2026-04-09T08:00:00"))


def _status(e: ElementMaker, said: Said) -> Element:
    why = [e.StsRsnInf(e.Rsn(e.Cd(said.reason)))] if said.reason else []
    ids = e.OrgnlInstrId(said.instruction), e.OrgnlEndToEndId(said.instruction)
    return e.TxInfAndSts(*ids, e.TxSts(said.code), *why)


def _balance(e: ElementMaker, kind: str, minor: int, currency: str, day: date) -> Element:
    tp = e.Tp(e.CdOrPrtry(e.Cd(kind)))
    return e.Bal(tp, *_amount(e, minor, currency), e.Dt(e.Dt(day.isoformat())))


def _entry(e: ElementMaker, line: Line, number: int, currency: str, day: date) -> Element:
    domain, family, sub_family = line.code
    names = [e.Refs(e.InstrId(line.instruction), e.EndToEndId(line.instruction))] if line.instruction else []
    amount, credit = _amount(e, line.amount_minor, currency)
    why = [e.RtrInf(e.Rsn(e.Cd(line.returned)))] if line.returned else []
    return e.Ntry(
        amount,
        credit,
        e.Sts(e.Cd(line.status)),
        e.BookgDt(e.Dt(day.isoformat())),
        e.ValDt(e.Dt(day.isoformat())),
        e.AcctSvcrRef(f"{day:%Y%m%d}-{number}"),
        e.BkTxCd(e.Domn(e.Cd(domain), e.Fmly(e.Cd(family), e.SubFmlyCd(sub_family)))),
        e.NtryDtls(e.TxDtls(*names, *_amount(e, line.amount_minor, currency), *why)),
    )


def _amount(e: ElementMaker, minor: int, currency: str) -> tuple[Element, Element]:
    amount = e.Amt(format_major(abs(minor), currency), Ccy=currency)
    return amount, e.CdtDbtInd("CRDT" if minor >= 0 else "DBIT")


def _maker(namespace: str) -> ElementMaker:
    return ElementMaker(namespace=namespace, nsmap={None: namespace})


def _written(document: Element) -> bytes:
    return etree.tostring(document, xml_declaration=True, encoding="UTF-8", pretty_print=True)
