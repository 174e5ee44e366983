"""When so many calendar days are over: the law's clocks count days of one place, and end with one."""

from calendar import monthrange
from collections.abc import Iterable
from datetime import date, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

_PER_CENT_OF_A_DAY_MS: Final = 864_000
_QUARTER_OF_AN_HOUR_MS: Final = 900_000
_LAST_DAY: Final = date.max.toordinal() - 1  # the last that has an end: what takes longer ends with it
# The first quarter of an hour after that day: no later moment is in a year that every place has.
_LAST_QUARTER: Final = (_LAST_DAY + 1 - date(1970, 1, 1).toordinal()) * 96


class Calendar(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The days of one place. A deadline that would end with one of `holidays` ends with the next day that is none."""

    time_zone: str
    holidays: tuple[date, ...] = ()


def moment(
    started_ms: int, days: int, per_cent: int, pauses: Iterable[tuple[int, int | None]], calendar: Calendar
) -> int | None:
    """When `per_cent` of so many days are over, in milliseconds since 1970; None while a pause keeps it open.

    The start day does not count: with 100 % it is the end (24:00) of the last day, with less so much earlier. A pause
    (from, until or None), oldest first, adds the calendar days between its dates if it began before that.
    """
    whole, rest = divmod(days * per_cent, 100)
    last = day_of(started_ms, calendar) + whole
    for began_ms, ended_ms in pauses:
        if began_ms >= _end(last, rest, per_cent, calendar):
            break
        if ended_ms is None:
            return None
        last += day_of(ended_ms, calendar) - day_of(began_ms, calendar)
    return _end(last, rest, per_cent, calendar)


def day_of(at_ms: int, calendar: Calendar) -> int:
    """The day a moment lies in, as `date.toordinal` counts."""
    return _day_of(at_ms // _QUARTER_OF_AN_HOUR_MS, calendar.time_zone)


def months_before(at_ms: int, months: int, calendar: Calendar) -> int:
    """When the same day of the month so many months earlier began, in milliseconds since 1970; the last day of a month
    that has no such day."""
    day = date.fromordinal(day_of(at_ms, calendar))
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    earlier = date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
    return _midnight_after(earlier.toordinal() - 1, calendar.time_zone)


@lru_cache(4096)
def _day_of(quarter: int, time_zone: str) -> int:
    """No day begins within a quarter of an hour: time zones have differed by whole ones since 1972."""
    quarter = min(quarter, _LAST_QUARTER)
    return datetime.fromtimestamp(quarter * _QUARTER_OF_AN_HOUR_MS // 1000, _zone(time_zone)).toordinal()


def _end(last: int, rest: int, per_cent: int, calendar: Calendar) -> int:
    """The end of a day, and `rest` per cent of the next."""
    last = min(last, _LAST_DAY)
    while per_cent == 100 and last < _LAST_DAY and calendar.holidays and date.fromordinal(last) in calendar.holidays:
        last += 1
    return _midnight_after(last, calendar.time_zone) + rest * _PER_CENT_OF_A_DAY_MS


@lru_cache(4096)
def _midnight_after(day: int, time_zone: str) -> int:
    midnight = datetime.fromordinal(day + 1).replace(tzinfo=_zone(time_zone))
    return int(midnight.timestamp()) * 1000


@lru_cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
