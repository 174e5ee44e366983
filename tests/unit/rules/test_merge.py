"""Two notices of one loss: the second claim becomes part of the first, which takes all that is said for it."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from schemas.records import ContactKind, CustomerNotice, LossNotice, Record
from streams.received import Parser, Received
from streams.rules.claim import Claim, Outcome, Stage, TaskKind
from streams.rules.stage import stage_of
from tests import claims as make
from tests.lane import OneLane
from tests.unit.test_replay import Replayed

FIRST, SECOND, THIRD = make.CLAIM, "C-2", "C-3"
FORWARD, SAME_LOSS = "hub.forward.v1", "hub.same-loss.v1"


def notice(claim: str, minutes: int = 30, **changes: object) -> LossNotice:
    """A notice of the usual loss by somebody else, who puts it so many minutes later."""
    at_ms = make.LOSS_MS + minutes * 60_000
    own = {"reporter_name": f"报案人{claim}", "place": "北京市，停车场北门", "loss_at_ms": at_ms}
    return make.notice(claim=claim, **{**own, **changes})


class Lane(OneLane):
    """What it says to itself comes at once, with what it says it as."""

    def say(self, *records: Record | Received) -> "Lane":
        for record in records:
            self.take(record)
            self.answer_itself()
        return self

    def claim(self, number: str) -> Claim:
        return self.state.claims[number]

    def told(self, claim: str) -> list[str]:
        """The kinds of the notices to who reported a claim."""
        sent = [self.codec.decode(row.topic, row.value, []) for row in self.outbox if row.topic == "customer.notice.v1"]
        return [it.kind for it in sent if isinstance(it, CustomerNotice) and it.claim == claim]

    def count(self, topic: str) -> int:
        return sum(row.topic == topic for row in self.outbox)

    def ends(self, topic: str) -> list[tuple[str, str, str]]:
        """Claim, outcome and rule of each of a topic's records."""
        return [(row.subject, row.outcome, row.rule) for row in self.journal if row.topic == topic]


def world(*records: Record) -> Lane:
    return Lane([make.policy()]).say(*records)


def is_merged(lane: Lane, second: str = SECOND, into: str = FIRST) -> bool:
    claim = lane.claim(second)
    merged = claim.outcome is Outcome.MERGED and claim.merge is not None and claim.merge.into == into
    return merged and stage_of(claim) is Stage.CLOSED and second in lane.claim(into).joined


@pytest.mark.parametrize("numbers", [(FIRST, SECOND), (SECOND, FIRST)])
def test_the_second_notice_is_merged_into_the_first_whatever_their_numbers(numbers: Sequence[str]) -> None:
    """Both reporters hear of it; only the first claim asks anybody for anything."""
    first, second = numbers
    lane = world(notice(first, 0), notice(second))

    assert is_merged(lane, second, first)
    assert lane.told(first) == ["received", "registered", "merged"] and lane.told(second) == ["received", "merged"]
    assert lane.count("repair.order.v1") == 1 and lane.claim(second).open_tasks == ()
    snapshots = [row.reason for row in lane.outbox if row.topic == "claims.status.v1" and row.key == second]
    assert snapshots[-1] == f"claim {first} is about the same loss, so this claim is merged into it"


def test_the_first_claim_stays_as_its_own_notice_said() -> None:
    """The second reporter changes neither who is told nor who is paid, and raises no suspicion."""
    lane = world(make.notice(), notice(SECOND, payee=make.OTHER_PAYEE, photos=(make.PHOTO,)))
    kept = lane.claim(FIRST).notice

    assert kept is not None and kept.payee == make.PAYEE and not kept.payee_changed
    assert kept.reporter_name == "报案人甲" and lane.claim(FIRST).same_papers == ()


def test_what_both_reporters_send_is_no_paper_of_two_claims() -> None:
    """The second's notice leaves nothing for the first to be suspected by."""
    lane = world(make.notice(), notice(SECOND, photos=("cd" * 32,)))
    lane.say(make.document(kind="photo", sha256="cd" * 32))

    assert lane.claim(FIRST).documents == {"DOC-1": "photo"} and lane.claim(FIRST).same_papers == ()


def test_a_third_notice_is_merged_into_the_first_as_well() -> None:
    """Not into the second, which is no claim of its own any more."""
    lane = world(make.notice(), notice(SECOND), notice(THIRD, 60))

    assert is_merged(lane) and is_merged(lane, THIRD)
    assert lane.claim(FIRST).joined == (SECOND, THIRD)


