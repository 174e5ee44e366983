"""Stories as files: what they leave out, and what is wrong with one."""

from datetime import UTC, datetime

import pytest

from schemas.records import Estimate, LossNotice
from streams.demo.stories import NoStory, Said, read_story, stories

NOTICE = """
title = "a notice"
claim = "C1"

[[said]]
at = 2026-03-02T08:52:00
by = "reporting"
topic = "reporting.loss-notice.v1"
without = ["vin"]
[said.record]
loss_at_ms = 2026-03-02T08:15:00
plate = "京A8K301"

[[ends]]
claim = "C1"
stage = "reported"
"""


def test_a_record_is_its_example_but_for_what_the_story_says_and_what_is_its_claims_own() -> None:
    """Times are Shanghai's, and the one it is said at unless the story says another."""
    (said,) = read_story("a", NOTICE).said
    (other,) = read_story("a", NOTICE.replace("C1", "C2")).said

    assert isinstance(said, Said) and isinstance(other, Said)
    notice, others = said.content, other.content
    assert isinstance(notice, LossNotice) and isinstance(others, LossNotice)
    assert (notice.claim, notice.plate, notice.vin, notice.cause) == ("C1", "京A8K301", None, "collision")
    assert notice.loss_at_ms == datetime(2026, 3, 2, 0, 15, tzinfo=UTC).timestamp() * 1000
    assert notice.notified_at_ms == said.at_ms == datetime(2026, 3, 2, 0, 52, tzinfo=UTC).timestamp() * 1000
    assert notice.payee.account != others.payee.account
    assert not set(notice.photos) & set(others.photos)


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('title = "a notice"', 'titel = "a notice"', "unknown field `titel`"),
        ('stage = "reported"', "stage = 3", r"\$.ends\[0\].stage"),
        ('plate = "京A8K301"', "plate = 3", r"record 1 \(reporting.loss-notice.v1\): .*plate"),
        ("reporting.loss-notice.v1", "reporting.loss-note.v1", "record 1.*loss-note"),
        ("[[ends]]", "[[ends", "story a: .*line"),
    ],
)
def test_what_is_wrong_with_a_story_is_said_with_its_place(right: str, wrong: str, told: str) -> None:
    """File, record and field."""
    with pytest.raises(NoStory, match=told):
        read_story("a", NOTICE.replace(right, wrong))


def test_papers_of_different_stories_are_different_papers() -> None:
    """Or one story would be the other's fraud."""
    papers = [said.content for story in stories() for said in story.said if isinstance(said, Said)]
    shas = [record.sha256 for record in papers if hasattr(record, "sha256")]

    assert len(shas) == len(set(shas)) > 3
    assert any(isinstance(record, Estimate) for record in papers)
