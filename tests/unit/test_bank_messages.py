"""Bank messages: read leniently in everything but money, and never at the cost of the machine."""

from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.bank.messages import Balance, Entry, Level, Message, Read, Statement, Status, Warned, read
from connectors.bank.xml import DEEPEST, MOST_BYTES, BadXml
from schemas.money import EXPONENTS

CAMT_053: Final = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
HEADER: Final = "<GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-03-02T08:00:00</CreDtTm></GrpHdr>"
ENTRY: Final = """<Ntry><Amt Ccy="CNY">12.50</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>
<BookgDt><Dt>2026-03-02</Dt></BookgDt><NtryDtls><TxDtls><Refs><EndToEndId>E1</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>"""
ACCOUNT: Final = "<Acct><Id><Othr><Id>6222020200012345678</Id></Othr></Id></Acct>"


def statement(inside: str = ENTRY, namespace: str = CAMT_053, header: str = HEADER) -> str:
    return (
        f'<Document xmlns="{namespace}"><BkToCstmrStmt>{header}<Stmt><Id>S1</Id><ElctrncSeqNb>7</ElctrncSeqNb>'
        f"{ACCOUNT}{inside}</Stmt></BkToCstmrStmt></Document>"
    )


def said(folder: Path, content: str | bytes) -> list[Read]:
    path = folder / "bank.xml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read(path))


def warnings(found: list[Read]) -> list[str]:
    return [f"{it.element}: {it.what}" for it in found if isinstance(it, Warned)]


def test_a_statement_is_its_entries_then_itself_with_account_and_sequence(tmp_path: Path) -> None:
    """Message, entry, statement; nothing odd."""
    message, entry, whole = said(tmp_path, statement())

    assert message == Message(name="camt.053", version="08", id="M1", created_at="2026-03-02T08:00:00")
    assert isinstance(entry, Entry) and isinstance(whole, Statement)
    assert (entry.amount_minor, entry.currency, entry.credit, entry.status) == (1250, "CNY", False, "BOOK")
    assert [it.end_to_end_id for it in entry.transactions] == ["E1"]
    assert (whole.id, whole.account, whole.sequence, whole.entries) == ("S1", "6222020200012345678", 7, 1)


def test_what_stands_in_another_order_or_without_a_namespace_says_the_same(tmp_path: Path) -> None:
    """But for the warnings."""
    usual = said(tmp_path, statement())
    turned = statement().replace(f"<Stmt><Id>S1</Id><ElctrncSeqNb>7</ElctrncSeqNb>{ACCOUNT}{ENTRY}", f"<Stmt>{ENTRY}")
    turned = turned.replace("</Stmt>", f"{ACCOUNT}<ElctrncSeqNb>7</ElctrncSeqNb><Id>S1</Id></Stmt>")
    bare = statement(namespace="")

    assert said(tmp_path, turned)[1:] == usual[1:]
    message, warned, *rest = said(tmp_path, bare)
    assert isinstance(message, Message) and (message.name, message.version) == ("camt.053", None)
    assert isinstance(warned, Warned) and "namespace" in warned.what
    assert rest == usual[1:]


def test_a_transactions_status_knows_its_payment_information_wherever_that_is_said(tmp_path: Path) -> None:
    """Before the transaction, or behind it."""
    transaction = "<TxInfAndSts><OrgnlEndToEndId>E1</OrgnlEndToEndId><TxSts>RJCT</TxSts><StsRsnInf><Rsn><Cd>AC01</Cd>"
    transaction += "</Rsn><AddtlInf>no such</AddtlInf><AddtlInf>account</AddtlInf></StsRsnInf></TxInfAndSts>"
    name = "<OrgnlPmtInfId>P1</OrgnlPmtInfId>"
    before, behind = (
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt>{HEADER}<OrgnlGrpInfAndSts>'
        f"<OrgnlMsgId>B1</OrgnlMsgId></OrgnlGrpInfAndSts><OrgnlPmtInfAndSts>{block}</OrgnlPmtInfAndSts></CstmrPmtStsRpt>"
        "</Document>"
        for block in (name + transaction, transaction + name)
    )

    for content in (before, behind):
        found = said(tmp_path, content)
        (rejected,) = [it for it in found if isinstance(it, Status) and it.level is Level.TRANSACTION]
        assert (rejected.end_to_end_id, rejected.payment_information_id, rejected.message_id) == ("E1", "P1", "B1")
        assert (rejected.code, rejected.reason_code, rejected.reason) == ("RJCT", "AC01", "no such account")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
def test_chinese_names_come_through_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    """As the file names it, or its first bytes do; one that lies is read as GB 18030, with a warning."""
    told = ENTRY.replace("</Refs>", "</Refs><RmtInf><Ustrd>张三 理赔款</Ustrd></RmtInf>")
    declared = '<?xml version="1.0" encoding="GB18030"?>' if encoding == "gb18030" else ""

    found = said(tmp_path, (declared + statement(told)).encode(encoding))
    lying = said(tmp_path, ('<?xml version="1.0" encoding="UTF-8"?>' + statement(told)).encode("gb18030"))

    for entries in ([it for it in all_ if isinstance(it, Entry)] for all_ in (found, lying)):
        assert entries[0].transactions[0].remittance == "张三 理赔款"
    assert not warnings(found)
    assert any("not in the encoding" in it for it in warnings(lying))


