"""One lane without I/O: records in, rows out, as the engine decides them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from io import BytesIO
from itertools import chain
from typing import Final

import fastavro
import msgspec

from connectors.registry import EmbeddedRegistry
from schemas.codec import Codec
from schemas.records import Policy, Record
from schemas.topics import INBOUND, TOPICS, Direction, Key, avro_schema
from sinks.envelope import headers_of
from sinks.ledger.port import CoverUseRow, DeadRow, JournalRow, OutboxRow, ParkedRow, PaymentRow
from streams.decide import Decider, Effects, LaneState, Lookup, PeersKey, Place
from streams.received import Headers, Parser, Received
from streams.rules.clocks import next_at_ms
from streams.rules.decision import PeerLimit
from streams.rules.policy_file import PolicyFile
from streams.rules.traces import Shared, Trace
from tests.claims import LOSS_MS
from tests.keys import SIGN

TOPIC_OF: Mapping[type[Record], str] = {TOPICS[name].record: name for name in INBOUND}

CODEC: Final = Codec(EmbeddedRegistry(), 1_000_000)  # shared: it keeps the code made for every schema


class OneLane:
    """Lane 0 of one. Takes records in batches and keeps what the ledger would hold."""

    def __init__(self, policies: Iterable[Policy] = (), codec: Codec | None = None, limit: int = 1_000) -> None:
        self.codec = codec or CODEC
        self.state = LaneState(0, 1, 0, 0)
        self.known = {
            policy.policy_number: PolicyFile(number=policy.policy_number, versions=(policy,)) for policy in policies
        }
        self.left: dict[Trace, list[Shared]] = {}
        self.peers: dict[PeersKey, PeerLimit] = {}
        self.uses: dict[str, dict[tuple[str, str], CoverUseRow]] = {}
        self.journal: list[JournalRow] = []
        self.outbox: list[OutboxRow] = []
        self.dead: list[DeadRow] = []
        self.parked: dict[Place, ParkedRow] = {}
        self.payments: dict[str, PaymentRow] = {}
        self._offsets: dict[str, int] = defaultdict(int)
        self._limit = limit
        self._answered = 0

    def received(
        self, record: Record | bytes, topic: str = "", key: str | None = None, headers: Headers | None = None
    ) -> Received:
        """A record as Kafka would bring it next on its topic."""
        topic = topic or TOPIC_OF[type(record)]  # type: ignore[index]
        if isinstance(record, Record):
            field = "policy_number" if TOPICS[topic].key is Key.POLICY else "claim"
            value, key = self.codec.encode(topic, record), key or getattr(record, field)
        else:
            value = record
        offset = self._offsets[topic]
        self._offsets[topic] += 1
        return Received(topic, offset, None if key is None else key.encode(), value, headers or [], LOSS_MS + offset)

    def unchecked(self, record: Record, **changes: object) -> Received:
        """A record whose fields were changed after its class had checked them: what a careless sender may send."""
        topic = TOPIC_OF[type(record)]
        whole = self.codec.encode(topic, record)
        body = BytesIO()
        fields = {**msgspec.to_builtins(record), **changes}
        fastavro.schemaless_writer(body, fastavro.parse_schema(avro_schema(topic)), fields)
        return self.received(whole[:5] + body.getvalue(), topic, record.claim)  # type: ignore[attr-defined]

    def take(self, *records: Record | Received) -> Effects:
        """One batch."""
        batch = [record if isinstance(record, Received) else self.received(record) for record in records]
        parser = Parser(self.codec, 0, 1, dict.fromkeys(INBOUND, 1), self.state.known)
        for waiting in chain.from_iterable(self.state.parked.values()):
            if waiting.problem is not None:
                parser.again(waiting)
        parsed = [parser.parse(received) for received in batch]
        effects = self._decider().decide(parsed)
        self.keep(effects)
        return effects

    def pass_time(self, until_ms: int) -> None:
        """Send the ticks due by then and take them in, until nothing more is due."""
        while due := [claim for claim in self.state.claims.values() if (next_at_ms(claim) or until_ms + 1) <= until_ms]:
            decider = self._decider()
            decider.tick(due)
            self.keep(decider.effects)
            for row in decider.effects.outbox:
                tick = self.codec.decode(row.topic, row.value, [])
                self.take(self.received(tick, headers=headers_of(row)))

    def _decider(self) -> Decider:
        lookup = Lookup(self.known, self.left, self.peers, self.uses)
        return Decider(self.state, lookup, self.codec.encode, self._limit, SIGN)

    def keep(self, effects: Effects) -> None:
        """Keep what a batch led to."""
        self.known.update(self.state.policies)
        self.journal += effects.journal
        self.outbox += effects.outbox
        self.dead += effects.dead
        self.payments.update(effects.payments)
        for place in effects.parked_gone:
            del self.parked[place]
        self.parked.update(effects.parked)

    def answer_itself(self) -> None:
        """Bring back what the lane sent to lanes, itself the only one, until it sends nothing more."""
        while self._answered < len(self.outbox):
            row = self.outbox[self._answered]
            self._answered += 1
            if TOPICS[row.topic].direction is Direction.INTERNAL:
                self.take(self.codec.decode(row.topic, row.value, []))

    def outcomes(self) -> list[tuple[str, str]]:
        """Topic and outcome of each journal row, in order."""
        return [(row.topic, row.outcome) for row in self.journal]
