"""The smallest thing that plays records through the flows: one claim, its policies, and what waits."""

from collections import deque

from msgspec import json
from msgspec.structs import replace

from schemas.records import Policy, PolicyWanted, Record, Wake
from streams.flows import FLOWS
from streams.outcomes import Dead, Park
from streams.rules.claim import Claim, Payment, Stage
from streams.rules.decision import CapturedLookups, Cause, Decision, Output, PolicyDecision
from streams.rules.policy_file import PolicyFile
from streams.rules.stage import stage_of
from tests.claims import CLAIM

TOPIC_OF = {flow.record: topic for topic, flow in FLOWS.items()}


class Hub:
    """Plays records as the engine does: parked ones are tried again, in order, when a record of their `until` came,
    and others wait behind them. `dead`, `outputs` and `stages` tell what happened."""

    def __init__(self) -> None:
        self.claim = Claim(number=CLAIM)
        self.policies: dict[str, PolicyFile] = {}
        self.waiting: deque[tuple[Record, Park]] = deque()
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
            elif not self.waiting or TOPIC_OF[type(record)] in self.waiting[0][1].until or isinstance(record, Wake):
                self._claim(record)
                self._release()
            else:
                self.waiting.append((record, Park("waits behind", until=())))
        return self

    @property
    def stage(self) -> Stage:
        """Where the claim stands."""
        return stage_of(self.claim)

    @property
    def payments(self) -> tuple[Payment, ...]:
        """The claim's payments."""
        return self.claim.payments

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

    def _claim(self, record: Record) -> bool:
        flow = FLOWS[TOPIC_OF[type(record)]]
        by_number = {number: file.versions for number, file in self.policies.items()}
        by_plate: dict[str, tuple[Policy, ...]] = {}
        for file in self.policies.values():
            if file.plate is not None:
                by_plate[file.plate] = (*by_plate.get(file.plate, ()), *file.versions)
        try:
            decided: Decision = flow.handler(
                self.claim, record, self._cause(record), CapturedLookups(by_number, by_plate)
            )
        except Park as park:
            self.waiting.append((record, park))
            return False
        except Dead as dead:
            self.dead.append(dead)
            return True
        claim = replace(decided.claim, version=self.claim.version + 1)
        assert json.decode(json.encode(claim), type=Claim) == claim
        self.claim = claim
        self.stages.append(self.stage)
        self._took(decided)
        return True

    def _release(self) -> None:
        for _ in range(len(self.waiting)):
            record, _park = self.waiting.popleft()
            if not self._claim(record):
                self.waiting.rotate(1)
                return

    def _took(self, decided: Decision | PolicyDecision) -> None:
        self.decisions.append(decided)
        self.outputs += decided.outputs
        for output in decided.outputs:
            if isinstance(output.record, PolicyWanted | Wake):
                self.play(output.record)
