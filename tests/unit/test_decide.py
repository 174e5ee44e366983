"""What a batch leads to: applied, parked, released in order, dead; the same whatever the batch sizes."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.registry import EmbeddedRegistry
from schemas.codec import Codec, UnknownSchema
from schemas.records import DeadLetter, PaymentInstruction, Record, Role, Wake, WakeKind
from schemas.signing import KEY_ID, SIGNATURE
from sinks.envelope import headers_of
from streams.rules.stage import stage_of
from tests import claims as make
from tests.keys import SIGN
from tests.lane import OneLane
from tests.unit.rules.test_stories import BY_TWO_PEOPLE
from tests.unit.rules.test_stories import FAST_TRACK as FAST_TRACK_STORY

NOTICE, ESTIMATE, INVOICE = "reporting.loss-notice.v1", "repair.estimate.v1", "repair.invoice.v1"
FAST_TRACK: Sequence[Record] = (make.notice(), make.estimate(), make.invoice())


def retry(claim: str = make.CLAIM) -> Wake:
    return Wake(claim=claim, kind=WakeKind.RETRY, at_ms=make.LOSS_MS)


def stage(lane: OneLane) -> str:
    return stage_of(lane.state.claims[make.CLAIM])


def test_a_claim_goes_from_notice_to_instruction_and_every_output_names_cause_rule_and_reason() -> None:
    """The instruction on the wire carries its id, its lane's number and the event that caused it."""
    lane = OneLane([make.policy()])
    lane.take(*FAST_TRACK)

    (row,) = [row for row in lane.outbox if row.topic == "finance.payment-instruction.v1"]
    instruction = lane.codec.decode(row.topic, row.value, [])
    headers = dict(headers_of(row))
    assert isinstance(instruction, PaymentInstruction)
    assert instruction.cause == row.cause == "repair.invoice.v1/1/0/0"
    assert headers["instruction_id"] == instruction.instruction_id.encode()
    assert (headers["lane"], headers["seq"]) == (b"0", str(row.seq).encode())
    assert headers["causationid"] == b"repair.invoice.v1/1/0/0"
    assert all(row.cause and row.rule and row.reason for row in lane.outbox)


def test_a_payment_instruction_and_nothing_else_is_signed_where_it_stands() -> None:
    """Its signature is of its own place in the lane: in the row that the approving transaction writes."""
    lane = OneLane([make.policy()])
    lane.take(*FAST_TRACK)

    signed = [row for row in lane.outbox if SIGNATURE in dict(headers_of(row))]
    (row,) = signed
    instruction = lane.codec.decode(row.topic, row.value, [])
    headers = dict(headers_of(row))
    assert isinstance(instruction, PaymentInstruction)
    assert [(name, headers[name]) for name in (KEY_ID, SIGNATURE)] == SIGN(instruction, 0, row.seq)


def test_numbers_of_a_lane_have_no_gap() -> None:
    """Outbox numbers and journal entries are gapless over batches, dead letters and parked records included."""
    lane = OneLane([make.policy()])
    lane.take(lane.received(b"poison", ESTIMATE, make.CLAIM), make.estimate())
    lane.take(make.notice())
    lane.take(make.invoice())

    assert [row.seq for row in lane.outbox] == list(range(1, len(lane.outbox) + 1))
    # The released estimate has two entries: one when it was parked, one when it was applied.
    assert sorted([row.entry for row in lane.journal] + [row.entry for row in lane.dead]) == [1, 3, 4, 5]


def test_an_estimate_before_its_notice_waits_and_is_released_in_order() -> None:
    """What came meanwhile waits behind it, though it could not have been applied either."""
    lane = OneLane([make.policy()])
    lane.take(make.estimate(), make.invoice(), make.document())
    assert [row.reason for row in lane.parked.values()][1:] == ["waits behind repair.estimate.v1/1/0/0"] * 2

    effects = lane.take(make.notice())

    assert lane.outcomes() == [
        (NOTICE, "done"),
        (ESTIMATE, "done"),
        (INVOICE, "done"),
        ("reporting.document.v1", "done"),
    ]
    assert effects.released == 3
    assert not lane.parked
    assert stage(lane) == "paying"


