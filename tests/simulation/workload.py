"""What departments say in one seed: a few claims, in phases; within a phase any order of arrival leads to one ledger.

Records of one claim wait for each other (an invoice for its estimate, all for the notice), so the order between topics
does not matter. Where it would, the later record comes in a later phase: once the hub has nothing left to do.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from random import Random
from typing import Final, NamedTuple

from schemas.partitioner import partition_for
from schemas.records import PaymentStatusCode, Record, Role, Wake, WakeKind
from schemas.topics import TOPICS, Key
from sinks.deliveries import Place
from streams.rules.payments import instruction_id, payee_digest
from tests import claims as make
from tests.lane import CODEC, TOPIC_OF

LANES: Final = 2
WORKLOADS: Final = 40
_SETTLED_MINOR: Final = 2_300_00  # the usual estimate and invoice, less the deductible
_NEW_IN_LANE: Final = ("C-last-1", "C-last-4")
KILLER: Final = b"\x00kill"
_UNKNOWN_SCHEMA: Final = b"\x00\x00\x0f\x42\x3f"


class Sent(NamedTuple):
    """One record as a department sends it; None as place's record is the mark of a transaction."""

    place: Place
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


Phase = list[Sent | Place]
"""Records in the order of sending; a place alone is an offset that holds none."""


@cache
def workload(number: int) -> tuple[Phase, ...]:
    """One of the workloads, the same whenever it is asked for."""
    return tuple(_Story(Random(number)).phases())


class _Story:
    """The last phase has one record for each lane, so that whoever thinks to hold a lane has something to do."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._events = 0
        self._phases: list[list[list[Sent]]] = [[], [], [], [], []]

    def phases(self) -> Iterator[Phase]:
        """The claims' records, shuffled: only those of one claim and topic keep their order."""
        kinds: list[Callable[[str], None]] = [
            self._plain,
            self._late_policy,
            self._surveyed,
            self._held,
            self._poison,
            self._overdue,
        ]
        if self._random.random() < 0.15:
            self._killer("C-killer")
        for number, kind in enumerate([self._plain, *self._random.choices(kinds, k=self._random.randrange(1, 4))]):
            kind(f"C-{self._random.randrange(100)}{number}")
        self._phases[4] = [[self._sent(make.document(claim=claim))] for claim in _NEW_IN_LANE]
        for streams in self._phases:
            yield list(self._shuffled(streams))

    def _shuffled(self, streams: list[list[Sent]]) -> Iterator[Sent | Place]:
        waiting = [list(stream) for stream in streams if stream]
        while waiting:
            stream = self._random.choice(waiting)
            sent = stream.pop(0)
            yield sent
            if self._random.random() < 0.1:
                yield sent  # the sender got no answer, and sent it again
            if self._random.random() < 0.1:
                yield sent.place
            waiting = [stream for stream in waiting if stream]

    def _plain(self, claim: str) -> None:
        """Paid without a person; its records come in any order."""
        self._phases[1] += self._settled(claim)
        self._phases[1].append([self._notice(claim)])

    def _late_policy(self, claim: str) -> None:
        """The policy comes after all else."""
        self._phases[1] += [[self._notice(claim, policy_phase=2)], *self._settled(claim)]

    def _surveyed(self, claim: str) -> None:
        """Looked at by a surveyor, decided by a handler, with documents nobody needs."""
        decision = self._sent(make.decision(Role.HANDLER, claim=claim))
        self._phases[1] += [
            [self._notice(claim, photos=())],
            [self._sent(make.finding(claim=claim))],
            [decision],
        ]
        self._phases[2] += self._settled(claim)
        self._phases[3].append([self._sent(make.document(claim=claim, document_id=f"D-{n}")) for n in range(3)])

    def _held(self, claim: str) -> None:
        """A record under a schema nobody knows holds the claim; an operator's retry does not help."""
        self._phases[1].append([self._notice(claim)])
        estimate = self._sent(make.estimate(claim=claim))
        self._phases[2].append([estimate._replace(value=_UNKNOWN_SCHEMA + b"later")])
        retry = Wake(claim=claim, kind=WakeKind.RETRY, policy_number=make.POLICY, at_ms=make.LOSS_MS)
        self._phases[3] += [[self._sent(make.document(claim=claim)), self._sent(make.document(claim=claim))]]
        self._phases[3] += [[self._sent(make.invoice(claim=claim))], [self._sent(retry)]]

    def _poison(self, claim: str) -> None:
        """What can never be read: no Avro, no key, another partition's key, another claim's record, nothing."""
        good = self._sent(make.estimate(claim=claim))
        topic, lane = good.place
        self._phases[self._random.randrange(1, 4)].append(
            [
                good._replace(value=b"no Avro \xff"),
                good._replace(key=None),
                good._replace(place=(topic, 1 - lane)),
                self._sent(make.estimate(claim="another"), claim),
                good._replace(value=None),
            ]
        )

    def _killer(self, claim: str) -> None:
        """A record that ends every process that reads it."""
        estimate = self._sent(make.estimate(claim=claim))
        self._phases[2] += [[estimate._replace(value=KILLER)], [self._notice(claim)]]

    def _overdue(self, claim: str) -> None:
        """Said so long ago that its clocks have run out, one after the other, before anything else comes."""
        self._phases[1].append([self._notice(claim, said="2026-01-05")])
        self._phases[2] += self._settled(claim)

    def _notice(
        self, claim: str, policy_phase: int = 0, said: str = "2026-04-01", photos: tuple[str, ...] | None = None
    ) -> Sent:
        """The claim's notice; its policy comes in its phase. No other claim has the policy, vehicle, phone or account:
        what they have in common they would tell of each other in the order of arrival."""
        policy = make.policy(policy_number=f"P-{claim}", plate=make.plate(claim))
        self._phases[policy_phase].append([self._sent(policy)])
        kept = {} if photos is None else {"photos": photos}
        told = make.notice(claim=claim, policy_number=policy.policy_number, plate=policy.plate, **kept)
        return self._sent(told, said=said)

    def _settled(self, claim: str) -> list[list[Sent]]:
        """Estimate, invoice, and what finance says of the instruction these lead to."""
        instruction = instruction_id(claim, 1, payee_digest(make.payee(claim)), 1)
        last = self._random.choice((PaymentStatusCode.ACSC, PaymentStatusCode.RJCT))
        said = [
            self._sent(make.payment_status(instruction, _SETTLED_MINOR, code, claim=claim))
            for code in (PaymentStatusCode.RCVD, last)
        ]
        return [[self._sent(make.estimate(claim=claim))], [self._sent(make.invoice(claim=claim))], said]

    def _sent(self, record: Record, key: str = "", said: str = "2026-04-01") -> Sent:
        topic = TOPIC_OF[type(record)]
        if not key:
            key = getattr(record, "policy_number" if TOPICS[topic].key is Key.POLICY else "claim")
        self._events += 1
        headers: list[tuple[str, bytes | None]] = [
            ("ce_id", b"%d" % self._events),
            ("ce_source", b"test"),
            ("ce_time", f"{said}T08:{self._events // 60:02}:{self._events % 60:02}.000Z".encode()),
        ]
        return Sent((topic, partition_for(key.encode(), LANES)), key.encode(), CODEC.encode(topic, record), headers)


def records(phases: Iterable[Phase]) -> int:
    """How many records there are in all."""
    return sum(isinstance(item, Sent) for phase in phases for item in phase)
