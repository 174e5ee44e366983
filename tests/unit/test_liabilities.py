"""What is open of one claim, snapshot by snapshot: approved, instructed, paid."""

from collections import Counter

import pytest

from streams.reports.claim_figures import ClaimFigures
from streams.reports.liabilities import Liability, changed, instructed
from tests import claims as make
from tests.unit.test_claim_figures import snapshot

INSTRUCTION = make.payment_instruction(amount_minor=700)


def after(figures: ClaimFigures, stage: str, day: float, *, paid: int = 0, rule: str = "x") -> list[Liability]:
    """What a snapshot changes; `paid` is what it says was paid more."""
    return changed(figures, snapshot(stage, day, payable_minor=700, rule=rule), paid)


def told(moves: list[Liability]) -> dict[tuple[str, int], int]:
    """By kind and day."""
    return dict(Counter({(it.kind, it.day): it.amount_minor for it in moves}))


def test_an_amount_is_approved_until_it_is_instructed_and_instructed_until_it_is_paid() -> None:
    """Never both."""
    figures = ClaimFigures(make.CLAIM, 0)
    moves = [*after(figures, "assessing", 1), *after(figures, "decided", 2)]
    moves += [instructed(figures, INSTRUCTION), *after(figures, "paying", 3), *after(figures, "paid", 5, paid=700)]

    assert told(moves) == {
        ("approved", 20260403): 700,
        ("instructed", 20260404): 700,
        ("approved", 20260404): -700,
        ("instructed", 20260406): -700,
    }


@pytest.mark.parametrize(
    "rule", ["payments.rejected", "payments.cancelled", "statements.returned", "closures.not-paid"]
)
def test_what_could_not_be_paid_is_approved_again(rule: str) -> None:
    """And waits for its next instruction."""
    figures = ClaimFigures(make.CLAIM, 0)
    instructed(figures, INSTRUCTION)
    after(figures, "paying", 3)

    assert told(after(figures, "paying", 4, rule=rule)) == {("instructed", 20260405): -700, ("approved", 20260405): 700}


def test_what_came_back_after_it_was_paid_is_approved_again() -> None:
    """The snapshot takes back what was paid."""
    figures = ClaimFigures(make.CLAIM, 0)
    instructed(figures, INSTRUCTION)
    after(figures, "paid", 4, paid=700)

    assert told(after(figures, "paying", 9, paid=-700, rule="statements.returned")) == {("approved", 20260410): 700}


def test_a_claim_that_ends_unpaid_has_nothing_open() -> None:
    """As one that SIU confirmed a fraud of, while its payment is still on its way."""
    figures = ClaimFigures(make.CLAIM, 0)
    after(figures, "decided", 2)

    assert told(after(figures, "closed", 3)) == {("approved", 20260404): -700}
