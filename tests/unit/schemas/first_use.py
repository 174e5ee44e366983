"""A process of its own: four threads take every example for the first time, all at the same moment.

Run by test_codec.py, because what goes wrong here ends the interpreter.
"""

import sys
from threading import Barrier, Thread

import msgspec

import schemas.codec  # noqa: F401 — what is tested: importing it is enough
from schemas.topics import TOPICS
from tests.unit.schemas.examples import example_files, load

_THREADS = 4


def main() -> None:
    examples = [load(file) for file in example_files("pass")]
    together = Barrier(_THREADS)
    sys.setswitchinterval(1e-6)

    def take() -> None:
        together.wait()
        for topic, content in examples:
            msgspec.convert(content["record"], TOPICS[topic].record)

    threads = [Thread(target=take) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
