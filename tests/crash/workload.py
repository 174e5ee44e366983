"""What departments say in one round, drawn from its seed: whatever order its records are fetched in, one ledger.

Kafka orders a claim's records within a topic only, and a fault decides which topic is read first. So a story is told in
steps. Within a step the order of application is forced: each record of a claim waits (parked) for the one before it, or
stands behind it in the same topic, or changes nothing. Where two records of a claim could be applied in either order,
they stand in different steps, and the second step is sent once the ledger has taken the first.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from schemas.partitioner import partition_for
from schemas.records import (
    DecisionAction,
    Fault,
    PaymentInstruction,
    PaymentStatus,
    PaymentStatusCode,
    Policy,
    Record,
    Role,
    Wake,
    WakeKind,
)
from schemas.topics import INSTRUCTIONS
from streams.rules.admission import ESTIMATE
from streams.rules.amounts import query_id
from tests import claims as make
from tests.lane import CODEC, TOPIC_OF, OneLane

LANES: Final = 4
MARK: Final = "sent"
"""The header that tells a record of the workload from the hub's own: its seed and number."""

POISON: Final = (b"", b"PK\x03\x04 a spreadsheet", b"\xff\xfe")
UNKNOWN_SCHEMA: Final = b"\x00\x00\x98\x96\x7f written by a schema nobody registered"


class Told(Struct, frozen=True):
    """One record as it goes to Kafka; `number` is its place in the plan."""

    number: int
    topic: str
    partition: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Step(Struct, frozen=True):
    """Records that may be sent at once, and the (policy, claims) that must have been asked for before the next step."""

    told: tuple[Told, ...]
    asked: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Workload(Struct, frozen=True):
    """Stories, each a list of steps, that have no claim, policy or plate in common."""

    seed: int
    stories: tuple[tuple[Step, ...], ...]

    @property
    def records(self) -> list[Told]:
        """All records in the plan's order."""
        return [told for story in self.stories for step in story for told in step.told]


class Teller:
    """Draws stories and numbers their records."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.draw = random.Random(seed)
        self._records = 0
        self._names = 0
        self._plates = 0

    def name(self, kind: str) -> str:
        """A claim or policy number of this round alone."""
        self._names += 1
        return f"{kind}-{self.seed}-{self._names:03d}"

    def plate(self) -> str:
        """A plate that no other of a thousand rounds in a row has."""
        self._plates += 1
        return f"京{'ABCDEFGH'[self._plates // 100]}{self.seed % 1000:03d}{self._plates % 100:02d}"

    def say(self, content: Record) -> Told:
        """A department's record."""
        topic = TOPIC_OF[type(content)]
        subject: str = content.policy_number if isinstance(content, Policy) else content.claim  # type: ignore[attr-defined]
        return self.raw(topic, subject.encode(), CODEC.encode(topic, content))

    def raw(self, topic: str, key: bytes | None, value: bytes, partition: int | None = None) -> Told:
        """Any bytes; without a key they go to some partition."""
        self._records += 1
        at = datetime.fromtimestamp((make.SAID_MS + self._records * 1000) / 1000, UTC)
        mark = f"{self.seed}/{self._records}".encode()
        headers = (
            ("ce_specversion", b"1.0"),
            ("ce_id", mark),
            ("ce_source", b"crash"),
            ("ce_time", at.isoformat().encode()),
            (MARK, mark),
        )
        right = self.draw.randrange(LANES) if key is None else partition_for(key, LANES)
        return Told(self._records, topic, right if partition is None else partition, key, value, headers)

    def again(self, told: Told) -> Told:
        """The same event sent a second time."""
        self._records += 1
        mark = (MARK, f"{self.seed}/{self._records}".encode())
        return Told(self._records, told.topic, told.partition, told.key, told.value, (*told.headers[:-1], mark))

    def poison(self, key: str) -> Told:
        """An estimate's bytes that are no record."""
        cut_off = CODEC.encode(ESTIMATE, make.estimate())[:20]
        return self.raw(ESTIMATE, key.encode(), self.draw.choice((*POISON, cut_off)))

    def amount(self, least: int, most: int) -> int:
        """Some amount in fen."""
        return self.draw.randrange(least, most)