def test_one_waiting_claim_does_not_hold_another() -> None:
    """Order and parking are per claim."""
    lane = OneLane([make.policy()])
    lane.take(make.estimate(claim="CLM-OTHER"), *FAST_TRACK)

    assert stage(lane) == "paying"
    assert len(lane.parked) == 1


def test_a_record_parked_and_released_in_one_batch_leaves_nothing_parked() -> None:
    """The ledger never sees it parked."""
    lane = OneLane([make.policy()])
    effects = lane.take(make.estimate(), make.notice())

    assert effects.parked == {}
    assert effects.parked_gone == []


def test_a_wait_that_changes_its_reason_is_rewritten_not_doubled() -> None:
    """The estimate first waits for its notice, then for the policy."""
    lane = OneLane()
    lane.take(make.estimate())
    (before,) = lane.parked.values()
    lane.take(make.notice())
    (after,) = lane.parked.values()

    assert before.entry == after.entry
    assert before.reason != after.reason


def test_a_policy_that_comes_late_wakes_the_claim_that_waits_for_it() -> None:
    """Wanted, arrived, woken, registered, and the parked estimate goes on."""
    lane = OneLane()
    lane.take(make.notice(), make.estimate())
    (wanted,) = [row for row in lane.outbox if row.topic == "hub.policy-wanted.v1"]
    lane.take(lane.codec.decode(wanted.topic, wanted.value, []), make.policy())
    (wake,) = [row for row in lane.outbox if row.topic == "hub.wake.v1"]
    lane.take(lane.codec.decode(wake.topic, wake.value, []))

    assert (wanted.key, wake.key) == (make.POLICY, make.CLAIM)
    assert stage(lane) == "assessing"
    assert not lane.parked


def test_a_policy_asked_for_twice_wakes_its_claim_once() -> None:
    """The relay may repeat what it asked, after a crash: the claim and what is told of it are the same."""
    lane = OneLane()
    lane.take(make.notice())
    (asked,) = [row for row in lane.outbox if row.topic == "hub.policy-wanted.v1"]
    lane.answer_itself()
    lane.take(make.policy())
    lane.answer_itself()
    claim, told = lane.state.claims[make.CLAIM], [row for row in lane.outbox if row.subject == make.CLAIM]

    lane.take(lane.received(asked.value, asked.topic, asked.key, headers_of(asked)))
    lane.answer_itself()

    assert lane.outcomes()[-2:] == [("hub.policy-wanted.v1", "done"), ("hub.wake.v1", "duplicate")]
    assert lane.state.claims[make.CLAIM] == claim
    assert [row for row in lane.outbox if row.subject == make.CLAIM] == told


def test_an_event_that_comes_twice_changes_the_claim_once() -> None:
    """Duplicates are known by source and id, whatever their offset."""
    lane = OneLane([make.policy()])
    headers = [("ce_source", b"desk"), ("ce_id", b"17")]
    lane.take(lane.received(make.notice(), headers=headers), lane.received(make.notice(), headers=headers))
    lane.take(lane.received(make.notice(), headers=headers))

    assert lane.outcomes() == [(NOTICE, "done"), (NOTICE, "duplicate"), (NOTICE, "duplicate")]
    assert lane.state.claims[make.CLAIM].version == 1


def test_an_event_is_known_again_however_much_came_between() -> None:
    """A sender may repeat what it said long ago: the claim keeps every id it was told."""
    lane = OneLane([make.policy()])
    headers = [("ce_source", b"desk"), ("ce_id", b"17")]
    lane.take(lane.received(make.notice(), headers=headers))
    lane.take(*[make.document()] * 300)
    lane.take(lane.received(make.notice(), headers=headers))

    assert lane.outcomes()[-1] == (NOTICE, "duplicate")


