"""Money: integer minor units of an ISO 4217 currency. No float anywhere; every conversion is exact or refused."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

_NO_DIGITS: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_TWO_DIGITS: Final = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP
    COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR
    JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN
    NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL
    THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
"""
_THREE_DIGITS: Final = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DIGITS: Final = "CLF UYW"

EXPONENTS: Final[Mapping[str, int]] = {
    code: digits
    for digits, codes in ((0, _NO_DIGITS), (2, _TWO_DIGITS), (3, _THREE_DIGITS), (4, _FOUR_DIGITS))
    for code in codes.split()
}
"""Digits after the decimal point of every active ISO 4217 currency (list one). Metals, test and no-currency codes and
withdrawn currencies are not money a claim can be paid in, so they are not here."""

_MAJOR: Final = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?")

# Minor units in a major one, and how the fraction is printed, by the number of digits.
_SHOWN: Final = {digits: (10**digits, f".%0{digits}d" if digits else "") for digits in set(EXPONENTS.values())}


def exponent(currency: str) -> int:
    """Digits after the decimal point of a currency (ISO 4217). Raises ValueError for a code not on the active list."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise ValueError("the currency is not an active ISO 4217 code") from None


def check_currency(code: str, field: str) -> None:
    """Raise ValueError naming the field when `code` is not an active ISO 4217 currency."""
    if code not in EXPONENTS:
        raise ValueError(f"{field} is not an active ISO 4217 currency code")


@lru_cache(16_384)  # a claim's reasons tell its amounts again and again
def format_minor(amount_minor: int, currency: str) -> str:
    """An amount in minor units for people: thousands parted by a space, then the code, as in `1 234.56 CNY`."""
    scale, fraction = _SHOWN[exponent(currency)]
    major, minor = divmod(abs(amount_minor), scale)
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{f'{major:,}'.replace(',', ' ')}{fraction % minor if fraction else ''} {currency}"


def format_major(amount_minor: int, currency: str) -> str:
    """An amount as a plain decimal in major units, with all of the currency's digits: what `parse_major` reads."""
    scale, fraction = _SHOWN[exponent(currency)]
    major, minor = divmod(abs(amount_minor), scale)
    return f"{'-' if amount_minor < 0 else ''}{major}{fraction % minor if fraction else ''}"


def parse_major(text: str, currency: str) -> int:
    """The minor units of a decimal in major units: `1234.5` CNY is 123450.

    ASCII digits with an optional leading minus and an optional fraction of at most the currency's digits; no spaces,
    separators, plus sign, exponent or leading zeros. Anything else is a ValueError that does not repeat the text.
    """
    digits = exponent(currency)
    found = _MAJOR.fullmatch(text)
    if found is None:
        raise ValueError("the amount is not a plain decimal number such as 1234.56")
    sign, major, fraction = found[1], found[2], found[3] or ""
    if len(fraction) > digits:
        raise ValueError(f"the amount has more than the {digits} decimal digits of {currency}")
    amount_minor = int(major + fraction.ljust(digits, "0"))
    return -amount_minor if sign else amount_minor
