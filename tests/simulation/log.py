"""A Kafka in memory: topics, a consumer group with rebalances, producers whose reports come late or say no."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from sinks.deliveries import Place
from sinks.ledger.port import TopicIdentity
from streams.cluster import ClusterUnavailable
from tests.simulation.faults import RARELY, Faults
from tests.simulation.ledger import MemoryTables
from tests.simulation.scheduler import EPOCH_S, Killed, Process, Scheduler

Headers = list[tuple[str, bytes | None]]
Callback = Callable[[Consumer, list[TopicPartition]], None]
Report = Callable[[KafkaError | None, Any], None]

_SESSION_S: Final = 6.0
_HEARTBEAT_S: Final = 1.0
_IN_FLIGHT_S: Final = 1.0  # how long a dead or frozen producer's requests may still be on their way
_AT_END: Final = KafkaError(KafkaError._PARTITION_EOF)


class Record:
    """A record in the log, or with an error a note of the client's: what confluent-kafka calls a message."""

    __slots__ = ("_at_ms", "_error", "_headers", "_key", "_offset", "_partition", "_topic", "_value")

    def __init__(
        self,
        place: Place,
        offset: int | None,
        key: bytes | None = None,
        value: bytes | None = None,
        headers: Headers | None = None,
        at_ms: int = 0,
        error: KafkaError | None = None,
    ) -> None:
        self._topic, self._partition = place
        self._offset = offset
        self._key = key
        self._value = value
        self._headers = headers
        self._at_ms = at_ms
        self._error = error

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int | None:
        return self._offset

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> Headers | None:
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        return 2, self._at_ms

    def error(self) -> KafkaError | None:
        return self._error


class Log:
    """The topics, `lanes` partitions each, and the consumer group. None in a partition is a control record.

    `wrong` tells of outputs that should not have come: the ledger's `out_next` says what a reading back would show.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        faults: Faults,
        topics: Iterable[str],
        lanes: int,
        tables: MemoryTables,
    ) -> None:
        self.scheduler = scheduler
        self.faults = faults
        self.lanes = lanes
        self.topics = tuple(topics)
        self.partitions: dict[Place, list[Record | None]] = {
            (topic, partition): [] for topic in self.topics for partition in range(lanes)
        }
        self.wrong: list[str] = []
        self._tables = tables
        self._arrived: dict[tuple[int, int], int] = {}
        self.group = Group(scheduler, lanes)

    def append(self, place: Place, key: bytes | None, value: bytes | None, headers: Headers) -> Record:
        """The broker takes a record, and gives it its own time."""
        records = self.partitions[place]
        at_ms = int((EPOCH_S + self.scheduler.now) * 1000)
        record = Record(place, len(records), key, value, headers, at_ms)
        records.append(record)
        return record

    def publish(
        self, place: Place, key: bytes, value: bytes, headers: Headers, sender: Process, token: int, *, given_up: bool
    ) -> Record:
        """The broker takes an output of a lane. What comes late, from a process that is dead, was frozen, or holds the
        lane no more (or anew, under another token), or from a producer it has `given_up`, can double what was sent
        after the log was read back."""
        said = dict(headers)
        number = lane, _ = int(said["lane"] or b""), int(said["seq"] or b"")
        holder = self._tables.lanes[lane]
        mine = (holder.owner, holder.token) == (sender.name, token)
        late = given_up or not sender.alive or sender.frozen_until > 0 or not mine
        known = self._tables.out_next.get((lane, *place))
        if known is None:
            self.wrong.append(f"output {number} went to {place} before the ledger knew that place")
        elif self._arrived.get(number, -1) >= known and not late:
            self.wrong.append(f"output {number} came again to {place}: reading back from {known} would have found it")
        record = self.append(place, key, value, headers)
        if not late:
            self._arrived[number] = len(self.partitions[place]) - 1
        return record

    def token_of(self, headers: Headers) -> int:
        """The token that the lane of an output is held under now."""
        return self._tables.lanes[int(dict(headers)["lane"] or b"")].token

    def append_control(self, place: Place) -> None:
        """An offset that no reader gets: the mark of a sender's transaction."""
        self.partitions[place].append(None)


