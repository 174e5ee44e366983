"""A bank that answers: statements (camt.053.001.08), notifications (camt.054.001.08) and status reports
(pain.002.001.10), valid by their schemas, saying what a story or a test wants."""

from collections.abc import Sequence
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from schemas.money import format_major

ACCOUNT: Final = "622202000000000000000017"
DAY: Final = date(2026, 4, 7)
AT: Final = "2026-04-08T06:00:00+08:00"
"""When messages are made."""
TRANSFER: Final = "PMNT/ICDT/DMCT"
FEE: Final = "PMNT/ICDT/CHRG"

_NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:"


class Tx(NamedTuple):
    """A transaction of a line: how it is named, and its amount below zero when it left, if it is told."""

    end_to_end_id: str | None = None
    instruction_id: str | None = None
    uetr: str | None = None
    payment_information_id: str | None = None
    message_id: str | None = None
    minor: int | None = None
    return_code: str | None = None


class Entry(NamedTuple):
    """A line: its amount below zero when it left the account."""

    minor: int
    transactions: tuple[Tx, ...] = ()
    status: str = "BOOK"
    reference: str | None = None
    code: str = TRANSFER
    reversal: bool = False
    batch: int | None = None
    batch_information_id: str | None = None
    batch_message_id: str | None = None
    currency: str = "CNY"
    booked_on: date = DAY


class Said(NamedTuple):
    """A status: of a transaction, else of a payment information, else of the message."""

    code: str
    end_to_end_id: str | None = None
    reason: str | None = None
    minor: int | None = None
    payment_information_id: str | None = None
    instruction_id: str | None = None
    uetr: str | None = None
    currency: str = "CNY"


def paid(minor: int, end_to_end_id: str | None = None, **changes: object) -> Entry:
    """A line of money that left for what is named."""
    return Entry(-minor, (Tx(end_to_end_id),))._replace(**changes)  # type: ignore[arg-type]


def returned(minor: int, end_to_end_id: str | None = None, code: str | None = "AC04", **changes: object) -> Entry:
    """A line of money that came back."""
    return Entry(minor, (Tx(end_to_end_id, return_code=code),))._replace(**changes)  # type: ignore[arg-type]


def statement(
    entries: Sequence[Entry],
    sequence: int | None = 1,
    *,
    opening: int = 1_000_000_00,
    closing: int | None = None,
    account: str = ACCOUNT,
    currency: str = "CNY",
    day: date = DAY,
    message_id: str = "BANK-1",
    at: str = AT,
    page: tuple[int, bool] | None = None,
) -> str:
    """A statement of one account; unless told otherwise its balances are what its lines make them."""
    booked = sum(it.minor for it in entries if it.status == "BOOK" and it.currency == currency)
    closing = opening + booked if closing is None else closing
    pages = (
        ""
        if page is None
        else f"<StmtPgntn><PgNb>{page[0]}</PgNb><LastPgInd>{str(page[1]).lower()}</LastPgInd></StmtPgntn>"
    )
    number = "" if sequence is None else f"<ElctrncSeqNb>{sequence}</ElctrncSeqNb>"
    return _document(
        "camt.053.001.08",
        "BkToCstmrStmt",
        message_id,
        f"<Stmt><Id>S{sequence}</Id>{pages}{number}<CreDtTm>{at}</CreDtTm>"
        f"{_account(account, currency)}{_balance('OPBD', opening, currency, day)}"
        f"{_balance('CLBD', closing, currency, day)}{''.join(map(_entry, entries))}</Stmt>",
        at,
    )


def advice(entries: Sequence[Entry], *, account: str = ACCOUNT, message_id: str = "ADVICE-1") -> str:
    """A notification of lines that the statement repeats."""
    return _document(
        "camt.054.001.08",
        "BkToCstmrDbtCdtNtfctn",
        message_id,
        "<Ntfctn><Id>N1</Id><CreDtTm>2026-04-07T12:00:00+08:00</CreDtTm>"
        f"{_account(account, 'CNY')}{''.join(map(_entry, entries))}</Ntfctn>",
    )


