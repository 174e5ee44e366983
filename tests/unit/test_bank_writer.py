"""The bank's files that tests write are files a bank may write."""

import pytest
from lxml import etree

from tests.bank import FEE, RETURNED, Line, Said, schema, statement_file, status_file
from tests.book import ACCOUNT, DAY

STATUSES = status_file("B-1", "PM-1", [Said("PI-1", "ACSC"), Said("PI-2", "RJCT", "AC01")])
LINES = [Line(-2_800_00, "PI-1"), Line(2_800_00, "PI-1", "AC04", RETURNED), Line(-5_00, code=FEE), Line(-1, "PI-2")]
STATEMENT = statement_file("B-2", ACCOUNT, DAY, -10_00, LINES)


@pytest.mark.parametrize(("message", "content"), [("pain.002.001.10", STATUSES), ("camt.053.001.08", STATEMENT)])
def test_a_file_is_valid_against_the_schema_of_its_message(message: str, content: bytes) -> None:
    """So that what reads them would read a bank's."""
    schema(message).assertValid(etree.fromstring(content))