class Group:
    """The consumer group: the classic protocol with eager rebalances and the range assignor."""

    def __init__(self, scheduler: Scheduler, lanes: int) -> None:
        self._scheduler = scheduler
        self._lanes = lanes
        self._rejoined: dict[SimulatedConsumer, bool] = {}
        self._told_at: dict[SimulatedConsumer, float] = {}
        self._assigned: dict[SimulatedConsumer, list[int]] = {}
        self._rebalancing = False
        self.holders: dict[int, Process] = {}

    def holds(self, consumer: "SimulatedConsumer") -> bool:
        """Whether the consumer is a member."""
        return consumer in self._rejoined

    def join(self, consumer: "SimulatedConsumer") -> None:
        """A new member, which has no lanes to give back."""
        self._rejoined[consumer] = True
        self.rebalance()
        self._rejoined[consumer] = True
        self._complete()

    def leave(self, consumer: "SimulatedConsumer") -> None:
        """A member left, or was silent for longer than its session."""
        if self._rejoined.pop(consumer, None) is not None:
            self._scheduler.say(f"-- {consumer.process.name} is out of the group")
            self._assigned.pop(consumer, None)
            self.rebalance()
            self._complete()

    def rebalance(self) -> None:
        """Every member must give back its lanes and join again; each hears of it with its next heartbeat."""
        self._rebalancing = True
        for consumer in self._rejoined:
            self._rejoined[consumer] = False
            self._told_at[consumer] = self._scheduler.now + _HEARTBEAT_S * self._scheduler.random.random()

    def must_rejoin(self, consumer: "SimulatedConsumer") -> bool:
        """Whether the member has heard that it must give back its lanes."""
        return self._rebalancing and not self._rejoined[consumer] and self._told_at[consumer] <= self._scheduler.now

    def rejoin(self, consumer: "SimulatedConsumer") -> None:
        """The member has given back its lanes, those it was not told of yet included."""
        if consumer in self._rejoined:
            self._assigned.pop(consumer, None)
            self._rejoined[consumer] = True
            self._complete()

    def assigned(self, consumer: "SimulatedConsumer") -> list[int] | None:
        """The lanes given to the member, once."""
        return self._assigned.pop(consumer, None)

    def _complete(self) -> None:
        if not self._rebalancing or not all(self._rejoined.values()):
            return
        self._rebalancing = False
        members = list(self._rejoined)
        self._scheduler.random.shuffle(members)
        for number, consumer in enumerate(members):
            share = [lane for lane in range(self._lanes) if lane * len(members) // self._lanes == number]
            self._assigned[consumer] = share
            self.holders.update(dict.fromkeys(share, consumer.process))
        self._scheduler.say(f"-- group: {', '.join(f'{c.process.name} {s}' for c, s in self._assigned.items())}")


class SimulatedConsumer:
    """A consumer of one process. Records of different partitions come in any order, those of one in the log's."""

    def __init__(self, log: Log, process: Process, options: Mapping[str, Any]) -> None:
        self.process = process
        self._log = log
        self._options = options
        self._next: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}  # as the broker said with the last fetch
        self._told_end: dict[Place, int] = {}
        self._paused: set[Place] = set()  # outlives assign(), as in the library
        self._topics: Sequence[str] = ()
        self._held: list[int] | None = None

    # -- in a group

    def subscribe(self, topics: Sequence[str], *, on_assign: Callback, on_revoke: Callback, on_lost: Callback) -> None:
        assert self._options["auto.offset.reset"] == "error", "the ledger alone says where to read on"
        assert self._options["partition.assignment.strategy"] == "range", "a lane must stay whole"
        assert not self._options["enable.auto.commit"]
        self._topics = topics
        self._on_assign, self._on_revoke, self._on_lost = on_assign, on_revoke, on_lost
        self.process.on_silence.append(self._may_be_forgotten)

    def poll(self, timeout_s: float) -> Record | None:
        self._call("poll", RARELY)
        if self._serve_group():
            return None
        found = self._fetch(1)
        if not found:
            self._idle(timeout_s)
        return found[0] if found else None

    def consume(self, most: int, timeout_s: float) -> list[Record]:
        self._call("consume", RARELY)
        found = self._fetch(most)
        if not found:
            self._idle(timeout_s)
        return found

    def commit(self, offsets: list[TopicPartition], *, asynchronous: bool) -> None:
        self._call("commit offsets")
        if self._log.faults.loses("broker", "commit offsets"):
            raise KafkaException(KafkaError(KafkaError._NO_OFFSET))

    def close(self) -> None:
        self._call("close")
        if self._topics and self._log.group.holds(self):
            if self._held is not None:
                self._give_back(self._on_revoke)
            self._log.group.leave(self)

    def get_watermark_offsets(self, place: TopicPartition, *, cached: bool) -> tuple[int, int]:
        assert cached, "asking the broker for each batch would be slow"
        return 0, self._ends.get((place.topic, place.partition), -1001)

    def _may_be_forgotten(self) -> None:
        scheduler = self._log.scheduler

        def forget() -> None:
            if not self.process.alive or self.process.frozen_until > scheduler.now:
                self._log.group.leave(self)

        scheduler.later(_SESSION_S, forget)

    def _serve_group(self) -> bool:
        """What a poll does first: tell what became of the lanes. Whether there was something to tell."""
        group = self._log.group
        if not self._topics:
            return False
        if not group.holds(self):
            if self._held is not None:
                self._give_back(self._on_lost)
            group.join(self)
            return True
        if group.must_rejoin(self):
            if self._held is not None:
                self._give_back(self._on_revoke)
            group.rejoin(self)
            return True
        lanes = group.assigned(self)
        if lanes is None:
            return False
        self._held = lanes
        self._on_assign(self._self, self._places(lanes))
        return True

    def _give_back(self, tell: Callback) -> None:
        lanes, self._held = self._held or [], None
        tell(self._self, self._places(lanes))

    def _places(self, lanes: list[int]) -> list[TopicPartition]:
        return [TopicPartition(topic, lane) for topic in self._topics for lane in lanes]

    @property
    def _self(self) -> Consumer:
        return cast(Consumer, self)

    # -- reading

    def assign(self, places: list[TopicPartition]) -> None:
        self._call("assign")
        self._next = {(it.topic, it.partition): it.offset for it in sorted(places, key=_by_place)}
        self._told_end.clear()
        for place, offset in self._next.items():
            there = len(self._log.partitions[place])
            if offset < there and self._log.faults.loses("skip", "assign"):
                self._next[place] = there  # as a library that goes on where another assignment had come to

    def unassign(self) -> None:
        self._call("unassign")
        self._next.clear()

    def seek(self, place: TopicPartition) -> None:
        self._call("seek")
        self._next[place.topic, place.partition] = place.offset
        self._told_end.pop((place.topic, place.partition), None)

    def pause(self, places: list[TopicPartition]) -> None:
        self._paused |= {(it.topic, it.partition) for it in places}

    def resume(self, places: list[TopicPartition]) -> None:
        self._paused -= {(it.topic, it.partition) for it in places}

    def offsets_for_times(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self._call("log ends")
        if self._log.faults.loses("broker", "log ends"):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return [
            TopicPartition(it.topic, it.partition, len(self._log.partitions[it.topic, it.partition])) for it in places
        ]

    def _fetch(self, most: int) -> list[Record]:
        """Up to `most` records of partitions in any order, and a note at each partition's end."""
        log, random = self._log, self._log.scheduler.random
        there = [
            place for place, offset in self._next.items() if place not in self._paused and self._has_news(place, offset)
        ]
        found: list[Record] = []
        while there and len(found) < most:
            place = there[int(random.random() * len(there))]
            records, offset = log.partitions[place], self._next[place]
            if offset and log.faults.loses("again", "fetch"):
                offset -= 1  # the broker sends a record once more
            end = self._ends[place] = len(records)
            for record in records[offset : offset + 1 + int(random.random() * 4)]:
                offset += 1
                if record is not None:
                    found.append(record)
                if len(found) == most:
                    break
            self._next[place] = offset
            if offset == end and len(found) < most:
                self._told_end[place] = end
                found.append(Record(place, end, error=_AT_END))
            if not self._has_news(place, offset):
                there.remove(place)
        return found

    def _has_news(self, place: Place, offset: int) -> bool:
        end = len(self._log.partitions[place])
        return offset < end or self._told_end.get(place) != end

    def _idle(self, timeout_s: float) -> None:
        scheduler = self._log.scheduler
        scheduler.pause(timeout_s + 0.6 * scheduler.random.random())
        if not self.process.alive:
            raise Killed

    def _call(self, what: str, weight: float = 1.0) -> None:
        self._log.faults.strike(self.process, f"consumer.{what}" if self._topics else f"reader.{what}", weight)


class SimulatedProducer:
    """An idempotent producer: records of one partition arrive in order, those of several in any; reports wait for a
    poll. What a process had handed over when it died or froze may still arrive."""

    def __init__(self, log: Log, process: Process, options: Mapping[str, Any]) -> None:
        assert options["enable.idempotence"], "a retry of the library would double a record"
        assert options["message.timeout.ms"] == 0
        self.process = process
        self._log = log
        self._waiting: dict[Place, deque[tuple[bytes, bytes, Headers, Report, int]]] = {}
        self._reports: deque[tuple[Report, KafkaError | None, Record]] = deque()
        self._gapless = options.get("enable.gapless.guarantee", False)
        self._sending = False
        self._fatal = False

    def produce(
        self, topic: str, value: bytes, key: str, partition: int, *, on_delivery: Report, headers: Headers
    ) -> None:
        self._call("produce", RARELY)
        self._check_fatal()
        if self._log.faults.loses("full", "produce"):
            raise BufferError
        waiting = self._waiting.setdefault((topic, partition), deque())
        waiting.append((key.encode(), value, headers, on_delivery, self._log.token_of(headers)))
        self._send_soon()

    def poll(self, timeout_s: float) -> int:
        self._call("poll", RARELY)
        self._check_fatal()
        return self._serve()

    def purge(self) -> None:
        self._call("purge")
        for place, waiting in self._waiting.items():
            error = KafkaError(KafkaError._PURGE_QUEUE)
            self._reports.extend((report, error, Record(place, None)) for *_, report, _ in waiting)
        self._waiting.clear()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values())) + len(self._reports)

    def _serve(self) -> int:
        count = 0
        while self._reports:
            report, error, record = self._reports.popleft()
            report(error, record)
            count += 1
        return count

    def _check_fatal(self) -> None:
        if not self._fatal and any(self._waiting.values()) and self._log.faults.loses("fatal", "producer"):
            self._fatal = True
        if self._fatal:
            raise KafkaException(KafkaError(KafkaError._FATAL, "out of sequence", fatal=True))

    def _send_soon(self) -> None:
        if not self._sending:
            self._sending = True
            slowly = self._fatal or not self.process.alive
            wait_s = (_IN_FLIGHT_S if slowly else self._log.faults.delivery_s) * self._log.scheduler.random.random()
            self._log.scheduler.later(wait_s, self._send)

    def _send(self) -> None:
        """The library's own thread and the network, one request a time."""
        self._sending = False
        scheduler = self._log.scheduler
        lost = self._fatal or not self.process.alive
        if (lost or self.process.frozen_until > scheduler.now) and scheduler.random.random() < 0.5:
            # This request had not left; what had, arrives.
            if lost:
                self._waiting.clear()
            else:
                self._sending = True
                scheduler.later(self.process.frozen_until - scheduler.now, self._send)
            return
        places = [place for place, waiting in self._waiting.items() if waiting]
        if not places:
            return
        place = places[int(scheduler.random.random() * len(places))]
        if self._log.faults.loses("delivery", "delivery"):
            self._refuse(place)
        else:
            self._deliver(place, 1 + int(scheduler.random.random() * 4))
        if any(self._waiting.values()):
            self._send_soon()

    def _deliver(self, place: Place, most: int) -> None:
        waiting = self._waiting[place]
        for _ in range(min(most, len(waiting))):
            key, value, headers, report, token = waiting.popleft()
            record = self._log.publish(place, key, value, headers, self.process, token, given_up=self._fatal)
            # Of a request the broker had already taken, the answer has no offset.
            known = self._log.scheduler.random.random() < 0.95
            self._reports.append((report, None, record if known else Record(place, -1001)))

    def _refuse(self, place: Place) -> None:
        """The broker refuses a request. What follows it in its partition goes out, unless the producer must leave no
        gap: then nothing more does, and it is of no more use."""
        error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
        waiting = self._waiting[place]
        *_, report, _ = waiting.popleft()
        if self._gapless:
            self._fatal = True
            waiting.clear()
        else:
            self._reports.append((report, error, Record(place, None)))

    def _call(self, what: str, weight: float = 1.0) -> None:
        self._log.faults.strike(self.process, f"producer.{what}", weight)


