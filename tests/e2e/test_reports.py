"""`claimhub reports`: figures from a ledger the engine filled, brought up to date as it goes on."""

import csv
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from schemas.records import ContactKind, Record, Role, SiuResult
from sinks.ledger.tables import claims
from streams.commands.reports import publish_peers
from streams.commands.send import open_codec
from streams.commands.show import time
from streams.reports import refresh
from streams.reports.kinds import REPORTS
from streams.rules.referrals import referral_id
from streams.settings import Settings
from tests import claims as make
from tests.e2e.conftest import Claimhub
from tests.e2e.filled_ledger import FilledLedger
from tests.e2e.test_cli import PERSONAL
from tests.lane import CODEC, TOPIC_OF

FAST, TWO, REJECTED, OLD, OPEN = (f"CLM-2026-00000{number}" for number in (1, 2, 3, 4, 5))


def say(ledger: FilledLedger, day: float, record: Record) -> None:
    """Take a record that was made so many days after the loss."""
    topic = TOPIC_OF[type(record)]
    at = time(int(make.LOSS_MS + day * make.DAY_MS))
    key = getattr(record, "policy_number", None) if topic.startswith("underwriting") else record.claim  # type: ignore[attr-defined]
    ledger.take_bytes(topic, str(key), CODEC.encode(topic, record), [("ce_time", at.encode())])


def first_half(ledger: FilledLedger) -> None:
    """A policy, one claim that nobody touches, and one that two people approve later."""
    cover = type(make.OWN_DAMAGE)(cover="own-damage", sum_insured_minor=2_000_000_00, deductible_minor=500_00)
    say(ledger, -20, make.policy(covers=(cover,)))
    say(ledger, 0.5, make.notice(claim=FAST))
    say(ledger, 2, make.estimate(claim=FAST))
    say(ledger, 5, make.invoice(claim=FAST))
    say(ledger, 1, make.notice(claim=TWO, estimated_loss_minor=70_000_00, place="上海市浦东新区某路"))


def second_half(ledger: FilledLedger) -> None:
    """The first is paid; the second is approved by two; a third is rejected, a fourth not accepted, a fifth waits."""
    paid(ledger, FAST, 2_300_00, 35)
    say(ledger, 3, make.finding(claim=TWO))
    say(ledger, 4, make.estimate({"parts": 60_000_00}, claim=TWO))
    say(ledger, 5, make.estimate({"parts": 65_000_00}, claim=TWO, version=2))
    say(ledger, 7, make.invoice({"parts": 65_000_00}, claim=TWO, number="2", sha256="2" * 64))
    say(ledger, 8, make.decision(claim=TWO))
    say(ledger, 9, make.decision(Role.APPROVER, claim=TWO))
    paid(ledger, TWO, 64_500_00, 65)
    say(ledger, 1, make.notice(claim=REJECTED, estimated_loss_minor=9_000_00, place="河北省某县"))
    say(ledger, 3, make.finding(claim=REJECTED))
    say(ledger, 4, make.estimate({"parts": 9_000_00}, claim=REJECTED, shop="shop-02"))
    say(ledger, 5, make.invoice({"parts": 9_000_00}, claim=REJECTED, number="3", sha256="3" * 64, shop="shop-02"))
    say(ledger, 6, make.decision(claim=REJECTED, action="reject"))
    say(ledger, 1, make.notice(claim=OLD, loss_at_ms=make.LOSS_MS - 400 * make.DAY_MS, place=make.place(FAST)))
    late = {"loss_at_ms": make.LOSS_MS + 30 * make.DAY_MS, "notified_at_ms": make.LOSS_MS + 31 * make.DAY_MS}
    say(ledger, 31, make.notice(claim=OPEN, cause="fire", place=make.place(FAST), **late))


def paid(ledger: FilledLedger, claim: str, amount: int, day: float) -> None:
    """Finance has paid the claim's only instruction."""
    (instruction,) = ledger.instructions(claim)
    say(ledger, day, make.payment_status(instruction, amount, claim=claim))


@pytest.fixture(params=["sqlite", "postgresql"])
def ledgers(
    request: pytest.FixtureRequest, ledger: FilledLedger, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FilledLedger]:
    """An empty ledger of each kind, which the settings name."""
    if request.param == "sqlite":
        yield ledger
    else:
        url = request.getfixturevalue("postgres_ledger")
        monkeypatch.setenv("CLAIMHUB_LEDGER", url)
        other = FilledLedger(url)
        yield other
        other.close()


@pytest.fixture
def filled(ledgers: FilledLedger) -> FilledLedger:
    """All five claims."""
    first_half(ledgers)
    second_half(ledgers)
    return ledgers


def report(claimhub: Claimhub, name: str, *more: str) -> Any:
    ran = claimhub("reports", name, "--json", *more)
    assert ran.code == 0, ran.err
    return ran.json


