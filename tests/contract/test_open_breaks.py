"""The metrics of breaks, on each kind of database."""

from functools import partial

import pytest
from sqlalchemy import Engine

from monitoring.clock import SystemClock
from monitoring.metrics import Metrics
from schemas.records import BreakKind
from sinks.payments.book import Resolution
from streams.drift import DriftWatch
from streams.reconciliation.clearing import Standing, keep, read_standings, resolve
from tests import book as make
from tests.claims import DAY_MS, LOSS_MS


@pytest.mark.parametrize("owned", [[0, 1], [1]])
def test_the_owner_of_lane_0_tells_what_stands_open_and_for_how_long(book: Engine, owned: list[int]) -> None:
    """By kind, the oldest of each; what two people have cleared no longer counts; other workers tell of none, so that
    workers add up."""
    metrics = Metrics()
    watch = DriftWatch("", None, {}, metrics, SystemClock(), lambda: owned)
    with book.begin() as connection:
        make.raised(connection, BreakKind.ORPHAN, about="ST-1")
        oldest = make.raised(connection, BreakKind.ORPHAN, about="ST-2", since_ms=LOSS_MS - DAY_MS)
        make.raised(connection, BreakKind.LATE)
    watch.look_at_breaks(book)
    value = metrics.registry.get_sample_value
    count = partial(value, "claimhub_open_breaks")
    before = value("claimhub_break_age_seconds", {"kind": "orphan"}) or 0

    mine = 0 in owned
    assert (count({"kind": "orphan"}), count({"kind": "late"}), count({"kind": "unknown"})) == (2 * mine, 1 * mine, 0)
    for person in ("cashier-01", "treasurer-02"):
        with book.begin() as connection:
            so_far = read_standings(connection, oldest).get(oldest, Standing())
            keep(connection, resolve(so_far, oldest, person, Resolution.EXPLAINED, "a fee", LOSS_MS))
    watch.look_at_breaks(book)
    after = value("claimhub_break_age_seconds", {"kind": "orphan"}) or 0
    assert count({"kind": "orphan"}) == 1 * mine
    assert (before > after > 0) is mine
