"""Settlement: the contract's worked cases, and properties against an oracle written on its own."""

from collections.abc import Mapping
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from streams.rules.settlement import CaseError, CoverKind, CoverTerms, read_case, round_half_away, settle

OWN = {"cover": "own-damage", "sum_insured": 15_000_000, "deductible": 50_000}
SUM_AND_VALUE = {"sum_insured": 80_000_000, "insurable_value": 120_000_000}

WORKED: Mapping[str, tuple[dict[str, Any], list[int]]] = {
    "own damage, partial": ({"covers": [OWN], "losses": {"own-damage": 1_234_567}}, [1_184_567]),
    "others paid, 10 % rate": (
        {
            "covers": [OWN | {"deductible_bp": 1_000, "paid_by_others": 200_000}],
            "losses": {"own-damage": 1_234_567},
        },
        [886_110],
    ),
    "total loss, salvage": (
        {
            "covers": [{"cover": "own-damage", "sum_insured": 9_800_000, "salvage": 1_250_000}],
            "losses": {"own-damage": 11_500_000},
        },
        [9_800_000],
    ),
    "third party, share 70": (
        {
            "liability_share": 70,
            "covers": [
                {"cover": "compulsory-motor"},
                {"cover": "third-party-liability", "sum_insured": 100_000_000},
            ],
            "losses": {
                "compulsory-motor": {"death-disability": 0, "medical": 2_365_050, "property": 853_333},
                "third-party-liability": 3_218_383,
            },
        },
        [2_000_000, 852_868],
    ),
    "not at fault": (
        {
            "liability_share": 0,
            "covers": [{"cover": "third-party-liability"}, {"cover": "compulsory-motor"}],
            "losses": {
                "compulsory-motor": {"medical": 250_000, "property": 500_000},
                "third-party-liability": 750_000,
            },
        },
        [0, 190_000],
    ),
    "medical": (
        {
            "covers": [
                {
                    "cover": "medical",
                    "sum_insured": 60_000_000,
                    "deductible": 1_000_000,
                    "deductible_used": 350_000,
                    "reimbursement_bp": 9_000,
                    "paid_by_others": 1_812_345,
                }
            ],
            "losses": {"medical": 4_567_891},
        },
        [1_894_991],
    ),
    "limit nearly used": (
        {
            "covers": [
                {"cover": "medical", "sum_insured": 2_000_000, "paid_before": 1_900_001, "reimbursement_bp": 8_000}
            ],
            "losses": {"medical": 500_003},
        },
        [99_999],
    ),
    "accident": (
        {
            "covers": [
                {"cover": "hospital-allowance", "daily": 15_000, "waiting_days": 3, "sum_insured": 2_700_000},
                {"cover": "disability", "sum_insured": 20_000_000},
            ],
            "hospital_days": 17,
            "disability_grade": 8,
        },
        [210_000, 6_000_000],
    ),
    "property": (
        {
            "covers": [
                {"cover": "property", "deductible": 200_000, "deductible_bp": 500, "salvage": 123_456} | SUM_AND_VALUE,
                {"cover": "rescue-cost"} | SUM_AND_VALUE,
            ],
            "losses": {"property": 45_678_901, "rescue-cost": 1_000_001},
        },
        [28_851_782, 666_667],
    ),
}


@pytest.mark.parametrize("name", WORKED)
def test_worked_cases(name: str) -> None:
    """The contract's worked cases come out to the fen."""
    case, amounts = WORKED[name]

    settled = settle(read_case({"name": name} | case))

    assert [cover.amount_minor for cover in settled.covers] == amounts
    assert (settled.total_minor, settled.payable_minor) == (sum(amounts), sum(amounts))


@pytest.mark.parametrize(("loss", "payable"), [(1_234_567, 184_567), (950_000, -100_000)])
def test_advances_are_taken_off_and_too_large_a_one_is_a_recovery(loss: int, payable: int) -> None:
    """Payable is the covers less the advances, also below zero."""
    settled = settle(read_case({"covers": [OWN], "losses": {"own-damage": loss}, "advances": 1_000_000}))

    assert settled.payable_minor == payable


def test_what_compulsory_paid_in_the_case_overrides_what_it_would_pay() -> None:
    """The case's own figure counts."""
    case = WORKED["third party, share 70"][0] | {"compulsory_paid": 0}

    assert settle(read_case(case)).covers[1].amount_minor == round(3_218_383 * 7 / 10)


