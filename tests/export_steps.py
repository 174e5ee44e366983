"""The steps of an export at which a process may end: around each commit, each write to the disk, each new file name."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, Engine, event


@contextmanager
def each_step(act: Callable[[int], None]) -> Iterator[None]:
    """Call `act` with the number of the step, from 1, at each step of whatever runs inside."""
    numbers = count(1)

    def in_database(_: Connection) -> None:
        act(next(numbers))

    def around(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            act(next(numbers))
            result = call(*arguments)
            act(next(numbers))
            return result

        return called

    events = ("begin", "commit")  # the first begin after a commit is a step behind it
    for name in events:
        event.listen(Engine, name, in_database)
    try:
        with ExitStack() as patched:
            for name in ("open", "fsync", "replace"):
                patched.enter_context(patch.object(os, name, around(getattr(os, name))))
            yield
    finally:
        for name in events:
            event.remove(Engine, name, in_database)
