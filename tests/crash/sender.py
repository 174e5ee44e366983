"""Tells a workload: each story at its own pace, a step once the ledger has taken the one before it."""

import threading
import time
from collections import deque
from typing import Any, Final

import psycopg
from confluent_kafka import KafkaError, Message, Producer

from tests.crash.workload import Step, Told, Workload

LOOK_S: Final = 0.05
PACE_S: Final = 0.02
"""Between two stories that begin."""


class Story:
    """One story while it is told."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self.left = deque(steps)
        self.told: Step | None = None
        self.undelivered = 0
        self.sent: dict[tuple[str, int], int] = {}

    def taken(self, positions: dict[tuple[str, int], int]) -> bool:
        """Whether the ledger has taken all of the last step."""
        return not self.undelivered and all(positions.get(place, 0) > offset for place, offset in self.sent.items())


class Sender:
    """A thread that tells stories as far as `allowed`; records are sent whether anybody reads them or not."""

    def __init__(self, workload: Workload, producer: Producer, database: str) -> None:
        self._waiting = deque(Story(steps) for steps in workload.stories)
        self._open: list[Story] = []
        self._producer = producer
        self._database = database
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self.allowed = 0
        self.begun = 0
        self.sent = 0
        self.failed: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sender")
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether every story has been told to its end and taken."""
        return not self._waiting and not self._open

    @property
    def telling(self) -> bool:
        """Whether a story that may be told has not been taken to its end."""
        return bool(self._open) or (bool(self._waiting) and self.begun < self.allowed)

    def stop(self) -> None:
        """Tell nothing more."""
        self._stopping.set()
        self._thread.join()
        if self._connection is not None:
            self._connection.close()

    def _run(self) -> None:
        looked = begun = 0.0
        while not self._stopping.is_set() and not self.done:
            now = time.monotonic()
            if self._waiting and self.begun < self.allowed and now - begun >= PACE_S:
                begun = now
                self.begun += 1
                story = self._waiting.popleft()
                self._open.append(story)
                self._tell(story)
            if now - looked >= LOOK_S:
                looked = now
                self._go_on()
            self._producer.poll(0.01)

    def _go_on(self) -> None:
        try:
            if self._connection is None:
                self._connection = psycopg.connect(self._database, autocommit=True, connect_timeout=3)
            rows = self._connection.execute("SELECT topic, lane, next FROM positions").fetchall()
            positions = {(topic, lane): position for topic, lane, position in rows}
            ready = [it for it in self._open if it.taken(positions) and self._was_asked(self._connection, it.told)]
        except psycopg.Error:  # the database is being crashed
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            return
        for story in ready:
            if story.left:
                self._tell(story)
            else:
                self._open.remove(story)

    def _was_asked(self, connection: psycopg.Connection[tuple[Any, ...]], step: Step | None) -> bool:
        for policy, claims in () if step is None else step.asked:
            row = connection.execute("SELECT state -> 'waiting' FROM policies WHERE number = %s", (policy,)).fetchone()
            if row is None or not set(row[0] or ()) >= set(claims):
                return False
        return True

    def _tell(self, story: Story) -> None:
        story.told = step = story.left.popleft()
        story.sent.clear()
        story.undelivered = len(step.told)
        for told in step.told:
            self._send(story, told)

    def _send(self, story: Story, told: Told) -> None:
        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self.failed = f"record {told.number} was not taken by the broker: {error.name()}"
                return
            place = told.topic, told.partition
            story.sent[place] = max(story.sent.get(place, 0), message.offset() or 0)
            story.undelivered -= 1

        headers: list[tuple[str, str | bytes | None]] = [*told.headers]
        self._producer.produce(told.topic, told.value, told.key, told.partition, headers=headers, on_delivery=delivered)
        self.sent += 1