def test_every_milestone_counts_in_its_month_line_cause_and_region(claimhub: Claimhub, filled: FilledLedger) -> None:
    """With amounts: as notified, as settled, as paid. 2026-04-01 is the day of the loss."""
    rows = report(claimhub, "counts")
    found = {(it["month"], it["cause"], it["region"], it["what"]): (it["claims"], it["amount_minor"]) for it in rows}

    assert found == {
        (202604, "collision", "北京市", "reported"): (2, 6_000_00),
        (202604, "collision", "北京市", "registered"): (1, 3_000_00),
        (202604, "collision", "北京市", "not-accepted"): (1, 3_000_00),
        (202604, "collision", "北京市", "decided"): (1, 2_300_00),
        (202604, "collision", "河北省", "reported"): (1, 9_000_00),
        (202604, "collision", "河北省", "registered"): (1, 9_000_00),
        (202604, "collision", "河北省", "decided"): (1, 0),
        (202604, "collision", "河北省", "rejected"): (1, 8_500_00),
        (202604, "collision", "河北省", "closed"): (1, 0),
        (202604, "collision", "上海市", "reported"): (1, 70_000_00),
        (202604, "collision", "上海市", "registered"): (1, 70_000_00),
        (202604, "collision", "上海市", "decided"): (1, 64_500_00),
        (202605, "fire", "北京市", "reported"): (1, 3_000_00),
        (202605, "fire", "北京市", "registered"): (1, 3_000_00),
        (202605, "collision", "北京市", "paid"): (1, 2_300_00),
        (202606, "collision", "上海市", "paid"): (1, 64_500_00),
    }
    assert {(it["line"], it["currency"]) for it in rows} == {("motor", "CNY")}


def test_stage_times_say_where_claims_stay(claimhub: Claimhub, filled: FilledLedger) -> None:
    """In hours, of the stages that were left: 30 and 56 days from instruction to payment are most of all time."""
    times = {it["stage"]: it for it in report(claimhub, "cycle-times")}

    assert (times["paying"]["claims"], times["paying"]["median_hours"], times["paying"]["p90_hours"]) == (2, 720, 1344)
    assert times["investigating"]["claims"] == 2
    most, *others = report(claimhub, "bottlenecks")
    assert (most["cause"], most["stage"], most["mean_hours"]) == ("collision", "paying", 1032)
    assert sum(it["share_of_all_time_bp"] for it in (most, *others)) in range(9_998, 10_003)


def test_shares_have_what_they_are_of(claimhub: Claimhub, filled: FilledLedger) -> None:
    """Touchless of the paid, one-shot of the reported, kept of the clocks that ended."""
    assert report(claimhub, "touchless") == [
        {"month": 202605, "line": "motor", "paid": 1, "touchless": 1, "share_bp": 10_000},
        {"month": 202606, "line": "motor", "paid": 1, "touchless": 0, "share_bp": 0},
    ]
    assert [(it["claims"], it["share_bp"]) for it in report(claimhub, "one-shot")] == [(4, 10_000), (1, 10_000)]
    clocks = {it["clock"]: (it["kept"], it["broken"], it["running"]) for it in report(claimhub, "deadlines")}
    assert clocks == {"decision": (3, 0, 1), "payment": (0, 2, 0), "rejection-notice": (1, 0, 0)}
    assert [(it["month"], it["complaints"]) for it in report(claimhub, "complaints")] == [(202604, 0), (202605, 0)]


def test_the_triangle_has_what_was_paid_so_many_months_after_the_loss(claimhub: Claimhub, filled: FilledLedger) -> None:
    """Both losses are of April; what was set aside is gone in the end, and nothing was paid beyond what was agreed."""
    rows, lost = report(claimhub, "triangles"), report(claimhub, "leakage")
    paid_for = [it for it in rows if it["kind"] == "paid"]
    reserves = {(it["loss_month"], it["development_month"]): it for it in rows if it["kind"] == "reserve"}

    assert [(it["development_month"], it["amount_minor"], it["cumulated_minor"]) for it in paid_for] == [
        (1, 2_300_00, 2_300_00),
        (2, 64_500_00, 66_800_00),
    ]
    assert {it["loss_month"] for it in paid_for} == {202604}
    assert reserves[202604, 0]["cumulated_minor"] == 66_800_00
    assert reserves[202604, 2]["cumulated_minor"] == 0
    assert reserves[202605, 0]["amount_minor"] > 0
    assert [(it["paid_minor"], it["agreed_minor"], it["leakage_minor"]) for it in lost] == [
        (2_300_00, 2_300_00, 0),
        (64_500_00, 64_500_00, 0),
    ]


