"""The official schemas of ISO 20022 messages, where CLAIMHUB_TEST_DATA names a folder that has them."""

import os
from functools import cache
from pathlib import Path

import pytest
from lxml import etree

from tests.services import absent


@cache
def schema(message: str) -> etree.XMLSchema:
    """The schema of a message such as pain.001.001.09; skips when there is none."""
    folder = os.environ.get("CLAIMHUB_TEST_DATA")
    if folder is None:
        pytest.skip("CLAIMHUB_TEST_DATA names no folder with the schemas")
    file = Path(folder) / "iso20022-xsd" / f"{message}.xsd"
    if not file.exists():
        absent(f"CLAIMHUB_TEST_DATA has no {file.name}")
    return etree.XMLSchema(etree.parse(file))
