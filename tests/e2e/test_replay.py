"""`claimhub replay` on a ledger the engine filled: equal in any batch size; what differs is named and not shown."""

import json
import sqlite3
from pathlib import Path
from typing import Final, cast

import pytest
from msgspec.structs import replace

from schemas.records import ContactKind, Estimate, LossNotice
from sinks.ledger.open import read_engine
from sinks.ledger.verify import verify
from streams.commands import show
from streams.flows import FLOWS, Flow
from streams.rules.claim import Claim
from streams.rules.decision import Cause, Decision, Lookups
from streams.rules.product import Product, Terms
from tests import claims as make
from tests.e2e.conftest import Claimhub
from tests.e2e.filled_ledger import POISON, FilledLedger
from tests.lane import TOPIC_OF

NOTICE, ESTIMATE, INVOICE = "reporting.loss-notice.v1", "repair.estimate.v1", "repair.invoice.v1"
INSTRUCTION: Final = "finance.payment-instruction.v1"
USD_CLAIM: Final = "CLM-2026-000004"
PERSONAL: Final = ("投保人甲", "驾驶人甲", "报案人甲", "13800000000", make.PAYEE.account, make.PLATE)


@pytest.fixture
def told(ledger: FilledLedger) -> FilledLedger:
    """One claim with its instruction, dead letters by bytes, key and look-up, a parked record."""
    ledger.tell_all()
    ledger.take_bytes(TOPIC_OF[LossNotice], "two words", POISON)
    ledger.take(make.notice(claim=USD_CLAIM, currency="USD"))
    return ledger


def alter(folder: Path, statement: str) -> None:
    """Change the ledger by hand."""
    with sqlite3.connect(folder / ".claimhub/ledger.db") as database:
        for trigger in ("journal_no_update", "journal_no_delete"):
            database.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        assert database.execute(statement).rowcount == 1


def never_automatic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Today's rules: nothing is approved without a person."""
    before = Product.terms_at

    def terms_at(product: Product, loss_at_ms: int) -> Terms:
        terms = before(product, loss_at_ms)
        return replace(terms, authority=replace(terms.authority, automatic_minor=0))

    monkeypatch.setattr(Product, "terms_at", terms_at)


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_the_rebuilt_ledger_is_the_same_in_any_batch_size(claimhub: Claimhub, tmp_path: Path, batch_size: int) -> None:
    """The hash of claims, policies, payments and outputs is; the new ledger keeps every promise, and no output of it
    is still to be sent that was sent before."""
    ran = claimhub("replay", "--from-journal", "--into", "sqlite:///new.db", "--batch-size", batch_size, "--json")
    was, rebuilt = (verify(read_engine(f"sqlite:///{tmp_path}/{file}")) for file in (".claimhub/ledger.db", "new.db"))

    assert ran.code == 0
    assert ran.json["equal"] and ran.json["first_difference"] is None
    assert ran.json["replayed_hash"] == ran.json["ledger_hash"] == was.ledger_hash
    assert rebuilt == was
    assert rebuilt.ok


@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_what_claims_share_is_rebuilt_as_it_was_found(
    told: FilledLedger, claimhub: Claimhub, tmp_path: Path, batch_size: int
) -> None:
    """However the records are cut into batches: which claims had the same phone or account is in the journal."""
    for number in range(1, 5):
        at_ms = make.LOSS_MS + number * 10 * make.DAY_MS
        own = {"loss_at_ms": at_ms, "notified_at_ms": at_ms, "payee": make.payee(f"SHARED-{max(2, number)}")}
        told.take(make.notice(claim=f"SHARED-{number}", reporter_phone="13912345678", **own))
    told.take(make.contact(ContactKind.BANK_DETAILS, claim="SHARED-4", payee=make.payee("SHARED-2")))
    told.take(make.estimate(claim="SHARED-4"), make.peer_figures(2_000_00, claim="SHARED-4"))

    ran = claimhub("replay", "--from-journal", "--into", "sqlite:///new.db", "--batch-size", batch_size, "--json")

    assert ran.json["first_difference"] is None and ran.json["equal"]
    found = "SELECT state ->> '$.notice.repeats', state ->> '$.above_peers' FROM claims WHERE claim LIKE 'SHARED-_'"
    with sqlite3.connect(tmp_path / "new.db") as database:
        repeats, above = zip(*database.execute(f"{found} ORDER BY claim").fetchall(), strict=True)
    assert [json.loads(it or "{}").get("phone") for it in repeats] == [None, None, [3, "SHARED-2"], [4, "SHARED-3"]]
    assert json.loads(repeats[3])["account"] == [3, "SHARED-2"]
    assert [it is not None for it in above] == [False, False, False, True]


