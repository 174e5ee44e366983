"""`claimhub demo`, as a newcomer runs it."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from schemas.records import LossNotice
from sinks.ledger.verify import Check, Verification
from streams.demo.ends import StoryEnd
from streams.demo.report import Report
from streams.demo.stories import Said, stories

CLAIMHUB = str(Path(sys.executable).with_name("claimhub"))
LIMIT_S = 240


class Ran(NamedTuple):
    """A finished run: where, its exit code and what it printed."""

    folder: Path
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Ran]:
    """The demo with --json and the demo for a person, side by side, each in a folder of its own."""
    folders = [tmp_path_factory.mktemp(name) for name in ("json", "plain")]
    arguments: list[list[str]] = [["demo", "--json"], ["demo"]]
    pair = [_start(folder, words) for folder, words in zip(folders, arguments, strict=True)]
    ended = [(process.communicate(timeout=LIMIT_S), process.returncode) for process in pair]
    first, second = (Ran(folder, code, out, err) for folder, ((out, err), code) in zip(folders, ended, strict=True))
    return first, second


def test_the_demo_prints_one_json_object_and_exits_0(runs: tuple[Ran, Ran]) -> None:
    """Standard output is one object: claims, payments, dead letters, what waits, and the ledger's proof."""
    ran, _ = runs
    report: dict[str, Any] = json.loads(ran.out)

    assert ran.code == 0
    assert list(report) == ["stories", "claims", "payments", "dead_letters", "parked", "verify"]
    assert [(story["name"], story["ok"], story["differences"]) for story in report["stories"]] == [
        ("01-fast-track", True, []),
        ("02-survey-supplement-invoice", True, []),
        ("14-estimate-before-notice", True, []),
    ]
    assert [(claim["claim"], claim["stage"]) for claim in report["claims"]] == [
        ("C26-0001", "paid"),
        ("C26-0002", "paid"),
        ("C26-0021", "assessing"),
    ]
    assert [(p["claim"], p["amount_minor"], p["state"], p["acknowledged"]) for p in report["payments"]] == [
        ("C26-0001", 2_680_00, "settled", ["RCVD", "ACSC"]),
        ("C26-0002", 62_500_00, "settled", ["RCVD", "ACSC"]),
    ]
    assert [letter["code"] for letter in report["dead_letters"]] == ["not-framed"]
    assert [record["subject"] for record in report["parked"]] == ["C26-0021"]
    assert report["verify"]["ok"] is True


def test_two_runs_lead_to_the_same_ledger(runs: tuple[Ran, Ran]) -> None:
    """Same input, same ledger: the hash of one run is the other's."""
    as_json, plain = runs

    assert f"ledger hash {json.loads(as_json.out)['verify']['ledger_hash']}" in plain.out


def test_the_records_are_shown_as_they_flow(runs: tuple[Ran, Ran]) -> None:
    """Lines tell from which topic, which claim, the outcome and to which topics; with --json on standard error."""
    as_json, plain = runs
    line = "repair.invoice -> C26-0001 done authority.automatic -> finance.payment-instruction, customer.notice"

    assert line in plain.out and line in as_json.err
    assert "finance -> C26-0001 paid 2 680.00 CNY to …9357, answered RCVD, ACSC" in plain.out


def test_an_estimate_before_its_notice_is_released_after_its_policy_and_before_its_supplement(
    runs: tuple[Ran, Ran],
) -> None:
    """What was parked goes on in the order it came."""
    _, plain = runs
    told = re.findall(r"(\S+) -> C26-0021 (parked|released)", plain.out)

    assert [outcome for _, outcome in told] == ["parked", "parked", "released", "released", "parked"]
    assert plain.out.index("released assessment.estimate") < plain.out.index("released assessment.supplement")


def test_nothing_else_is_on_the_screen(runs: tuple[Ran, Ran]) -> None:
    """No traceback, no warning, no line of a library."""
    _, plain = runs

    assert plain.code == 0
    assert plain.err == ""


def test_no_personal_data_is_shown(runs: tuple[Ran, Ran]) -> None:
    """Names, phones, plates and accounts of the stories appear nowhere, accounts but for their last four digits."""
    shown = "".join(ran.out + ran.err for ran in runs)
    notices = [
        said.content
        for story in stories()
        for said in story.said
        if isinstance(said, Said) and isinstance(said.content, LossNotice)
    ]

    for notice in notices:
        for value in (notice.payee.account, notice.reporter_name, notice.reporter_phone, str(notice.plate)):
            assert value not in shown