def test_compulsory_motor_pays_first_wherever_it_stands() -> None:
    """The order of the covers changes no amount."""
    case = WORKED["third party, share 70"][0]
    turned = settle(read_case(case | {"covers": case["covers"][::-1]}))

    assert [cover.amount_minor for cover in turned.covers] == [852_868, 2_000_000]


def test_compulsory_limits_are_those_at_the_loss() -> None:
    """A loss before 2020-09-19 in China has the older limits, one on it the newer."""
    case = {"covers": [{"cover": "compulsory-motor"}], "losses": {"compulsory-motor": {"death-disability": 10**9}}}
    newer_from_ms = 1_600_444_800_000

    assert settle(read_case(case | {"loss_at_ms": newer_from_ms - 1})).total_minor == 11_000_000
    assert settle(read_case(case | {"loss_at_ms": newer_from_ms})).total_minor == 18_000_000


def test_the_printed_form_names_every_step() -> None:
    """The JSON has the covers with their steps, exact before and after, and the sums."""
    case = {"name": "n", "covers": [OWN | {"deductible_bp": 1}], "losses": {"own-damage": 60_001}}

    printed = json.decode(json.encode(settle(read_case(case))))

    assert list(printed) == ["name", "covers", "total", "payable"]
    steps = printed["covers"][0]["steps"]
    assert [step["step"] for step in steps] == [
        "less-paid-by-others",
        "less-salvage",
        "deductible-amount",
        "limit",
        "deductible-rate",
    ]
    assert (steps[-1]["before"], steps[-1]["after"]) == ("10001", "99999999/10000")
    assert printed["covers"][0]["amount"] == printed["total"] == 10_000


@pytest.mark.parametrize(
    ("case", "field"),
    [
        ({"covers": [OWN], "losses": {"own-damage": -1}}, "losses.own-damage"),
        ({"covers": [{"cover": "flood"}]}, "covers[0].cover"),
        ({"covers": [{"cover": "own-damage"}], "losses": {"own-damage": 1}}, "covers[0].sum_insured"),
        ({"covers": [OWN]}, "losses.own-damage"),
        ({"covers": [OWN], "losses": {"own-damage": {"parts": 1}}}, "losses.own-damage"),
        ({"covers": [OWN, OWN], "losses": {"own-damage": 1}}, "covers[1].cover"),
        ({"covers": [OWN], "losses": {"own-damage": 1, "medical": 1}}, "losses.medical"),
        ({"covers": [OWN | {"deductible": -1}], "losses": {"own-damage": 1}}, "covers[0].deductible"),
        ({"covers": [OWN], "losses": {"own-damage": 1.5}}, "losses.own-damage"),
        ({"covers": [{"cover": "compulsory-motor"}], "losses": {"compulsory-motor": 1}}, "losses.compulsory-motor"),
        (
            {"covers": [{"cover": "compulsory-motor"}], "losses": {"compulsory-motor": {"medical": -1}}},
            "losses.compulsory-motor.medical",
        ),
        (
            {"covers": [{"cover": "compulsory-motor"}], "losses": {"compulsory-motor": {"paint": 1}}},
            "losses.compulsory-motor.paint",
        ),
        ({"covers": [{"cover": "disability", "sum_insured": 1}]}, "disability_grade"),
        ({"covers": [{"cover": "disability", "sum_insured": 1}], "disability_grade": 11}, "disability_grade"),
        ({"covers": [{"cover": "medical", "sum_insured": 1}], "losses": {"medical": 1}}, "covers[0].reimbursement_bp"),
        ({"covers": [{"cover": "third-party-liability"}], "losses": {"third-party-liability": 1}}, "liability_share"),
        ({"covers": []}, "covers"),
        ([], "case"),
    ],
)
def test_an_impossible_case_names_its_field(case: object, field: str) -> None:
    """What is wrong, unknown or missing is named by its place in the case."""
    with pytest.raises(CaseError) as error:
        settle(read_case(case))

    assert error.value.field == field


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_rounding_is_half_away_from_zero(numerator: int, denominator: int) -> None:
    """Exact, once, and symmetric around zero."""
    exact = Fraction(numerator, denominator)
    sign = -1 if exact < 0 else 1

    assert round_half_away(exact) == sign * floor((2 * abs(exact) + 1) / 2)