@pytest.mark.parametrize(
    "changes",
    [
        {"minutes": 121},
        {"minutes": -121},
        {"place": "天津市，停车场"},
        {"cause": "theft"},
        {"plate": make.OTHER_PLATE},
    ],
)
def test_a_notice_of_another_loss_is_a_claim_of_its_own(changes: dict[str, object]) -> None:
    """Another time, place, cause or vehicle."""
    minutes = changes.pop("minutes", 0)
    assert isinstance(minutes, int)
    lane = Lane([make.policy(), make.policy(policy_number="P-2", plate=make.OTHER_PLATE)])
    number = {"policy_number": "P-2"} if "plate" in changes else {}
    lane.say(make.notice(), notice(SECOND, minutes, notified_at_ms=make.LOSS_MS + make.DAY_MS, **number, **changes))

    assert lane.claim(SECOND).policy is not None and lane.claim(SECOND).outcome is None
    assert lane.claim(FIRST).joined == () and "merged" not in lane.told(SECOND)


def test_two_losses_near_each_other_over_midnight_are_one_and_hours_apart_are_not() -> None:
    """The day is no border; a claim that was asked says how far the times are apart, and the other goes on."""
    midnight = make.LOSS_MS - make.LOSS_MS % make.DAY_MS + make.DAY_MS
    said = {"notified_at_ms": midnight + make.DAY_MS}
    lane = world(
        make.notice(loss_at_ms=midnight - 3_600_000, **said), notice(SECOND, loss_at_ms=midnight + 60_000, **said)
    )
    assert is_merged(lane)

    lane = world(make.notice(loss_at_ms=midnight + 3_600_000, **said))
    lane.say(notice(SECOND, loss_at_ms=midnight + 9 * 3_600_000, **said))
    assert lane.claim(SECOND).policy is not None
    assert lane.ends(FORWARD) == [(FIRST, "noted", "merge.answered")]
    assert lane.claim(SECOND).merge is not None and lane.claim(SECOND).merge.into is None  # type: ignore[union-attr]
    (answer,) = [row for row in lane.outbox if row.topic == SAME_LOSS]
    assert (
        answer.reason
        == "claim C-2 is not about this claim's loss: their times are 480 minutes apart, at most 120 may be one"
    )


def test_what_comes_for_the_second_is_taken_by_the_first() -> None:
    """A document, an estimate and an invoice: the claim is settled and paid by them."""
    lane = world(make.notice(), notice(SECOND))
    lane.say(make.document(claim=SECOND), make.estimate(claim=SECOND), make.invoice(claim=SECOND))

    assert lane.claim(FIRST).documents == {"DOC-1": "police-report"}
    assert lane.claim(FIRST).outcome is Outcome.APPROVED and len(lane.claim(FIRST).payments) == 1
    assert lane.claim(SECOND).payments == () and lane.dead == [] and lane.parked == {}
    assert lane.ends("repair.invoice.v1") == [(SECOND, "noted", "merge.forwarded")]


def test_who_withdraws_the_second_does_not_withdraw_what_another_reported() -> None:
    """It is refused, with what to do; the first claim goes on."""
    lane = world(make.notice(), notice(SECOND)).say(make.contact(ContactKind.WITHDRAWAL, claim=SECOND))

    assert lane.claim(FIRST).outcome is None and is_merged(lane)
    assert [(row.subject, row.code) for row in lane.dead] == [(SECOND, "merged")]


def test_what_came_before_the_second_notice_waits_and_is_handed_on() -> None:
    """In the order it came."""
    lane = world(make.notice()).say(make.estimate(claim=SECOND), make.invoice(claim=SECOND))
    assert len(lane.parked) == 2
    lane.say(notice(SECOND))

    assert lane.claim(FIRST).outcome is Outcome.APPROVED and lane.parked == {} and lane.dead == []


def test_what_comes_between_question_and_answer_waits_for_the_answer() -> None:
    """Also what would otherwise be taken at once, such as a document."""
    lane = world(make.notice())
    lane.take(notice(SECOND), make.document(claim=SECOND))
    assert [row.reason for row in lane.parked.values()] == [
        f"waits until it is known whether claim {FIRST} is about the same loss"
    ]
    assert [task.kind for task in lane.claim(SECOND).open_tasks] == [TaskKind.SAME_LOSS]
    lane.answer_itself()

    assert is_merged(lane) and lane.claim(FIRST).documents and lane.parked == {}


