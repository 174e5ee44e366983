"""The same person, phone, account or vehicle in claims: a signal from the third one within twelve months on."""

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import json
from msgspec.structs import replace

from schemas.records import ContactKind, LossNotice, Record
from streams.rules.claim import Claim
from streams.rules.deadlines import Calendar, months_before
from streams.rules.lines import terms_of
from streams.rules.repeats import in_words
from streams.rules.risk import signals
from streams.rules.traces import MOST, TraceKind, kind_of, of_notice
from tests.claims import (
    CLAIM,
    DAY_MS,
    INSURED,
    OTHER_PAYEE,
    contact,
    estimate,
    invoice,
    notice,
    notice_of,
    payee,
    phone,
    policy,
)
from tests.lane import OneLane

VIN = "LSVAA49J1A2000001"
DRIVER = "11010519491231002X"
SHANGHAI = Calendar(time_zone="Asia/Shanghai")
NOTIFIED_MS = notice().notified_at_ms


def _earlier(number: int, days: int = 1, **changes: object) -> LossNotice:
    """A claim notified so many days before the usual one, with nothing in common with any other."""
    at_ms = NOTIFIED_MS - days * DAY_MS
    own: dict[str, Any] = {"plate": None, "claim": f"C-{number}", "loss_at_ms": at_ms, "notified_at_ms": at_ms}
    return notice(**own | changes)


def _taken(*batches: Sequence[Record]) -> OneLane:
    lane = OneLane([policy()])
    for batch in batches:
        lane.take(*batch)
    assert not lane.dead
    return lane


def _evidence(claim: Claim) -> str:
    """The evidence of the signal, empty without it."""
    assert claim.notice is not None and claim.policy is not None
    found = signals(claim, claim.notice, claim.policy, terms_of(claim.notice))
    (evidence,) = [it.evidence for it in found if it.name == "repeated"] or [""]
    assert sum(it.weight for it in found if it.name == "repeated") == (20 if evidence else 0)
    return evidence


@pytest.mark.parametrize(
    ("same", "name"),
    [
        ({"reporter_phone": phone(CLAIM)}, "phone"),
        ({"payee": payee(CLAIM)}, "account"),
        ({"payee": replace(payee(CLAIM), name="别人")}, "account"),
        ({"plate": "京A12345"}, "vehicle"),
        ({"vin": VIN}, "vehicle"),
        ({"driver_id": DRIVER}, "person"),
        ({"facts": {"insured_person": DRIVER}}, "person"),
    ],
)
def test_the_third_claim_with_the_same_has_the_signal(same: dict[str, Any], name: str) -> None:
    """By number and bank of the account, by plate or frame, as driver or as the insured; the second claim has none."""
    usual = notice(vin=VIN, driver_id=DRIVER)
    second = _taken([_earlier(1, **same)], [usual]).state.claims[CLAIM]
    third = _taken([_earlier(1, 2, **same)], [_earlier(2, **same)], [usual]).state.claims[CLAIM]

    assert _evidence(second) == ""
    assert _evidence(third) == f"within 12 months the same {name} in 3 claims (as in claim C-2)"


def test_it_counts_within_twelve_months_to_the_day() -> None:
    """From the beginning of the same day a year earlier on; what came before has no part in it."""
    first_ms = months_before(NOTIFIED_MS, 12, SHANGHAI)
    same: dict[str, Any] = {"reporter_phone": phone(CLAIM)}

    def third(at_ms: int) -> Claim:
        long_ago = _earlier(1, **same, loss_at_ms=at_ms, notified_at_ms=at_ms)
        return _taken([long_ago, _earlier(2, **same), notice()]).state.claims[CLAIM]

    assert _evidence(third(first_ms)) != ""
    assert _evidence(third(first_ms - 1)) == ""


@pytest.mark.parametrize(
    ("at", "months", "expected"),
    [
        (1_775_008_800_000, 12, 1_743_436_800_000),  # 2026-04-01 10:00 in Shanghai: from 2025-04-01 00:00
        (1_711_900_800_000, 13, 1_677_600_000_000),  # 2024-04-01 00:00: 2023-03-01
        (1_774_886_400_000, 1, 1_772_208_000_000),  # 2026-03-31: 2026-02-28, since February has no 31st
        (1_780_200_000_000, 1, 1_777_478_400_000),  # 2026-05-31 12:00: 2026-04-30
    ],
)
def test_months_before(at: int, months: int, expected: int) -> None:
    """The same day of the month, at its beginning; the last day of a shorter month."""
    assert months_before(at, months, SHANGHAI) == expected


