"""What departments are asked for: once for each task that opens, with what they need to answer."""

from schemas.records import (
    FindingKind,
    HospitalRequest,
    HospitalRequestKind,
    InvestigationRequest,
    OrderKind,
    Record,
    RepairOrder,
)
from tests.claims import (
    ALLOWANCE,
    DISABILITY,
    INSURED,
    OWN,
    PLATE,
    document,
    estimate,
    invoice,
    notice,
    notice_of,
    policy,
    policy_of,
)
from tests.unit.rules.hub import Hub


def asked(hub: Hub, topic: str) -> list[Record]:
    """All records sent to one topic."""
    return [output.record for output in hub.sent(topic)]


def test_a_repair_shop_is_asked_for_an_estimate_then_to_repair_then_for_a_supplement() -> None:
    """From the first estimate on it is that shop, with what was estimated; any shop may give the first."""
    hub = Hub().play(policy(), notice(), estimate({"parts": 1_000_00}), invoice({"parts": 1_200_00}))
    hub.play(estimate({"parts": 1_200_00}, version=2))

    orders = [order for order in asked(hub, "repair.order.v1") if isinstance(order, RepairOrder)]
    assert [(order.kind, order.shop, sum(it.amount_minor for it in order.amounts)) for order in orders] == [
        (OrderKind.ESTIMATE, None, 0),
        (OrderKind.REPAIR, "shop-01", 1_000_00),
        (OrderKind.SUPPLEMENT, "shop-01", 1_000_00),
    ]
    assert {(order.damaged, order.plate, order.currency) for order in orders} == {(OWN, PLATE, "CNY")}
    assert len({order.order_id for order in orders}) == 3
    assert "above E01 is parts by 200.00 CNY" in orders[2].reason


def test_those_who_look_into_a_loss_are_told_what_to_find_out() -> None:
    """A surveyor and the police, each once, however many records come while they look."""
    hub = Hub().play(policy(), notice(photos=(), injury=True), document(), estimate(), notice(photos=(), injury=True))

    requests = [it for it in asked(hub, "investigation.request.v1") if isinstance(it, InvestigationRequest)]
    assert [(it.kind, it.addressee, it.question) for it in requests] == [
        (FindingKind.SURVEY, "surveyor", "no photos"),
        (FindingKind.POLICE, "police", "somebody was hurt"),
    ]
    assert requests[0].place == notice().place
    assert all(len(it.request_id) <= 35 for it in requests)


def test_a_task_that_opens_again_is_asked_for_again() -> None:
    """A second supplement for the same vehicle is another order."""
    hub = Hub().play(policy(), notice(), estimate({"parts": 10_000_00}), invoice({"parts": 12_000_00}))
    hub.play(estimate({"parts": 12_000_00}, version=2), invoice({"parts": 13_000_00}, number="00000002"))

    orders = [order for order in asked(hub, "repair.order.v1") if isinstance(order, RepairOrder)]
    assert [order.kind for order in orders].count(OrderKind.SUPPLEMENT) == 2
    assert len({order.order_id for order in orders}) == len(orders) == 4


def test_a_hospital_is_told_of_whom_it_is_asked() -> None:
    """A bill and a certificate, with the facts of the notice."""
    insured = policy_of("accident", INSURED, ALLOWANCE, DISABILITY)
    hub = Hub().play(insured, notice_of("accident", INSURED, "hospital-stay", "disability", cause="fall"))

    requests = [it for it in asked(hub, "hospital.request.v1") if isinstance(it, HospitalRequest)]
    assert [(it.kind, it.facts) for it in requests] == [
        (HospitalRequestKind.BILL, INSURED),
        (HospitalRequestKind.DISABILITY, INSURED),
    ]
    assert all(value not in it.reason for it in requests for value in INSURED.values())
