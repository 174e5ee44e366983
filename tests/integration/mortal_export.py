"""`claimhub payments export`, killed at one step after the other:
`python -m tests.integration.mortal_export FOLDER DAY STEP...` says how each run ended."""

import json
import os
import signal
import sys

from streams import app, cli  # noqa: F401 - the hub, so that each run starts in no time
from streams.commands import export  # noqa: F401
from tests.export_steps import each_step


def main() -> None:
    """Export with the settings of the environment once for each step, in a process that dies there."""
    folder, day, *steps = sys.argv[1:]
    sys.argv = ["claimhub", "payments", "export", "--json", "--out", folder, "--as-of", day]
    sys.stdout.write(json.dumps([run(int(step)) for step in steps]))


def run(last: int) -> int:
    """The exit code of one run, below zero for the signal that ended it."""
    if process := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    def die(step: int) -> None:
        if step == last:
            os.kill(os.getpid(), signal.SIGKILL)

    os.dup2(2, 1)  # what a run prints is not what this program says
    with each_step(die):
        cli.main()
    os._exit(0)


if __name__ == "__main__":
    main()
