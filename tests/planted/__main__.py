"""`make planted`: plant each bug in a copy of the project and see the tests named for it fail.

`python -m tests.planted [word...]` takes only the bugs with one of these words in their names.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple
from xml.etree import ElementTree

from tests import services
from tests.planted.bugs import BUGS, ROOT, Bug, plant

AT_ONCE: Final = 2
_LIMIT_S: Final = 300.0
# With these a patch has broken the program, not planted a bug in it.
_NOT_A_CATCH: Final = ("SyntaxError", "ImportError", "ModuleNotFoundError", "NameError", "UnboundLocalError")


class Ran(NamedTuple):
    """A run of pytest: what each failed test said, by its dotted name; `trouble` when it could not run them all."""

    failed: Mapping[str, str]
    trouble: str


def main(words: Sequence[str]) -> int:
    """Print a line for each bug; 1 when one was not caught, or when a test named for one fails without it; 2 when
    there is none."""
    bugs = [bug for bug in BUGS if not words or any(word in bug.name for word in words)]
    if not bugs:
        print(f"No bug has {' or '.join(words)} in its name. There are: {'; '.join(bug.name for bug in BUGS)}")
        return 2
    with TemporaryDirectory(prefix="planted-") as made:
        folder = Path(made)
        with services.kafka(folder) as kafka, services.postgres(folder) as postgres:
            environment = {**os.environ, "CLAIMHUB_TEST_KAFKA": kafka, "CLAIMHUB_TEST_POSTGRES": postgres}
            sound = _run(_copy(folder / "sound"), {test for bug in bugs for test in bug.caught_by}, environment)
            if sound.failed or sound.trouble:
                print("Without any bug these fail already:", sound.trouble)
                print("\n".join(f"    {test}: {why[:150]}" for test, why in sound.failed.items()))
                return 1
            with ThreadPoolExecutor(AT_ONCE) as pool:
                caught = list(pool.map(lambda bug: _catch(bug, folder / bug.name.replace(" ", "-"), environment), bugs))
    print(f"{sum(caught)} of {len(bugs)} planted bugs caught")
    return 0 if all(caught) else 1


def _catch(bug: Bug, folder: Path, environment: Mapping[str, str]) -> bool:
    """Whether every test named for the bug fails with it; says so, and how."""
    started = time.monotonic()
    plant(bug, _copy(folder))
    ran = _run(folder, bug.caught_by, environment)
    escaped = [test for test in bug.caught_by if _dotted(test) not in ran.failed]
    broken = [why for why in ran.failed.values() if why.startswith(_NOT_A_CATCH)]
    caught = not (ran.trouble or escaped or broken)
    lines = [f"{'caught' if caught else 'NOT CAUGHT'}  {bug.name} ({time.monotonic() - started:.0f} s): {bug.harm}"]
    lines += [f"    {test}: {ran.failed.get(_dotted(test), ran.trouble or 'passes')[:150]}" for test in bug.caught_by]
    print("\n".join(lines), flush=True)
    shutil.rmtree(folder)
    return caught


def _copy(folder: Path) -> Path:
    """The project as it is here; not what begins with a dot: the environment, histories, caches."""
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", "build", "dist"))
    return folder


def _run(root: Path, tests: Iterable[str], environment: Mapping[str, str]) -> Ran:
    """Run these tests on the project at `root`, its worker processes included."""
    report = root / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *sorted(tests)]
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env={**environment, "PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Ran({}, f"not done after {_LIMIT_S:.0f} s")
    if done.returncode not in (0, 1):  # not collected, interrupted, misused
        return Ran({}, f"pytest ended with {done.returncode}: {done.stdout[-500:]}")
    return Ran(_failures(report), "")


def _failures(report: Path) -> dict[str, str]:
    """First line of what each failed test said. An error outside of its own body, in a fixture for one, is none."""
    failed = {}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - a file that pytest has just written
        if (failure := case.find("failure")) is not None:
            name = f"{case.get('classname')}.{case.get('name')}".partition("[")[0]
            failed[name] = failure.get("message", "").partition("\n")[0]
    return failed


def _dotted(test: str) -> str:
    """The dotted name of a test, or of all its cases."""
    return test.partition("[")[0].replace(".py::", ".").replace("::", ".").replace("/", ".")


sys.exit(main(sys.argv[1:]))
