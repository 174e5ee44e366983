"""Where a story has led, read from the ledger, and how that differs from what it says."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Engine, func, select

from schemas.topics import INSTRUCTIONS, TOPICS, Direction
from sinks.ledger.tables import claims, dead_letters, outbox, parked
from streams.demo.stories import ClaimEnd, Instruction, Story
from streams.rules.claim import Claim, Clock
from streams.rules.experience import TOPIC as EXPERIENCE
from streams.rules.reserves import MOVEMENT, paid_minor

_NOTICES: Final = "customer.notice.v1"
_TOLD_ELSEWHERE: Final = frozenset({"claims.status.v1", _NOTICES, INSTRUCTIONS, MOVEMENT, EXPERIENCE})


class StoryEnd(Struct, frozen=True):
    """Whether a story came out as it says; `differences` name claim, field, what is there and what should be."""

    name: str
    ok: bool
    differences: tuple[str, ...]


def read_story_end(engine: Engine, story: Story) -> StoryEnd:
    """Compare a story's claims, as the ledger has them now, with what it says."""
    with engine.connect() as connection:
        found = [read_claim_end(connection, end.claim) for end in story.ends]
    differences = tuple(line for is_, said in zip(found, story.ends, strict=True) for line in _differences(is_, said))
    return StoryEnd(story.name, not differences, differences)


def read_claim_end(connection: Connection, claim: str) -> ClaimEnd:
    """A claim as it stands in the ledger; one that is not there has the stage `none`."""
    row = connection.execute(select(claims.c.stage, claims.c.state).where(claims.c.claim == claim)).one_or_none()
    dead, waiting = (
        connection.execute(select(func.count()).select_from(table).where(table.c.subject == claim)).scalar_one()
        for table in (dead_letters, parked)
    )
    if row is None:
        return ClaimEnd(claim=claim, stage="none", dead=dead, parked=waiting)
    state, settlement = msgspec.convert(row.state, Claim), row.state.get("settlement")
    sent = Counter(connection.execute(select(outbox.c.topic).where(outbox.c.subject == claim)).scalars())
    return ClaimEnd(
        claim=claim,
        stage=row.stage,
        covers={} if settlement is None else settlement["covers"],
        payable_minor=None if settlement is None else settlement["payable_minor"],
        paid_minor=paid_minor(state),
        reserve_minor=state.reserve_minor,
        tasks=tuple(f"{task.kind} {task.about}".strip() for task in state.open_tasks),
        notices=tuple(mark.partition(":")[0] for mark in state.notices),
        instructions=tuple(Instruction(paid.amount_minor, paid.state) for paid in state.payments),
        clocks={f"{clock.kind} {clock.about}".strip(): _of_clock(clock) for clock in state.clocks},
        sent={topic: count for topic, count in sorted(sent.items()) if _counts(topic)},
        dead=dead,
        parked=waiting,
    )


def _counts(topic: str) -> bool:
    return topic not in _TOLD_ELSEWHERE and TOPICS[topic].direction is Direction.OUT and not topic.startswith("hub.")


def _of_clock(clock: Clock) -> str:
    stands = "open" if clock.ended is None else "ended"
    if clock.pauses:
        paused = clock.ended is None and clock.pauses[-1].ended is None
        stands = "paused" if paused else f"{stands}, was paused"
    return f"{stands}, breached" if clock.breached is not None else stands


def _differences(found: ClaimEnd, said: ClaimEnd) -> Sequence[str]:
    is_, should = (_plain(end) for end in (found, said))
    return [
        f"claim {said.claim}: {name} is {is_[name]!r}, should be {should[name]!r}"
        for name in should
        if is_[name] != should[name]
    ]


def _plain(end: ClaimEnd) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(end)
    return plain
