"""Banking days: against a calendar that is written out otherwise, and the days around what was announced."""

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.days import day_number, day_of_number
from streams.rules.banking_days import announced, banking_day_after, is_banking_day, next_banking_day, value_day

SHANGHAI: Final = ZoneInfo("Asia/Shanghai")
# Written from the official notices, weekdays and weekends apart, not from the data files.
CLOSED: Final = {
    2025: "0101 0128 0129 0130 0131 0203 0204 0404 0501 0502 0505 0602 1001 1002 1003 1006 1007 1008",
    2026: "0101 0102 0216 0217 0218 0219 0220 0223 0406 0501 0504 0505 0619 0925 1001 1002 1005 1006 1007",
}
WORKED: Final = {2025: "0126 0208 0427 0928 1011", 2026: "0104 0214 0228 0509 0920 1010"}


def slow(day: date) -> bool:
    """Whether a day is worked."""
    known = WORKED if day.weekday() > 4 else CLOSED
    return (f"{day:%m%d}" in known.get(day.year, "").split()) is (day.weekday() > 4)


def slow_value_day(at: datetime) -> date:
    """A minute at a time until the bank takes payments again."""
    local = at.astimezone(SHANGHAI)
    while not (slow(local.date()) and local.strftime("%H:%M:%S.%f") <= "17:00:59.999999"):
        local += timedelta(minutes=1)
    return local.date()


@pytest.mark.parametrize("year", sorted(WORKED))
def test_every_day_of_a_year_is_as_it_was_announced(year: int) -> None:
    """Day by day, holidays and the weekends worked for them."""
    days = [date(year, 1, 1) + timedelta(days=n) for n in range(365)]

    assert [day for day in days if is_banking_day(day) is not slow(day)] == []


MOMENTS: Final = st.datetimes(
    datetime(2024, 12, 1), datetime(2027, 2, 1), timezones=st.just(UTC)  # noqa: DTZ001 - the strategy adds the zone
)  # fmt: skip


@given(at=MOMENTS)
def test_a_payment_is_made_on_the_first_day_the_bank_still_takes_it(at: datetime) -> None:
    """Up to 17:00 in Shanghai of a banking day on that day, else on the next; also in years without a file."""
    assert value_day(int(at.timestamp() * 1000)) == slow_value_day(at)


@given(day=st.dates(date(2024, 12, 1), date(2027, 2, 1)), count=st.integers(0, 15))
def test_banking_days_are_counted_without_the_others(day: date, count: int) -> None:
    """As many worked days as were asked for lie after the day, up to the one that is found."""
    found = banking_day_after(day, count)
    between = [day + timedelta(days=n) for n in range(1, (found - day).days + 1)]

    assert sum(map(slow, between)) == count and (count == 0 or slow(found))
    assert next_banking_day(day) == (day if slow(day) else banking_day_after(day, 1))


def test_the_cut_off_and_the_long_holiday() -> None:
    """Friday 13 February 2026 at 17:00 is in time; a minute later it is the Saturday worked for the Spring Festival,
    and after that one's cut-off the day after the festival."""

    def at(day: int, hour: int, minute: int) -> date:
        return value_day(int(datetime(2026, 2, day, hour, minute, tzinfo=SHANGHAI).timestamp() * 1000))

    assert (at(13, 17, 0), at(13, 17, 1)) == (date(2026, 2, 13), date(2026, 2, 14))
    assert at(14, 17, 1) == date(2026, 2, 24)


def test_it_is_known_which_years_were_announced() -> None:
    """So that a missing file is told."""
    assert [year for year in range(2023, 2029) if announced(year)] == [2025, 2026]


@given(day=st.dates(date(1970, 1, 1), date(9999, 12, 31)))
def test_a_day_is_counted_from_1970_on(day: date) -> None:
    """As Avro's logical type has it, there and back."""
    assert day_of_number(day_number(day)) == day
    assert day_number(day) == (day - date(1970, 1, 1)).days