def test_however_the_records_are_cut_into_batches_the_same_comes_of_it() -> None:
    """What came earlier in the same batch counts as what came in another one."""
    records = [_earlier(1, 2), _earlier(2, reporter_phone="13900000001"), notice(reporter_phone="13900000001")]
    records += [_earlier(3, reporter_phone="13900000001"), _earlier(4, payee=payee("C-1"))]
    apart, together = _taken(*([it] for it in records)), _taken(records)

    assert together.state.claims == apart.state.claims
    assert [row.inputs for row in together.journal] == [row.inputs for row in apart.journal]


def test_what_was_found_is_in_the_journal_and_no_value_is() -> None:
    """Of each kind at most so many claims; an ordinary claim has nothing there but its policy."""
    same = {"reporter_phone": phone(CLAIM), "payee": payee(CLAIM)}
    lane = _taken(*([_earlier(number, 30 - number, **same)] for number in range(MOST + 5)), [notice()])
    ordinary, full = lane.journal[0].inputs, lane.journal[-1].inputs

    assert ordinary is not None and json.decode(ordinary).keys() == {"policies"}
    assert full is not None and phone(CLAIM) not in full and payee(CLAIM).account not in full
    newest = [f"C-{number}" for number in range(MOST + 4, 4, -1)]
    assert [claim for claim, _, _ in json.decode(full)["others"]] == [*newest, *newest]
    words = "within 12 months the same phone in at least 11 claims, account in at least 11 claims"
    assert _evidence(lane.state.claims[CLAIM]) == f"{words} (as in claim {newest[0]})"


def test_the_earlier_claims_stay_as_they_were() -> None:
    """Only a paper tells the other claim; a later notice of the claim itself is looked at anew."""
    same: dict[str, Any] = {"reporter_phone": phone(CLAIM)}
    before = _taken([_earlier(1, 2, **same)], [_earlier(2, **same)])
    claims = dict(before.state.claims)
    before.take(notice())

    assert {number: before.state.claims[number] for number in claims} == claims
    before.take(notice(reporter_phone="13911111111"))
    assert _evidence(before.state.claims[CLAIM]) == ""


def test_a_claim_says_a_thing_again_and_is_still_one_claim() -> None:
    """Three notices of two claims are no third claim."""
    same: dict[str, Any] = {"reporter_phone": phone(CLAIM)}
    lane = _taken([_earlier(1, **same), _earlier(1, **same, place="别处"), _earlier(1, **same)], [notice()])

    assert _evidence(lane.state.claims[CLAIM]) == ""
    left = {trace for trace, rows in lane.left.items() for row in rows if row.claim == "C-1"}
    assert sorted(kind_of(trace) for trace in left if kind_of(trace) is not TraceKind.LOSS) == [
        TraceKind.PAPER,
        TraceKind.PHONE,
        TraceKind.ACCOUNT,
    ]


def test_an_account_that_others_have_and_a_contact_names() -> None:
    """It takes the place of the account the notice had."""
    others = [_earlier(number, number, payee=OTHER_PAYEE) for number in (1, 2)]
    lane = _taken(others, [notice()], [contact(ContactKind.BANK_DETAILS, payee=OTHER_PAYEE)])

    assert _evidence(lane.state.claims[CLAIM]).startswith("within 12 months the same account in 3 claims")
    assert TraceKind.ACCOUNT in {kind_of(trace) for trace in of_notice(others[0])}


def test_the_evidence_is_in_the_reason_of_what_is_approved() -> None:
    """Alone it stops nothing: twenty is below what needs a person."""
    same: dict[str, Any] = {"reporter_phone": phone(CLAIM)}
    lane = _taken([_earlier(1, 2, **same)], [_earlier(2, **same)], [notice(), estimate(), invoice()])

    row = lane.journal[-1]
    assert row.rule == "authority.automatic"
    assert "risk 20 (within 12 months the same phone in 3 claims (as in claim C-2): 20)" in row.reason


def test_the_longest_evidence_fits() -> None:
    """All that can be the same, with as many claims as are looked at, and the longest number."""
    kinds = [kind.name.lower() for kind in TraceKind if kind is not TraceKind.PAPER]

    assert len(in_words(dict.fromkeys(kinds, (MOST + 1, "C" * 64)), 120)) <= 256


def test_the_patient_is_a_person_of_any_line() -> None:
    """As the driver of a vehicle is."""
    told = notice_of("health", INSURED, "treatment")

    assert {kind_of(trace) for trace in of_notice(told)} == {
        TraceKind.PHONE,
        TraceKind.ACCOUNT,
        TraceKind.PERSON,
        TraceKind.LOSS,
    }
