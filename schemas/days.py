"""Days as Avro's logical type `date` has them: counted from 1970-01-01."""

from datetime import date
from typing import Final

_FIRST: Final = date(1970, 1, 1).toordinal()


def day_number(day: date) -> int:
    """How many days after 1970-01-01 a day is."""
    return day.toordinal() - _FIRST


def day_of_number(number: int) -> date:
    """The day so many days after 1970-01-01."""
    return date.fromordinal(_FIRST + number)
