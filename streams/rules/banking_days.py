"""On which days the bank pays: weekdays, less the holidays of a year's file, and the weekends worked for them.

`banking_days/<year>.toml` has what the State Council announced for a year. Of a year without a file only the weekends
are known: `announced` says so.
"""

from datetime import date, datetime, time, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct, toml

_FOLDER: Final = files("streams.rules").joinpath("banking_days")
_MINUTE_MS: Final = 60_000
_SATURDAY: Final = 5
_DAY: Final = timedelta(days=1)


class _Data(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a file."""


class _Holiday(_Data, frozen=True, kw_only=True):
    name: str
    first: date
    last: date


class _Year(_Data, frozen=True, kw_only=True):
    source: str
    working: tuple[date, ...]
    holidays: tuple[_Holiday, ...]


class _Hours(_Data, frozen=True, kw_only=True):
    time_zone: str
    cut_off: time


def value_day(at_ms: int) -> date:
    """The day a payment issued then is to be made on: the same, up to the cut-off of a banking day; else the next."""
    return _value_day(at_ms // _MINUTE_MS)


def next_banking_day(day: date) -> date:
    """The day itself if it is a banking day, else the first after it that is one."""
    while not is_banking_day(day):
        day += _DAY
    return day


def banking_day_after(day: date, days: int) -> date:
    """The banking day so many banking days after a day."""
    for _ in range(days):
        day = next_banking_day(day + _DAY)
    return day


def is_banking_day(day: date) -> bool:
    """Whether the bank pays on a day."""
    known = _year(day.year)
    if known is not None and day in known.working:
        return True
    if day.weekday() >= _SATURDAY:
        return False
    return known is None or not any(holiday.first <= day <= holiday.last for holiday in known.holidays)


def announced(year: int) -> bool:
    """Whether the holidays of a year are known."""
    return _year(year) is not None


@lru_cache(4096)
def _value_day(minute: int) -> date:
    """The cut-off is at a whole minute, and every day begins with one."""
    hours = _hours()
    moment = datetime.fromtimestamp(minute * _MINUTE_MS // 1000, ZoneInfo(hours.time_zone))
    day = moment.date()
    in_time = (moment.hour, moment.minute) <= (hours.cut_off.hour, hours.cut_off.minute)
    return next_banking_day(day if in_time else day + _DAY)


@cache
def _hours() -> _Hours:
    return toml.decode(_FOLDER.joinpath("hours.toml").read_bytes(), type=_Hours)


@cache
def _year(year: int) -> _Year | None:
    file = _FOLDER.joinpath(f"{year}.toml")
    return toml.decode(file.read_bytes(), type=_Year) if file.is_file() else None
