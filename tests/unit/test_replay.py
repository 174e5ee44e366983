"""A replay comes to what was written, whatever the batch size; what was altered or is decided otherwise is named."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json
from msgspec.structs import replace

from schemas.codec import Codec
from schemas.records import Document, Record
from schemas.topics import BREAKS, CLOCKS, INBOUND, INSTRUCTIONS
from sinks.ledger.port import DeadRow, JournalRow, OutboxRow, ParkedRow, PaymentRow
from streams.decide import Decider, Effects, LaneState, Lookup
from streams.differences import Difference, changes, first_difference
from streams.flows import FLOWS, Flow
from streams.lanes import KILLS
from streams.outcomes import Park
from streams.received import Parser, pack_headers
from streams.replay import Again, LaneReplay, RecordedSignatures, Taken
from streams.rules.claim import Claim
from streams.rules.decision import Cause, Decision, Lookups, PeerLimit
from streams.rules.policy_file import PolicyFile
from streams.rules.product import Product, Terms
from tests import claims as make
from tests.lane import OneLane
from tests.unit.rules.test_stories import BY_TWO_PEOPLE
from tests.unit.test_decide import LateRegistry

OTHER = "CLM-2026-000002"
INSTRUCTION = "finance.payment-instruction.v1"
REGISTERED = "first notice of loss; policy POL-2026-000001 version 1 was in force at the time of the loss"
POISON = b"\xff not avro"
_BY_TIME = (BREAKS, CLOCKS)
FAST_TRACK: Sequence[Record] = (make.policy(), make.notice(), make.estimate(), make.invoice())
# A second claim on the same policy, one on a plate alone, and one that waits for ever.
HISTORY: Sequence[Record] = (
    *BY_TWO_PEOPLE,
    make.notice(claim=OTHER),
    make.estimate(claim=OTHER),
    make.invoice(claim=OTHER, number="00000003"),
    make.invoice(claim=OTHER, number="00000003"),
    make.notice(claim="CLM-PLATE", policy_number=None),
    make.notice(claim="CLM-USD", currency="USD"),
    make.document(claim="CLM-LATE"),
    make.estimate(claim="CLM-LATE", version=2),
    make.policy(version=2, effective_from_ms=make.LOSS_MS + make.DAY_MS),
    make.notice(claim="CLM-TWIN", photos=(make.PHOTO,)),
    make.estimate(claim="CLM-TWIN"),
    make.invoice(claim="CLM-TWIN", code=make.code(make.CLAIM)),
)


class Kept:
    """A ledger as far as a replay reads it, filled by the replay's own effects."""

    def __init__(self) -> None:
        self.claims: dict[str, bytes] = {}
        self.policies: dict[str, bytes] = {}

    def load_claims(self, claims: Sequence[str]) -> tuple[dict[str, bytes], list[ParkedRow]]:
        return {claim: self.claims[claim] for claim in claims if claim in self.claims}, []

    def load_policies(self, numbers: Sequence[str], plates: Sequence[str]) -> dict[str, bytes]:
        return {number: self.policies[number] for number in numbers if number in self.policies}

    def keep(self, effects: Effects) -> None:
        self.claims |= {number: row.state for number, row in effects.claims.items()}
        self.policies |= {number: row.state for number, row in effects.policies.items()}


