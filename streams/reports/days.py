"""The days a report is of."""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement

_FIRST, _LAST = 0, 99_999_999


class Days(NamedTuple):
    """The days a report is of, both included, as numbers like 20260331."""

    first: int = _FIRST
    last: int = _LAST

    def hold(self, day: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether a milestone lies in them; one that was not reached does not."""
        return day.is_not(None) & day.between(self.first, self.last)

    def hold_month(self, month: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether a month like 202603 has one of them."""
        return month.between(self.first // 100, self.last // 100)
