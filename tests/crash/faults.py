"""What is done to a hub in one round, drawn from its seed. Values only: `torment.py` does it.

The matrix is walked through in order, two faults a round, so that consecutive seeds meet all of it.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final, Literal

from msgspec import Struct

from tests.crash.crew import Whom
from tests.crash.proxy import Cut, Of, When
from tests.crash.steps import STEPS

SESSION_S: Final = 6.0
"""How long Kafka waits for a worker that says nothing."""


class Die(Struct, frozen=True):
    """kill -9: of the process that comes to a step the `hit`th time, or without a step of `whom` at once.

    With "both" the other process of that worker too; what is left of a worker ends by itself.
    """

    step: str | None
    hit: int
    whom: Whom


class Freeze(Struct, frozen=True):
    """The same, stopped for some seconds instead; another worker is started meanwhile."""

    step: str | None
    hit: int
    whom: Whom
    seconds: float


class BrokerDies(Struct, frozen=True):
    """Kafka is killed, kill -9, and started again; a worker may be killed while it is away."""

    down_s: float
    whom: Whom | None


class BrokerFreezes(Struct, frozen=True):
    """Kafka is stopped for some seconds; a worker may be killed meanwhile."""

    seconds: float
    whom: Whom | None


class DatabaseDies(Struct, frozen=True):
    """PostgreSQL crashes (immediate shutdown) and is started again."""

    down_s: float


class BothDie(Struct, frozen=True):
    """Kafka and PostgreSQL crash together."""

    down_s: float


class CutCommit(Struct, frozen=True):
    """The connection to the database is cut while a COMMIT is in flight."""

    cut: Cut


class LinkStalls(Struct, frozen=True):
    """Nothing comes through between workers and database for a while."""

    seconds: float


class ComeAndGo(Struct, frozen=True):
    """Two more workers join, then the first and one of them leave in good order."""


class Refuse(Struct, frozen=True):
    """The database answers an error of this SQLSTATE, some times, when a table is written or at the COMMIT after it."""

    sqlstate: Literal["53100", "40001"]
    table: Literal["journal", "claims", "outbox", "relay"]
    times: int
    at_commit: bool


class SlowDatabase(Struct, frozen=True):
    """Somebody holds a lock on a table for a while."""

    table: Literal["journal", "lanes"]
    seconds: float


Fault = (
    Die
    | Freeze
    | BrokerDies
    | BrokerFreezes
    | DatabaseDies
    | BothDie
    | CutCommit
    | LinkStalls
    | ComeAndGo
    | Refuse
    | SlowDatabase
)


class Strike(Struct, frozen=True):
    """One fault: begun once `after` records of its share of the round were sent, followed by `pause_s` of quiet."""

    fault: Fault
    after: int
    pause_s: float


Draw = random.Random
_WHOM: Final[tuple[Whom, ...]] = ("worker", "relay", "both")
_TABLES: Final = ("journal", "claims", "outbox", "relay")


def _die(step: str | None) -> Callable[[Draw], Fault]:
    return lambda draw: Die(step, _hit(draw, step), draw.choice(_WHOM))


def _freeze(step: str | None) -> Callable[[Draw], Fault]:
    def drawn(draw: Draw) -> Fault:
        seconds = draw.uniform(1, 5) if draw.random() < 0.25 else draw.uniform(SESSION_S + 1, SESSION_S + 4)
        return Freeze(step, _hit(draw, step), draw.choice(_WHOM), round(seconds, 1))

    return drawn


def _cut(of: Of, when: When) -> Callable[[Draw], Fault]:
    return lambda draw: CutCommit(Cut(of, when, draw.randint(1, 3)))


def _refuse(sqlstate: Literal["53100", "40001"], at_commit: bool) -> Callable[[Draw], Fault]:
    return lambda draw: Refuse(sqlstate, draw.choice(_TABLES), draw.randint(1, 4), at_commit)


def _hit(draw: Draw, step: str | None) -> int:
    """Under load a step is come to again and again."""
    return draw.randint(1, 4) if step is not None and STEPS[step].needs == "load" else 1


def _matrix() -> Sequence[Callable[[Draw], Fault]]:
    """Every fault at every step it can strike at, in an order that mixes them."""
    rows: list[Callable[[Draw], Fault]] = []
    for step in (*STEPS, None):
        rows += [_die(step), _freeze(step)]
    for when in ("before", "sent", "after"):
        rows += [_cut("batch", when), _cut("mark", when), _cut("take", when)]
    for sqlstate in ("53100", "40001"):
        rows += [_refuse(sqlstate, at_commit=True), _refuse(sqlstate, at_commit=False)]
    for _ in range(2):
        rows += [
            lambda draw: BrokerDies(round(draw.uniform(0, 3), 1), draw.choice((None, *_WHOM))),
            lambda draw: BrokerFreezes(round(draw.uniform(1, 9), 1), draw.choice((None, *_WHOM))),
            lambda draw: DatabaseDies(round(draw.uniform(0, 3), 1)),
            lambda draw: BothDie(round(draw.uniform(0, 2), 1)),
            lambda draw: ComeAndGo(),
            lambda draw: LinkStalls(round(draw.uniform(1, 12), 1)),
            lambda draw: SlowDatabase(draw.choice(("journal", "lanes")), round(draw.uniform(1, 12), 1)),
        ]
    random.Random(0).shuffle(rows)
    return rows


MATRIX: Final = _matrix()
A_ROUND: Final = 2


def strikes(seed: int) -> tuple[Strike, ...]:
    """The faults of the round of this seed."""
    draw = random.Random(f"faults {seed}")
    rows = [MATRIX[(A_ROUND * seed + number) % len(MATRIX)] for number in range(A_ROUND)]
    return tuple(
        Strike(row(draw), draw.randint(0, 40), draw.choice((0.0, 0.0, round(draw.uniform(0, 7), 1)))) for row in rows
    )
