"""Publishes committed outputs: each lane's outbox in `seq` order, marked only by contiguous delivery reports.

A place is a topic and a partition. Two rules make every crash harmless:

- A place has its `out_next` in the ledger before a lane's first record goes there (the log's end at that moment). So
  whatever a lane ever published after its mark lies in a known place, at or after a known offset.
- Before a lane sends anything under a new token or after a failure, those places are read back. Records found without
  a gap count as delivered; from the first gap on everything is sent again, in order, with the same numbers and bytes.
  What lay behind the gap is stepped over for good, by a mark made before the sending.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise
from operator import attrgetter
from typing import Final, Protocol, cast

from confluent_kafka import KafkaError, KafkaException, Producer

from monitoring.clock import Clock
from monitoring.log import get_logger
from schemas.topics import INSTRUCTIONS
from sinks.clients import Clients
from sinks.deliveries import Deliveries, Page, Place
from sinks.envelope import headers_of
from sinks.figures import Figures
from sinks.ledger.port import Ledger, LedgerUnavailable, OutboxRow, Published
from sinks.read_back import LogReader, LogUnreadable

PAGE: Final = 2000
KEPT: Final = 50_000  # committed rows of a lane kept in memory until they are sent
QUEUED: Final = 50_000  # records in the producer above which no further page is read
MARK_S: Final = 0.1
TELL_S: Final = 0.1
AGAIN_S: Final = 0.3  # wait after a failure of the ledger, the log or a delivery
IDLE_S: Final = 0.1
REPORTS_S: Final = 0.005

log = get_logger("relay")
# The producer's type for headers is wider than what we send.
_headers = cast(Callable[[OutboxRow], list[tuple[str, str | bytes | None]]], headers_of)
_place = cast(Callable[[OutboxRow], Place], attrgetter("topic", "partition"))


class OutboxGap(Exception):
    """A lane's outbox lacks a row: what the lanes write is not what the relay reads."""


class RelayLane:
    """One lane under one token, shared with the intake: it calls `committed` with new outputs, sets `dead` when lost.

    `busy` is true while the relay is at work on the lane; `deliveries` is None until the lane has been read back.
    """

    def __init__(self, lane: int, token: int) -> None:
        self.lane = lane
        self.token = token
        self.dead = False
        self.owe = True
        self.busy = False
        self.deliveries: Deliveries | None = None
        self.not_before = 0.0
        self.instructions: deque[tuple[int, int]] = deque()  # (seq, at_ms) of payment instructions on their way
        self._committed: deque[OutboxRow] = deque()

    def committed(self, rows: list[OutboxRow]) -> None:
        """Hand over what was just committed, so that it need not be read again; too much is left to the ledger."""
        if len(self._committed) + len(rows) <= KEPT:
            self._committed.extend(rows)
        self.owe = True

    def take_committed(self) -> list[OutboxRow]:
        """All rows that were handed over and not taken yet."""
        rows = self._committed
        return [rows.popleft() for _ in range(len(rows))]

    def committed_after(self, seq: int) -> list[OutboxRow]:
        """The next page of rows that were handed over, if the very next one after `seq` is among them."""
        rows = self._committed
        while rows and rows[0].seq <= seq:
            rows.popleft()
        page: list[OutboxRow] = []
        while rows and len(page) < PAGE and rows[0].seq == seq + 1 + len(page):
            page.append(rows.popleft())
        return page


class Publisher(Protocol):
    """A relay, here or in another process, as the intake sees it."""

    def run(self) -> None:
        """Serve the lanes until closed: a thread's work."""

    def add(self, lane: RelayLane) -> None:
        """Serve a lane just taken. An older object of the same lane must be `dead`; its deliveries are waited for."""

    def wake(self) -> None:
        """Look at the lanes that owe, and those that are `dead`, now."""

    def pending(self, lane: RelayLane) -> bool:
        """Whether records of the lane are being sent, or are out and not marked. Once False for a dead lane, nothing
        more of it goes out. Call `wake` after setting `dead`, or the mark waits its turn."""

    def close(self, timeout_s: float) -> None:
        """Send what the living lanes owe, wait for all deliveries, mark them, and end; leave what takes longer."""


