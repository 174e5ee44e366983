"""The workload itself: its outcome does not depend on the order its records are fetched in."""

import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from sinks.ledger.verify import verify
from tests.crash.reference import Logged, Reference
from tests.crash.workload import STORIES, Kind, Step, Told, workload


class Fetching:
    """A log that grows step by step, and a hub that reads its partitions in an order drawn by chance."""

    def __init__(self, reference: Reference, stories: tuple[tuple[Step, ...], ...], seed: int) -> None:
        self.reference = reference
        self.draw = random.Random(seed)
        self.steps = [deque(story) for story in stories]
        self.untaken: list[set[int]] = [set() for _ in stories]
        self.asked: list[Step | None] = [None] * len(stories)
        self.log: dict[tuple[str, int], list[Told]] = defaultdict(list)
        self.read: dict[tuple[str, int], int] = defaultdict(int)

    def run(self) -> None:
        """Until all is sent and applied."""
        while moves := list(self._moves()):
            self.draw.choice(moves)()

    def _moves(self) -> Iterator[Callable[[], None]]:
        yield from (partial(self._send, number) for number in self._sendable())
        yield from (partial(self._apply, place) for place in self._readable())
        yield from [self._hand_over] * len(self.reference.between)

    def _sendable(self) -> Iterator[int]:
        for number, left in enumerate(self.steps):
            if left and not self.untaken[number] and self._was_asked(number):
                yield number

    def _was_asked(self, number: int) -> bool:
        step = self.asked[number]
        return step is None or all(self.reference.waiting(policy) >= set(claims) for policy, claims in step.asked)

    def _readable(self) -> Iterator[tuple[str, int]]:
        return (place for place, told in self.log.items() if self.read[place] < len(told))

    def _send(self, number: int) -> None:
        """The order of the log is the plan's, so that two runs have the same offsets."""
        step = self.asked[number] = self.steps[number].popleft()
        self.untaken[number] = {told.number for told in step.told}
        for told in step.told:
            self.log[told.topic, told.partition].append(told)

    def _hand_over(self) -> None:
        self.draw.shuffle(self.reference.between)
        self.reference.hand_over(self.reference.between.popleft())

    def _apply(self, place: tuple[str, int]) -> None:
        """Some records of one partition."""
        count = self.draw.randint(1, 4)
        start = self.read[place]
        taken = self.log[place][start : start + count]
        self.read[place] += len(taken)
        self.reference.take(
            Logged(told.topic, told.partition, offset, told.key, told.value, told.headers, 0)
            for offset, told in enumerate(taken, start)
        )
        for untaken in self.untaken:
            untaken -= {told.number for told in taken}


@pytest.mark.parametrize("kind", STORIES, ids=lambda kind: kind.__name__)
def test_any_order_of_fetching_leads_to_one_ledger(kind: Kind, tmp_path: Path) -> None:
    """Each kind of story alone, so that its log is the same in every run: three orders, one hash, no promise broken."""
    for seed in range(2):
        (plan,) = workload(seed, [kind]).stories
        hashes = {_fetched(plan, order, tmp_path / f"{seed}-{order}") for order in range(3)}
        assert len(hashes) == 1


def _fetched(plan: tuple[Step, ...], order: int, folder: Path) -> str:
    folder.mkdir()
    reference = Reference(folder)
    Fetching(reference, (plan,), order).run()
    assert [check for check in verify(reference.engine).checks if not check.ok] == []
    found = reference.hash()
    reference.close()
    return found