Kind = Callable[[Teller], list[Step]]
"""A kind of story."""


def workload(seed: int, kinds: Sequence[Kind] = (), more: int = 18) -> Workload:
    """A round's stories: one of each kind, and `more` of those drawn; or those given."""
    teller = Teller(seed)
    told = list(kinds) or [*STORIES, *teller.draw.choices(STORIES, k=more)]
    teller.draw.shuffle(told)
    return Workload(seed, tuple(tuple(kind(teller)) for kind in told))


def _fast(teller: Teller) -> list[Step]:
    """Nobody needs to look; all but the policy comes at once, what finance says before there is anything to pay."""
    policy, claim = _policy(teller), _Facts(teller)
    papers = [claim.notice(policy), *claim.repair(policy)]
    told = [teller.say(it) for it in papers]
    return [
        Step((teller.say(policy),)),
        Step((*told, teller.again(teller.draw.choice(told)), *_statuses(teller, [policy, *papers]))),
    ]


def _by_plate(teller: Teller) -> list[Step]:
    """The notice names no policy; the money comes step by step, then finance says what cannot be."""
    policy, claim = _policy(teller), _Facts(teller)
    papers = [claim.notice(policy, policy_number=None), *claim.repair(policy)]
    (instruction,) = _instructions([policy, *papers])
    return [
        Step((teller.say(policy),)),
        Step(tuple(teller.say(it) for it in papers)),
        Step(_statuses(teller, [policy, *papers], PaymentStatusCode.ACSP)),
        Step(_statuses(teller, [policy, *papers], PaymentStatusCode.ACSC)),
        Step(
            (
                teller.say(_status(instruction, PaymentStatusCode.ACSC, amount_minor=instruction.amount_minor + 1)),
                teller.say(_status(instruction, PaymentStatusCode.RJCT)),
                teller.say(_status(instruction, PaymentStatusCode.ACSC, instruction_id="PI-nobody-gave")),
            )
        ),
    ]


def _policy_late(teller: Teller) -> list[Step]:
    """The claim waits for its policy, its papers behind it; the policy wakes it."""
    policy, claim = _policy(teller), _Facts(teller)
    papers = [claim.notice(policy), *claim.repair(policy)]
    told = (*(teller.say(it) for it in papers), *_statuses(teller, [policy, *papers]))
    return [Step(told, ((policy.policy_number, (claim.claim,)),)), Step((teller.say(policy),))]


def _fleet(teller: Teller) -> list[Step]:
    """Claims of several lanes wait for one policy, whose second version comes with the first."""
    policy = _policy(teller)
    later = make.policy(
        policy_number=policy.policy_number,
        plate=policy.plate,
        version=2,
        effective_from_ms=make.LOSS_MS + 30 * make.DAY_MS,
    )
    claims = [_Facts(teller) for _ in range(2)]  # of a third, which one that is would depend on the faults
    told: list[Told] = []
    for claim in claims:
        papers = [claim.notice(policy), *claim.repair(policy)]
        told += [teller.say(it) for it in papers] + [*_statuses(teller, [policy, *papers])]
    asked = ((policy.policy_number, tuple(claim.claim for claim in claims)),)
    return [Step(tuple(told), asked), Step((teller.say(policy),)), Step((teller.say(later),))]


def _two_people(teller: Teller) -> list[Step]:
    """A large loss: survey, two objects, a supplement so large that finance is asked, handler and approver."""
    policy, claim = _policy(teller), _Facts(teller)
    lines = {"parts": teller.amount(30_000_00, 40_000_00), "labour": teller.amount(5_000_00, 9_000_00)}
    more = {**lines, "other": teller.amount(15_000_00, 20_000_00)}
    wall = {"materials": teller.amount(500_00, 900_00)}
    notice = claim.notice(policy, fault=Fault.UNKNOWN, estimated_loss_minor=60_000_00, damaged=(make.OWN, make.THIRD))
    finding = make.finding(claim=claim.claim)
    estimates = [
        make.estimate(lines, claim=claim.claim),
        make.estimate(wall, claim=claim.claim, damaged=make.THIRD, shop="mason-1"),
        make.estimate(more, claim=claim.claim, version=2),
    ]
    invoices = [
        make.invoice(wall, claim=claim.claim, damaged=make.THIRD, shop="mason-1", number="00000002"),
        make.invoice(more, claim=claim.claim),
    ]
    answer = make.amount_answer(claim=claim.claim, query_id=query_id(claim.claim, 1))
    decisions = [make.decision(role, claim=claim.claim) for role in (Role.HANDLER, Role.APPROVER)]
    everything: list[Record] = [policy, notice, finding, *estimates, *invoices, answer, *decisions]
    last = (*map(teller.say, (*invoices, answer, *decisions)), *_statuses(teller, everything))
    return [
        Step((teller.say(policy),)),
        Step((teller.say(notice),)),
        Step((teller.say(finding),)),
        Step((*map(teller.say, estimates), teller.poison(claim.claim))),
        Step(last),
    ]


