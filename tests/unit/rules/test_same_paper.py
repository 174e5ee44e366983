"""The same paper or picture in two claims: the second is refused, both are at risk, whatever the batches."""

from collections.abc import Sequence

import pytest

from schemas.records import Record, SiuReferral
from streams.rules.claim import Outcome, Stage, TaskKind
from streams.rules.stage import stage_of
from streams.rules.traces import MOST, Shared, of_document, of_paper, others
from tests.claims import CLAIM, PHOTO, bill, code, document, estimate, invoice, notice, policy
from tests.lane import OneLane

TWIN = "CLM-2026-000002"
FIRST = (notice(), estimate())
SECOND = (notice(claim=TWIN), estimate(claim=TWIN))
SAME_CONTENT = invoice(claim=TWIN, sha256=PHOTO)
SAME_PRINT = invoice(claim=TWIN, code=code(CLAIM))


def _taken(*batches: Sequence[Record]) -> OneLane:
    lane = OneLane([policy()])
    for batch in batches:
        lane.take(*batch)
        lane.answer_itself()
    return lane


def _reasons(lane: OneLane, claim: str) -> list[str]:
    return [row.reason for row in lane.journal if row.subject == claim]


@pytest.mark.parametrize("twin", [SAME_CONTENT, SAME_PRINT])
def test_an_invoice_that_another_claim_has_is_refused_and_both_are_referred(twin: Record) -> None:
    """By what is printed on it or by its content; the second claim still waits for its invoice, the first is paid for
    what it was, and SIU hears of both."""
    lane = _taken(FIRST, SECOND, (invoice(),), (twin,))

    first, second = lane.state.claims[CLAIM], lane.state.claims[TWIN]
    assert _reasons(lane, TWIN)[-1].startswith(f"the invoice is refused: it was presented before, with claim {CLAIM}")
    assert [task.kind for task in second.open_tasks] == [TaskKind.INVOICE, TaskKind.SIU]
    assert (first.outcome, [task.kind for task in first.open_tasks]) == (Outcome.APPROVED, [TaskKind.SIU])
    referred = [row for row in lane.outbox if row.topic == "siu.referral.v1"]
    assert [row.subject for row in referred] == [TWIN, CLAIM]
    for row in referred:
        record = lane.codec.decode(row.topic, row.value, [])
        assert isinstance(record, SiuReferral)
        assert [(it.name, it.weight) for it in record.signals] == [("same-paper", 60)]


def test_what_comes_in_the_same_batch_is_found_as_well() -> None:
    """The second of two in one batch is refused as it is in the next."""
    apart = _taken(FIRST, SECOND, (invoice(),), (SAME_CONTENT,))
    together = _taken((*FIRST, *SECOND, invoice(), SAME_CONTENT))

    assert together.state.claims == apart.state.claims
    assert [row.inputs for row in together.journal] == [row.inputs for row in apart.journal]


def test_what_was_refused_leaves_no_trace() -> None:
    """The first may send it again, and is not refused for the second's sake; nor is anybody told twice."""
    lane = _taken(FIRST, SECOND, (invoice(),), (SAME_CONTENT,), (SAME_CONTENT,))
    other = [key for key, left in lane.left.items() if any(shared.claim == TWIN for shared in left)]

    assert sorted(other) == sorted(set(other))
    assert not {*of_paper(SAME_CONTENT)} & set(other)
    assert len([row for row in lane.outbox if row.topic == "hub.same-paper.v1"]) == 1


def test_a_parked_invoice_is_looked_up_when_it_is_released() -> None:
    """It waits for its estimate, and is refused once that has come."""
    lane = _taken(FIRST, (invoice(),), (notice(claim=TWIN), SAME_CONTENT), (estimate(claim=TWIN),))

    assert lane.parked == {} and "the invoice is refused" in _reasons(lane, TWIN)[-1]


def test_a_photo_of_another_claim_stops_nothing_but_the_money() -> None:
    """The loss is reported all the same; SIU looks at both."""
    lane = _taken(FIRST, (notice(claim=TWIN, photos=(PHOTO,)),))

    for claim, other in ((CLAIM, TWIN), (TWIN, CLAIM)):
        state = lane.state.claims[claim]
        assert (stage_of(state), state.same_papers) == (Stage.INVESTIGATING, (f"photo of claim {other}",))


@pytest.mark.parametrize(("kind", "refused"), [("receipt", True), ("invoice", True), ("driving-licence", False)])
def test_documents_that_belong_to_one_claim(kind: str, *, refused: bool) -> None:
    """A receipt may come once; a licence comes with every claim of its driver."""
    sent = document(kind=kind, sha256="cd" * 32)
    lane = _taken(FIRST, SECOND, (sent,), (document(claim=TWIN, kind=kind, sha256="cd" * 32),))

    assert (lane.state.claims[TWIN].documents == {}) is refused
    assert bool(of_document(sent)) is refused


def test_the_same_claim_may_send_its_paper_again() -> None:
    """Corrected or repeated: it is its own."""
    lane = _taken(FIRST, (invoice({"parts": 1_000_00}),))

    assert lane.state.claims[CLAIM].same_papers == ()


def test_at_most_so_many_others_are_looked_at() -> None:
    """The newest, each once; a claim is no other of itself."""
    (trace,) = of_document(document(kind="receipt"))
    many = [Shared(f"C-{number:02}", number) for number in range(MOST + 2)]

    found = others("C-05", [trace, trace], {trace: [*many, Shared("C-11", 0)]})

    assert [one.claim for one in found] == [f"C-{number:02}" for number in range(11, 0, -1) if number != 5]
    assert found[0].at_ms == 11


def test_bills_and_invoices_share_no_trace_by_chance() -> None:
    """Another number is another paper."""
    assert not set(of_paper(bill(sha256="ef" * 32))) & set(of_paper(invoice()))
