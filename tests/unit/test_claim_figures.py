"""What reports keep of one claim, snapshot by snapshot."""

import pytest

from schemas.records import ClaimStatus
from streams.reports.claim_figures import ClaimFigures, day_number, follow
from streams.reports.kinds import percentile
from streams.rules.places import region_of
from tests import claims as make


def snapshot(
    stage: str, days: float, paid_minor: int = 0, payable_minor: int | None = None, rule: str = "assessment.invoice"
) -> ClaimStatus:
    """The claim in a stage, so many days after the loss."""
    return ClaimStatus(
        claim=make.CLAIM,
        version=1,
        stage=stage,
        line="motor",
        paid_minor=paid_minor,
        at_ms=make.LOSS_MS + int(days * make.DAY_MS),
        cause="repair.invoice.v1/1/0/0",
        rule=rule,
        payable_minor=payable_minor,
        reason="as it came",
    )


def test_a_claim_that_is_reopened_keeps_its_first_days_and_adds_to_its_times() -> None:
    """A second visit of a stage takes nothing away; what is paid later is another movement."""
    figures = ClaimFigures(make.CLAIM, 0)
    story = [("reported", 0, 0), ("assessing", 1, 0), ("paying", 3, 0), ("paid", 4, 700), ("assessing", 10, 700)]
    moved = [it for step in [*story, ("paying", 15, 700), ("paid", 16, 900)] for it in follow(figures, snapshot(*step))]

    assert [(it.kind, it.month, it.amount_minor) for it in moved] == [("paid", 202604, 700), ("paid", 202604, 200)]
    assert (figures.registered_day, figures.decided_day, figures.paid_day) == (20260402, 20260404, 20260405)
    assert figures.reopened_day == 20260411
    assert (figures.assessing_s, figures.paying_s, figures.registered_s) == (7 * 86_400, 2 * 86_400, None)


def test_a_confirmed_fraud_stops_what_was_not_paid_yet_and_once() -> None:
    """A second referral that is confirmed stops nothing more."""
    figures = ClaimFigures(make.CLAIM, 0)
    steps = [
        snapshot("investigating", 1, 300, 1_000),
        snapshot("closed", 40, 300, 1_000, "siu.confirmed"),
        snapshot("closed", 41, 300, 1_000, "siu.confirmed"),
    ]
    moved = [it for step in steps for it in follow(figures, step) if it.kind == "fraud-stopped"]

    assert [(it.month, it.amount_minor) for it in moved] == [(202605, 700)]


def test_records_out_of_order_take_no_time_back() -> None:
    """The record that ended a stage may be older than the one that began it."""
    figures = ClaimFigures(make.CLAIM, 0)
    for step in (("assessing", 5.0), ("paying", 4.0)):
        follow(figures, snapshot(*step))

    assert figures.assessing_s == 0


@pytest.mark.parametrize(
    ("stages", "registered", "decided"),
    [(["not-accepted"], None, None), (["reported", "closed"], None, 20260402), (["paid"], 20260401, 20260401)],
)
def test_milestones_that_are_passed_over_count(stages: list[str], registered: int | None, decided: int | None) -> None:
    """A claim may be paid with its first record, and one that was not accepted was never registered."""
    figures = ClaimFigures(make.CLAIM, 0)
    for day, stage in enumerate(stages):
        follow(figures, snapshot(stage, day))

    assert (figures.reported_day, figures.registered_day, figures.decided_day) == (20260401, registered, decided)


@pytest.mark.parametrize(
    ("place", "region"),
    [
        ("北京市，停车场出口", "北京市"),
        ("广东省深圳市南山区", "广东省"),
        ("内蒙古自治区呼和浩特市", "内蒙古自治区"),
        ("香港特别行政区中环", "香港特别行政区"),
        ("人民路口", "unknown"),
        ("路口，近北京市", "unknown"),
    ],
)
def test_a_region_is_what_a_place_begins_with(place: str, region: str) -> None:
    """A street names nobody's region, and is not told."""
    assert region_of(place) == region


def test_days_are_those_of_the_product() -> None:
    """Two hours before midnight UTC it is the next day in Shanghai."""
    late = 1_775_001_600_000  # 2026-04-01 00:00 UTC

    assert (day_number(late - 7_200_000, "motor"), day_number(late - 7_200_000, None)) == (20260401, 20260331)


@pytest.mark.parametrize(("per_cent", "found"), [(50, 2), (90, 9), (100, 40), (1, 1)])
def test_a_percentile_is_a_value_that_was_there(per_cent: int, found: int) -> None:
    """Of ten values: the fifth, the ninth, the last, the first."""
    assert percentile([(1, 4), (2, 3), (9, 2), (40, 1)], per_cent) == found
