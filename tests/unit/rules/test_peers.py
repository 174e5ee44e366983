"""A shop or hospital above its peers: a signal of its claims, looked up by their papers, or told whenever it is."""

from typing import Any

import pytest

from schemas.records import FindingKind, ProviderKind, Record
from streams.decide import PeersKey
from streams.rules.claim import Claim, Outcome, TaskKind
from streams.rules.decision import PeerLimit
from streams.rules.lines import terms_of
from streams.rules.risk import Signal, signals
from tests.claims import (
    CLAIM,
    MEDICAL,
    OTHER_PAYEE,
    PATIENT,
    bill,
    estimate,
    finding,
    invoice,
    notice,
    notice_of,
    peer_figures,
    policy,
    policy_of,
)
from tests.lane import OneLane
from tests.unit.rules.hub import Hub

HOSPITAL: dict[str, Any] = {"kind": ProviderKind.HOSPITAL, "provider": "hospital-11"}
ESTIMATED = 2_800_00
"""What the usual estimate comes to."""
SHOPS: PeersKey = ("shop", "motor", "CNY")
HOSPITALS: PeersKey = ("hospital", "health", "CNY")


def _motor(*records: Record) -> Hub:
    return Hub().play(policy(), notice(), *records)


def _lane(limits: dict[PeersKey, PeerLimit]) -> OneLane:
    lane = OneLane([policy()])
    lane.peers.update(limits)
    return lane


def _signal(hub: Hub) -> list[Signal]:
    return _signal_of(hub.claim)


def _signal_of(claim: Claim) -> list[Signal]:
    assert claim.notice is not None and claim.policy is not None
    return [it for it in signals(claim, claim.notice, claim.policy, terms_of(claim.notice)) if it.name == "above-peers"]


@pytest.mark.parametrize(("limit", "above"), [(ESTIMATED, False), (ESTIMATED - 1, True)])
def test_a_claim_above_the_limit_has_the_signal(limit: int, *, above: bool) -> None:
    """At the limit it is as others are, and departments hear nothing of it."""
    hub = _motor(estimate())
    version = hub.claim.version
    hub.play(peer_figures(limit))

    assert not hub.dead and hub.claim.version == version + above
    assert [it.weight for it in _signal(hub)] == [15] * above
    assert ("above" in hub.decisions[-1].reason, "not above" in hub.decisions[-1].reason) == (True, not above)


def test_the_evidence_says_what_was_compared() -> None:
    """The amount, the limit, and in how many claims."""
    (found,) = _signal(_motor(estimate(), peer_figures(2_000_00)))

    assert found.evidence == (
        "shop shop-01 comes to 2 800.00 CNY, above 2 000.00 CNY, what 95 % of 120 claims come to at most"
    )


def test_what_is_agreed_counts_and_the_dearest_bill() -> None:
    """As the report counts them."""
    cheaper = _motor(finding(), estimate(), invoice({"parts": 1_000_00}), peer_figures(1_000_00))
    patient = notice_of("health", PATIENT, "treatment", estimated_loss_minor=40_000_00)
    ill = Hub().play(policy_of("health", PATIENT, MEDICAL), patient, bill(1_200_00), bill(900_00, number="43"))

    assert _signal(cheaper) == []
    assert _signal(ill.play(peer_figures(1_200_00, **HOSPITAL))) == []
    assert len(_signal(ill.play(peer_figures(1_199_99, **HOSPITAL)))) == 1


def test_somebody_looks_at_a_hospital_above_its_peers() -> None:
    """However low its bill is (domain: route plan, health)."""
    patient = notice_of("health", PATIENT, "treatment", estimated_loss_minor=40_000_00)
    hub = Hub().play(policy_of("health", PATIENT, MEDICAL), patient, bill(900_00))
    kinds = [TaskKind.DOCUMENTS]
    assert [task.kind for task in hub.claim.open_tasks] == kinds

    hub.play(peer_figures(800_00, **HOSPITAL))
    assert [task.kind for task in hub.claim.open_tasks] == [*kinds, TaskKind.HOSPITAL_CHECK]
    hub.play(finding(kind=FindingKind.HOSPITAL_CHECK))
    assert [task.kind for task in hub.claim.open_tasks] == kinds


def test_it_is_noted_once() -> None:
    """Later figures of the same shop change nothing."""
    hub = _motor(estimate(), peer_figures(2_000_00))
    version = hub.claim.version
    hub.play(peer_figures(1_900_00))

    assert (hub.claim.version, len(hub.claim.above_peers)) == (version, 1)


def test_with_others_it_takes_a_person_or_siu() -> None:
    """Fifteen and thirty: nobody pays unseen. What it comes to after the decision is referred."""
    hub = _motor(notice(payee=OTHER_PAYEE), estimate(), peer_figures(2_000_00), invoice())
    late = _motor(finding(contradicts_notice=True), notice(payee=OTHER_PAYEE), estimate())

    assert [task.kind for task in hub.claim.open_tasks] == [TaskKind.APPROVAL]
    assert "risk 45" in hub.decisions[-1].reason
    assert "risk 85" in late.play(peer_figures(2_000_00)).decisions[-1].reason
    paid = _motor(estimate(), invoice())
    assert paid.claim.outcome is Outcome.APPROVED
    assert not paid.play(peer_figures(2_000_00)).dead and len(_signal(paid)) == 1