class SimulatedClients:
    """Makes one process's clients."""

    def __init__(self, log: Log, process: Process) -> None:
        self._log = log
        self._process = process

    def consumer(self, options: Mapping[str, Any]) -> Consumer:
        return cast(Consumer, SimulatedConsumer(self._log, self._process, options))

    def producer(self, options: Mapping[str, Any]) -> Producer:
        return cast(Producer, SimulatedProducer(self._log, self._process, options))


class SimulatedCluster:
    """What one process asks of the cluster beside records."""

    memory_only = False
    options: Mapping[str, str | int | float | bool] = {}

    def __init__(self, log: Log, process: Process) -> None:
        self._log = log
        self._process = process

    def identities(self, topics: Sequence[str]) -> list[TopicIdentity]:
        self._call("identities")
        return [TopicIdentity(topic, "first", self._log.lanes) for topic in topics]

    def bounds(self, topics: Iterable[str], partitions: Iterable[int]) -> dict[tuple[str, int], tuple[int, int]]:
        self._call("bounds")
        found = {
            (topic, partition): (0, len(self._log.partitions[topic, partition]))
            for partition in partitions
            for topic in topics
        }
        self._call("bounds answered")
        return found

    def close(self) -> None:
        """Nothing to let go of."""

    def _call(self, what: str) -> None:
        self._log.faults.strike(self._process, f"cluster.{what}")
        if self._log.faults.loses("broker", f"cluster.{what}"):
            raise ClusterUnavailable("the broker does not answer")


def _by_place(place: TopicPartition) -> Place:
    return place.topic, place.partition
