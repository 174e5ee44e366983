"""Identifiers are checked, and a refusal names the field but never the value."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric

from schemas.identifiers import (
    check_account_number,
    check_bank_card,
    check_cnaps,
    check_plate,
    check_resident_id,
    check_uscc,
    check_vin,
)

Check = Callable[[str, str], None]

GOOD: list[tuple[Check, str]] = [
    (check_resident_id, "11010519491231002X"),  # the standard's own example
    (check_uscc, "91110000600037341L"),
    (check_bank_card, "4111111111111111"),
    (check_vin, "1M8GDM9AXKP042788"),  # North America: check digit X
    (check_vin, "11111111111111111"),
    (check_vin, "WVWZZZ1JZ3W386752"),  # Europe: position 9 is free
    *((check_plate, plate) for plate in ("京A12345", "沪B8888Z", "粤Z1234港", "粤Z1234澳", "京A1234警", "川A1234学")),
    *((check_plate, plate) for plate in ("苏E1234挂", "沪A0023领", "使014578", "224578使")),
    *((check_plate, plate) for plate in ("沪AD12345", "京AFA1234", "粤B12345D", "浙AA1234")),
    # head offices of large banks, as published
    *((check_cnaps, code) for code in ("102100099996", "103100000026", "104100000004", "105100000017")),
    *((check_cnaps, code) for code in ("301290000007", "302100011000", "303100000006", "304100040000")),
    *((check_cnaps, code) for code in ("305100000013", "308584000013", "309391000011", "310290000013")),
    *((check_cnaps, code) for code in ("403100000004", "313100000013", "306581000003", "307584007998")),
    (check_account_number, "6200000000000000018"),
    (check_account_number, "ABCD1234"),
]

BAD: list[tuple[Check, str, str]] = [
    (check_resident_id, "110105194912310021", "check character"),
    (check_resident_id, "11010519491231002x", "17 digits"),
    (check_resident_id, "110105-19491231002X", "17 digits"),
    (check_resident_id, "", "17 digits"),
    (check_uscc, "91110000600037341M", "check character"),
    (check_uscc, "9 1 110000 600037341L", "8 digits"),
    (check_bank_card, "4111111111111112", "check digit"),
    (check_bank_card, "411111", "13 to 19"),
    (check_vin, "1M8GDM9A1KP042788", "position 9"),
    (check_vin, "LSVAA49J0A2000000", "position 9"),
    (check_vin, "1M8GDM9AXKPO42788", "17 of"),
    (check_vin, "1M8GDM9AXKP04278", "17 of"),
    (check_plate, "京I12345", "province"),
    (check_plate, "京AO2345", "province"),
    (check_plate, "A12345", "province"),
    (check_plate, "京A1234", "province"),
    (check_plate, "京A·12345", "province"),
    (check_plate, "沪AL12345", "province"),
    (check_cnaps, "102100099997", "check digit"),
    (check_cnaps, "10210009999", "12 digits"),
    (check_cnaps, "１02100099996", "12 digits"),
    (check_account_number, "1234567", "8 to 32"),
    (check_account_number, "1" * 33, "8 to 32"),
    (check_account_number, "6200 0000 0000", "8 to 32"),
    (check_account_number, "6200000000\n", "8 to 32"),
]


@pytest.mark.parametrize(("check", "value"), GOOD)
def test_a_right_identifier_passes(check: Check, value: str) -> None:
    """Published examples and every kind of plate."""
    check(value, "field")


@pytest.mark.parametrize(("check", "value", "why"), BAD)
def test_a_wrong_identifier_is_refused_without_its_value(check: Check, value: str, why: str) -> None:
    """The message starts with the field, says why, and does not repeat the value."""
    with pytest.raises(ValueError, match=f"^payee.account is not a .*({why})") as refused:
        check(value, "payee.account")
    assert not value or value not in str(refused.value)


def test_a_birth_date_that_does_not_exist_is_refused() -> None:
    """The check character alone is not enough."""
    body = "11010519490230002"

    assert "birth date" in _complaint(check_resident_id, body + ric.calc_check_digit(body + "0"))


def _complaint(check: Check, value: str) -> str:
    try:
        check(value, "field")
    except ValueError as error:
        return str(error)
    return ""


@given(st.sampled_from(["102100099996", "308584000013"]), st.integers(0, 11), st.sampled_from("0123456789"))
def test_a_mistyped_digit_of_a_bank_number_is_caught(code: str, place: int, digit: str) -> None:
    """MOD 11,10 catches every single wrong digit."""
    mistyped = code[:place] + digit + code[place + 1 :]
    assert (_complaint(check_cnaps, mistyped) == "") == (mistyped == code)


@given(st.text(max_size=40))
def test_any_text_passes_or_is_a_value_error(text: str) -> None:
    """No check fails in any other way."""
    for check in (
        check_resident_id,
        check_uscc,
        check_bank_card,
        check_vin,
        check_plate,
        check_cnaps,
        check_account_number,
    ):
        _complaint(check, text)