@pytest.mark.parametrize(
    ("figures", "code"),
    [
        (peer_figures(1_00, claims=29), "too-few-peers"),
        (peer_figures(1_00, provider="shop-02"), "other-provider"),
        (peer_figures(1_00, **HOSPITAL), "other-provider"),
        (peer_figures(1_00, currency="HKD"), "wrong-currency"),
    ],
)
def test_what_is_refused(figures: Record, code: str) -> None:
    """Too few to compare with, somebody else's figures, or another money."""
    hub = _motor(estimate(), figures)

    assert [dead.code for dead in hub.dead] == [code]
    assert hub.claim.above_peers == ()


def test_figures_wait_for_the_claim() -> None:
    """Without its notice nothing can be compared."""
    hub = Hub().play(peer_figures(1_00))

    assert len(hub.waiting) == 1


@pytest.mark.parametrize(("limit", "above"), [(ESTIMATED, False), (ESTIMATED - 1, True)])
def test_a_paper_is_compared_when_it_comes(limit: int, *, above: bool) -> None:
    """As the record compares, with the same words. What it was compared with is in the journal, above or not."""
    lane = _lane({SHOPS: PeerLimit(120, 95, limit)})
    lane.take(notice(), estimate())
    told = _motor(estimate(), peer_figures(limit))
    row = lane.journal[-1]

    assert lane.state.claims[CLAIM].above_peers == told.claim.above_peers
    assert [it.weight for it in _signal_of(lane.state.claims[CLAIM])] == [15] * above
    assert row.inputs == f'{{"peers":[120,95,{limit}]}}'
    assert row.reason == "; ".join(["estimate E01 of own-vehicle comes to 2 800.00 CNY", *told.claim.above_peers])


@pytest.mark.parametrize(
    ("key", "claims", "kept"),
    [
        (SHOPS, 29, True),
        (("shop", "motor", "HKD"), 120, False),
        (("shop", "property", "CNY"), 120, False),
        (("hospital", "motor", "CNY"), 120, False),
        (None, 120, False),
    ],
)
def test_a_paper_is_compared_with_enough_claims_of_its_kind_only(
    key: PeersKey | None, claims: int, *, kept: bool
) -> None:
    """In the line and currency of its claim. Where there is no limit for it nothing is kept in the journal."""
    lane = _lane({} if key is None else {key: PeerLimit(claims, 95, 1_00)})
    lane.take(notice(), estimate())

    assert lane.state.claims[CLAIM].above_peers == ()
    assert (lane.journal[-1].rule, lane.journal[-1].inputs is not None) == ("assessment.estimate", kept)


def test_a_paper_above_its_peers_is_not_paid_unseen() -> None:
    """With another signal it takes a person, and a hospital's bill takes one who looks into it, at once."""
    shop = _lane({})
    shop.take(notice(), notice(payee=OTHER_PAYEE), estimate())
    shop.peers[SHOPS] = PeerLimit(120, 95, 2_000_00)
    shop.take(invoice())
    usual = _lane({})
    usual.take(notice(), notice(payee=OTHER_PAYEE), estimate(), invoice())
    hospital = _lane({HOSPITALS: PeerLimit(30, 95, 800_00)})
    hospital.take(policy_of("health", PATIENT, MEDICAL))
    hospital.take(notice_of("health", PATIENT, "treatment"), bill(900_00))

    assert [task.kind for task in shop.state.claims[CLAIM].open_tasks] == [TaskKind.APPROVAL]
    assert "risk 45" in shop.journal[-1].reason and "risk 30" in usual.journal[-1].reason
    assert TaskKind.HOSPITAL_CHECK in [task.kind for task in hospital.state.claims[CLAIM].open_tasks]


def test_a_later_paper_is_compared_with_what_is_known_then() -> None:
    """Of papers and records the first that finds it notes it, with what the claim comes to by then."""
    lane = _lane({SHOPS: PeerLimit(120, 95, ESTIMATED)})
    lane.take(notice(), estimate())
    lane.peers[SHOPS] = PeerLimit(121, 95, 1_000_00)
    lane.take(estimate({"parts": 3_000_00}, version=2))
    (noted,) = lane.state.claims[CLAIM].above_peers
    lane.peers[SHOPS] = PeerLimit(122, 95, 900_00)
    lane.take(invoice(), peer_figures(900_00))

    assert noted == "shop shop-01 comes to 2 800.00 CNY, above 1 000.00 CNY, what 95 % of 121 claims come to at most"
    assert lane.state.claims[CLAIM].above_peers == (noted,) and not lane.dead
    assert "peers" not in lane.journal[-2].reason and lane.journal[-1].reason.endswith(": known")
