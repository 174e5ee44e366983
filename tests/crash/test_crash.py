"""The short form of the crash matrix: `make crash` plays as many rounds as one likes."""

from pathlib import Path

import pytest

from tests.crash.matrix import in_words, play
from tests.crash.steps import STEPS

ROUNDS, SEED, CELLS = 20, 1, 4


@pytest.mark.parametrize("name", STEPS)
def test_a_named_step_is_still_there(name: str) -> None:
    """What it wraps goes by the name in the table."""
    assert callable(getattr(STEPS[name].owner, STEPS[name].name))


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.postgres
def test_twenty_rounds_of_faults_lose_and_double_nothing(tmp_path: Path) -> None:
    """After each the ledger is that of an undisturbed run, every promise is kept, finance has paid each settlement once
    and every output is on its topic; and workers came to every named step."""
    reports = list(play(tmp_path, ROUNDS, SEED, CELLS))

    assert [in_words(report) for report in reports if report.problems] == []
    assert len(reports) == ROUNDS
    assert {step for report in reports for step in report.passed} == STEPS.keys()