class Relay:
    """One idempotent producer for all lanes of this worker, at work in a thread of its own: the one that calls `run`.

    In that thread `tell` is called with what there is to count, now and then, and `on_fatal`, once, with the reason
    when it cannot go on.
    """

    def __init__(
        self,
        ledger: Ledger,
        clients: Clients,
        clock: Clock,
        tell: Callable[[Figures], None],
        on_fatal: Callable[[str], None],
    ) -> None:
        self._ledger = ledger
        self._clients = clients
        self._clock = clock
        self._tell = tell
        self._figures = Figures()
        self._told_at = 0.0
        self._on_fatal = on_fatal
        self._lanes: list[RelayLane] = []
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._deadline: float | None = None
        self._marked_at = 0.0
        self._ended = threading.Event()

    def run(self) -> None:
        """See Publisher. A broker that is away is waited for."""
        reason = "the relay's thread was ended from outside"
        try:
            self._serve_until_closed()
            reason = ""
        except BaseException as error:
            log.error("relay failed", exc_info=error)
            reason = f"relay: {error if isinstance(error, OutboxGap | KafkaException) else type(error).__name__}"
        finally:  # not only the clause above: this client has raised what is no BaseException
            self._ended.set()
            if reason:
                self._on_fatal(reason)

    def add(self, lane: RelayLane) -> None:
        """See Publisher."""
        with self._lock:
            self._lanes = [*self._lanes, lane]
        self._woken.set()

    def wake(self) -> None:
        """See Publisher."""
        self._woken.set()

    def pending(self, lane: RelayLane) -> bool:
        """See Publisher."""
        return lane.busy or _unsettled(lane)

    def close(self, timeout_s: float) -> None:
        """See Publisher."""
        self._deadline = self._clock.monotonic() + timeout_s
        self._woken.set()
        self._clock.wait(self._ended, timeout_s + AGAIN_S)

    def _serve_until_closed(self) -> None:
        self._producer = self._new_producer()
        self._log = LogReader(self._clients, self._clock)
        while not self._finished():
            self._clock.wait(self._woken, self._patience())
            self._woken.clear()
            try:
                self._pass()
            except LedgerUnavailable as error:
                log.warning("ledger unavailable, trying again", error=str(error))
                self._clock.sleep(AGAIN_S)
            except KafkaException as error:
                if not _is_fatal(error):
                    raise
                self._renew_producer(error)
        self._drop_producer()
        self._log.close()

    def _patience(self) -> float:
        """Seconds to wait for a wake: none when a page is left over, short while reports are awaited."""
        if len(self._producer) < QUEUED and any(map(self._can_send, self._lanes)):
            return 0.0
        return REPORTS_S if len(self._producer) else IDLE_S

    def _finished(self) -> bool:
        if self._deadline is None:
            return False
        idle = not any(_unsettled(lane) or (lane.owe and not lane.dead) for lane in self._lanes)
        return idle or self._clock.monotonic() > self._deadline

    def _pass(self) -> None:
        self._producer.poll(0)
        self._count()
        self._mark()
        with self._lock:
            self._lanes = [lane for lane in self._lanes if not lane.dead or _unsettled(lane)]
        for lane in self._lanes:
            if lane.dead or self._clock.monotonic() < lane.not_before:
                continue
            lane.busy = True
            try:
                if not lane.dead:  # asked again: the intake sets `dead`, then asks `pending`
                    self._serve(lane)
            except LogUnreadable as error:
                log.warning("log unreadable, trying again", lane=lane.lane, error=str(error))
                self._retry_later(lane)
            except (LedgerUnavailable, KafkaException):
                self._retry_later(lane)
                raise
            finally:
                lane.busy = False

    def _serve(self, lane: RelayLane) -> None:
        deliveries = lane.deliveries
        if deliveries is not None and deliveries.failure:
            if not _unsettled(lane):
                log.warning("lane starts over", lane=lane.lane, token=lane.token, reason=deliveries.failure)
                lane.deliveries = None
                lane.instructions.clear()
                self._retry_later(lane)
            return
        if deliveries is None:
            if any(_unsettled(other) for other in self._lanes if other.lane == lane.lane):
                return
            deliveries = lane.deliveries = self._read_back(lane)
        if lane.owe and len(self._producer) < QUEUED:
            self._send_page(lane, deliveries)

    def _read_back(self, lane: RelayLane) -> Deliveries:
        """Find how far the lane's outbox is out. Nothing after the mark: nothing can be out, and nothing is read.

        Only places that the rows up to the first gap name are read, but all are stepped over.
        """
        known = self._ledger.published([lane.lane])[lane.lane]
        if not self._ledger.outbox_after(lane.lane, lane.token, known.seq, 1):
            return Deliveries(known)
        ends = self._log.ends(known.out_next)
        # These rows also prove that no later owner had published anything when the ends were read.
        rows = self._ledger.outbox_after(lane.lane, lane.token, known.seq, PAGE)
        if not rows:
            return Deliveries(known)
        seq, found, unread = known.seq, set[int](), set(known.out_next)
        while rows:
            named = {_place(row) for row in rows} & unread
            unread -= named
            found |= self._log.numbers(lane.lane, {place: (known.out_next[place], ends[place]) for place in named})
            while seq < rows[-1].seq and seq + 1 in found:
                seq += 1
            if seq < rows[-1].seq:
                break
            rows = self._ledger.outbox_after(lane.lane, lane.token, seq, PAGE)
        self._figures.repeats += sum(number > seq for number in found)
        log.info("lane read back", lane=lane.lane, token=lane.token, seq=seq, count=len(found))
        result = Published(seq, ends)
        self._ledger.mark_published({lane.lane: result})
        return Deliveries(result)

    def _send_page(self, lane: RelayLane, deliveries: Deliveries) -> None:
        page = deliveries.unfinished
        lane.owe = page is not None  # before rows are read: a commit after that sets it again
        page = page or self._next_page(lane, deliveries)
        if page is None or lane.dead:
            return
        produce, count = self._producer.produce, page.handed
        reports = {place: partial(deliveries.report, page, place) for place in {_place(row) for row in page.rows}}
        try:
            for row in page.rows[count:]:
                place = _place(row)
                produce(
                    row.topic,
                    row.value,
                    row.key,
                    row.partition,
                    on_delivery=reports[place],
                    headers=_headers(row),
                )
                count += 1
        except BufferError:
            lane.owe = True
            self._producer.poll(REPORTS_S)
        except KafkaException as error:
            if _is_fatal(error):
                raise
            deliveries.fail(f"record {page.rows[count].seq} was refused by the producer: {error.args[0].name()}")
        finally:
            page.handed = count
        self._producer.poll(0)

    def _next_page(self, lane: RelayLane, deliveries: Deliveries) -> Page | None:
        """The next rows to send, with the log's end of every place stored before its first."""
        seq = deliveries.sent
        rows = lane.committed_after(seq) or self._ledger.outbox_after(lane.lane, lane.token, seq, PAGE)
        if not rows or lane.dead:
            return None
        if rows[-1].seq != seq + len(rows):
            before, after = next(pair for pair in pairwise([seq, *(row.seq for row in rows)]) if pair[1] != pair[0] + 1)
            raise OutboxGap(f"outbox of lane {lane.lane}: {after} follows {before}. Run: claimhub verify")
        self._know_places(lane, deliveries, rows)
        lane.instructions.extend((row.seq, row.at_ms) for row in rows if row.topic == INSTRUCTIONS)
        lane.owe = lane.owe or len(rows) == PAGE
        return deliveries.begin(rows)

    def _know_places(self, lane: RelayLane, deliveries: Deliveries, rows: list[OutboxRow]) -> None:
        """Store the log's end of each place these rows are the lane's first for."""
        new = {_place(row) for row in rows} - deliveries.out_next.keys()
        if new:
            known = Published(deliveries.marked, self._log.ends(new))
            self._ledger.mark_published({lane.lane: known})
            deliveries.know(known)

    def _mark(self) -> None:
        """Tell the ledger what is delivered: now and then, or at once when a lane is given up, restarted or closed."""
        now = self._clock.monotonic()
        due = now - self._marked_at >= MARK_S or self._deadline is not None
        if not due and not any(lane.dead or (lane.deliveries and lane.deliveries.failure) for lane in self._lanes):
            return
        marks = [
            (lane.lane, lane.deliveries, known)
            for lane in self._lanes
            if lane.deliveries and (known := lane.deliveries.unmarked())
        ]
        if marks:
            self._marked_at = now
            self._ledger.mark_published({number: known for number, _, known in marks})
            for _, deliveries, known in marks:
                deliveries.know(known)

    def _count(self) -> None:
        """Gather what there is to tell, and tell it now and then."""
        figures = self._figures
        figures.pending = 0
        for lane in self._lanes:
            if (deliveries := lane.deliveries) is None:
                continue
            figures.pending += deliveries.outstanding
            figures.failures += deliveries.errors
            deliveries.errors = 0
            for topic, count in deliveries.counts.items():
                figures.published[topic] = figures.published.get(topic, 0) + count
            deliveries.counts.clear()
            while lane.instructions and lane.instructions[0][0] <= deliveries.delivered:
                _, at_ms = lane.instructions.popleft()
                figures.instruction_seconds.append(max(0.0, self._clock.time() - at_ms / 1000))
        now = self._clock.monotonic()
        if now - self._told_at >= TELL_S or self._deadline is not None:
            self._told_at = now
            self._figures = Figures()
            self._tell(figures)

    def _can_send(self, lane: RelayLane) -> bool:
        known = lane.deliveries
        if known is None or known.failure or lane.dead:
            return False
        return lane.owe and self._clock.monotonic() >= lane.not_before

    def _retry_later(self, lane: RelayLane) -> None:
        lane.owe = True
        lane.not_before = self._clock.monotonic() + AGAIN_S

    def _new_producer(self) -> Producer:
        return self._clients.producer(
            {
                "enable.idempotence": True,
                "enable.gapless.guarantee": True,  # a refused record ends this producer before a later one overtakes it
                "acks": "all",
                "message.timeout.ms": 0,  # a record is never given up: the outbox would only send it again
                "linger.ms": 0.5,
                "queue.buffering.max.kbytes": 131_072,
                "logger": logging.getLogger("kafka.relay"),
            }
        )

    def _renew_producer(self, error: KafkaException) -> None:
        """Let go of a producer that cannot go on, and of all that is in it; every lane that had records starts over."""
        reason = f"fatal producer error {error.args[0].name()}"
        log.error("new producer", reason=reason)
        self._drop_producer()
        for lane in self._lanes:
            if lane.deliveries is not None and lane.deliveries.outstanding > 0:
                lane.deliveries.abandon(reason)
        self._producer = self._new_producer()

    def _drop_producer(self) -> None:
        """Never flush(): on a fatal error it goes on with an exception set, and each report raises SystemError."""
        with suppress(KafkaException):
            self._producer.purge()
            self._producer.poll(0)
        del self._producer


def _unsettled(lane: RelayLane) -> bool:
    """Whether records of the lane are out without a report, or delivered and not marked."""
    known = lane.deliveries
    return known is not None and (known.outstanding > 0 or known.delivered > known.marked)


def _is_fatal(error: KafkaException) -> bool:
    cause = error.args[0]
    return isinstance(cause, KafkaError) and (cause.fatal() or cause.code() == KafkaError._FATAL)
