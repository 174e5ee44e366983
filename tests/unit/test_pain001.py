"""Payment files: what they say is what was instructed, whoever reads them."""

from datetime import date
from decimal import Decimal
from importlib.resources import files
from io import BytesIO
from typing import Any, Final
from uuid import UUID

import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from msgspec.structs import replace

from schemas.money import EXPONENTS, format_major
from schemas.records import BankAccount, PaymentInstruction
from sinks.payments.pain001 import NAMESPACE, Batch, CannotBeWritten, pain_001, uetr
from tests.iso20022 import schema

DEBTOR: Final = BankAccount(name="某财产保险股份有限公司", account="1100000000000000001", bank_code="102100099996")
PAYEE: Final = BankAccount(name="投保人甲", account="6222020200012345678", bank_code="102100099996")
DAY: Final = date(2026, 3, 3)


def instruction(number: int = 1, **changes: object) -> PaymentInstruction:
    made = PaymentInstruction(
        instruction_id=f"PI{number:030}",
        claim=f"C26-{number:04}",
        settlement_version=1,
        attempt=1,
        payee=PAYEE,
        amount_minor=268_000,
        currency="CNY",
        purpose="INSC",
        issued_at_ms=1_772_500_000_000,
        cause="repair.invoice.v1/1/2/0",
        rule="payments.instruct",
        reason="settlement 1",
    )
    return replace(made, **changes)


def written(*instructions: PaymentInstruction) -> bytes:
    return pain_001(Batch(DEBTOR, DAY, instructions))


def texts(file: bytes, path: str) -> list[str]:
    return [str(it) for it in etree.fromstring(file).xpath(f"//p:{path}/text()", namespaces={"p": NAMESPACE})]


AMOUNTS: Final = st.lists(st.integers(1, 10**15), min_size=1, max_size=20)


@given(amounts=AMOUNTS, currency=st.sampled_from(sorted(EXPONENTS)))
def test_the_sums_of_a_file_are_those_of_its_instructions(amounts: list[int], currency: str) -> None:
    """In the group header and the payment information, in every currency, to the last digit."""
    file = written(*(instruction(n, amount_minor=amount, currency=currency) for n, amount in enumerate(amounts, 1)))
    sums = texts(file, "CtrlSum")

    assert sums == [format_major(sum(amounts), currency)] * 2
    assert texts(file, "NbOfTxs") == [str(len(amounts))] * 2
    assert sum(Decimal(it) for it in texts(file, "InstdAmt")) == Decimal(sums[0])


@given(order=st.permutations(range(1, 6)))
def test_the_same_instructions_make_the_same_file(order: list[int]) -> None:
    """To the byte, whatever order they came in; another amount makes another message."""
    usual = written(*(instruction(n) for n in range(1, 6)))

    assert written(*(instruction(n) for n in order)) == usual
    changed = [instruction(n, amount_minor=268_000 + (n == 3)) for n in order]
    assert texts(written(*changed), "MsgId") != texts(usual, "MsgId")


def test_a_transfer_says_whom_where_how_much_and_what_for() -> None:
    """The Chinese name as it is, the account without an IBAN, the bank by its CNAPS number."""
    file = written(instruction())

    assert texts(file, "Cdtr/p:Nm") == ["投保人甲"]
    assert texts(file, "CdtrAcct/p:Id/p:Othr/p:Id") == [PAYEE.account]
    assert texts(file, "CdtrAgt//p:MmbId") == [PAYEE.bank_code]
    assert texts(file, "CdtrAgt//p:ClrSysId/p:Cd") == ["CNAPS"]
    assert texts(file, "InstdAmt") == ["2680.00"]
    assert texts(file, "EndToEndId") == texts(file, "InstrId") == [f"PI{1:030}"]
    assert texts(file, "Purp/p:Cd") == ["INSC"]
    assert texts(file, "BtchBookg") == ["false"]
    assert texts(file, "ReqdExctnDt/p:Dt") == ["2026-03-03"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"payee": replace(PAYEE, name="甲" * 141)}, "payee.name"),
        ({"payee": replace(PAYEE, name="甲\0乙")}, "payee.name"),
        ({"payee": replace(PAYEE, name="甲\ufffe")}, "payee.name"),
        ({"instruction_id": "P" * 36}, "instruction_id"),
        ({"purpose": "INSURANCE"}, "purpose"),
    ],
)
def test_what_the_message_cannot_carry_is_named(changes: dict[str, object], field: str) -> None:
    """With the instruction and the field, and never what stands there."""
    with pytest.raises(CannotBeWritten) as refused:
        written(instruction(2), instruction(1, **changes))

    assert refused.value.field == field
    assert "甲" not in str(refused.value)


