"""The smallest thing that plays records through the flows: one claim, its policies, and what waits."""

from typing import TypeVar

from msgspec import json
from msgspec.structs import replace

from schemas.records import Policy, PolicyWanted, Record, Wake
from streams.flows import FLOWS
from streams.outcomes import Dead, Park
from streams.rules.claim import Claim, Payment, Stage, TaskKind
from streams.rules.decision import CapturedLookups, Cause, Decision, Output, PolicyDecision
from streams.rules.follow_ups import follow
from streams.rules.policy_file import PolicyFile
from streams.rules.stage import stage_of
from tests.claims import CLAIM

R = TypeVar("R", bound=Record)
TOPIC_OF = {flow.record: topic for topic, flow in FLOWS.items()}


class Hub:
    """Plays records as the engine does: behind a parked record only those it waits for may go on, whether they come
    or wait already; after each that went on the parked ones are tried again from the first.
    `dead`, `outputs`, `decisions` and `stages` tell what happened."""

    def __init__(self) -> None:
        self.claim = Claim(number=CLAIM)
        self.policies: dict[str, PolicyFile] = {}
        self.waiting: list[tuple[Record, Park]] = []
        self.dead: list[Dead] = []
        self.outputs: list[Output] = []
        self.stages: list[Stage] = []
        self.decisions: list[Decision | PolicyDecision] = []
        self._refs = 0

    def play(self, *records: Record) -> "Hub":
        """Take the records in order; what the hub says to itself comes at once."""
        for record in records:
            if isinstance(record, Policy | PolicyWanted):
                self._policy(record)
            elif not self._may_pass(record):
                self.waiting.append((record, Park("waits behind", until=())))
            elif (park := self._claim(record)) is not None:
                self.waiting.append((record, park))
            else:
                self._release()
        return self

    @property
    def stage(self) -> Stage:
        """Where the claim stands."""
        return stage_of(self.claim)

    @property
    def payments(self) -> tuple[Payment, ...]:
        """The claim's payments."""
        return self.claim.payments

    @property
    def tasks(self) -> list[TaskKind]:
        """What the claim waits for."""
        return [task.kind for task in self.claim.open_tasks]

    def told(self, kind: type[R]) -> list[R]:
        """The records of one kind among the outputs."""
        return [output.record for output in self.outputs if isinstance(output.record, kind)]

    def sent(self, topic: str) -> list[Output]:
        """The outputs to one topic."""
        return [output for output in self.outputs if output.topic == topic]

    def _cause(self, record: Record) -> Cause:
        self._refs += 1
        topic = TOPIC_OF[type(record)]
        return Cause(f"{topic}/1/0/{self._refs}", topic, 1_775_000_000_000 + self._refs)

    def _policy(self, record: Policy | PolicyWanted) -> None:
        file = self.policies.get(record.policy_number, PolicyFile(number=record.policy_number))
        flow = FLOWS[TOPIC_OF[type(record)]]
        try:
            decided: PolicyDecision = flow.handler(file, record, self._cause(record), CapturedLookups({}, {}))
        except Dead as dead:
            self.dead.append(dead)
            return
        self.policies[record.policy_number] = decided.policy
        self._took(decided)

    def _claim(self, record: Record) -> Park | None:
        flow = FLOWS[TOPIC_OF[type(record)]]
        by_number = {number: file.versions for number, file in self.policies.items()}
        by_plate: dict[str, tuple[Policy, ...]] = {}
        for file in self.policies.values():
            if file.plate is not None:
                by_plate[file.plate] = (*by_plate.get(file.plate, ()), *file.versions)
        cause = self._cause(record)
        try:
            decided: Decision = flow.handler(self.claim, record, cause, CapturedLookups(by_number, by_plate))
        except Park as park:
            return park
        except Dead as dead:
            self.dead.append(dead)
            return None
        after, followed = (decided.claim, ()) if decided.noted else follow(self.claim, decided.claim, cause)
        claim = replace(after, version=self.claim.version + (not decided.noted))
        assert json.decode(json.encode(claim), type=Claim) == claim
        self.claim = claim
        self.stages.append(self.stage)
        self._took(replace(decided, outputs=(*decided.outputs, *followed)))
        return None

    def _may_pass(self, record: Record) -> bool:
        topic = TOPIC_OF[type(record)]
        passes = FLOWS[topic].passes or isinstance(record, Wake)
        return not self.waiting or passes or topic in self.waiting[0][1].until

    def _release(self) -> None:
        position = 0
        while position < len(self.waiting):
            record, _ = self.waiting[position]
            if position and not self._may_pass(record):
                position += 1
            elif (park := self._claim(record)) is not None:
                self.waiting[position] = (record, park)
                position += 1
            else:
                del self.waiting[position]
                position = 0

    def _took(self, decided: Decision | PolicyDecision) -> None:
        self.decisions.append(decided)
        self.outputs += decided.outputs
        for output in decided.outputs:
            if isinstance(output.record, PolicyWanted | Wake):
                self.play(output.record)