def test_the_commands_to_try_next_work(runs: tuple[Ran, Ran]) -> None:
    """Each command the demo suggests runs on the ledger it left, and finds something."""
    _, plain = runs
    commands = [shlex.split(line) for line in plain.out.splitlines() if "CLAIMHUB_DATA_DIR=" in line]

    assert len(commands) == 3
    for assignment, _, *words in commands:
        name, _, value = assignment.partition("=")
        process = _start(plain.folder, words, {name: value})
        out, err = process.communicate(timeout=LIMIT_S)
        assert (process.returncode, err) == (0, "")
        assert out


def test_what_did_not_come_out_as_told_is_named() -> None:
    """A claim in another stage and a broken promise are failures; each says which."""
    kept = Check("one-payment", "one instruction a payable", ok=True, rows=())
    proof = Verification(ok=True, ledger_hash="", checks=(kept,), holes={})
    good = Report([StoryEnd("01-fast-track", True, ())], [], [], [], [], proof)
    wrong = StoryEnd("01-fast-track", False, ("claim C26-0001: stage is 'none', should be 'paid'",))
    broken = replace(proof, ok=False, checks=(replace(kept, ok=False, rows=("payment P1",)),))

    assert good.failures() == []
    assert replace(good, stories=[wrong], verify=broken).failures() == [
        "story 01-fast-track: claim C26-0001: stage is 'none', should be 'paid'",
        "verify: one-payment: payment P1",
    ]


@pytest.mark.slow
def test_every_story_ends_as_it_says_embedded_and_on_services_with_the_same_ledger(tmp_path: Path) -> None:
    """`demo --all`, and the same with --stack, side by side: no difference, and one hash."""
    folders = {"embedded": ["demo", "--all", "--json"], "services": ["demo", "--all", "--stack", "--json"]}
    for name in folders:
        (tmp_path / name).mkdir()
    both = [_start(tmp_path / name, words) for name, words in folders.items()]
    reports = [json.loads(process.communicate(timeout=LIMIT_S)[0]) for process in both]

    assert [process.returncode for process in both] == [0, 0]
    for report in reports:
        assert [story["name"] for story in report["stories"]] == [story.name for story in stories()]
        assert [story["differences"] for story in report["stories"] if not story["ok"]] == []
    first, second = (report["verify"] for report in reports)
    assert first["ok"] and first["ledger_hash"] == second["ledger_hash"]


def _start(folder: Path, words: list[str], more: Mapping[str, str] = {}) -> subprocess.Popen[str]:
    """The program in a folder, with no setting but these."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLAIMHUB_")}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [CLAIMHUB, *words], cwd=folder, env={**environment, **more}, stdout=pipe, stderr=pipe, text=True
    )


@pytest.mark.slow
def test_the_demo_with_a_bank_pays_through_files(tmp_path: Path) -> None:
    """A payment is rejected, corrected and paid, one is found on the statement after nobody knew, one comes back and is
    paid elsewhere: by payment files and the bank's own, which add up day by day."""
    process = _start(tmp_path, ["demo", "--bank", "--json"])
    out, _ = process.communicate(timeout=LIMIT_S)
    report: dict[str, Any] = json.loads(out)

    assert process.returncode == 0 and [story["differences"] for story in report["stories"]] == [[]]
    states = [(payment["claim"], payment["state"], payment["acknowledged"]) for payment in report["payments"]]
    assert sorted(states) == [
        ("C26-0009", "booked", ["RCVD", "ACSC"]),
        ("C26-0009", "rejected", ["RCVD", "RJCT"]),
        ("C26-0010", "booked", ["RCVD", "RJCT"]),
        ("C26-0011", "booked", ["RCVD", "ACSC"]),
        ("C26-0011", "returned", ["RCVD", "ACSC"]),
    ]
    days = [
        dict(zip(report["reconciliation"]["columns"], row, strict=True)) for row in report["reconciliation"]["rows"]
    ]
    assert len(days) == 5 and all(day["adds_up"] for day in days)
    assert sum(day["difference_minor"] for day in days) == 0
    assert [day["closing_minor"] for day in days[:-1]] == [day["opening_minor"] for day in days[1:]]
    assert {(it["kind"], it["open"]) for it in report["breaks"]} == {("unknown", False), ("returned", True)}
    bank = tmp_path / ".claimhub" / "demo" / "bank"
    assert len(list((bank / "out").glob("*.xml"))) == 5 and len(list((bank / "in").glob("*-camt.053.xml"))) == 5
    assert report["verify"]["ok"]