def test_bytes_that_are_no_record_become_a_dead_letter_with_those_bytes() -> None:
    """In the ledger and on the topic, and the claim flows on."""
    lane = OneLane([make.policy()])
    lane.take(make.notice(), lane.received(b"\xff not avro", ESTIMATE, make.CLAIM), make.estimate())

    (dead,) = lane.dead
    (letter,) = [
        lane.codec.decode(row.topic, row.value, []) for row in lane.outbox if row.topic == "hub.dead-letter.v1"
    ]
    assert (dead.topic, dead.offset, dead.value) == (ESTIMATE, 0, b"\xff not avro")
    assert isinstance(letter, DeadLetter)
    assert (letter.value, letter.code) == (b"\xff not avro", "not-framed")
    assert stage(lane) == "assessing"


def test_a_record_over_the_size_cap_is_kept_whole_in_the_ledger_only() -> None:
    """The copy on the topic must never be too large for the broker."""
    lane = OneLane()
    huge = b"\0" * 1_500_000
    lane.take(lane.received(huge, ESTIMATE, make.CLAIM))

    (dead,) = lane.dead
    (row,) = lane.outbox
    assert (dead.code, dead.value) == ("too-large", huge)
    assert len(row.value) < 10_000
    assert "kept in the ledger only" in lane.codec.decode(row.topic, row.value, []).reason  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "bad-key"),
        ("", "bad-key"),
        ("x" * 65, "bad-key"),
        ("two words", "bad-key"),
        ("CLM-OTHER", "key-mismatch"),
    ],
)
def test_a_key_that_is_not_the_claims_number_is_refused(key: str | None, code: str) -> None:
    """Each with its code, and nothing is applied."""
    lane = OneLane()
    value = lane.codec.encode(NOTICE, make.notice())
    lane.take(lane.received(value, NOTICE, key))

    assert [dead.code for dead in lane.dead] == [code]
    assert not lane.journal


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"total_minor": -1}, "bad-field", "total_minor"),
        ({"currency": "ZZZ"}, "bad-field", "currency"),
        ({"currency": "USD"}, "wrong-currency", "currency"),
        ({"total_minor": 1}, "bad-field", "total_minor"),
    ],
)
def test_an_invoice_with_an_impossible_amount_or_currency_is_refused_by_field(
    changes: dict[str, Any], code: str, field: str
) -> None:
    """A negative amount, a currency there is not, one that is not the policy's, a total that does not add up."""
    lane = OneLane([make.policy()])
    lane.take(make.notice(), make.estimate())
    lane.take(lane.unchecked(make.invoice(), **changes))

    (dead,) = lane.dead
    assert (dead.code, field in dead.reason) == (code, True)
    assert lane.outcomes() == [(NOTICE, "done"), (ESTIMATE, "done")]


def test_too_many_dead_letters_in_a_row_stop_the_batch_there() -> None:
    """What is left stays in Kafka; an applied record starts the count anew."""
    lane = OneLane([make.policy()], limit=3)
    poison = [lane.received(b"poison", ESTIMATE, make.CLAIM) for _ in range(2)]
    effects = lane.take(*poison, make.notice(), *[lane.received(b"poison", ESTIMATE, make.CLAIM) for _ in range(5)])

    assert effects.taken == 6
    assert len(lane.dead) == 5


UNKNOWN_SCHEMA = b"\x00\x00\x98\x96\x7f written by a schema nobody registered"


class LateRegistry(EmbeddedRegistry):
    """A registry that does not know the schemas until told."""

    knows = False
    asked = 0

    def schema_by_id(self, schema_id: int) -> str:
        self.asked += 1
        if not self.knows:
            raise UnknownSchema(schema_id)
        return super().schema_by_id(schema_id)


