"""Asking the bank not to pay: what the file asks for, whoever reads it."""

from decimal import Decimal
from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from schemas.money import EXPONENTS, format_major
from sinks.payments.camt055 import NAMESPACE, Stop, Stops, camt_055
from sinks.payments.pain001 import uetr
from tests.iso20022 import schema
from tests.unit.test_pain001 import DEBTOR

ASKED_MS: Final = 1_772_600_000_000
AMOUNTS: Final = st.lists(st.integers(1, 10**15), min_size=1, max_size=10)


def stops(amounts: list[int], currency: str = "CNY", file: str = "PM1") -> Stops:
    payments = [Stop(f"PI{n:030}", amount, currency, ASKED_MS + n) for n, amount in enumerate(amounts, 1)]
    return Stops(DEBTOR, file, f"{file}-1", tuple(payments))


def texts(file: bytes, path: str) -> list[str]:
    return [str(it) for it in etree.fromstring(file).xpath(f"//c:{path}/text()", namespaces={"c": NAMESPACE})]


@given(amounts=AMOUNTS, currency=st.sampled_from(sorted(EXPONENTS)))
def test_it_names_each_payment_its_file_and_the_sum(amounts: list[int], currency: str) -> None:
    """By the ids of the payment file, so that the bank finds it by whichever it goes by."""
    asked = stops(amounts, currency)
    file = camt_055(asked)
    ids = [it.instruction_id for it in asked.payments]

    assert texts(file, "OrgnlInstrId") == texts(file, "OrgnlEndToEndId") == ids
    assert texts(file, "OrgnlUETR") == [uetr(id_) for id_ in ids]
    assert texts(file, "OrgnlMsgId") == ["PM1"] and texts(file, "OrgnlPmtInfId") == ["PM1-1"]
    assert texts(file, "OrgnlMsgNmId") == ["pain.001.001.09"] and texts(file, "PmtInfCxl") == ["false"]
    assert texts(file, "NbOfTxs") == [str(len(amounts))]
    assert texts(file, "CtrlSum") == [format_major(sum(amounts), currency)]
    assert sum(map(Decimal, texts(file, "OrgnlInstdAmt"))) == Decimal(texts(file, "CtrlSum")[0])


@given(amounts=AMOUNTS)
def test_the_same_wish_makes_the_same_file(amounts: list[int]) -> None:
    """To the byte, in any order; of another payment file it is another request."""
    asked = stops(amounts)
    turned = Stops(asked.debtor, asked.message_id, asked.payment_information_id, asked.payments[::-1])

    assert camt_055(turned) == camt_055(asked)
    assert stops(amounts, file="PM2").assignment_id != asked.assignment_id


@given(amounts=AMOUNTS, currency=st.sampled_from(sorted(EXPONENTS)))
def test_it_is_valid_by_the_official_schema(amounts: list[int], currency: str) -> None:
    """ISO 20022 camt.055.001.08, where CLAIMHUB_TEST_DATA names a folder that has it."""
    schema("camt.055.001.08").assertValid(etree.fromstring(camt_055(stops(amounts, currency))))
