"""Make the virtual environment, or say which package this machine lacks. Runs on Python 3.6, to be able to complain."""

import importlib
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)


def missing(version: "tuple[int, int]", modules: "list[str]") -> str:
    """What this Python lacks and what mends it; empty when it will do.

    `version` is (major, minor); `modules` are those of venv and ensurepip that it has.
    """
    number = "{}.{}".format(*version)
    if version < OLDEST:
        return (
            f"claimhub needs Python 3.11 or newer; {sys.executable} is Python {number}.\n"
            "Install one (Debian, Ubuntu: apt-get install python3.11-venv; macOS: brew install python@3.11), "
            "then: make PYTHON=python3.11"
        )
    for module in ("venv", "ensurepip"):
        if module not in modules:
            return (
                f"{sys.executable} has no module {module}, so it cannot make a virtual environment.\n"
                f"Install it (Debian, Ubuntu: apt-get install python{number}-venv), then run make again"
            )
    return ""


def importable(names: "list[str]") -> "list[str]":
    """Those of the modules that this Python has."""
    found = []
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        found.append(name)
    return found


def main(folder: Path) -> int:
    """Make the environment in `folder` unless a working one is there. The result is the exit code."""
    python = folder / "bin" / "python"
    if python.exists() and subprocess.call([str(python), "-m", "pip", "--version"], stdout=subprocess.DEVNULL) == 0:
        return 0
    complaint = missing((sys.version_info.major, sys.version_info.minor), importable(["venv", "ensurepip"]))
    if complaint:
        sys.stderr.write(complaint + "\n")
        return 1
    return subprocess.call([sys.executable, "-m", "venv", "--clear", str(folder)])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