@pytest.mark.parametrize(
    "instructions",
    [(), (instruction(1), instruction(1)), (instruction(1), instruction(2, currency="EUR"))],
    ids=["none", "twice", "two currencies"],
)
def test_a_file_that_cannot_be_right_is_not_written(instructions: tuple[PaymentInstruction, ...]) -> None:
    """None, one twice, or two currencies in one sum."""
    with pytest.raises(ValueError, match="payment file"):
        written(*instructions)


@given(amounts=AMOUNTS, name=st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1))
def test_a_file_is_valid_by_the_official_schema(amounts: list[int], name: str) -> None:
    """ISO 20022 pain.001.001.09, where CLAIMHUB_TEST_DATA names a folder that has it."""
    payee = replace(PAYEE, name=name[:140])
    file = written(*(instruction(n, amount_minor=amount, payee=payee) for n, amount in enumerate(amounts, 1)))

    schema("pain.001.001.09").assertValid(etree.fromstring(file))


FOREIGN: Final = xmlschema.XMLSchema(str(files("sepaxml").joinpath("schemas", "pain.001.001.09.xsd")))
"""A reader that shares nothing with ours: another XML library, by the schema that another program ships."""


@given(amounts=AMOUNTS)
def test_another_reader_finds_in_a_file_what_was_instructed(amounts: list[int]) -> None:
    """Everybody once, by name, account, bank and amount; the sums; each payment booked by itself."""
    made = [instruction(n, amount_minor=amount) for n, amount in enumerate(amounts, 1)]
    read: Any = FOREIGN.to_dict(BytesIO(written(*made)))  # raises for a file that is not valid
    header, (info,) = read["CstmrCdtTrfInitn"]["GrpHdr"], read["CstmrCdtTrfInitn"]["PmtInf"]

    assert [
        (
            it["PmtId"]["InstrId"],
            it["Cdtr"]["Nm"],
            it["CdtrAcct"]["Id"]["Othr"]["Id"],
            it["CdtrAgt"]["FinInstnId"]["ClrSysMmbId"],
            it["Amt"]["InstdAmt"],
        )
        for it in info["CdtTrfTxInf"]
    ] == [
        (
            it.instruction_id,
            it.payee.name,
            it.payee.account,
            {"ClrSysId": {"Cd": "CNAPS"}, "MmbId": it.payee.bank_code},
            {"@Ccy": "CNY", "$": Decimal(it.amount_minor) / 100},
        )
        for it in made
    ]
    assert header["CtrlSum"] == info["CtrlSum"] == Decimal(sum(amounts)) / 100
    assert header["NbOfTxs"] == info["NbOfTxs"] == str(len(amounts)) and info["BtchBookg"] is False


def test_a_transfer_has_a_reference_of_its_own_for_all_banks_on_its_way() -> None:
    """A UUID of version 4, the same whenever the file is made, another for each instruction."""
    refs = texts(written(instruction(1), instruction(2)), "UETR")

    assert refs == [uetr(f"PI{1:030}"), uetr(f"PI{2:030}")] and len(set(refs)) == 2
    assert {UUID(ref).version for ref in refs} == {4}