class Replayed:
    """A lane replayed in batches of one size, all states forgotten between them."""

    def __init__(self, lane: OneLane, size: int) -> None:
        self.journal: list[JournalRow] = []
        self.outbox: list[OutboxRow] = []
        self.dead: list[DeadRow] = []
        self.ticked: list[str] = []
        self.payments: dict[str, PaymentRow] = {}
        self.differences: list[Difference] = []
        self.ended: list[Again] = []
        kept, state = Kept(), LaneState(0, 1, 0, 0)
        ticks = [row for row in lane.outbox if row.topic in _BY_TIME]
        signed = RecordedSignatures(row for row in lane.outbox if row.topic == INSTRUCTIONS)
        replay = LaneReplay(lane.codec, state, kept, ticks, signed)
        rows = taken(lane)
        for start in range(0, len(rows), size):
            effects, ended = replay.take(rows[start : start + size])
            for row, again in zip(rows[start : start + size], ended, strict=True):
                self._compare(lane, row, again)
            self.journal += effects.journal
            self.outbox += effects.outbox
            self.dead += effects.dead
            self.ticked += effects.ticked
            self.payments |= effects.payments
            kept.keep(effects)
            state.forget_oldest(0)
        parked = sorted(lane.parked.values(), key=lambda row: (row.subject, row.entry))
        for waiting, again in zip(parked, replay.wait(parked)[1], strict=True):
            self._compare(lane, waiting, again)
        self.claims = {number: json.decode(text, type=Claim) for number, text in kept.claims.items()}
        self.policies = {number: json.decode(text, type=PolicyFile) for number, text in kept.policies.items()}

    def _compare(self, lane: OneLane, row: Taken | ParkedRow, again: Again) -> None:
        ref = f"{row.topic}/{row.generation}/{row.partition}/{row.offset}"
        sent = [output for output in lane.outbox if output.cause == ref and output.topic not in _BY_TIME]
        difference = first_difference(row, again, sent)
        self.differences += [] if difference is None else [difference]
        self.ended.append(again)


def taken(lane: OneLane) -> list[Taken]:
    return sorted([*lane.journal, *lane.dead], key=lambda row: row.entry)


def lane_of(*records: Record) -> OneLane:
    lane = OneLane()
    for record in records:
        lane.take(record)
        lane.answer_itself()
    return lane


def strict(product_terms: Callable[[Product, int], Terms]) -> Callable[[Product, int], Terms]:
    """The same terms, but nothing is ever approved without a person."""

    def terms_at(product: Product, loss_at_ms: int) -> Terms:
        terms = product_terms(product, loss_at_ms)
        return replace(terms, authority=replace(terms.authority, automatic_minor=0))

    return terms_at


@settings(max_examples=150)
@given(st.permutations(range(len(HISTORY))), st.lists(st.integers(0, len(HISTORY) - 1), max_size=4), st.integers(1, 40))
def test_a_replay_in_any_batch_size_is_what_was_written(
    order: Sequence[int], repeated: Sequence[int], size: int
) -> None:
    """Claims, policies, payments, journal, dead letters and outputs with their numbers, out of any interleaving of
    parked, released, repeated and refused records, whatever peers come to by then; and what is still parked must still
    wait."""
    lane = OneLane()
    ids = [[("ce_source", b"x"), ("ce_id", b"%d" % number)] for number in range(len(HISTORY))]
    sent = [lane.received(HISTORY[number], headers=ids[number]) for number in (*order, *repeated)]
    sent.insert(size % len(sent), lane.received(POISON, "repair.estimate.v1", make.CLAIM))
    for start in range(0, len(sent), 5):
        lane.peers = (
            {} if start == 5 else {("shop", "motor", "CNY"): PeerLimit(30 + start, 95, 2_900_00 - start * 90_00)}
        )
        lane.take(*sent[start : start + 5])
        lane.answer_itself()

    replayed = Replayed(lane, size)

    assert replayed.differences == []
    assert replayed.journal == lane.journal
    assert replayed.outbox == lane.outbox
    assert replayed.dead == lane.dead
    assert replayed.payments == lane.payments
    assert replayed.claims == lane.state.claims
    assert replayed.policies == lane.state.policies
    assert {again.end for again in replayed.ended if isinstance(again.end, ParkedRow)} == set(lane.parked.values())


@pytest.mark.parametrize(
    ("number", "altered", "difference"),
    [
        (1, {"reason": "other words"}, ("reason", "other words", REGISTERED)),
        (1, {"event_id": "other"}, ("event_id", None, None)),
        (1, {"inputs": '{"policies":[]}'}, ("rule", "intake.registered", "intake.reported")),
        (2, {"headers": pack_headers([("ce_source", b"x"), ("ce_id", b"1")])}, ("event_id", None, None)),
    ],
)
def test_a_journal_row_altered_by_hand_is_named(
    number: int, altered: dict[str, Any], difference: tuple[str, str | None, str | None]
) -> None:
    """With its record and field; rule, reason and outcome are shown, and nothing else of it."""
    lane = lane_of(*FAST_TRACK)
    row = lane.journal[number] = lane.journal[number]._replace(**altered)

    first = Replayed(lane, 7).differences[0]

    assert first == Difference(row.subject, f"{row.topic}/1/0/0", *difference)


