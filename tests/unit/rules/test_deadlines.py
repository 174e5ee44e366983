"""Calendar days: the worked cases, and an independent slow calendar that goes from midnight to midnight."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streams.rules.deadlines import Calendar, day_of, moment

SHANGHAI = Calendar(time_zone="Asia/Shanghai")
DAY = timedelta(days=1)


def ms(local: str, calendar: Calendar = SHANGHAI) -> int:
    """A local time as milliseconds since 1970."""
    return int(datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(calendar.time_zone)).timestamp() * 1000)


def end_of(day: str, calendar: Calendar = SHANGHAI) -> int:
    """24:00 of a day."""
    return ms(f"{date.fromisoformat(day) + DAY}T00:00", calendar)


@pytest.mark.parametrize(
    ("started", "days", "last"),
    [
        ("2026-03-03T10:00", 30, "2026-04-02"),
        ("2026-04-20T23:59", 10, "2026-04-30"),
        ("2026-02-26T12:00", 5, "2026-03-03"),
        ("2026-03-03T00:00", 1, "2026-03-04"),
        ("2028-02-28T08:00", 1, "2028-02-29"),
    ],
)
def test_the_start_day_does_not_count_and_the_last_day_counts_whole(started: str, days: int, last: str) -> None:
    """The worked cases."""
    assert moment(ms(started), days, 100, (), SHANGHAI) == end_of(last)


@pytest.mark.parametrize("per_cent", [50, 100])
def test_what_would_end_after_the_last_year_ends_with_it(per_cent: int) -> None:
    """A record may name any time; no deadline of it may end the process. A holiday there is rolled over to no other."""
    calendar = Calendar(time_zone="Asia/Shanghai", holidays=(date(9999, 12, 30), date(9999, 12, 31)))

    assert moment(ms("9999-12-20T10:00"), 60, per_cent, (), calendar) == end_of("9999-12-30")


def test_a_pause_adds_the_days_between_its_dates() -> None:
    """Ten days from 03-05 to 03-15, whatever the hours; and nothing is due while it lasts."""
    started, notice = ms("2026-03-03T10:00"), ms("2026-03-05T17:00")

    assert moment(started, 30, 100, [(notice, ms("2026-03-15T09:00"))], SHANGHAI) == end_of("2026-04-12")
    assert moment(started, 30, 100, [(notice, None)], SHANGHAI) is None


def test_a_pause_does_not_undo_what_was_due_before_it() -> None:
    """Half of the time was over on 03-18: a pause that begins later moves only what comes after."""
    started, pause = ms("2026-03-03T10:00"), (ms("2026-03-20T10:00"), None)

    assert moment(started, 30, 50, [pause], SHANGHAI) == end_of("2026-03-18")
    assert moment(started, 30, 80, [pause], SHANGHAI) is None


def test_part_of_a_short_clock_is_part_of_a_day() -> None:
    """Half of one day is noon of the day after the start."""
    assert moment(ms("2026-03-03T10:00"), 1, 50, (), SHANGHAI) == ms("2026-03-04T12:00")
    assert moment(ms("2026-03-03T10:00"), 1, 80, (), SHANGHAI) == ms("2026-03-04T19:12")


def test_a_deadline_rolls_over_the_holidays_of_the_product_and_a_warning_does_not() -> None:
    """Where the product lists any."""
    golden_week = tuple(date(2026, 10, day) for day in range(1, 8))
    calendar = Calendar(time_zone="Asia/Shanghai", holidays=golden_week)
    started = ms("2026-09-23T10:00")

    assert moment(started, 10, 100, (), calendar) == end_of("2026-10-08")
    assert moment(started, 10, 80, (), calendar) == end_of("2026-10-01")
    assert moment(started, 10, 100, (), SHANGHAI) == end_of("2026-10-03")


_ZONES = st.sampled_from(
    ["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
)
_HOURS = st.integers(0, 60 * 24).map(lambda hours: timedelta(hours=hours))


@given(
    zone=_ZONES,
    started=st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1)),  # noqa: DTZ001 - the zone comes below
    days=st.integers(1, 70),
    gaps=st.lists(_HOURS, max_size=6),
    holidays=st.lists(st.integers(1, 80), max_size=10),
)
def test_any_deadline_is_that_of_a_calendar_walked_day_by_day(
    zone: str, started: datetime, days: int, gaps: list[timedelta], holidays: list[int]
) -> None:
    """Any place, length, pauses and holidays; the same when the last pause is still open."""
    tz = ZoneInfo(zone)
    free = tuple((started.date() + timedelta(days=day)) for day in holidays)
    calendar = Calendar(time_zone=zone, holidays=free)
    first = started.replace(tzinfo=tz)
    assume(first.astimezone(ZoneInfo("UTC")).astimezone(tz) == first)  # a time that clocks were put forward over
    edges = [first.timestamp()]
    for gap in gaps:
        edges.append(edges[-1] + gap.total_seconds())
    moments = [datetime.fromtimestamp(edge, tz) for edge in edges[1:]]
    pauses = [(moments[i], moments[i + 1] if i + 1 < len(moments) else None) for i in range(0, len(moments), 2)]

    found = moment(
        int(first.timestamp() * 1000),
        days,
        100,
        [(int(a.timestamp() * 1000), None if b is None else int(b.timestamp() * 1000)) for a, b in pauses],
        calendar,
    )

    last = _walked(first, days, pauses, free)
    assert found == (None if last is None else int(_midnight(last + DAY, tz).timestamp() * 1000))
    assert day_of(int(first.timestamp() * 1000), calendar) == first.date().toordinal()


def _walked(
    started: datetime, days: int, pauses: Sequence[tuple[datetime, datetime | None]], holidays: Sequence[date]
) -> date | None:
    """The last day: one step for each day of the length, then one for each midnight within a pause, then over the
    holidays."""
    last = started.date()
    for _ in range(days):
        last += DAY
    for began, ended in pauses:
        rolled = last
        while rolled in holidays:
            rolled += DAY
        if began >= _midnight(rolled + DAY, began.tzinfo):
            break
        if ended is None:
            return None
        day = began.date()
        while day < ended.date():
            day += DAY
            last += DAY
    while last in holidays:
        last += DAY
    return last


def _midnight(day: date, zone: object) -> datetime:
    assert isinstance(zone, ZoneInfo)
    return datetime(day.year, day.month, day.day, tzinfo=zone)
