"""The Prometheus rules and the Grafana dashboard name only what the hub really shows."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

import monitoring
from monitoring.metrics import METRICS, Dropped, Metrics, Outcome

FOLDER = Path(monitoring.__file__).parent
RULES = yaml.safe_load((FOLDER / "prometheus" / "rules.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((FOLDER / "grafana" / "dashboards" / "claimhub.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = {
    **{f"rule {rule.get('alert') or rule['record']}": rule["expr"] for rule in RULES},
    **{f"panel {panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]},
}


def scraped() -> set[str]:
    """The name of every sample a worker shows once each metric has a value."""
    metrics = Metrics()
    for metric in METRICS:
        made = getattr(metrics, metric.attribute)
        if metric.labels:
            made.labels(*metric.labels)
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    return {sample.name for family in families for sample in family.samples}


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_every_metric_named_is_in_a_real_scrape(where: str) -> None:
    """A renamed metric cannot leave a blind panel or a rule that never fires."""
    named = set(re.findall(r"\b(?:claimhub|process)_[a-z0-9_]+", EXPRESSIONS[where]))
    assert named
    assert named <= scraped()


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_every_label_named_belongs_to_its_metric(where: str) -> None:
    """A matcher or grouping on a label that does not exist would silently match nothing."""
    expression = EXPRESSIONS[where]
    labels = {label for metric in METRICS if f"claimhub_{metric.attribute}" in expression for label in metric.labels}
    grouped = {
        name.strip() for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression) for name in group.split(",")
    }
    matched = set(re.findall(r"[{,]\s*([a-z]+)=", expression))
    assert grouped | matched <= labels | {"le", "instance", "job"}
    for reason in re.findall(r'reason="([^"]+)"', expression):
        assert reason in set(Dropped)
    for outcome in re.findall(r'outcome="([^"]+)"', expression):
        assert outcome in set(Outcome)


def test_every_metric_is_looked_at_somewhere() -> None:
    """A metric nobody sees is work for nothing."""
    everything = " ".join(EXPRESSIONS.values())
    assert [metric.name for metric in METRICS if f"claimhub_{metric.attribute}" not in everything] == []


def test_every_alert_says_what_and_what_to_do() -> None:
    """Whoever is woken gets a sentence and a next step."""
    for rule in RULES:
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"page", "ticket"}, rule["alert"]
            assert rule["annotations"].keys() == {"summary", "action"}, rule["alert"]


def test_panels_have_distinct_ids_and_do_not_overlap() -> None:
    """Grafana drops the second panel of an id and stacks panels that share cells."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