def test_a_value_that_can_no_longer_be_read_is_named() -> None:
    """Both ends of the record in words."""
    lane = lane_of(*FAST_TRACK)
    row = lane.journal[2] = lane.journal[2]._replace(value=POISON)

    first = Replayed(lane, 7).differences[0]

    assert (first.record, first.field) == ("repair.estimate.v1/1/0/0", "end")
    assert first.was == f"done: {row.reason} [{row.rule}]"
    assert first.now is not None and first.now.endswith("[engine.not-framed]")


@pytest.mark.parametrize(
    ("altered", "field"),
    [
        ({"rule": "other"}, "rule"),
        ({"seq": 99}, "seq"),
        ({"headers": pack_headers([])}, "header causationid"),
        ({"value": b"\0\0\0\0\1"}, "value"),
    ],
)
def test_an_output_altered_by_hand_is_named(altered: dict[str, Any], field: str) -> None:
    """With its number among its record's outputs, its topic and the field."""
    lane = lane_of(*FAST_TRACK)
    number = next(number for number, row in enumerate(lane.outbox) if row.topic == INSTRUCTION)
    lane.outbox[number] = lane.outbox[number]._replace(**altered)

    (difference,) = Replayed(lane, 500).differences

    assert (difference.record, difference.field) == ("repair.invoice.v1/1/0/0", f"output 1 {INSTRUCTION} {field}")


def test_an_amount_that_was_altered_in_an_output_is_named_and_not_shown() -> None:
    """The field inside the record, whose values may be a person's."""
    lane = lane_of(*FAST_TRACK)
    number, row = next((number, row) for number, row in enumerate(lane.outbox) if row.topic == INSTRUCTION)
    instruction = replace(lane.codec.decode(row.topic, row.value, []), amount_minor=1)
    lane.outbox[number] = row._replace(value=lane.codec.encode(row.topic, instruction))

    (difference,) = Replayed(lane, 500).differences

    assert difference.field == f"output 1 {INSTRUCTION} value.amount_minor"
    assert (difference.was, difference.now) == (None, None)


def test_an_output_that_is_not_there_is_named() -> None:
    """What the record leads to now, and that nothing was sent."""
    lane = lane_of(*FAST_TRACK)
    last = lane.outbox.pop()

    (difference,) = Replayed(lane, 500).differences

    assert difference.field == "output 4"
    assert (difference.was, difference.now) == (None, f"{last.topic} {make.CLAIM} [{last.rule}]")


def test_the_schema_id_of_an_output_may_be_another() -> None:
    """Another registry gives other numbers."""
    lane = lane_of(*FAST_TRACK)
    lane.outbox = [row._replace(value=b"\0\0\0\3\7" + row.value[5:]) for row in lane.outbox]

    assert Replayed(lane, 500).differences == []


def test_a_parked_record_that_could_go_on_is_named() -> None:
    """Its wait is tried at the claim's last state."""
    lane = lane_of(make.policy(), make.invoice())
    (row,) = lane.parked.values()
    later = lane_of(*FAST_TRACK[:3])
    later.parked[row[:4]] = row

    (difference,) = Replayed(later, 500).differences

    assert difference.field == "end"
    assert difference.was is not None and difference.was.startswith("parked: ")
    assert difference.now is not None and difference.now.startswith("done: ")


def test_a_parked_record_that_waits_for_something_else_is_named() -> None:
    """The reason it would be given now stands beside the one it has."""
    lane = lane_of(make.estimate())
    (place, row), *_ = lane.parked.items()
    lane.parked[place] = row._replace(reason="waits for somebody")

    (difference,) = Replayed(lane, 500).differences

    assert (difference.field, difference.was, difference.now) == ("reason", "waits for somebody", row.reason)


