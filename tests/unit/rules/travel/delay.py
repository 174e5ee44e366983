"""Travel delay: nothing is asked for, the delay is in the notice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from streams.rules.line import LineRules, Registered, Wanted, cover_terms
from streams.rules.product import read_product
from streams.rules.settlement import Case

COVER: Final = "travel-delay"
HOURS: Final = 4


def tasks(claim: Registered) -> Iterator[Wanted]:
    """Nothing."""
    return iter(())


def case(claim: Registered) -> Case:
    """The policy's daily amount for every four hours."""
    terms = cover_terms(COVER, claim, TRAVEL.product)
    blocks = int(claim.notice.facts["hours_late"]) // HOURS
    return Case(covers=(terms,), losses={COVER: blocks * (terms.daily or 0)})


TRAVEL: Final = LineRules(
    read_product(Path(__file__).with_name("product.toml").read_bytes()),
    {"delay": COVER},
    tasks,
    case,
)