def report(
    said: Sequence[Said], *, of: str = "PM-1", message_id: str = "REPORT-1", group: str | None = None, at: str = AT
) -> str:
    """A status report on the payment file `of`; `group` is the status of all of it."""
    inside = ""
    for information, statuses in groupby(said, lambda it: it.payment_information_id or f"{of}-1"):
        found = list(statuses)
        whole = "".join(f"<PmtInfSts>{it.code}</PmtInfSts>{_reason(it)}" for it in found if not _is_transaction(it))
        single = "".join(_status(it) for it in found if _is_transaction(it))
        inside += f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{information}</OrgnlPmtInfId>{whole}{single}</OrgnlPmtInfAndSts>"
    status = "" if group is None else f"<GrpSts>{group}</GrpSts>"
    return _document(
        "pain.002.001.10",
        "CstmrPmtStsRpt",
        message_id,
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>{of}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>{status}"
        f"</OrgnlGrpInfAndSts>{inside}",
        at,
    )


def put(folder: Path, name: str, content: str) -> Path:
    """A file of the bank's."""
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def _document(message: str, root: str, message_id: str, inside: str, at: str = AT) -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{_NAMESPACE}{message}"><{root}>'
        f"<GrpHdr><MsgId>{message_id}</MsgId><CreDtTm>{at}</CreDtTm></GrpHdr>\n"
        f"{inside}</{root}></Document>\n"
    )


def _account(account: str, currency: str) -> str:
    return f"<Acct><Id><Othr><Id>{escape(account)}</Id></Othr></Id><Ccy>{currency}</Ccy></Acct>\n"


def _balance(kind: str, minor: int, currency: str, day: date) -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>{_amount(minor, currency)}<Dt><Dt>{day}</Dt></Dt></Bal>\n"
    )


def _amount(minor: int, currency: str) -> str:
    direction = "DBIT" if minor < 0 else "CRDT"
    return f'<Amt Ccy="{currency}">{format_major(abs(minor), currency)}</Amt><CdtDbtInd>{direction}</CdtDbtInd>'


def _entry(it: Entry) -> str:
    domain, family, sub_family = it.code.split("/")
    reversal = "<RvslInd>true</RvslInd>" if it.reversal else ""
    reference = _if("AcctSvcrRef", it.reference)
    code = f"<Domn><Cd>{domain}</Cd><Fmly><Cd>{family}</Cd><SubFmlyCd>{sub_family}</SubFmlyCd></Fmly></Domn>"
    batch = ""
    if it.batch is not None or it.batch_information_id or it.batch_message_id:
        ids = _if("MsgId", it.batch_message_id) + _if("PmtInfId", it.batch_information_id)
        batch = f"<Btch>{ids}{_if('NbOfTxs', it.batch)}</Btch>"
    made = "".join(_transaction(tx, it.currency) for tx in it.transactions)
    details = f"<NtryDtls>{batch}{made}</NtryDtls>" if batch or made else ""
    return (
        f"<Ntry>{_amount(it.minor, it.currency)}{reversal}<Sts><Cd>{it.status}</Cd></Sts>"
        f"<BookgDt><Dt>{it.booked_on}</Dt></BookgDt>{reference}<BkTxCd>{code}</BkTxCd>{details}</Ntry>\n"
    )


def _transaction(tx: Tx, currency: str) -> str:
    refs = (
        _if("MsgId", tx.message_id)
        + _if("PmtInfId", tx.payment_information_id)
        + _if("InstrId", tx.instruction_id)
        + _if("EndToEndId", tx.end_to_end_id)
        + _if("UETR", tx.uetr)
    )
    amount = "" if tx.minor is None else _amount(tx.minor, currency)
    why = "" if tx.return_code is None else f"<RtrInf><Rsn><Cd>{tx.return_code}</Cd></Rsn></RtrInf>"
    return f"<TxDtls><Refs>{refs}</Refs>{amount}{why}</TxDtls>"


def _status(it: Said) -> str:
    ids = _if("OrgnlInstrId", it.instruction_id) + _if("OrgnlEndToEndId", it.end_to_end_id) + _if("OrgnlUETR", it.uetr)
    amount = ""
    if it.minor is not None:
        major = format_major(it.minor, it.currency)
        amount = f'<OrgnlTxRef><Amt><InstdAmt Ccy="{it.currency}">{major}</InstdAmt></Amt></OrgnlTxRef>'
    return f"<TxInfAndSts>{ids}<TxSts>{it.code}</TxSts>{_reason(it)}{amount}</TxInfAndSts>\n"


def _reason(it: Said) -> str:
    return "" if it.reason is None else f"<StsRsnInf><Rsn><Cd>{it.reason}</Cd></Rsn></StsRsnInf>"


def _is_transaction(it: Said) -> bool:
    return bool(it.end_to_end_id or it.instruction_id or it.uetr)


def _if(name: str, value: object) -> str:
    return "" if value is None else f"<{name}>{escape(str(value))}</{name}>"
