"""Where something happened, as far as the hub tells places apart."""

import re
from typing import Final

UNKNOWN: Final = "unknown"
_PLACE: Final = re.compile(r"^\s*([^\s,，、;；]{1,12}?(?:特别行政区|自治区|省|市))")


def region_of(place: str) -> str:
    """The province or city a place begins with, as in 北京市; unknown when it begins with none."""
    found = _PLACE.match(place)
    return UNKNOWN if found is None else found.group(1)