@pytest.mark.parametrize("batch_size", [1, 3, 500])
def test_ticks_are_rebuilt_where_they_stood(
    told: FilledLedger, claimhub: Claimhub, tmp_path: Path, batch_size: int
) -> None:
    """With what they led to, and one that is still on its way: a rebuild asks no clock what is due."""
    told.take(make.notice(claim="CLM-2026-000006"))
    told.pass_time(make.LOSS_MS + 40 * make.DAY_MS)
    told.take(make.notice(claim="CLM-2026-000007"))
    assert len(told.tick(make.LOSS_MS + 20 * make.DAY_MS)) == 1
    told.take(make.estimate(claim="CLM-2026-000006"))

    ran = claimhub("replay", "--from-journal", "--into", "sqlite:///new.db", "--batch-size", batch_size, "--json")

    assert ran.json["first_difference"] is None and ran.json["equal"]
    with sqlite3.connect(tmp_path / "new.db") as database:
        due = "SELECT claim, due_at_ms IS NULL FROM claims WHERE state ->> 'clocks' LIKE '%next_at_ms%' ORDER BY claim"
        assert database.execute(due).fetchall() == [
            ("CLM-2026-000006", 0),  # the clock of its advance
            ("CLM-2026-000007", 1),
        ]
        assert database.execute("SELECT count(*) FROM outbox WHERE topic = 'hub.clock.v1'").fetchall() == [(7,)]
    assert claimhub("replay", "--from-journal", "--since", "2026-01-01", "--json").json["changes"] == []


def test_all_tables_are_rebuilt_row_by_row(told: FilledLedger, claimhub: Claimhub, tmp_path: Path) -> None:
    """Journal, parked records, dead letters and outbox too, with all their columns; only tokens and owners differ."""
    told.take(make.estimate(claim="CLM-2026-000005"))
    told.take(replace(make.policy_of("health", make.PATIENT, make.MEDICAL), policy_number="PL-HEALTH"))
    for number, claim in enumerate(("CLM-2026-000006", "CLM-2026-000007")):
        at_ms = make.LOSS_MS + number * make.DAY_MS
        said = {"claim": claim, "policy_number": "PL-HEALTH", "loss_at_ms": at_ms, "notified_at_ms": at_ms}
        told.take(make.notice_of("health", make.PATIENT, "treatment", **said), make.bill(9_000_00, claim=claim))
    alter(tmp_path, f"INSERT INTO accepted_losses VALUES ('{NOTICE}', 1, 0, 50, 60, 0, 'operator-01', 'retention')")
    alter(tmp_path, "INSERT INTO peer_limits VALUES ('shop', 'motor', 'CNY', 30, 95, 100, 0)")

    claimhub("replay", "--from-journal", "--into", "sqlite:///new.db")

    with sqlite3.connect(tmp_path / ".claimhub/ledger.db") as database:
        database.execute(f"ATTACH '{tmp_path}/new.db' AS new")
        tables = (
            "journal",
            "parked",
            "dead_letters",
            "claims",
            "policies",
            "traces",
            "cover_uses",
            "payments",
            "outbox",
            "positions",
            "topics",
        )
        for table in (*tables, "relay", "relay_next", "accepted_losses", "peer_limits"):
            assert database.execute(f"SELECT * FROM {table} EXCEPT SELECT * FROM new.{table}").fetchall() == [], table
            assert database.execute(f"SELECT * FROM new.{table} EXCEPT SELECT * FROM {table}").fetchall() == [], table
        seqs = [database.execute(f"SELECT lane, seq, entry FROM {name}lanes").fetchall() for name in ("", "new.")]
    assert seqs[0] == seqs[1]


@pytest.mark.usefixtures("told")
def test_a_ledger_that_holds_anything_is_not_rebuilt_into(claimhub: Claimhub, tmp_path: Path) -> None:
    """The live one above all; it stays as it was."""
    (tmp_path / "letter.txt").write_text("Dear reader")
    before = claimhub("verify", "--json").json
    for url in ("sqlite:///.claimhub/ledger.db", f"sqlite:///{tmp_path}/.claimhub/ledger.db", "sqlite:///letter.txt"):
        ran = claimhub("replay", "--from-journal", "--into", url)

        assert ran.code == 2
        assert "not empty" in ran.err and "new SQLite file" in ran.err
    assert claimhub("verify", "--json").json == before