def test_a_parked_record_that_the_engine_would_not_try_now_stands_as_recorded() -> None:
    """The first of its claim does not wait for it, so its reason may be an older one."""
    lane = lane_of(make.estimate(), make.document())
    (place, row) = next((place, row) for place, row in lane.parked.items() if row.topic == "reporting.document.v1")
    lane.parked[place] = row._replace(reason="waited for something before", until="reporting.loss-notice.v1")

    assert Replayed(lane, 500).differences == []


def test_a_parked_record_behind_one_that_could_go_on_is_tried_too() -> None:
    """Once the first is gone, the next is the first."""
    early = lane_of(make.policy(), make.estimate(), make.invoice())
    later = lane_of(*FAST_TRACK[:2])
    later.parked = {place: row._replace(until="reporting.loss-notice.v1") for place, row in early.parked.items()}

    assert [difference.field for difference in Replayed(later, 500).differences] == ["end", "end"]


def test_a_record_parked_for_its_schema_waits_for_an_operator_even_when_the_schema_is_known_now() -> None:
    """Only a retry lets it go on."""
    registry = LateRegistry()
    lane = OneLane([make.policy()], Codec(registry, 1_000_000))
    lane.take(make.estimate())
    registry.knows = True

    assert Replayed(lane, 500).differences == []
    assert len(lane.parked) == 1


def test_a_parked_record_whose_rule_looks_something_up_stands_as_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it was answered is kept for applied records only."""

    def on_document(claim: Claim, document: Document, cause: Cause, seen: Lookups) -> Decision:
        if seen.policies(make.POLICY, ""):
            raise Park("the document waits for its notice", until=("reporting.loss-notice.v1",))
        return Decision(claim, "intake.document", "no policy, no wait")

    flow = Flow(Document, on_document, looks_up=lambda document: (make.POLICY, ""))
    monkeypatch.setitem(cast(dict[str, Flow], FLOWS), "reporting.document.v1", flow)
    lane = OneLane([make.policy()])
    lane.take(make.document())

    assert Replayed(lane, 500).differences == []
    assert len(lane.parked) == 1


def test_a_rule_that_is_another_now_is_seen_where_it_first_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settlement was approved without a person."""
    lane = lane_of(*FAST_TRACK)
    monkeypatch.setattr(Product, "terms_at", strict(Product.terms_at))

    first = Replayed(lane, 7).differences[0]

    assert (first.claim, first.record, first.field) == (make.CLAIM, "repair.invoice.v1/1/0/0", "rule")
    assert (first.was, first.now) == ("authority.automatic", "settlement.computed")


def test_outputs_are_compared_by_topic_and_key_and_not_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its instruction and notice the invoice's status is changed, and its number alone is no change."""
    lane = lane_of(*FAST_TRACK)
    monkeypatch.setattr(Product, "terms_at", strict(Product.terms_at))
    (again,) = [again for again in Replayed(lane, 7).ended if again.end.topic == "repair.invoice.v1"]
    sent = [row for row in lane.outbox if row.cause == "repair.invoice.v1/1/0/0"]

    found = list(changes(sent, again.outputs, again.end))

    assert [(change.kind, change.topic, change.fields) for change in found] == [
        ("missing", INSTRUCTION, ()),
        ("missing", "customer.notice.v1", ()),
        (
            "changed",
            "claims.status.v1",
            ("rule", "reason", "value.stage", "value.open_tasks", "value.rule", "value.reason"),
        ),
    ]


def test_a_record_that_killed_its_processes_is_not_read_again() -> None:
    """It is the dead letter it was, with its bytes, and its claim goes on."""
    lane = lane_of(*FAST_TRACK[:3])
    killer = lane.received(lane.codec.encode("repair.invoice.v1", make.invoice()), "repair.invoice.v1", make.CLAIM)
    parser = Parser(lane.codec, 0, 1, dict.fromkeys(INBOUND, 1), ())
    lane.keep(Decider(lane.state, Lookup({}), lane.codec.encode, 10).decide([parser.undecoded(killer, KILLS)]))

    replayed = Replayed(lane, 7)

    assert replayed.differences == []
    assert [(row.code, row.value) for row in replayed.dead] == [("kills-the-process", killer.value)]
