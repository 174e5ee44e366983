"""How long a case file is kept: worked by hand."""

from datetime import UTC, datetime

import pytest

from streams.rules.claim import Task, TaskKind
from streams.rules.retention import holds, kept
from tests.claims import notice, policy
from tests.unit.rules.hub import Hub


def ms(day: str, hour: int = 16) -> int:
    """An hour of a day in UTC; 16 is midnight in Shanghai, which begins the next day there."""
    return int(datetime.fromisoformat(day).replace(hour=hour, tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("begins", "ends", "years", "until"),
    [
        (ms("2025-12-31"), ms("2026-12-31"), 5, "2031-12-31"),
        (ms("2025-12-31"), ms("2027-01-01"), 10, "2037-01-01"),
        (ms("2025-12-31"), ms("2026-04-30"), 5, "2031-04-30"),
        (ms("2024-02-28"), ms("2028-02-29"), 10, "2038-03-01"),
        (ms("2026-01-01", 0), ms("2027-01-01", 0), 5, "2032-01-01"),
        (ms("2025-12-31"), ms("9999-12-31", 0), 10, "9999-12-31"),
        (ms("2025-12-31"), ms("9994-12-30"), 10, "9999-12-31"),
    ],
)
def test_a_file_is_kept_five_years_after_a_year_and_ten_after_more(
    begins: int, ends: int, years: int, until: str
) -> None:
    """Insurance Law art. 87, from the contract's last day on: a year to the day is not more than a year."""
    version = policy(effective_from_ms=begins, effective_to_ms=ends)
    found = kept(Hub().play(version, notice()).claim, (version,))

    assert found is not None
    assert (found.years, found.until.isoformat(), found.source) == (years, until, "Insurance Law art. 87")


def test_the_newest_version_says_when_the_contract_ends() -> None:
    """An endorsement made it longer."""
    short, longer = policy(), policy(version=2, effective_to_ms=ms("2027-12-31"))
    found = kept(Hub().play(short, notice()).claim, (longer, short))

    assert found is not None and (found.years, found.contract_ends.isoformat()) == (10, "2027-12-31")


def test_without_a_policy_nobody_knows() -> None:
    """The index says so then."""
    assert kept(Hub().play(notice()).claim, ()) is None


def test_what_legal_has_not_ended_holds_the_file() -> None:
    """Other work does not."""
    claim = Hub().play(policy(), notice()).claim
    legal = Task(kind=TaskKind.APPROVAL, addressee="legal", opened="reporting.contact.v1/1/0/4")

    assert holds(claim) == ()
    assert holds(type(claim)(number=claim.number, open_tasks=(*claim.open_tasks, legal))) == (
        "approval since reporting.contact.v1/1/0/4",
    )