@pytest.mark.usefixtures("told")
def test_an_empty_postgres_database_is_rebuilt_into_and_a_second_time_refused(
    claimhub: Claimhub, postgres_url: str
) -> None:
    """The ledger may change its kind of database on the way."""
    ran = claimhub("replay", "--from-journal", "--into", postgres_url, "--json")
    again = claimhub("replay", "--from-journal", "--into", postgres_url)

    assert (ran.code, ran.json["equal"]) == (0, True)
    assert again.code == 2 and "not empty" in again.err


@pytest.mark.parametrize(
    ("statement", "record", "field"),
    [
        (f"UPDATE journal SET reason = 'other' WHERE topic = '{INVOICE}'", f"{INVOICE}/1/0/0", "reason"),
        (f"UPDATE journal SET value = x'00' WHERE topic = '{INVOICE}'", f"{INVOICE}/1/0/0", "end"),
        (f"DELETE FROM journal WHERE topic = '{INVOICE}'", f"{INVOICE}/1/0/0", f"output {INSTRUCTION}"),
        (f"DELETE FROM outbox WHERE topic = '{INSTRUCTION}'", f"{INVOICE}/1/0/0", "output 1 customer.notice.v1 seq"),
        ("UPDATE dead_letters SET code = 'bad-key' WHERE code = 'not-framed'", "repair.estimate.v1/1/0/1", "code"),
        ("DELETE FROM dead_letters WHERE code = 'wrong-currency'", f"{NOTICE}/1/0/2", "output hub.dead-letter.v1"),
        (f"UPDATE journal SET lane = 7 WHERE topic = '{INVOICE}'", f"{INVOICE}/1/0/0", f"output {INSTRUCTION}"),
        ("UPDATE journal SET lane = -1 WHERE topic = 'hub.wake.v1'", "hub.wake.v1/1/0/0", "lane"),
        ("UPDATE parked SET reason = 'other'", "repair.estimate.v1/1/0/2", "reason"),
        (
            f"UPDATE claims SET state = json_set(state, '$.notice.reporter_name', 'x') WHERE claim = '{make.CLAIM}'",
            "table claims",
            "state.notice",
        ),
        (f"UPDATE claims SET stage = 'paid' WHERE claim = '{make.CLAIM}'", "table claims", "stage"),
        (f"DELETE FROM claims WHERE claim = '{make.CLAIM}'", "table claims", "only in the replay"),
        ("UPDATE payments SET amount_minor = 1", "table payments", "amount_minor"),
        ("UPDATE policies SET plate = ''", "table policies", "plate"),
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_what_was_altered_by_hand_is_named_and_never_shown(
    told: FilledLedger, claimhub: Claimhub, tmp_path: Path, statement: str, record: str, field: str, form: list[str]
) -> None:
    """The record or the row, and the field."""
    alter(tmp_path, statement)

    ran = claimhub("replay", "--from-journal", "--into", "sqlite:///new.db", *form)

    assert ran.code == 1
    assert [value for value in PERSONAL if value in ran.out] == []
    if form:
        first = ran.json["first_difference"]
        assert (first["record"], first["field"], ran.json["equal"]) == (record, field, False)
    else:
        assert record in ran.out and field in ran.out


@pytest.mark.usefixtures("told")
def test_a_rule_that_is_another_now_is_a_difference(claimhub: Claimhub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first record that is decided otherwise, with both rules."""
    never_automatic(monkeypatch)

    ran = claimhub("replay", "--from-journal", "--into", "sqlite:///new.db", "--json")

    assert ran.code == 1
    assert ran.json["first_difference"] == {
        "claim": make.CLAIM,
        "record": f"{INVOICE}/1/0/0",
        "field": "rule",
        "was": "authority.automatic",
        "now": "settlement.computed",
    }
    assert ran.json["replayed_hash"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--into", "sqlite:///new.db"],
        ["--from-journal"],
        ["--from-journal", "--into", "sqlite:///new.db", "--claim", make.CLAIM],
        ["--from-journal", "--since", "yesterday"],
        ["--from-journal", "--into", "sqlite:///new.db", "--batch-size", "0"],
    ],
)
@pytest.mark.usefixtures("told")
def test_a_replay_of_nothing_or_of_two_things_is_wrong_use(
    claimhub: Claimhub, tmp_path: Path, arguments: list[str]
) -> None:
    """One sentence says what is right; nothing is made."""
    ran = claimhub("replay", *arguments)

    assert ran.code == 2
    assert ran.err
    assert not (tmp_path / "new.db").exists()


# -- a window


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("window", [["--since", "2026-01-01"], ["--until", "2030-01-01T00:00:00+08:00"]])
def test_today_would_send_what_was_sent(claimhub: Claimhub, window: list[str]) -> None:
    """The same rules, the same outputs."""
    ran = claimhub("replay", "--from-journal", *window, "--json")

    assert (ran.code, ran.json["changes"]) == (0, [])
    assert (ran.json["claims"], ran.json["records"]) == (6, 10)
    assert "Nothing was sent" in claimhub("replay", "--from-journal", *window).out


@pytest.mark.usefixtures("told")
def test_what_today_would_send_otherwise_is_told_with_rule_and_reason(
    claimhub: Claimhub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The instruction and its notice would not go out, the status would say that a person is waited for."""
    never_automatic(monkeypatch)

    ran = claimhub("replay", "--from-journal", "--claim", make.CLAIM, "--json")
    text = claimhub("replay", "--from-journal", "--claim", make.CLAIM).out

    assert ran.code == 1
    assert [(change["kind"], change["topic"], change["record"]) for change in ran.json["changes"]] == [
        ("missing", INSTRUCTION, f"{INVOICE}/1/0/0"),
        ("missing", "customer.notice.v1", f"{INVOICE}/1/0/0"),
        ("changed", "claims.status.v1", f"{INVOICE}/1/0/0"),
    ]
    missing, _, changed = ran.json["changes"]
    assert missing["was"]["rule"] == "payments.instruct"
    assert missing["now"]["rule"] == changed["now"]["rule"] == "settlement.computed"
    assert "value.stage" in changed["fields"]
    assert changed["now"]["reason"] in text and missing["was"]["reason"] in text
    assert [value for value in PERSONAL if value in ran.out + text] == []


@pytest.mark.usefixtures("told")
def test_an_output_that_only_one_side_has_is_told(claimhub: Claimhub, tmp_path: Path) -> None:
    """Added: today would send it. Missing: nothing leads to it."""
    alter(tmp_path, f"DELETE FROM outbox WHERE topic = '{INSTRUCTION}'")
    of_estimate = "cause = 'repair.estimate.v1/1/0/0' AND topic = 'claims.status.v1'"
    alter(tmp_path, f"UPDATE outbox SET cause = 'repair.estimate.v1/1/0/9' WHERE {of_estimate}")

    changes = claimhub("replay", "--from-journal", "--claim", make.CLAIM, "--json").json["changes"]

    told = sorted((change["kind"], change["topic"], change["record"]) for change in changes)
    assert told == [
        ("added", "claims.status.v1", "repair.estimate.v1/1/0/0"),
        ("added", INSTRUCTION, f"{INVOICE}/1/0/0"),
        ("missing", "claims.status.v1", "repair.estimate.v1/1/0/9"),
    ]
    assert {change["now" if change["kind"] == "missing" else "was"] for change in changes} == {None}


@pytest.mark.parametrize(("strictly", "changed"), [(False, 0), (True, 3)])
def test_a_window_compares_its_own_records_on_the_states_of_those_before(
    ledger: FilledLedger, claimhub: Claimhub, monkeypatch: pytest.MonkeyPatch, strictly: bool, changed: int
) -> None:
    """The invoice alone is in the window, to the millisecond; its claim's notice and estimate came before it."""
    ledger.take(make.policy(), make.notice(), make.estimate())
    for _ in range(2):
        ledger.take_bytes(INVOICE, "CLM-2026-000009", POISON)
    ledger.take(make.invoice())
    if strictly:
        never_automatic(monkeypatch)

    ran = claimhub("replay", "--from-journal", "--since", show.time(make.LOSS_MS + 2), "--json").json

    assert (ran["claims"], ran["records"], ran["outputs"]) == (1, 1, 4)
    assert [change["record"] for change in ran["changes"]] == [f"{INVOICE}/1/0/2"] * changed


@pytest.mark.usefixtures("told")
def test_a_parked_record_that_would_go_on_today_is_an_added_output(
    claimhub: Claimhub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it would lead to was never sent."""

    def on_estimate(claim: Claim, record: Estimate, cause: Cause, seen: Lookups) -> Decision:
        return Decision(claim, "assessment.lenient", "an estimate needs no notice any more")

    monkeypatch.setitem(cast(dict[str, Flow], FLOWS), ESTIMATE, Flow(Estimate, on_estimate))

    (change,) = claimhub("replay", "--from-journal", "--claim", "CLM-2026-000003", "--json").json["changes"]

    assert (change["kind"], change["topic"], change["record"]) == ("added", "claims.status.v1", f"{ESTIMATE}/1/0/2")
    assert change["now"]["rule"] == "assessment.lenient"
