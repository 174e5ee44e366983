"""The examples shipped with the schemas, as tests use them."""

import json
from importlib.resources import files
from typing import Any

import msgspec

from schemas.records import Record
from schemas.topics import TOPICS

_FOLDER = files("schemas").joinpath("examples")


def example_files(kind: str) -> list[str]:
    """The file names of all examples of a kind, `pass` or `fail`."""
    return sorted(file.name for file in _FOLDER.iterdir() if file.name.endswith(f".{kind}.json"))


def load(file: str) -> tuple[str, dict[str, Any]]:
    """An example's topic and content."""
    content: dict[str, Any] = json.loads(_FOLDER.joinpath(file).read_text(encoding="utf-8"))
    return file.rsplit(".", 3)[0], content


def record(file: str) -> tuple[str, Record]:
    """A pass example's topic and record."""
    topic, content = load(file)
    return topic, msgspec.convert(content["record"], TOPICS[topic].record)
