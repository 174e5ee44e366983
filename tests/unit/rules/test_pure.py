"""Rules are functions of values: the same decision for the same input, today and when the journal is replayed."""

import ast
from pathlib import Path

import pytest

from streams import rules

SOURCES = sorted(Path(rules.__file__).parent.glob("*.py"))
CHANGING_MODULES = {"os", "random", "secrets", "socket", "time", "uuid"}
CHANGING_CALLS = {"now", "today", "utcnow", "time", "time_ns", "monotonic", "uuid1", "uuid4", "urandom", "getrandom"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_no_rule_reads_a_clock_or_a_random_number(source: Path) -> None:
    """Time is in the record and in its cause; an id is derived from what it is of."""
    nodes = list(ast.walk(ast.parse(source.read_text())))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    called = {node.func.attr for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)}

    assert {name.partition(".")[0] for name in imported} & CHANGING_MODULES == set()
    assert called & CHANGING_CALLS == set()
