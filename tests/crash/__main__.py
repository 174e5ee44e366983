"""`python -m tests.crash --rounds N --seed S`: the crash matrix. Progress on stderr, one line of JSON on stdout.

A round's plan follows from its seed alone: the rounds of `--seed S` have the seeds S, S + 1, … A failing one is
played again by `--rounds 1 --seed <its seed>`. Ends with 1 when a round failed.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from tests.crash.matrix import in_words, play, summary


def main(arguments: Sequence[str]) -> int:
    """Play the rounds and print what came of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cells", type=int, default=4, help="how many Kafkas and PostgreSQLs work side by side")
    options = parser.parse_args(arguments)
    folder, began = Path(tempfile.mkdtemp(prefix="crash-")), time.monotonic()
    reports = []
    with suppress(KeyboardInterrupt):  # what was played counts
        for report in play(folder, options.rounds, options.seed, options.cells):
            reports.append(report)
            print(in_words(report), file=sys.stderr)
    if len(reports) < options.rounds:
        print(f"{options.rounds - len(reports)} rounds were not played", file=sys.stderr)
    missed = Counter(name for report in reports for name in report.missed)
    print(f"faults that found no moment: {sum(missed.values())}", *missed, sep="\n  ", file=sys.stderr)
    print(msgspec.json.encode(summary(reports, time.monotonic() - began)).decode())
    return 0 if len(reports) == options.rounds and not any(report.problems for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
