"""The lines of business: read this to see which the hub knows."""

from typing import Final

from schemas.records import Line
from streams.rules.accident import ACCIDENT
from streams.rules.claim import Notice
from streams.rules.health import HEALTH
from streams.rules.line import LineRules
from streams.rules.motor import MOTOR
from streams.rules.product import Terms
from streams.rules.property import PROPERTY
from streams.rules.settlement import Case, Settlement, settle, steps_of

LINES: Final[dict[str, LineRules]] = {
    Line.MOTOR: MOTOR,
    Line.HEALTH: HEALTH,
    Line.ACCIDENT: ACCIDENT,
    Line.PROPERTY: PROPERTY,
}


def terms_of(notice: Notice) -> Terms:
    """The terms of a claim's product at the time of its loss."""
    return LINES[notice.line].product.terms_at(notice.loss_at_ms)


def shares_covers(line: str) -> bool:
    """Whether claims of a line use up covers together that their policy has for a year."""
    return any(terms.yearly_covers for terms in LINES[line].product.terms)


def settle_in_line(line: LineRules, case: Case) -> Settlement:
    """What is owed in a case of this line of business. Raises CaseError."""
    return settle(case, steps_of(line.product))
