"""Money is exact: what is written can be read back, and nothing is ever rounded."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.money import EXPONENTS, check_currency, exponent, format_major, format_minor, parse_major

currencies = st.sampled_from(sorted(EXPONENTS))


@given(st.integers(-(10**18), 10**18), currencies)
def test_an_amount_survives_writing_and_reading(amount_minor: int, currency: str) -> None:
    """Formatting loses nothing: without code and spaces the text parses to the same minor units."""
    text = format_minor(amount_minor, currency).removesuffix(currency).replace(" ", "")

    assert parse_major(text, currency) == amount_minor
    assert parse_major(format_major(amount_minor, currency), currency) == amount_minor


@given(st.text(max_size=12), currencies)
def test_whatever_parses_is_plain_ascii(text: str, currency: str) -> None:
    """No foreign digits, separators, signs or exponents slip through."""
    try:
        parse_major(text, currency)
    except ValueError:
        return
    assert set(text) <= set("-.0123456789")


@pytest.mark.parametrize(
    ("currency", "digits"), [("CNY", 2), ("JPY", 0), ("ISK", 0), ("KWD", 3), ("TND", 3), ("CLF", 4), ("UYW", 4)]
)
def test_exponents_are_those_of_iso_4217(currency: str, digits: int) -> None:
    """Currencies with 0, 2, 3 and 4 digits."""
    assert exponent(currency) == digits


def test_no_currency_is_missing() -> None:
    """ISO 4217's active list in 2026: 17 currencies without digits, 7 with three, 2 with four, 139 with two."""
    assert Counter(EXPONENTS.values()) == {0: 17, 2: 139, 3: 7, 4: 2}


@pytest.mark.parametrize(
    ("text", "currency", "amount_minor"),
    [("1234.5", "CNY", 123450), ("-0.05", "CNY", -5), ("7", "KWD", 7000), ("7", "JPY", 7), ("0.0001", "CLF", 1)],
)
def test_a_short_fraction_is_filled_up(text: str, currency: str, amount_minor: int) -> None:
    """Digits left out are zeros."""
    assert parse_major(text, currency) == amount_minor


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (123456, "CNY", "1 234.56 CNY"),
        (-5, "CNY", "-0.05 CNY"),
        (1234567, "JPY", "1 234 567 JPY"),
        (0, "KWD", "0.000 KWD"),
        (100_000_000_00, "CNY", "100 000 000.00 CNY"),
    ],
)
def test_amounts_read_as_people_write_them(amount_minor: int, currency: str, text: str) -> None:
    """Thousands parted by spaces, all digits of the currency, then its code."""
    assert format_minor(amount_minor, currency) == text


@pytest.mark.parametrize(
    "text", ["", "1,5", "1.234", "+1", "01", " 1", "1 ", "1e3", ".5", "1.", "١", "NaN", "--1", "1\n"]
)
def test_anything_but_a_plain_decimal_is_refused(text: str) -> None:
    """The message does not repeat the text."""
    with pytest.raises(ValueError, match="the amount") as refused:
        parse_major(text, "CNY")
    assert not text.strip() or f"'{text}'" not in str(refused.value)


@pytest.mark.parametrize("code", ["ABC", "cny", "XXX", "XAU", "BGN", ""])
def test_only_active_currencies_are_taken(code: str) -> None:
    """Unknown, withdrawn, metal and test codes are refused, naming the field."""
    with pytest.raises(ValueError, match=r"^currency is not an active ISO 4217 currency code$"):
        check_currency(code, "currency")
    with pytest.raises(ValueError, match="not an active"):
        exponent(code)


def test_active_currencies_pass() -> None:
    """Every code on the list passes its own check."""
    for code in EXPONENTS:
        check_currency(code, "currency")
