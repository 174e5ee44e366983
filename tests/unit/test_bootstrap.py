"""A Python that cannot set the project up gets the name of what to install."""

import ast
from pathlib import Path

import bootstrap


def test_a_good_python_is_not_complained_about() -> None:
    """The oldest supported version with both modules will do."""
    assert bootstrap.missing((3, 11), ["venv", "ensurepip"]) == ""


def test_an_old_python_is_told_which_to_install() -> None:
    """The message names the version that is here, the package, and how to go on."""
    complaint = bootstrap.missing((3, 9), ["venv", "ensurepip"])

    assert "is Python 3.9." in complaint
    assert "apt-get install python3.11-venv" in complaint
    assert "make PYTHON=python3.11" in complaint


def test_a_python_without_venv_is_told_its_package() -> None:
    """Debian splits venv's half, ensurepip, off into a package named after the version."""
    complaint = bootstrap.missing((3, 13), ["venv"])

    assert "no module ensurepip" in complaint
    assert "apt-get install python3.13-venv" in complaint


def test_only_modules_that_import_are_found() -> None:
    """A module that is not there is left out, without a traceback."""
    assert bootstrap.importable(["ast", "no_such_module"]) == ["ast"]


def test_an_old_python_can_read_the_file() -> None:
    """Newer syntax would greet whom it should advise with a SyntaxError."""
    ast.parse(Path(bootstrap.__file__).read_text(encoding="utf-8"), feature_version=(3, 6))
