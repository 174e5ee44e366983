"""Make the virtual environment, or say which package this machine lacks. Runs on any Python, to be able to complain."""

import os
import subprocess
import sys

OLDEST = (3, 11)


def missing(version, modules):
    """What this Python lacks and what mends it, as text; empty when it will do.

    `version` is (major, minor); `modules` names the modules that can be imported.
    """
    if version < OLDEST:
        return (
            "claimhub needs Python 3.11 or newer; {} is Python {}.{}.\n"
            "Install one (Debian, Ubuntu: apt-get install python3.11-venv; macOS: brew install python@3.11), "
            "then: make PYTHON=python3.11".format(sys.executable, *version)
        )
    absent = [name for name in ("venv", "ensurepip") if name not in modules]
    if absent:
        return (
            "{} has no module {}, so it cannot make a virtual environment.\n"
            "Install it (Debian, Ubuntu: apt-get install python{}.{}-venv), then run make again".format(
                sys.executable, absent[0], *version
            )
        )
    return ""


def importable(names):
    """Those of the modules that this Python has."""
    found = []
    for name in names:
        try:
            __import__(name)
        except ImportError:
            continue
        found.append(name)
    return found


def main(folder):
    """Make the environment in `folder` unless a working one is there. The result is the exit code."""
    python = os.path.join(folder, "bin", "python")
    if os.path.exists(python) and subprocess.call([python, "-m", "pip", "--version"], stdout=subprocess.DEVNULL) == 0:
        return 0
    complaint = missing(sys.version_info[:2], importable(["venv", "ensurepip"]))
    if complaint:
        sys.stderr.write(complaint + "\n")
        return 1
    return subprocess.call([sys.executable, "-m", "venv", "--clear", folder])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
