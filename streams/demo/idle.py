"""Whether the hub has anything left to do, asked of the ledger and the broker's logs."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from confluent_kafka import OFFSET_END, Consumer, KafkaException, TopicPartition
from sqlalchemy import Engine, bindparam, func, select

from monitoring.clock import Clock
from schemas.topics import INBOUND, INSTRUCTIONS
from sinks.ledger.tables import claims, lanes, outbox, positions, relay
from streams.cluster import ClientOptions
from streams.demo.desk import Desk
from streams.demo.finance import Finance

_LOOK_AGAIN_S: Final = 0.01
_ANSWER_S: Final = 5.0


class NotDone(Exception):
    """Something did not happen in time; the text names it."""


class Idle:
    """Waits for the hub to have taken in all that was sent, told of all clocks that are due, published all it owes, and
    had its answers from finance.

    Setting `abandoned`, from any thread, ends a wait.
    """

    def __init__(
        self, engine: Engine, options: ClientOptions, finance: Finance | Desk, partitions: int, clock: Clock
    ) -> None:
        """`clock` is the one the hub goes by."""
        self._engine = engine
        self._clock = clock
        self._finance = finance
        self._partitions = partitions
        self.abandoned = threading.Event()
        self._logs = Consumer({**options, "group.id": "demo-idle", "logger": logging.getLogger("kafka.demo")})

    def close(self) -> None:
        """Let go of the broker."""
        self._logs.close()

    def wait(self, limit_s: float, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Return once nothing is left; call `meanwhile` at every look. Raises NotDone naming what is left."""
        end = time.monotonic() + limit_s
        while left := self.left():
            if time.monotonic() > end:
                raise NotDone(f"after {limit_s:.0f} s {left}")
            meanwhile()
            if self.abandoned.wait(_LOOK_AGAIN_S):
                raise NotDone(f"given up while {left}")
        meanwhile()

    def left(self) -> str | None:
        """What is left to do, in words. Positions are read first and the logs' ends last: when they meet, nothing
        that was sent in between can have been missed."""
        now_ms = int(self._clock.time() * 1000)
        with self._engine.connect() as connection:
            at = {(topic, lane): offset for topic, lane, offset in connection.execute(_POSITIONS)}
            due = connection.execute(_DUE, {"now_ms": now_ms}).scalar_one()
            behind = connection.execute(_UNPUBLISHED).all()
            instructed = connection.execute(_INSTRUCTED).scalar_one()
        if len(at) < len(INBOUND) * self._partitions:
            return "the hub has not taken its lanes"
        owed = [f"lane {lane} has published {out} of {seq} outputs" for lane, seq, out in behind]
        if due or owed:
            return "; ".join([f"{due} claims have a clock that is due", *owed])
        if self._finance.refused:
            return f"finance refuses {'; '.join(self._finance.refused)}"
        if len(self._finance.paid) < instructed:
            return f"finance has answered {len(self._finance.paid)} of {instructed} instructions"
        return self._not_taken_in(at)

    def _not_taken_in(self, at: Mapping[tuple[str, int], int]) -> str | None:
        """Which log goes on behind the hub's position in it. All are asked in one request, for the offset at the "time"
        of their end; watermarks take two for each."""
        try:
            logs = self._logs.offsets_for_times([TopicPartition(*log, OFFSET_END) for log in at], timeout=_ANSWER_S)
        except KafkaException as error:
            return f"the logs do not answer ({error.args[0].name()})"
        for log in logs:
            if log.error is not None:
                return f"{log.topic}/{log.partition} does not answer ({log.error.name()})"
            if at[log.topic, log.partition] < log.offset:
                return f"{log.topic}/{log.partition} is taken in up to {at[log.topic, log.partition]} of {log.offset}"
        return None


_POSITIONS: Final = select(positions.c.topic, positions.c.lane, positions.c.next)
_UNPUBLISHED: Final = select(lanes.c.lane, lanes.c.seq, relay.c.published).where(
    lanes.c.lane == relay.c.lane, relay.c.published < lanes.c.seq
)
_DUE: Final = select(func.count()).select_from(claims).where(claims.c.due_at_ms <= bindparam("now_ms"))
_INSTRUCTED: Final = select(func.count()).select_from(outbox).where(outbox.c.topic == INSTRUCTIONS)
