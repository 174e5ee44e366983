"""Many seeds of the engine in memory: whatever goes wrong, every promise holds; and a seed can be played again."""

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


def simulate(*arguments: str) -> tuple[int, str]:
    """Exit code and output of the command."""
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    ended = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=False)
    return ended.returncode, ended.stdout


@pytest.mark.parametrize(("first", "seeds"), [(1, 120), pytest.param(121, 400, marks=pytest.mark.slow)])
def test_no_seed_breaks_a_promise(first: int, seeds: int) -> None:
    """Each is a few claims and two lanes; processes crash and freeze, calls are lost, workers come and go."""
    code, told = simulate("--first", str(first), "--seeds", str(seeds))

    if code != 0:
        pytest.fail(told)


def test_a_seed_is_the_same_every_time() -> None:
    """Every step and every log line: what was found once can be looked at."""
    once, again = (simulate("--seed", "5", "--trace") for _ in range(2))

    assert once == again
    assert len(once[1].splitlines()) > 100
