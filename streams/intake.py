"""Intake: one Kafka consumer in its own thread; a batch per lane, at most one in flight; positions from the ledger."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from monitoring.clock import Clock
from monitoring.health import Health
from monitoring.log import get_logger
from monitoring.metrics import Dropped, Metrics
from schemas.codec import RegistryUnavailable
from schemas.topics import INBOUND, TOPICS
from sinks.clients import Clients
from sinks.ledger.port import Ledger, LedgerUnavailable, OutboxRow, PositionMoved, StaleToken, TopicChanged
from sinks.relay import Publisher, RelayLane
from streams.cluster import Cluster, ClusterUnavailable, TopicsMissing
from streams.exits import CannotGoOn, Exit
from streams.lanes import DEATHS, Batch, Lane, LaneProcessor
from streams.received import Received, from_kafka
from streams.settings import Settings
from streams.take import take_lanes
from streams.watch import Watch

GROUP_SETTINGS: Final = {
    "partition.assignment.strategy": "range",
    "session.timeout.ms": 6000,
    "heartbeat.interval.ms": 300,
}
"""What decides how long lanes stand still when workers come and go: the others of the group learn of it from the answer
to their next heartbeat, and of a worker that is gone without a word when its session ends."""

_HOLD_RECORDS, _GO_ON_RECORDS = 4000, 1000
_COLLECT_S, _COLLECT_RECORDS = 0.001, 1000
_PATIENCE_S = 5.0
_STALE_RETAKE_S, _RETAKE_S = 5.0, 0.3
_FROZEN_S = 2.0
_REVOKE_WAIT_S, _STOP_WAIT_S = 3.0, 8.0
_WATCH_TOPICS_S, _TELL_KAFKA_S, _STEP_OVER_S, _MEASURE_S, _ASK_DUE_S = 2.0, 5.0, 1.0, 1.0, 1.0

log = get_logger("intake")


class Intake:
    """Owns the consumer, and works in a thread of its own: the one that calls `run`.

    `dispatch` sees to it that `process` is called with the batch in another thread, of which there are as many as
    `commits_in_flight`; `leave` ends the process and never returns.
    """

    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        clients: Clients,
        ledger: Ledger,
        processor: LaneProcessor,
        relay: Publisher,
        clock: Clock,
        metrics: Metrics,
        health: Health,
        owner: str,
        dispatch: Callable[[Batch], None],
        leave: Callable[[Exit, str], NoReturn],
    ) -> None:
        self._settings = settings
        self._cluster = cluster
        self._clients = clients
        self._ledger = ledger
        self._processor = processor
        self._relay = relay
        self._clock = clock
        self._metrics = metrics
        self._health = health
        self._owner = owner
        self._watch = Watch(metrics, health, settings.watchdog_s, leave)
        self._dispatch = dispatch
        self._leave = leave
        self._lock = threading.Lock()
        self._lanes: dict[int, Lane] = {}
        self._at_work: set[Lane] = set()
        self._wanted: dict[int, float] = {}
        self._locked_since: dict[int, float] = {}
        self._stopping = threading.Event()
        self._deadline: float | None = None
        self._consumer: Consumer

    @property
    def owned(self) -> list[int]:
        """The lanes this worker holds now; from any thread."""
        return list(self._lanes)

    def run(self) -> None:
        """Consume until told to stop, then drain."""
        self._health.set("intake", ok=False, reason="waiting for lanes")
        try:
            self._consume_until_stopped()
        except Exception as error:
            log.exception("intake failed")
            self._leave(Exit.INTAKE, f"intake failed: {type(error).__name__}")

    def stop(self) -> None:
        """Let `run` drain and return."""
        self._stopping.set()

    # -- called from pool threads

    def process(self, batch: Batch) -> None:
        """Run a batch and, while no other lane waits for a thread, those that follow: each hand-over takes its time."""
        following: Batch | None = batch
        while following is not None:
            following = self._process(following)

    def _process(self, batch: Batch) -> Batch | None:
        """Run one batch, and see to its lane; what this thread goes on with. Any failure of SQL takes one way out."""
        if batch.lane.dead:
            self._failed(batch, Dropped.STALE)
            return None
        try:
            effects = self._processor.process(batch)
        except StaleToken:
            self._failed(batch, Dropped.STALE)
        except (LedgerUnavailable, RegistryUnavailable) as error:
            log.warning("batch not written", lane=batch.lane.no, error=str(error))
            self._failed(batch, Dropped.LEDGER)
        except PositionMoved as error:
            self._leave(Exit.POSITION_MOVED, str(error))
        else:
            return self._committed(batch, effects.outbox)
        return None

    def _committed(self, batch: Batch, outbox: list[OutboxRow]) -> Batch | None:
        """A batch is in the ledger: hand out what arrived meanwhile. The next batch of this thread, if it has one."""
        lane = batch.lane
        if outbox:  # first: a lane that is not busy owes all that it ever will
            lane.relay.committed(outbox)
            self._relay.wake()
        with self._lock:
            lane.busy = False
            self._at_work.discard(lane)
            if lane.state.dead_in_a_row >= self._settings.dead_letter_limit:
                self._stop_lane(lane)
            in_turn = [lane]
            if self._one_at_a_time():
                in_turn = sorted(self._lanes.values(), key=lambda other: (other.no <= lane.no, other.no))
        batches = [following for other in in_turn if (following := self._next_batch(other)) is not None]
        mine = batches.pop(0) if batches and len(self._at_work) <= self._settings.commits_in_flight else None
        for following in batches:
            self._dispatch(following)
        return mine

    def _failed(self, batch: Batch, dropped: Dropped) -> None:
        """A batch was not written: let go of the lane, and take it again with a new token."""
        lane = batch.lane
        with self._lock:
            lane.busy = False
            self._at_work.discard(lane)
            if lane.dead:
                return
            self._let_go(lane)
            wait_s = _STALE_RETAKE_S if dropped is Dropped.STALE else _RETAKE_S
            self._wanted[lane.no] = self._clock.monotonic() + wait_s
        self._metrics.lanes_dropped.labels(dropped).inc()
        log.warning("lane dropped", lane=lane.no, token=lane.token, reason=dropped)

    # -- the consumer thread

    def _consume_until_stopped(self) -> None:
        self._consumer = self._clients.consumer(
            {
                "group.id": self._settings.group,
                "client.id": self._owner,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                **GROUP_SETTINGS,
                # What arrives within one wait is answered at once, not record by record.
                "fetch.min.bytes": 1_000_000,
                "fetch.wait.max.ms": 10,
                "queued.max.messages.kbytes": 16_384,
                "fetch.message.max.bytes": 262_144,
            }
        )
        self._consumer.subscribe(
            list(INBOUND), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        watched = told = measured = self._clock.monotonic()
        while not self._stopping.is_set() or self._embedded_backlog():
            if self._take():
                self._apply_assignment()
            self._collect()
            for lane in list(self._lanes.values()):
                self._hold_or_go_on(lane)
                batch = self._next_batch(lane)
                if batch is not None:
                    self._dispatch(batch)
            now = self._clock.monotonic()
            if now - watched > _WATCH_TOPICS_S:
                watched = now
                self._watch_topics()
            if now - told > _TELL_KAFKA_S:
                told = now
                self._tell_kafka()
            if now - measured > _MEASURE_S:
                measured = now
                with self._lock:
                    self._watch.look(list(self._lanes.values()), now)
        self._drain()

    def _collect(self) -> None:
        first = self._consumer.poll(0.02)
        if first is None:
            return
        messages = [first, *self._consumer.consume(_COLLECT_RECORDS, _COLLECT_S)]
        touched, doubted = set[tuple[int, str]](), dict[tuple[int, str], int]()
        with self._lock:
            for message in messages:
                self._accept(message, touched, doubted)
        self._learn_ends(touched)
        for (number, topic), offset in doubted.items():
            log.warning("asking again for records that did not come", topic=topic, partition=number, offset=offset)
            self._consumer.seek(TopicPartition(topic, number, offset))

    def _learn_ends(self, touched: set[tuple[int, str]]) -> None:
        """Ask the library how far the broker said these partitions go; not under the lock, each call yields."""
        for number, topic in touched:
            lane = self._lanes.get(number)
            if lane is not None:
                _, end = self._consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
                lane.ends[topic] = int(end)

    def _accept(self, message: Message, touched: set[tuple[int, str]], doubted: dict[tuple[int, str], int]) -> None:
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            self._on_error(error, message)
            return
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        lane = None if partition is None else self._lanes.get(partition)
        if lane is None or topic is None or offset is None or (lane.no, topic) in doubted:
            return
        if topic in lane.unproven and not lane.proves(topic, offset):
            doubted[lane.no, topic] = lane.fetched[topic]
            return
        if error is not None:
            lane.fetched[topic] = lane.ends[topic] = max(lane.fetched[topic], offset)
            return
        record = from_kafka(message)
        if record.offset >= lane.fetched[record.topic]:
            lane.fetched[record.topic] = record.offset + 1
            lane.buffer.add(record)
            touched.add((lane.no, record.topic))

    def _on_error(self, error: KafkaError, message: Message) -> None:
        code, topic, partition = error.code(), message.topic(), message.partition()
        if code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            self._watch_topics()  # in a topic made anew no position of ours holds: then that is the reason
            self._leave(
                Exit.LOG_LOST,
                f"{topic}/{partition}: the log no longer holds our position ({error.str()}). "
                "See what was lost, and decide: claimhub positions ls",
            )
        elif code == KafkaError.INCONSISTENT_GROUP_PROTOCOL:
            self._leave(
                Exit.LANES_NOT_WHOLE,
                f"Kafka does not let this worker into the group {self._settings.group}: a member of it does not use "
                "the range assignor, and others split lanes. End that member, or set CLAIMHUB_GROUP to another group",
            )
        elif error.fatal():
            self._leave(Exit.KAFKA, f"the Kafka client cannot go on: {error.str()}")
        else:
            log.warning("kafka", code=error.name(), topic=topic, partition=partition)

    def _next_batch(self, lane: Lane) -> Batch | None:
        """The lane's next batch, in flight from now on; none while one is. Consumer thread or pool thread."""
        with self._lock:
            if lane.busy or lane.dead or lane.stopped or (self._at_work and self._one_at_a_time()):
                return None
            records = self._records(lane)
            due_by_ms = self._due_by_ms(lane)
            if not records and due_by_ms is None and not self._may_step_over(lane):
                return None
            positions = dict(lane.positions)
            for record in records:
                positions[record.topic] = record.offset + 1
            if not lane.buffer.size:
                positions.update(lane.fetched)
            lane.busy = True
            self._at_work.add(lane)
        return Batch(lane, records, positions, due_by_ms)

    def _one_at_a_time(self) -> bool:
        """Whether a lane that is taken carefully is at work or wants to be: while its suspect is at work no other batch
        may be, or the process might end in that one and the suspect be blamed."""
        careful = [lane for lane in (*self._at_work, *self._lanes.values()) if lane.careful and not lane.stopped]
        return any(lane.busy or lane.buffer.size for lane in careful)

    def _records(self, lane: Lane) -> list[Received]:
        if not lane.buffer.size:
            return []
        most = 1 if lane.careful else self._settings.batch_records
        records = lane.buffer.take(most, lane.at_end)
        if records:
            lane.blocked_since = None
            return records
        now = self._clock.monotonic()
        if lane.blocked_since is None:
            lane.blocked_since = now
        elif now - lane.blocked_since > _PATIENCE_S:  # a partition without a leader must not hold the others
            lane.blocked_since = None
            behind = [topic for topic in INBOUND if not lane.buffer.held(topic) and not lane.at_end(topic)]
            log.warning("not waiting for partitions that do not answer", lane=lane.no, topics=behind)
            return lane.buffer.take(most, lambda topic: True)
        return []

    def _due_by_ms(self, lane: Lane) -> int | None:
        """Once a second a lane asks which of its claims' clocks are due: by the time now. None: not this time."""
        now = self._clock.monotonic()
        if now - lane.asked_at < _ASK_DUE_S:
            return None
        lane.asked_at = now
        return int(self._clock.time() * 1000)

    def _may_step_over(self, lane: Lane) -> bool:
        """Offsets that only control records fill are stepped over when idle, once a second."""
        if lane.fetched == lane.positions or lane.buffer.size:
            return False
        now = self._clock.monotonic()
        if now - lane.stepped_at < _STEP_OVER_S:
            return False
        lane.stepped_at = now
        return True

    def _hold_or_go_on(self, lane: Lane) -> None:
        """Pause a partition that is far ahead of its lane, resume it when the lane has caught up."""
        for topic in INBOUND:
            held = lane.buffer.held(topic)
            if topic not in lane.paused:
                if held > _HOLD_RECORDS:
                    lane.paused.add(topic)
                    self._consumer.pause([TopicPartition(topic, lane.no)])
            elif held <= _GO_ON_RECORDS:
                lane.paused.discard(topic)
                lane.unproven[topic] = False
                self._consumer.resume([TopicPartition(topic, lane.no)])

    # -- lanes come and go

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        topics_by_lane: dict[int, set[str]] = defaultdict(set)
        for place in partitions:
            topics_by_lane[place.partition].add(place.topic)
        split = sorted(lane for lane, topics in topics_by_lane.items() if topics != set(INBOUND))
        if split:
            self._leave(
                Exit.LANES_NOT_WHOLE,
                f"lanes {split} were assigned without all their topics: every claim topic needs the same number of "
                "partitions and every worker of the group the range assignor. Run: claimhub topics apply --dry-run",
            )
        with self._lock:
            self._wanted.update(dict.fromkeys(topics_by_lane, 0.0))
        self._take()
        self._apply_assignment()

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._drop({place.partition for place in partitions}, _REVOKE_WAIT_S, Dropped.REVOKED)
        consumer.unassign()

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._drop({place.partition for place in partitions}, 0.0, Dropped.REVOKED)
        consumer.unassign()

    def _take(self) -> bool:
        """Take the lanes that are due; whether there are new ones."""
        now = self._clock.monotonic()
        due = sorted(lane for lane, at in self._wanted.items() if at <= now)
        if not due:
            return False
        try:
            taken, late = take_lanes(self._cluster, self._ledger, self._owner, due, self._settings.lanes)
            self._wait_for_owners(late, now)
        except (LedgerUnavailable, ClusterUnavailable) as error:
            log.warning("lanes not taken yet", error=str(error))
            self._health.set("intake", ok=False, reason=str(error))
            with self._lock:
                self._wanted.update(dict.fromkeys(due, now + _RETAKE_S))
            return False
        except CannotGoOn as error:
            self._leave(error.code, str(error))
        settings = self._settings
        lanes = [Lane(lane, settings.lanes, RelayLane(lane.lane, lane.token), settings.batch_records) for lane in taken]
        with self._lock:
            for lane in lanes:
                self._lanes[lane.no] = lane
                self._wanted.pop(lane.no, None)
                self._locked_since.pop(lane.no, None)
        for lane in lanes:
            self._relay.add(lane.relay)
            log.info("lane taken", lane=lane.no, token=lane.token)
        for died in (lane for lane in taken if lane.deaths >= DEATHS or lane.suspect is not None):
            log.warning("lane is taken record by record", lane=died.lane, count=died.deaths, ref=died.suspect)
        self._health.set("intake", ok=True)
        self._metrics.lanes_owned.set(len(self._lanes))
        return bool(lanes)

    def _wait_for_owners(self, late: list[int], now: float) -> None:
        """A lane still locked belongs to a commit that is under way, or to a frozen owner whose session is ended."""
        frozen = [lane for lane in late if now - self._locked_since.setdefault(lane, now) > _FROZEN_S]
        if frozen:
            ended = self._ledger.end_frozen_owner(frozen)
            log.warning("ended the sessions of a frozen owner", count=ended)
        with self._lock:
            self._wanted.update(dict.fromkeys(late, now + 0.1))

    def _apply_assignment(self) -> None:
        """Hand the whole assignment to the library, each partition at its lane's own next offset."""
        with self._lock:
            places = [TopicPartition(t, lane.no, o) for lane in self._lanes.values() for t, o in lane.fetched.items()]
            for lane in self._lanes.values():
                lane.paused.clear()
                lane.unproven = dict.fromkeys(lane.fetched, False)
        self._consumer.assign(places)
        if places:
            self._consumer.resume(places)  # a pause outlives assign() in the library

    def _drop(self, numbers: set[int], wait_s: float, why: Dropped) -> None:
        """Let go of lanes; wait a little for what is in flight, since the next owner would have to wait for it too."""
        with self._lock:
            lanes = [self._lanes[number] for number in numbers if number in self._lanes]
            for number in numbers:
                self._wanted.pop(number, None)
            for lane in lanes:
                self._let_go(lane)
        self._relay.wake()
        end = self._clock.monotonic() + wait_s
        while self._clock.monotonic() < end and any(lane.busy or self._relay.pending(lane.relay) for lane in lanes):
            self._clock.sleep(0.005)
        self._let_go_in_ledger(lanes)
        for lane in lanes:
            self._health.forget(f"lane {lane.no}")
        self._watch.forget(numbers)
        self._metrics.lanes_dropped.labels(why).inc(len(lanes))
        self._metrics.lanes_owned.set(len(self._lanes))

    def _let_go(self, lane: Lane) -> None:
        lane.dead = lane.relay.dead = True
        lane.buffer.clear()
        if self._lanes.get(lane.no) is lane:
            del self._lanes[lane.no]

    def _let_go_in_ledger(self, lanes: Sequence[Lane]) -> None:
        """So that the next owner does not think this one dead; not while the database keeps a batch waiting."""
        if not lanes or any(lane.busy for lane in lanes):
            return
        try:
            self._ledger.let_go({lane.no: lane.token for lane in lanes})
        except LedgerUnavailable as error:
            log.warning("lanes not let go of in the ledger", error=str(error))

    def _stop_lane(self, lane: Lane) -> None:
        limit = self._settings.dead_letter_limit
        lane.stopped = (
            f"lane {lane.no} stopped after {limit} dead letters in a row; see: claimhub dead-letters ls. Undo what "
            "made them, in the sender or in the hub, start this worker again, then: claimhub dead-letters redrive"
        )
        self._health.set(f"lane {lane.no}", ok=False, reason=lane.stopped)
        self._metrics.lanes_dropped.labels(Dropped.DEAD_LETTERS).inc()
        log.error("lane stopped", lane=lane.no, count=limit, reason=lane.stopped)

    # -- now and then

    def _watch_topics(self) -> None:
        """A topic that is deleted and created again is otherwise read on silently."""
        if self._cluster.memory_only or not self._lanes:
            return
        try:
            self._ledger.check_topics(self._cluster.identities(tuple(TOPICS)))
        except (TopicChanged, TopicsMissing) as error:
            self._leave(Exit.TOPIC_CHANGED, str(error))
        except (LedgerUnavailable, ClusterUnavailable) as error:
            log.warning("topics not checked", error=str(error))

    def _tell_kafka(self) -> None:
        """Kafka's committed offset is for lag tools only; the ledger's position is the truth."""
        with self._lock:
            places = [TopicPartition(t, lane.no, o) for lane in self._lanes.values() for t, o in lane.positions.items()]
        if places:
            try:
                self._consumer.commit(offsets=places, asynchronous=True)
            except KafkaException as error:
                log.warning("offsets not told to Kafka", code=error.args[0].name())

    def _embedded_backlog(self) -> bool:
        """The embedded broker forgets with the process: what it still holds is applied before the hub stops."""
        if not self._cluster.memory_only:
            return False
        if self._deadline is None:
            self._deadline = self._clock.monotonic() + _STOP_WAIT_S
        if self._clock.monotonic() > self._deadline:
            return False
        with self._lock:
            lanes = list(self._lanes.values())
            at_work = any(lane.busy or lane.relay.owe or self._relay.pending(lane.relay) for lane in lanes)
            at = {(topic, lane.no): offset for lane in lanes for topic, offset in lane.positions.items()}
            stopped = {lane.no for lane in lanes if lane.stopped is not None}
        return at_work or self._embedded_log_goes_on(at, stopped)

    def _embedded_log_goes_on(self, at: dict[tuple[str, int], int], stopped: set[int]) -> bool:
        """Whether the broker itself has more than `at`: not all that was sent has been fetched, or its lane taken."""
        try:
            ends = self._cluster.bounds(INBOUND, set(range(self._settings.lanes)) - stopped)
        except ClusterUnavailable:
            return True
        return any(end > at.get(place, 0) for place, (_, end) in ends.items())

    def _drain(self) -> None:
        self._drop(set(self._lanes), _STOP_WAIT_S, Dropped.STOPPED)
        self._ledger.cancel()
        self._relay.close(_STOP_WAIT_S)
        self._consumer.close()