@pytest.mark.parametrize(
    ("amount", "minor"),
    [
        ('<Amt Ccy="CNY">01.00</Amt>', 100),
        ('<Amt Ccy="CNY">18.150</Amt>', 1815),
        ('<Amt Ccy="CNY">.5</Amt>', 50),
        ('<Amt Ccy="JPY">2700</Amt>', 2700),
        ('<Amt Ccy="JPY">2700.5</Amt>', None),
        ('<Amt Ccy="CNY">1.005</Amt>', None),
        ('<Amt Ccy="CNY">1,50</Amt>', None),
        ('<Amt Ccy="CNY">-1.50</Amt>', None),
        ('<Amt Ccy="CNY">1e3</Amt>', None),
        ('<Amt Ccy="CNY">١٢</Amt>', None),
        ('<Amt Ccy="CNY"></Amt>', None),
        ('<Amt Ccy="XXX">1.50</Amt>', None),
        ("<Amt>1.50</Amt>", None),
        ("", None),
    ],
)
def test_an_amount_is_exactly_one_of_its_currency_or_not_read(tmp_path: Path, amount: str, minor: int | None) -> None:
    """And then a warning about money names line and element."""
    found = said(tmp_path, statement(ENTRY.replace('<Amt Ccy="CNY">12.50</Amt>', amount)))
    (entry,) = [it for it in found if isinstance(it, Entry)]
    about_money = [it for it in found if isinstance(it, Warned) and it.money]

    assert entry.amount_minor == minor
    assert bool(about_money) == (minor is None)
    assert all(it.line == 1 and it.element in ("Amt", "Ntry") for it in about_money)


def test_an_entry_that_does_not_say_which_way_the_money_went_says_so(tmp_path: Path) -> None:
    """It is neither a credit nor a debit."""
    found = said(tmp_path, statement(ENTRY.replace("DBIT", "DEBIT")))

    assert [it.credit for it in found if isinstance(it, Entry)] == [None]
    assert any(isinstance(it, Warned) and it.money for it in found)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(minor=st.integers(0, 10**17), currency=st.sampled_from(sorted(EXPONENTS)), zeros=st.integers(0, 3))
def test_every_amount_comes_back_as_it_was_written(tmp_path: Path, minor: int, currency: str, zeros: int) -> None:
    """Whatever the currency's digits, and with more zeros behind them."""
    digits = EXPONENTS[currency]
    text = f"{minor // 10**digits}.{minor % 10**digits:0{digits}d}" if digits else str(minor)
    text += "0" * zeros if digits else ""
    balance = f'<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="{currency}">{text}</Amt>'
    balance += "<CdtDbtInd>DBIT</CdtDbtInd><Dt><Dt>2026-03-02</Dt></Dt></Bal>"

    (found,) = [it for it in said(tmp_path, statement(balance)) if isinstance(it, Balance)]

    assert (found.amount_minor, found.currency, found.type) == (-minor, currency, "CLBD")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('<!DOCTYPE a [<!ENTITY b "c">]>' + statement(), "DOCTYPE"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd">' + statement(), "DOCTYPE"),
        (statement("&nothing;"), "line 1: this is not"),
        ("<a>" * (DEEPEST + 1) + "</a>" * (DEEPEST + 1), f"more than {DEEPEST} deep"),
        (statement()[:-20], "line 2: this is not"),
        ("", "this is not well-formed"),
        ("no xml", "line 1: this is not"),
        ("<Document/>", "nothing in this file"),
        ("<Document><Other><GrpHdr/></Other></Document>", "Other is no message"),
    ],
    ids=["entity", "external", "unknown entity", "deep", "cut off", "empty", "no xml", "nothing", "other"],
)
def test_what_is_no_bank_message_is_refused_with_its_place(tmp_path: Path, content: str, told: str) -> None:
    """Nothing of it is expanded, fetched or repeated."""
    with pytest.raises(BadXml, match=told):
        said(tmp_path, content)


def test_a_billion_laughs_are_not_laughed(tmp_path: Path) -> None:
    """Entities that would grow to gigabytes are refused where they are declared."""
    entities = '<!ENTITY l0 "ha">' + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))

    with pytest.raises(BadXml, match="DOCTYPE"):
        said(tmp_path, f"<!DOCTYPE a [{entities}]>" + statement("&l11;"))


def test_a_file_that_is_too_large_is_not_opened(tmp_path: Path) -> None:
    """Its size is enough to know."""
    path = tmp_path / "bank.xml"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)

    with pytest.raises(BadXml, match=f"more than {MOST_BYTES}"):
        list(read(path))


def test_entries_are_told_before_the_file_has_been_read_to_its_end(tmp_path: Path) -> None:
    """So that memory does not grow with the file: what is broken far behind has not been seen yet."""
    path = tmp_path / "bank.xml"
    path.write_text(statement(ENTRY * 5000).replace("</Document>", "<broken"))

    found = read(path)

    assert isinstance(next(found), Message)
    assert isinstance(next(found), Entry)
    with pytest.raises(BadXml):
        list(found)