def test_a_forwarded_record_that_must_wait_waits_at_the_first_claim() -> None:
    """A supplement before its estimate, both sent for the second."""
    lane = world(make.notice(), notice(SECOND)).say(make.estimate(claim=SECOND, version=2))
    assert [(row.subject, row.topic) for row in lane.parked.values()] == [(FIRST, FORWARD)]
    lane.say(make.estimate(claim=SECOND))

    known = lane.claim(FIRST).assessed_of(make.OWN)
    assert known is not None and known.version == 2 and lane.parked == {}


def test_the_same_event_for_either_claim_is_taken_once() -> None:
    """Its id is known wherever it was sent first."""
    headers = [("ce_source", b"desk"), ("ce_id", b"7")]
    lane = world(make.notice(), notice(SECOND))
    for claim in (SECOND, SECOND, FIRST):
        lane.say(lane.received(make.document(claim=claim), headers=headers))

    assert [outcome for _, outcome, _ in lane.ends("reporting.document.v1")] == ["noted", "duplicate", "duplicate"]
    assert [outcome for claim, outcome, _ in lane.ends(FORWARD) if claim == FIRST] == ["done", "done"]


def test_a_forwarded_record_arrives_with_the_bytes_and_headers_it_came_with() -> None:
    """Whatever its first lane made of it."""
    lane = world(make.notice(), notice(SECOND))
    sent = lane.received(
        make.document(claim=SECOND), headers=[("ce_source", b"desk"), ("ce_id", b"7"), ("own", b"\xff")]
    )
    lane.say(sent)
    row = [row for row in lane.outbox if row.topic == FORWARD][-1]
    forward = lane.codec.decode(FORWARD, row.value, [])

    assert (forward.value, forward.headers) == (sent.value, dict(sent.headers))  # type: ignore[attr-defined]
    assert (forward.topic, forward.event_id, forward.other) == (sent.topic, "desk 7", SECOND)  # type: ignore[attr-defined]


@pytest.mark.parametrize("ended", ["not accepted", "withdrawn"])
def test_a_claim_that_ended_unaccepted_takes_none_in(ended: str) -> None:
    """Who was told to report the loss again is heard."""
    lane = Lane([make.policy(effective_to_ms=make.LOSS_MS)] if ended == "not accepted" else [make.policy()])
    lane.say(make.notice())
    if ended == "withdrawn":
        lane.say(make.contact(ContactKind.WITHDRAWAL))
    else:
        lane.say(replace(make.policy(), version=2))
    lane.say(notice(SECOND))

    assert lane.claim(FIRST).joined == ()
    assert lane.claim(SECOND).policy is not None and lane.claim(SECOND).outcome is None


def test_a_decision_on_the_merged_claim_is_refused() -> None:
    """It would be on a settlement that claim never had."""
    lane = world(make.notice(), notice(SECOND)).say(make.decision(claim=SECOND))

    assert [(dead.code, dead.reason) for dead in lane.dead] == [
        ("merged", f"the claim was merged into {FIRST}: send the decision for that claim")
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_merging_is_replayed_as_it_was(size: int) -> None:
    """In batches of any size, with who was asked and what was handed on."""
    lane = Lane([])
    lane.say(make.policy(), make.notice(), make.estimate(claim=SECOND), notice(SECOND), make.invoice(claim=SECOND))
    replayed = Replayed(lane, size)

    assert replayed.differences == [] and (replayed.journal, replayed.outbox) == (lane.journal, lane.outbox)
    assert is_merged(lane) and lane.claim(FIRST).outcome is Outcome.APPROVED


def test_what_is_forwarded_is_read_as_said_for_the_claim_it_is_handed_to() -> None:
    """Whatever rule looks at its claim."""
    lane = world(make.notice(), notice(SECOND)).say(make.document(claim=SECOND))
    row = [row for row in lane.outbox if row.topic == FORWARD][-1]
    forwarded = Received(FORWARD, 99, row.key.encode(), row.value, [], make.LOSS_MS)
    parsed = Parser(lane.codec, 0, 1, {FORWARD: 1}, ()).parse(forwarded)

    assert parsed.record == make.document(claim=FIRST, sha256=make.digest(SECOND, "document"))
