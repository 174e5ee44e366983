"""The planted bugs keep pace with the code they are planted in."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.planted.bugs import BUGS, ROOT, Bug, plant


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_can_be_planted_and_its_tests_are_there(bug: Bug, tmp_path: Path) -> None:
    """Its text is in the code once, what comes of it is Python, and nobody has renamed the tests that catch it."""
    file = tmp_path / bug.file
    file.parent.mkdir(parents=True)
    file.write_text((ROOT / bug.file).read_text())
    plant(bug, tmp_path)

    ast.parse(file.read_text())
    assert bug.caught_by
    for test in bug.caught_by:
        path, _, name = test.partition("[")[0].replace("::", " ").rpartition(" ")
        assert f"def {name}(" in (ROOT / path.split()[0]).read_text()


def test_each_bug_has_a_name_of_its_own() -> None:
    """And no two are the same change."""
    assert max(Counter(bug.name for bug in BUGS).values()) == 1
    assert max(Counter((bug.file, bug.old, bug.new) for bug in BUGS).values()) == 1
