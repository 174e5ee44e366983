"""The list of metrics, the objects made from it, and what a scrape shows."""

from typing import get_type_hints

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from monitoring.metrics import METRICS, PREFIX, Definition, Dropped, Metrics, Outcome

UNITS = ("_total", "_seconds", "_records", "_bytes", "_info", "_owned", "_claims", "_breaks")
LABELS = {"topic", "outcome", "code", "reason", "version", "department", "kind"}


def test_the_attributes_are_exactly_the_list() -> None:
    """What mypy believes about Metrics is what the list makes."""
    assert get_type_hints(Metrics) == {metric.attribute: metric.kind for metric in METRICS}
    made = vars(Metrics())
    for metric in METRICS:
        assert isinstance(made[metric.attribute], metric.kind)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_definition_follows_the_naming_rules(metric: Definition) -> None:
    """Counters end in `_total`, all end in a unit, labels come from the closed sets, histograms have buckets."""
    assert metric.name.endswith(UNITS)
    assert metric.name.endswith("_total") == (metric.kind is Counter)
    assert set(metric.labels) <= LABELS
    assert bool(metric.buckets) == (metric.kind is Histogram)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.help and not metric.help.endswith(".")


def test_two_parts_in_one_process_do_not_share_values() -> None:
    """Each Metrics counts in its own registry."""
    one, other = Metrics(), Metrics()
    one.batches.inc()
    assert one.registry.get_sample_value("claimhub_batches_total") == 1
    assert other.registry.get_sample_value("claimhub_batches_total") == 0


def test_one_registry_refuses_a_second_set() -> None:
    """Two parts that share a registry by mistake are told at once."""
    registry = CollectorRegistry()
    Metrics(registry)
    with pytest.raises(ValueError, match="claimhub_build_info"):
        Metrics(registry)


def test_a_scrape_names_every_metric_with_its_kind() -> None:
    """The text format carries each metric of the list, also before its first value."""
    metrics = Metrics()
    metrics.records.labels("repair.estimate.v1", Outcome.DONE).inc(5)
    families = {
        family.name: family for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())
    }
    kinds = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}
    for metric in METRICS:
        assert families[PREFIX + metric.attribute].type == kinds[metric.kind]
    done = {"topic": "repair.estimate.v1", "outcome": "done"}
    assert metrics.registry.get_sample_value("claimhub_records_total", done) == 5


def test_every_reason_to_drop_a_lane_is_there_at_zero() -> None:
    """An alert on a rise sees the first one, too."""
    registry = Metrics().registry
    for reason in Dropped:
        assert registry.get_sample_value("claimhub_lanes_dropped_total", {"reason": reason}) == 0