def _payee_changed(teller: Teller) -> list[Step]:
    """Papers, and a second notice with another account: two people must look."""
    policy, claim = _policy(teller), _Facts(teller)
    first, second = claim.notice(policy), claim.notice(policy, payee=make.payee(f"another of {claim.claim}"))
    estimate, invoice = claim.repair(policy)
    decisions = [make.decision(role, claim=claim.claim) for role in (Role.HANDLER, Role.APPROVER)]
    everything: list[Record] = [policy, first, second, estimate, invoice, *decisions]
    documents = [teller.say(make.document(claim=claim.claim, document_id=f"DOC-{number}")) for number in (1, 2, 3)]
    return [
        Step((teller.say(policy),)),
        Step((teller.say(first),)),
        Step((*documents, teller.again(documents[0]))),
        Step((teller.say(second),)),
        Step((*map(teller.say, (estimate, invoice, *decisions)), *_statuses(teller, everything))),
        Step((teller.say(make.document(claim=claim.claim, document_id="DOC-late")),)),
    ]


def _finance_rejects(teller: Teller) -> list[Step]:
    """The handler approves, finance cannot pay, and says later that it has."""
    policy, claim = _policy(teller), _Facts(teller)
    lines = {"parts": teller.amount(6_000_00, 20_000_00)}
    papers = [
        claim.notice(policy),
        make.estimate(lines, claim=claim.claim),
        make.invoice(lines, claim=claim.claim),
        make.decision(claim=claim.claim),
    ]
    everything = [policy, *papers]
    rejected = _statuses(teller, everything, PaymentStatusCode.RCVD, PaymentStatusCode.RJCT)
    return [
        Step((teller.say(policy),)),
        Step((*map(teller.say, papers), *rejected)),
        Step(_statuses(teller, everything, PaymentStatusCode.ACSC)),
    ]


def _rejected(teller: Teller) -> list[Step]:
    """The handler says no; papers that come after it change nothing."""
    policy, claim = _policy(teller), _Facts(teller)
    lines = {"labour": teller.amount(6_000_00, 20_000_00)}
    no = make.decision(claim=claim.claim, action=DecisionAction.REJECT, reason="驾驶人无证")
    first = (claim.notice(policy), make.estimate(lines, claim=claim.claim), make.invoice(lines, claim=claim.claim), no)
    late = (make.invoice(lines, claim=claim.claim, number="00000009"), make.finding(claim=claim.claim))
    return [Step((teller.say(policy),)), Step(tuple(map(teller.say, first))), Step(tuple(map(teller.say, late)))]


def _not_accepted(teller: Teller) -> list[Step]:
    """The policy had ended; papers that come after it are refused, a document is kept."""
    policy, claim = _policy(teller, effective_to_ms=make.LOSS_MS - make.DAY_MS), _Facts(teller)
    late = (*claim.repair(policy), make.document(claim=claim.claim), make.finding(claim=claim.claim))
    return [
        Step((teller.say(policy),)),
        Step((teller.say(claim.notice(policy)),)),
        Step(tuple(map(teller.say, late))),
    ]


