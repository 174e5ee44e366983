"""The demo's stories, told in any order."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.records import NoticeKind, PaymentStatus, PaymentStatusCode, Record
from streams.demo.stories import Said, Story, stories
from streams.rules.claim import Stage
from tests.unit.rules.hub import Hub

IN_ANY_ORDER = (
    "01-fast-track",
    "02-survey-supplement-invoice",
    "03-hospital-direct-settlement",
    "07-clause-query-answered-late",
    "10-payment-unknown",
    "15-poison-record",
    "18-large-loss-and-reinsurance",
)
"""Stories in which nobody says what is only right at its time: a complaint, a withdrawal, another account."""


def _story(name: str) -> Story:
    (story,) = [story for story in stories() if story.name == name]
    return story


def _said(story: Story) -> list[Record]:
    said = [it.content for it in story.said if isinstance(it, Said)]
    return [content for content in said if isinstance(content, Record)]


def _played(story: Story, records: list[Record]) -> Hub:
    """The records, and finance's answers to the instructions that come of them."""
    hub = Hub()
    hub.claim = replace(hub.claim, number=story.claim)
    hub.play(*records)
    for paid in hub.payments:
        hub.play(
            PaymentStatus(
                claim=story.claim,
                instruction_id=paid.id,
                status=PaymentStatusCode.ACSC,
                amount_minor=paid.amount_minor,
                currency=paid.currency,
                at_ms=0,
            )
        )
    return hub


def _end(hub: Hub) -> tuple[Any, ...]:
    """Papers are not asked for when they came before."""
    settlement = hub.claim.settlement
    assert settlement is not None
    told = set(hub.claim.notices) - {NoticeKind.DOCUMENTS_NEEDED}
    return hub.stage, settlement.covers, settlement.payable_minor, [it.amount_minor for it in hub.payments], told


@pytest.mark.parametrize("name", IN_ANY_ORDER)
@settings(max_examples=60)
@given(data=st.data())
def test_any_order_ends_as_the_story_says(name: str, data: st.DataObject) -> None:
    """Stage, covers, one payment, notices; what comes too early waits, and nothing is refused or left waiting."""
    story = _story(name)
    hub = _played(story, data.draw(st.permutations(_said(story))))

    (end,) = story.ends
    assert (hub.dead, hub.waiting) == ([], [])
    assert _end(hub) == _end(_played(story, _said(story)))
    assert _end(hub)[:4] == (Stage(end.stage), end.covers, end.payable_minor, [end.paid_minor])