def test_a_confirmed_fraud_is_what_was_not_paid(
    claimhub: Claimhub, ledgers: FilledLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As notified while nothing was settled, whatever was read in one page."""
    for page in (1, 1000):
        monkeypatch.setattr(refresh, "_PAGE", page)
        if page == 1:
            first_half(ledgers)
            say(ledgers, 2, make.finding(claim=TWO, contradicts_notice=True))
            say(ledgers, 3, make.notice(claim=TWO, payee=make.OTHER_PAYEE, estimated_loss_minor=70_000_00))
            say(ledgers, 6, make.siu_outcome(SiuResult.CONFIRMED, claim=TWO, referral_id=referral_id(TWO, 1)))
        ledgers.forget_reports()

        assert [(it["month"], it["stopped_minor"]) for it in report(claimhub, "fraud")] == [(202604, 70_000_00)]


def test_what_is_open_is_told_for_each_day_on_which_it_changed(claimhub: Claimhub, filled: FilledLedger) -> None:
    """Instructed until it is paid; what was paid, rejected or not accepted is set aside no more."""
    days = {it["day"]: it for it in report(claimhub, "liabilities")}
    told = claimhub("reports", "liabilities").out

    assert {day: days[day]["instructed_minor"] for day in (20260401, 20260406, 20260410, 20260506, 20260605)} == {
        20260401: 0,
        20260406: 2_300_00,
        20260410: 66_800_00,
        20260506: 64_500_00,
        20260605: 0,
    }
    assert days[20260410]["reserves_minor"] == 66_800_00 and {it["approved_minor"] for it in days.values()} == {0}
    assert days[20260605]["reserves_minor"] == days[20260506]["reserves_minor"] - 64_500_00 > 0
    assert [it["day"] for it in report(claimhub, "liabilities", "--from", "2026-06-01")] == [20260605]
    assert "2026-06-05" in told


def test_shops_and_people_stand_beside_each_other(claimhub: Claimhub, filled: FilledLedger) -> None:
    """A supplement counts to its shop, a decision to who took it, open work to whom it is asked of."""
    shops = {it["provider"]: it for it in report(claimhub, "providers")}
    people = {(it["month"], it["person"], it["action"]): it["decisions"] for it in report(claimhub, "handlers")}

    assert (shops["shop-01"]["papers"], shops["shop-01"]["average_minor"]) == (2, 33_900_00)
    assert shops["shop-01"]["supplements_per_100"] == 50
    assert shops["shop-02"]["average_minor"] == 9_000_00
    assert people == {
        (202604, "approver-07", "approve"): 1,
        (202604, "handler-07", "approve"): 1,
        (202604, "handler-07", "reject"): 1,
    }
    assert report(claimhub, "open-work") == [{"line": "motor", "task": "estimate", "of": "repair-shop", "claims": 1}]


def test_an_open_claim_above_its_peers_is_told_so(claimhub: Claimhub, ledgers: FilledLedger) -> None:
    """Of 31 claims 95 % come to at most what the 30th does; the one above it hears of that, and takes it in. A claim
    counts once, with its dearest object, and one that has ended is not told."""
    say(ledgers, -20, make.policy(covers=(make.OWN_DAMAGE, make.COMPULSORY)))
    both = (make.OWN, make.THIRD)
    for number in range(1, 32):
        if number == 30:
            assert report(claimhub, "peers") == []
        claim = f"P-{number:02}"
        lost_at_ms = make.LOSS_MS - number * make.DAY_MS
        say(ledgers, 1, make.notice(claim=claim, damaged=both, loss_at_ms=lost_at_ms, notified_at_ms=lost_at_ms))
        say(ledgers, 2, make.estimate({"parts": number * 100_00}, claim=claim))
        say(ledgers, 2, make.estimate({"parts": 1_00}, claim=claim, damaged=make.THIRD))

    (limit,) = report(claimhub, "peers")
    assert limit == {
        "kind": "shop",
        "line": "motor",
        "currency": "CNY",
        "claims": 31,
        "per_cent": 95,
        "limit_minor": 3_000_00,
    }
    planned = claimhub("reports", "peers", "--publish", "--dry-run", "--json")
    assert [(topic, key) for topic, key, _ in planned.json] == [("operations.peer-figures.v1", "P-31")]
    (told,), (again,) = (publish_peers(Settings(), None, None) for _ in range(2))
    assert told == again and told.key is not None and told.value is not None
    ledgers.take_bytes(told.topic, told.key.decode(), told.value, told.headers)
    with ledgers.engine() as engine, engine.begin() as connection:
        state = connection.execute(select(claims.c.state).where(claims.c.claim == told.key.decode())).scalar_one()
    words = "shop shop-01 comes to 3 100.00 CNY, above 3 000.00 CNY, what 95 % of 31 claims come to at most"
    assert state["above_peers"] == [words]
    say(ledgers, 3, make.contact(ContactKind.WITHDRAWAL, claim="P-31"))
    assert publish_peers(Settings(), None, None) == []
    assert claimhub("reports", "counts", "--publish").code == 2


def test_a_report_of_some_days_counts_what_lies_in_them(claimhub: Claimhub, filled: FilledLedger) -> None:
    """Both days count."""
    some = report(claimhub, "counts", "--from", "2026-05-01", "--to", "2026-05-31")

    assert {it["month"] for it in some} == {202605}
    assert report(claimhub, "counts", "--to", "2025-12-31") == []
    assert [it["what"] for it in report(claimhub, "counts", "--from", "2026-05-06", "--to", "2026-05-06")] == ["paid"]


def test_figures_that_grew_are_those_made_at_once(
    claimhub: Claimhub, ledgers: FilledLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was read before and however many rows are a page: nothing is counted twice, nothing left out."""
    monkeypatch.setattr(refresh, "_PAGE", 3)
    first_half(ledgers)
    before = {name: report(claimhub, name) for name in REPORTS}
    second_half(ledgers)
    grown = {name: report(claimhub, name) for name in REPORTS}
    ledgers.forget_reports()
    monkeypatch.setattr(refresh, "_PAGE", 1000)

    assert grown == {name: report(claimhub, name) for name in REPORTS}
    assert grown["counts"] != before["counts"]
    assert claimhub("verify").code == 0


def test_two_who_ask_at_once_count_everything_once(
    claimhub: Claimhub, filled: FilledLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page belongs to one of them."""
    monkeypatch.setattr(refresh, "_PAGE", 2)
    codec = open_codec(Settings())
    failed: list[BaseException] = []

    def read() -> None:
        try:
            with filled.engine() as engine:
                list(refresh.refresh(engine, codec))
        except BaseException as error:
            failed.append(error)

    both = [threading.Thread(target=read) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(60)

    assert not failed
    assert sum(it["amount_minor"] for it in report(claimhub, "triangles") if it["kind"] == "paid") == 66_800_00
    assert sum(it["decisions"] for it in report(claimhub, "handlers")) == 3


def test_a_typical_case_names_nobody(claimhub: Claimhub, ledger: FilledLedger) -> None:
    """It is the middle one of its kind, rounded, without its number; of four none is shown."""
    say(ledger, -20, make.policy())
    numbers = [f"CLM-2026-0001{number:02d}" for number in range(5)]
    for place, number in enumerate(numbers):
        if place == 4:
            assert report(claimhub, "typical-cases") == []
        amount = 2_012_34 + place * 100_00
        paper = {"number": str(place), "sha256": f"{place:064x}"}
        say(ledger, 0.5, make.notice(claim=number))
        say(ledger, 2, make.estimate({"parts": amount}, claim=number))
        say(ledger, 5, make.invoice({"parts": amount}, claim=number, **paper))
        paid(ledger, number, amount - 500_00, 7)
    (case,) = report(claimhub, "typical-cases")
    shown = claimhub("reports", "typical-cases").out

    assert (case["alike"], case["payable_minor"], case["outcome"]) == (5, 1_700_00, "approved")
    assert case["stages"] == "assessing 4 d, paying 2 d"
    assert not [word for word in (*PERSONAL, *numbers, "shop-01") if word in shown]


@pytest.mark.parametrize("name", REPORTS)
def test_a_ledger_without_claims_has_nothing_to_report(claimhub: Claimhub, name: str) -> None:
    """Nor has one that no hub has used yet."""
    assert claimhub("migrate").code == 0
    ran = claimhub("reports", name)

    assert (ran.code, ran.out, ran.err) == (0, "", "nothing to report\n")


def test_csv_is_for_spreadsheets_and_a_wrong_name_or_day_is_told(claimhub: Claimhub, ledger: FilledLedger) -> None:
    """A text that would be a formula is none."""
    say(ledger, -20, make.policy())
    say(ledger, 1, make.notice(cause="=1+1"))
    header, *rows = csv.reader(claimhub("reports", "counts", "--csv").out.splitlines())

    assert tuple(header) == REPORTS["counts"].columns
    assert [row[2] for row in rows] == ["'=1+1"] * 2
    assert {row[0] for row in csv.reader(claimhub("reports", "ls", "--csv").out.splitlines())} == {"report", *REPORTS}
    for wrong, said in (
        (["guesses"], "there is no report guesses. Reports: counts"),
        (["counts", "--from", "yesterday"], "--from is not a day like 2026-03-31"),
        (["counts", "--from", "2026-02-02", "--to", "2026-02-01"], "--from is after --to"),
    ):
        ran = claimhub("reports", *wrong)
        assert (ran.code, ran.out) == (2, "") and said in ran.err
