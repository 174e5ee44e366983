"""What a rule is given and what it returns: plain values, nothing done yet."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from msgspec import Struct

from schemas.records import Policy, Record
from streams.rules.claim import Claim, CoverUse, Payment
from streams.rules.policy_file import PolicyFile
from streams.rules.traces import Shared, TraceKind


class Cause(Struct, frozen=True, gc=False):
    """The record that made a rule run. `ref` is where it stands: topic/partition/offset, with the log's generation.

    `at_ms` is the record's own time (CloudEvents time, else the Kafka timestamp): the only time a rule ever sees.
    """

    ref: str
    topic: str
    at_ms: int


class Output(Struct, frozen=True, gc=False):
    """A record to send: to which topic, under which key, and the rule and reason it rests on. `department` is set when
    only that one is meant."""

    topic: str
    key: str
    record: Record
    rule: str
    reason: str
    department: str | None = None


class Decision(Struct, frozen=True, gc=False):
    """A claim after a record, what is sent for it, and the payments whose state changed.

    The engine adds the claim's version, the seen event id and the `claims.status` snapshot; a rule does not. With
    `noted` nothing has changed that departments see: the claim keeps its version, and no snapshot is added. With
    `refused` the record was not taken for what it is: it leaves no traces. `forward_to` are claims that the record is
    handed to as it came.
    """

    claim: Claim
    rule: str
    reason: str
    outputs: tuple[Output, ...] = ()
    payments: tuple[Payment, ...] = ()
    noted: bool = False
    refused: bool = False
    forward_to: tuple[str, ...] = ()


class PolicyDecision(Struct, frozen=True, gc=False):
    """A policy file after a record, and what is sent for it."""

    policy: PolicyFile
    rule: str
    reason: str
    outputs: tuple[Output, ...] = ()


class PeerLimit(Struct, frozen=True, array_like=True, gc=False):
    """What nearly all claims of a line come to with a provider of one kind: of so many `claims` `per_cent` come to at
    most `limit_minor`."""

    claims: int
    per_cent: int
    limit_minor: int


class Lookups(Protocol):
    """What a rule may know beyond its claim; each answer is kept in the journal."""

    def policies(self, number: str | None, plate: str) -> tuple[Policy, ...]:
        """All known versions of the policy of this number; without a number, of the policies on this plate."""

    @property
    def others(self) -> tuple[Shared, ...]:
        """The other claims that left a paper or picture which the record at hand leaves too."""

    @property
    def repeats(self) -> tuple[Shared, ...]:
        """The other claims with a phone, account, vehicle or person that the record at hand has too."""

    @property
    def same_losses(self) -> tuple[Shared, ...]:
        """The other claims that may be about the loss that the record at hand is about."""

    @property
    def peers(self) -> PeerLimit | None:
        """What others of the kind of provider that the record at hand is about come to, in the claim's line and
        currency; None when too few were counted, or none yet."""


class CapturedLookups:
    """Look-ups answered from values fetched before: live from one bulk query, on replay from the journal. `uses` is
    what the policy's other claims use of covers that it has for a year; the engine gives it to the rules with the
    claim. `turns` has the number of the last such use of each policy, by whichever claim."""

    def __init__(
        self,
        by_number: Mapping[str, tuple[Policy, ...]],
        by_plate: Mapping[str, tuple[Policy, ...]],
        shared: tuple[Shared, ...] = (),
        peers: PeerLimit | None = None,
        uses: tuple[CoverUse, ...] = (),
        turns: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.peers = peers
        self.uses = uses
        self.turns = turns
        self._shared = shared
        self._by_number = by_number
        self._by_plate = by_plate

    def policies(self, number: str | None, plate: str) -> tuple[Policy, ...]:
        if number is not None:
            return self._by_number.get(number, ())
        return self._by_plate.get(plate, ())

    @property
    def others(self) -> tuple[Shared, ...]:
        return tuple([it for it in self._shared if it.kind is TraceKind.PAPER])

    @property
    def repeats(self) -> tuple[Shared, ...]:
        return tuple([it for it in self._shared if it.kind not in (TraceKind.PAPER, TraceKind.LOSS)])

    @property
    def same_losses(self) -> tuple[Shared, ...]:
        return tuple([it for it in self._shared if it.kind is TraceKind.LOSS])
