"""What a program of the bench has spent, measured by itself: seconds, CPU seconds, memory."""

import json
import sys
import time
from pathlib import Path

_STATUS = Path("/proc/self/status")
_KIB_PER_MIB = 1024


class Spent:
    """Counts from when it is made."""

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._cpu = time.process_time()

    def show(self, *, matched: int) -> None:
        """Print it as JSON, with the number of lines that were matched. The peak is that of the whole process."""
        found = {
            "matched": matched,
            "seconds": time.monotonic() - self._wall,
            "cpu_s": time.process_time() - self._cpu,
            "peak_mib": _peak_kib() / _KIB_PER_MIB,
        }
        json.dump(found, sys.stdout)


def _peak_kib() -> int:
    """The most that was resident since the program began: getrusage() would count what started it, too."""
    lines = (line.split() for line in _STATUS.read_text().splitlines())
    return next(int(words[1]) for words in lines if words[0] == "VmHWM:")