@pytest.mark.parametrize(("loss", "rate", "paid"), [(100, 1_450, 15), (100, 2_850, 29), (100, 5_750, 58)])
def test_a_share_that_ends_in_half_a_minor_unit_is_exact(loss: int, rate: int, paid: int) -> None:
    """As binary fractions these shares fall short of the half, and would be a minor unit less."""
    terms = {"cover": "medical", "sum_insured": 10_000, "reimbursement_bp": rate}

    assert settle(read_case({"covers": [terms], "losses": {"medical": loss}})).total_minor == paid


AMOUNTS = st.integers(0, 10**10)
RATES = st.integers(0, 10_000)


@given(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, RATES)
def test_own_damage_against_an_oracle(
    loss: int, insured: int, minus: int, salvage: int, others: int, rate: int
) -> None:
    """Own damage equals the contract's sentence computed in one line of exact fractions."""
    terms = {"cover": "own-damage", "sum_insured": insured, "deductible": minus, "deductible_bp": rate}
    case = {"covers": [terms | {"salvage": salvage, "paid_by_others": others}], "losses": {"own-damage": loss}}

    left = max(max(max(loss - others, 0) - salvage, 0) - minus, 0)
    exact = min(Fraction(left), Fraction(insured)) * (1 - Fraction(rate, 10_000))

    assert settle(read_case(case)).total_minor == floor(exact + Fraction(1, 2))


@given(AMOUNTS, st.integers(0, 10**10), st.integers(1, 10**10), AMOUNTS, RATES, AMOUNTS)
def test_property_against_an_oracle(loss: int, insured: int, value: int, minus: int, rate: int, salvage: int) -> None:
    """Under-insurance and the larger deductible, in this order, rounded once."""
    terms = {"cover": "property", "sum_insured": insured, "insurable_value": value, "salvage": salvage}
    case = {"covers": [terms | {"deductible": minus, "deductible_bp": rate}], "losses": {"property": loss}}

    shared = max(loss - salvage, 0) * min(Fraction(1), Fraction(insured, value))
    exact = min(max(shared - max(Fraction(minus), shared * Fraction(rate, 10_000)), Fraction(0)), Fraction(insured))

    assert settle(read_case(case)).total_minor == floor(exact + Fraction(1, 2))


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Any case of every cover in any order."""
    kinds = draw(st.lists(st.sampled_from(list(CoverKind)), unique=True, min_size=1))
    covers = [
        {"cover": kind}
        | {
            name: draw(AMOUNTS)
            for name in ("sum_insured", "deductible", "paid_by_others", "paid_before", "salvage", "daily")
        }
        | {
            "deductible_bp": draw(RATES),
            "reimbursement_bp": draw(RATES),
            "insurable_value": draw(st.integers(1, 10**10)),
        }
        for kind in kinds
    ]
    losses: dict[str, Any] = {
        kind: draw(AMOUNTS) for kind in kinds if kind not in {CoverKind.HOSPITAL_ALLOWANCE, CoverKind.DISABILITY}
    }
    if CoverKind.COMPULSORY_MOTOR in losses:
        losses[CoverKind.COMPULSORY_MOTOR] = {"medical": draw(AMOUNTS), "property": draw(AMOUNTS)}
    return {
        "covers": covers,
        "losses": losses,
        "liability_share": draw(st.sampled_from([0, 30, 50, 70, 100])),
        "hospital_days": draw(st.integers(0, 400)),
        "disability_grade": draw(st.integers(1, 10)),
        "advances": draw(AMOUNTS),
    }


@given(cases())
def test_covers_add_up_and_none_is_above_its_limit(value: dict[str, Any]) -> None:
    """The total is the sum of the covers, payable is it less the advances, and no cover pays over its limit."""
    case = read_case(value)
    settled = settle(case)

    assert settled.total_minor == sum(cover.amount_minor for cover in settled.covers)
    assert settled.payable_minor == settled.total_minor - case.advances
    assert [cover.cover for cover in settled.covers] == [terms.cover for terms in case.covers]
    for terms, cover in zip(case.covers, settled.covers, strict=True):
        assert 0 <= cover.amount_minor <= _most(terms)


def _most(terms: CoverTerms) -> int:
    if terms.cover is CoverKind.COMPULSORY_MOTOR:
        return 20_000_000
    assert terms.sum_insured is not None
    return max(terms.sum_insured - terms.paid_before, 0)