def test_an_unknown_schema_waits_and_an_operator_lets_it_go_on() -> None:
    """It is not poison: later records of the claim wait behind it until it is tried again."""
    registry = LateRegistry()
    lane = OneLane([make.policy()], Codec(registry, 1_000_000))
    lane.take(make.notice(), make.estimate())
    assert "not in the registry" in next(iter(lane.parked.values())).reason
    assert not lane.dead

    registry.knows = True
    lane.take(retry())

    assert lane.outcomes() == [("hub.wake.v1", "retry"), (NOTICE, "done"), (ESTIMATE, "done")]
    assert not lane.parked


def test_nothing_passes_a_record_that_cannot_be_read() -> None:
    """Neither a later record of its topic that the first in the queue waits for, nor one parked behind it: whichever
    topic was fetched first, the claim's notices are taken in their order."""
    registry = LateRegistry()
    registry.knows = True
    lane = OneLane([make.policy()], Codec(registry, 1_000_000))
    lane.take(make.estimate())
    unreadable = lane.received(UNKNOWN_SCHEMA, NOTICE, make.CLAIM)
    lane.take(unreadable, make.notice(), retry())

    assert lane.outcomes() == [("hub.wake.v1", "retry")]
    assert [row.topic for row in lane.parked.values()] == [ESTIMATE, NOTICE, NOTICE]


def test_the_registry_is_asked_for_an_unknown_schema_once_a_batch() -> None:
    """A flood of such records must not become a flood of questions."""
    registry = LateRegistry()
    lane = OneLane([make.policy()], Codec(registry, 1_000_000))
    lane.take(make.notice(), make.notice(claim="CLM-2"), make.notice(claim="CLM-3"), make.estimate())

    assert registry.asked == 2
    assert len(lane.parked) == 4


def test_an_operators_retry_of_a_wait_that_is_not_over_changes_nothing() -> None:
    """The record stays parked under its own reason."""
    lane = OneLane()
    lane.take(make.estimate())
    effects = lane.take(retry())

    assert effects.parked == {}
    assert effects.parked_gone == []
    assert make.CLAIM not in lane.state.claims


HISTORY: Sequence[Record] = (
    make.estimate(),
    make.notice(photos=(), estimated_loss_minor=30_000_00),
    make.invoice(),
    make.finding(),
    make.finding(finding_id="SV-2"),
    make.estimate({"parts": 90_000_00, "labour": 800_00}, version=2),
    make.decision(Role.HANDLER),
    make.decision(Role.APPROVER),
    make.document(),
)


def rows_of(order: Sequence[int], sizes: Sequence[int]) -> tuple[object, ...]:
    """All rows the history leads to in this order, taken in batches of these sizes."""
    lane = OneLane([make.policy()])
    records = [lane.received(HISTORY[number]) for number in order]
    at = 0
    for size in sizes:
        lane.take(*records[at : at + size])
        at += size
    lane.take(*records[at:])
    # A record that is parked and released within one batch takes an entry in either case.
    return lane.journal, lane.outbox, lane.dead, lane.parked, lane.payments, lane.state.claims


@settings(max_examples=60)
@given(st.permutations(range(len(HISTORY))), st.lists(st.integers(1, 4), max_size=5))
def test_batch_sizes_do_not_show_in_the_rows(order: Sequence[int], sizes: Sequence[int]) -> None:
    """Same input, same ledger: one batch or many."""
    assert rows_of(order, sizes) == rows_of(order, ())


@settings(max_examples=150)
@given(st.sampled_from((FAST_TRACK_STORY, BY_TWO_PEOPLE)), st.randoms(use_true_random=False))
def test_whoever_speaks_first_the_claim_is_paid_and_nothing_is_left_waiting(
    story: Sequence[Record], random: Random
) -> None:
    """The records of a story in any order, each released when what it waits for has come, even from behind it."""
    lane = OneLane()
    order = list(story)
    random.shuffle(order)
    for record in order:
        lane.take(record)
        lane.answer_itself()

    assert (stage(lane), list(lane.parked.values()), lane.dead) == ("paid", [], [])
    assert len(lane.payments) == 1
