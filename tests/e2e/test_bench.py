"""The bench, as small as it can be: that every part runs through and tells what it measured. No figure is judged."""

import math
import xml.etree.ElementTree
from typing import Any, Final

import pytest

from streams.bench.chart import chart
from streams.bench.run import measure
from streams.bench.sizes import Sizes
from streams.bench.table import FIGURES
from streams.stack.errors import MissingPart
from tests import services
from tests.e2e.conftest import Claimhub

pytestmark = pytest.mark.slow

TINY: Final = Sizes(
    records=10_000,
    runs=1,
    latency_s=2,
    latency_warm_up_s=0,
    latency_late=math.inf,  # a test beside it may take the processor for as long as it likes
    burst_records=2000,
    full_claims=1000,
    growth_records=10_000,
    growth_runs=1,
    kills=1,
    memory_records=10_000,
    blocked_records=5000,
    blocked_s=1,
    stall_rounds=1,
    stall_rate=200,
    stalls=("leave",),
    broker_restart=False,
    drain_records=20_000,
    statement_lines=1000,
    peers=("faust",),
    faust_s=2,
)
LEFT_OUT: Final = (
    "stalls.kill_s",
    "stalls.freeze_s",
    "stalls.thaw_s",
    "stalls.broker_restart_s",
    "stalls.broker_away_s",
    "peers.kafka_streams.events_per_s",
    "peers.kafka_streams.hub_times",
)
"""Figures that take too long for a test."""


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    """All parts, once."""
    try:
        return measure(sizes=TINY)
    except MissingPart as error:
        services.absent(str(error))


def test_every_figure_is_measured(result: dict[str, Any]) -> None:
    """A figure without a value would be left out of the table without a word."""
    assert {figure.path for figure in FIGURES if figure.value(result) is None} == set(LEFT_OUT)


def test_the_json_keeps_its_keys(result: dict[str, Any]) -> None:
    """Whoever compares benches reads these."""
    assert result.keys() >= {"records", "runs", "floor", "hub", "ratio", "latency_ms", "statements_per_batch"}
    assert result["latency_ms"].keys() >= {"rate", "p50", "p99", "p999"}
    assert result["floor"].keys() == result["hub"].keys()
    assert result["records"] == TINY.records


def test_the_chart_is_an_svg_with_every_limit(result: dict[str, Any]) -> None:
    """Each figure that must reach something has its bar."""
    drawn = xml.etree.ElementTree.fromstring(chart(result))  # noqa: S314 - made here

    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    assert {figure.title for figure in FIGURES if figure.limit is not None and figure.path not in LEFT_OUT} <= set(
        texts
    )


def test_a_part_there_is_not_is_named(claimhub: Claimhub) -> None:
    """Nothing is started for it."""
    ran = claimhub("bench", "--part", "warp")

    assert ran.code == 2
    assert "warp" in ran.err
    assert "throughput" in ran.err