def _supplement_first(teller: Teller) -> list[Step]:
    """The supplement comes before its estimate, poison between them; what is agreed is less than the deductible."""
    policy, claim = _policy(teller), _Facts(teller)
    small = {"paint": teller.amount(100_00, 400_00)}
    told = (
        teller.say(make.estimate(small, claim=claim.claim, version=2)),
        teller.poison(claim.claim),
        teller.say(make.estimate({"paint": 99_00}, claim=claim.claim)),
        teller.say(claim.notice(policy)),
    )
    return [Step((teller.say(policy),)), Step(told), Step((teller.say(make.invoice(small, claim=claim.claim)),))]


def _waits_for_ever(teller: Teller) -> list[Step]:
    """Papers of a claim nobody reported, an unknown schema with records behind it, and people who try again."""
    unreported, held = _Facts(teller), _Facts(teller)
    policy = _policy(teller)
    retries = [Wake(claim=it.claim, kind=WakeKind.RETRY, at_ms=make.LOSS_MS) for it in (unreported, held)]
    return [
        Step((teller.say(policy),)),
        Step(
            (
                *map(teller.say, unreported.repair(policy)),
                teller.raw("reporting.loss-notice.v1", held.claim.encode(), UNKNOWN_SCHEMA),
                teller.say(held.notice(policy)),
                teller.say(held.repair(policy)[0]),
            )
        ),
        Step(tuple(map(teller.say, retries))),
    ]


def _misdirected(teller: Teller) -> list[Step]:
    """Records in another claim's name, in another lane, or in nobody's name."""
    policy, claim, other = _policy(teller), _Facts(teller), teller.name("C")
    notice = claim.notice(policy)
    topic, value = TOPIC_OF[type(notice)], CODEC.encode("reporting.loss-notice.v1", notice)
    key = claim.claim.encode()
    return [
        Step(
            (
                teller.raw(topic, other.encode(), value),
                teller.raw(topic, key, value, (partition_for(key, LANES) + 1) % LANES),
                teller.raw(topic, None, value),
            )
        )
    ]


STORIES: Final[Sequence[Kind]] = (
    _fast,
    _by_plate,
    _policy_late,
    _fleet,
    _two_people,
    _payee_changed,
    _finance_rejects,
    _rejected,
    _not_accepted,
    _supplement_first,
    _waits_for_ever,
    _misdirected,
)


class _Facts:
    """A small loss of one claim: nobody needs to look at it."""

    def __init__(self, teller: Teller) -> None:
        self.claim = teller.name("C")
        self._lines = {"parts": teller.amount(700_00, 2_500_00), "labour": teller.amount(100_00, 900_00)}

    def notice(self, policy: Policy, **changes: object) -> Record:
        """Its first notice."""
        values: dict[str, Any] = {"claim": self.claim, "policy_number": policy.policy_number, "plate": policy.plate}
        return make.notice(**{**values, **changes})

    def repair(self, policy: Policy) -> tuple[Record, Record]:
        """Estimate and invoice, which agree."""
        return make.estimate(self._lines, claim=self.claim), make.invoice(self._lines, claim=self.claim)


def _policy(teller: Teller, **changes: object) -> Policy:
    return make.policy(policy_number=teller.name("P"), plate=teller.plate(), **changes)


def _instructions(records: Iterable[Record]) -> list[PaymentInstruction]:
    """What the hub's own rules instruct when they are given these records in order."""
    lane = OneLane()
    for record in records:
        lane.take(record)
    lane.answer_itself()
    found = [CODEC.decode(row.topic, row.value, []) for row in lane.outbox if row.topic == INSTRUCTIONS]
    return [it for it in found if isinstance(it, PaymentInstruction)]


def _statuses(
    teller: Teller,
    records: Iterable[Record],
    *codes: PaymentStatusCode,
) -> tuple[Told, ...]:
    """What finance will say of the one instruction these records lead to."""
    (instruction,) = _instructions(records)
    said = codes or (PaymentStatusCode.RCVD, PaymentStatusCode.ACSC)
    return tuple(teller.say(_status(instruction, code)) for code in said)


def _status(instruction: PaymentInstruction, code: PaymentStatusCode, **changes: object) -> PaymentStatus:
    values: dict[str, Any] = {
        "claim": instruction.claim,
        "instruction_id": instruction.instruction_id,
        "amount_minor": instruction.amount_minor,
        "code": code,
    }
    return make.payment_status(**{**values, **changes})
