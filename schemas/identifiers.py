"""Checks of the identifiers that claims carry. Each raises ValueError naming the field and why, never the value."""

import re
from datetime import date
from operator import mul
from typing import Final

from stdnum import luhn
from stdnum.cn import ric, uscc
from stdnum.iso7064 import mod_11_10

_RESIDENT_ID: Final = re.compile(r"[0-9]{17}[0-9X]")
_USCC: Final = re.compile(r"[0-9]{8}[0-9A-Z]{10}")
_CARD: Final = re.compile(r"[0-9]{13,19}")
_ACCOUNT: Final = re.compile(r"[0-9A-Za-z]{8,32}")
_CNAPS: Final = re.compile(r"[0-9]{12}")

_VIN: Final = re.compile(r"[A-HJ-NPR-Z0-9]{17}")
_VIN_WEIGHTS: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_VIN_DIGITS: Final = str.maketrans("ABCDEFGHJKLMNPRSTUVWXYZ", "12345678123457923456789")
_VIN_REGIONS_WITH_CHECK_DIGIT: Final = frozenset("L12345")

_PROVINCE: Final = "[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]"
_PLATE: Final = re.compile(
    rf"""
      {_PROVINCE}[A-HJ-NP-Z]
      (?: [A-HJ-NP-Z0-9]{{5}}                   # ordinary
        | [A-HJ-NP-Z0-9]{{4}}[挂学警港澳领]     # trailer, driving school, police, Hong Kong, Macao, consulate
        | [A-HJK][A-HJ-NP-Z0-9][0-9]{{4}}       # new energy, small vehicle
        | [0-9]{{5}}[A-HJK]                     # new energy, large vehicle
      )
    | 使[0-9]{{6}} | [0-9]{{6}}使               # embassy
    """,
    re.VERBOSE,
)


def check_resident_id(value: str, field: str) -> None:
    """Mainland resident identity number (GB 11643): 18 characters, a real birth date, check character.

    The birthplace code is not looked up: it is the code in force when the number was given, which may be younger than
    its holder, and a table that misses one would refuse a real person.
    """
    if not _RESIDENT_ID.fullmatch(value):
        raise ValueError(f"{field} is not a resident identity number: it must be 17 digits and a digit or X")
    if value[-1] != ric.calc_check_digit(value):
        raise ValueError(f"{field} is not a resident identity number: its check character is wrong")
    try:
        date(int(value[6:10]), int(value[10:12]), int(value[12:14]))
    except ValueError:
        raise ValueError(f"{field} is not a resident identity number: its birth date does not exist") from None


def check_uscc(value: str, field: str) -> None:
    """Unified social credit code of an organisation (GB 32100): 18 characters, the last one a check character."""
    if not _USCC.fullmatch(value):
        raise ValueError(f"{field} is not a unified social credit code: it must be 8 digits and 10 digits or capitals")
    if not uscc.is_valid(value):
        raise ValueError(f"{field} is not a unified social credit code: its check character is wrong")


def check_bank_card(value: str, field: str) -> None:
    """Payment card number (ISO/IEC 7812): 13 to 19 digits, the last one a Luhn check digit."""
    if not _CARD.fullmatch(value):
        raise ValueError(f"{field} is not a bank card number: it must be 13 to 19 digits")
    if not luhn.is_valid(value):
        raise ValueError(f"{field} is not a bank card number: its check digit is wrong")


def check_vin(value: str, field: str) -> None:
    """Vehicle identification number (ISO 3779, GB 16735): 17 capitals and digits without I, O and Q.

    Position 9 is a check digit where the law makes it one: vehicles made in China (L) and North America (1 to 5).
    Elsewhere the maker may put anything there.
    """
    if not _VIN.fullmatch(value):
        raise ValueError(f"{field} is not a vehicle identification number: it must be 17 of 0-9, A-Z but I, O, Q")
    if value[0] in _VIN_REGIONS_WITH_CHECK_DIGIT:
        total = sum(map(mul, map(int, value.translate(_VIN_DIGITS)), _VIN_WEIGHTS))
        if value[8] != "0123456789X"[total % 11]:
            raise ValueError(f"{field} is not a vehicle identification number: its check digit (position 9) is wrong")


def check_plate(value: str, field: str) -> None:
    """Mainland number plate (GA 36), without spaces or dots: ordinary, new energy, special suffix, or embassy.

    The letters I and O are not used on plates.
    """
    if not _PLATE.fullmatch(value):
        raise ValueError(f"{field} is not a number plate: it must be a province, a letter and 5 or 6 more")


def check_cnaps(value: str, field: str) -> None:
    """Bank number in China's payment system (CNAPS): 12 digits, the last one an ISO 7064 MOD 11,10 check digit.

    The digits are 3 for the kind of bank, 4 for the city, 4 for the branch and the check digit. That the check is
    MOD 11,10 is not in a public standard; it holds for the published head office numbers of the large banks, which
    the tests carry.
    """
    if not _CNAPS.fullmatch(value):
        raise ValueError(f"{field} is not a CNAPS bank number: it must be 12 digits")
    if not mod_11_10.is_valid(value):
        raise ValueError(f"{field} is not a CNAPS bank number: its check digit is wrong")


def check_account_number(value: str, field: str) -> None:
    """Bank account number: 8 to 32 digits and letters. Banks share no check digit, so none is asked for."""
    if not _ACCOUNT.fullmatch(value):
        raise ValueError(f"{field} is not a bank account number: it must be 8 to 32 digits and letters")
