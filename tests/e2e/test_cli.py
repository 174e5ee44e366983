"""What each command shows, says and ends with, on a ledger the engine filled and on a broker in this process."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Final

import pytest
from msgspec import to_builtins

from schemas.partitioner import partition_for
from schemas.topics import TOPICS
from sinks.topic_check import OnTopics
from streams.commands.sync import show_departments
from streams.commands.verify import OfLedgerAndTopics, show_verification
from streams.rules.departments import departments
from streams.sync_board import Drift
from tests import claims as make
from tests.e2e.conftest import Broker, Claimhub
from tests.e2e.filled_ledger import POISON, FilledLedger

NOTICE, ESTIMATE, INVOICE = "reporting.loss-notice.v1", "repair.estimate.v1", "repair.invoice.v1"
INSTRUCTION: Final = "finance.payment-instruction.v1"
PERSONAL: Final = ("投保人甲", "驾驶人甲", "报案人甲", "13800000000", make.PAYEE.account, make.PLATE)
UNKNOWN_CLAIM: Final = "CLM-2026-999999"
TRAVEL: Final = Path(__file__).parents[1] / "unit/rules/travel/product.toml"


READS: Final = ("claim show", "claim timeline", "claim why", "payments ls", "parked ls", "dead-letters ls", "verify")


@pytest.fixture
def paid_ledger(ledger: FilledLedger) -> FilledLedger:
    """One claim with its instruction, a dead letter, a parked record."""
    return ledger.tell_all()


def test_help_imports_no_heavy_library() -> None:
    """--help stays quick because nothing is imported for it."""
    code = """
import sys
sys.argv = ["claimhub", "--help"]
from streams.cli import main
try:
    main()
finally:
    heavy = {"confluent_kafka", "faust", "sqlalchemy", "alembic", "pydantic", "fastavro", "fastapi", "rich"}
    print(sorted(heavy & sys.modules.keys()), file=sys.stderr)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr.strip()) == (0, "[]")
    assert "dead-letters" in ran.stdout


# -- looking


@pytest.mark.usefixtures("paid_ledger")
def test_claim_show_tells_stage_policy_settlement_and_payment(claimhub: Claimhub) -> None:
    """The account shows its last four digits; amounts are exact."""
    shown = claimhub("claim", "show", make.CLAIM, "--json").json

    assert shown["policy_number"] == make.POLICY
    assert shown["account"] == f"…{make.PAYEE.account[-4:]}"
    assert [payment["amount_minor"] for payment in shown["payments"]] == [shown["settlement"]["payable_minor"]]
    assert "stage" in claimhub("claim", "show", make.CLAIM).out


@pytest.mark.usefixtures("paid_ledger")
@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize("command", READS)
def test_no_read_shows_a_person(claimhub: Claimhub, command: str, form: list[str]) -> None:
    """Names, phones, plates and whole accounts stay in the ledger."""
    about = [make.CLAIM] if command.startswith("claim ") else []
    ran = claimhub(*command.split(), *about, *form)

    assert ran.code == 0 and ran.out
    assert not [word for word in PERSONAL if word in ran.out + ran.err]


def test_every_read_says_the_same_on_postgresql(
    claimhub: Claimhub, paid_ledger: FilledLedger, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same records lead to the same answers, ledger hash included."""
    commands = [[*read.split(), *([make.CLAIM] if read.startswith("claim ") else []), "--json"] for read in READS]
    on_sqlite = [claimhub(*command).json for command in commands]
    FilledLedger(postgres_url).tell_all().close()
    monkeypatch.setenv("CLAIMHUB_LEDGER", postgres_url)

    assert [claimhub(*command).json for command in commands] == on_sqlite


@pytest.mark.usefixtures("paid_ledger")
def test_the_timeline_puts_what_was_sent_below_its_cause(claimhub: Claimhub) -> None:
    """Records stand in the order the hub dealt with them; nothing is published, so what was sent waits."""
    moments = claimhub("claim", "timeline", make.CLAIM, "--json").json
    came = [moment for moment in moments if moment["cause"] is None]

    assert [moment["topic"] for moment in came] == [NOTICE, "hub.wake.v1", ESTIMATE, INVOICE]
    ref = ""
    for moment in moments:
        ref = ref if moment["cause"] else moment["ref"]
        assert moment["cause"] in (None, ref)
        assert moment["outcome"] == ("waiting" if moment["cause"] else "done")


@pytest.mark.usefixtures("paid_ledger")
def test_a_dead_letter_and_a_parked_record_stand_in_the_timeline(claimhub: Claimhub) -> None:
    """Their outcome says which."""
    dead = claimhub("claim", "timeline", "CLM-2026-000002", "--json").json
    parked = claimhub("claim", "timeline", "CLM-2026-000003", "--json").json

    assert [moment["outcome"] for moment in dead] == ["dead", "waiting"]
    assert [moment["outcome"] for moment in parked] == ["parked"]


def test_the_timeline_is_in_the_order_of_what_came_whatever_its_end(claimhub: Claimhub, ledger: FilledLedger) -> None:
    """A dead letter before the notice stands before it."""
    ledger.take_bytes(ESTIMATE, make.CLAIM, POISON)
    ledger.take(make.notice())
    moments = claimhub("claim", "timeline", make.CLAIM, "--json").json

    assert [moment["outcome"] for moment in moments if moment["cause"] is None] == ["dead", "done"]


@pytest.mark.usefixtures("paid_ledger")
def test_why_follows_an_output_to_the_record_in_another_lane_that_caused_it(claimhub: Claimhub) -> None:
    """The registered notice was caused by a wake, which the policy's arrival caused."""
    notices = claimhub("claim", "why", make.CLAIM, "--output", "customer.notice.v1", "--json").json
    registered = next(notice for notice in notices if notice["rule"] == "notices.registered")

    assert [link["ref"].split("/")[0] for link in registered["chain"]] == ["hub.wake.v1", "underwriting.policy.v1"]
    number = str(registered["output"])
    assert claimhub("claim", "why", make.CLAIM, "--output", number, "--json").json == [registered]
    assert "underwriting.policy.v1/1/0/0" in claimhub("claim", "why", make.CLAIM, "--output", number).out


@pytest.mark.usefixtures("paid_ledger")
def test_why_explains_the_payment_by_the_invoice(claimhub: Claimhub) -> None:
    """The instruction names its rule, its reason and the record that caused it."""
    (why,) = claimhub("claim", "why", make.CLAIM, "--output", INSTRUCTION, "--json").json

    assert why["cause"] == why["chain"][0]["ref"] == f"{INVOICE}/1/0/0"
    assert why["rule"] and why["reason"]


@pytest.mark.usefixtures("paid_ledger")
@pytest.mark.parametrize("verb", ["show", "timeline", "why"])
def test_an_unknown_claim_is_one_sentence_and_exit_1(claimhub: Claimhub, verb: str) -> None:
    """Not found is no crash."""
    ran = claimhub("claim", verb, UNKNOWN_CLAIM)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("claimhub: ") and UNKNOWN_CLAIM in ran.err and ran.err.count("\n") == 1


@pytest.mark.usefixtures("paid_ledger")
def test_a_claim_of_which_only_parked_records_are_known_points_to_them(claimhub: Claimhub) -> None:
    """An estimate before its notice is no unknown claim."""
    assert "parked ls --claim CLM-2026-000003" in claimhub("claim", "show", "CLM-2026-000003").err
    (waiting,) = claimhub("parked", "ls", "--json").json
    assert (waiting["ref"], waiting["until"]) == (f"{ESTIMATE}/1/0/2", [NOTICE])
    assert claimhub("parked", "ls", "--claim", UNKNOWN_CLAIM, "--json").json == []


@pytest.mark.usefixtures("paid_ledger")
def test_a_dead_letter_is_shown_without_its_values_and_saved_with_its_bytes(claimhub: Claimhub, tmp_path: Path) -> None:
    """The file is for its owner alone."""
    (letter,) = claimhub("dead-letters", "ls", "--json").json
    file = tmp_path / "letter"
    shown = claimhub("dead-letters", "show", letter["id"], "--save", file, "--json")

    assert shown.json["value_bytes"] == len(POISON)
    assert shown.json["headers"] == {"sender": 4}
    assert "shop" not in shown.out
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (POISON, 0o600)
    assert claimhub("dead-letters", "show", "nonsense").code == 2
    assert claimhub("dead-letters", "show", f"{ESTIMATE}/1/0/99").code == 1


@pytest.mark.usefixtures("paid_ledger")
def test_verify_ends_with_1_and_the_rows_when_a_promise_is_broken(claimhub: Claimhub, tmp_path: Path) -> None:
    """Somebody lowered an instructed payment by hand."""
    assert claimhub("verify", "--json").json["ok"]
    with sqlite3.connect(tmp_path / ".claimhub" / "ledger.db") as connection:
        connection.execute("UPDATE payments SET amount_minor = amount_minor - 1")
    connection.close()
    ran = claimhub("verify")

    assert ran.code == 1
    assert "BROKEN" in ran.out and make.CLAIM in ran.out


@pytest.mark.usefixtures("paid_ledger")
def test_verify_of_topics_needs_a_kafka_that_remembers(claimhub: Claimhub) -> None:
    """The embedded broker forgets what it had."""
    embedded = claimhub("verify", "--topics")

    assert (embedded.code, embedded.out) == (2, "")
    assert "--topics needs a real Kafka" in embedded.err


def test_verify_shows_what_it_counted_on_the_topics(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the checks, and only when the topics were asked for."""
    show_verification(OfLedgerAndTopics(True, "hash", (), {}, topics=OnTopics(records=3, repeats=1)))

    assert "3 records, 1 repeats, 0 others" in capsys.readouterr().out


def test_topics_asyncapi_prints_the_document_that_the_repository_holds(claimhub: Claimhub) -> None:
    """So that the file can be renewed by the command."""
    printed = claimhub("topics", "asyncapi").out

    assert printed == files("schemas").joinpath("asyncapi.json").read_text(encoding="utf-8")


# -- acting


def test_send_puts_each_record_where_its_key_belongs_and_twice_with_one_id(
    claimhub: Claimhub, kafka: Broker, tmp_path: Path
) -> None:
    """The partition is the key's; the same content has the same CloudEvents id."""
    file = _example(tmp_path, make.notice())
    (place,) = claimhub("send", NOTICE, file, "--json").json
    assert claimhub("send", NOTICE, file).code == 0
    first, second = kafka.came(NOTICE)

    assert place == [NOTICE, partition_for(make.CLAIM.encode(), 4), 0]
    assert first.key() == make.CLAIM.encode() and first.value() == second.value()
    assert first.headers() == second.headers()
    assert dict(first.headers() or [])["ce_source"] == b"claimhub-send"


def test_nothing_is_sent_when_one_row_is_wrong(claimhub: Claimhub, kafka: Broker, tmp_path: Path) -> None:
    """The message names the file, the row and the field, never the value."""
    good, bad = _builtins(make.notice()), {**_builtins(make.notice()), "currency": "SECRET"}
    file = tmp_path / "notices.ndjson"
    file.write_text(f"{json.dumps(good)}\n{json.dumps(bad)}\n")
    ran = claimhub("send", NOTICE, file)

    assert ran.code == 2
    assert "notices.ndjson line 2" in ran.err and "$.currency" in ran.err and "SECRET" not in ran.err
    assert kafka.came(NOTICE) == []


def test_a_producer_that_cannot_go_on_says_what_was_taken(claimhub: Claimhub, kafka: Broker, tmp_path: Path) -> None:
    """Exit 69, how many records Kafka took, and that the command may be run again; then it succeeds."""
    file = tmp_path / "notices.ndjson"
    file.write_text(f"{json.dumps(_builtins(make.notice()))}\n" * 3)
    kafka.desynchronize()
    ran = claimhub("send", NOTICE, file)

    assert (ran.code, ran.out) == (69, "")
    assert "took 0 of 3 records" in ran.err and "Run the command again" in ran.err
    assert claimhub("send", NOTICE, file).code == 0
    assert len(kafka.came(NOTICE)) == 3


def test_send_takes_standard_input_and_dry_run_sends_nothing(claimhub: Claimhub, kafka: Broker) -> None:
    """A dry run says what would be sent."""
    ran = claimhub("send", NOTICE, "-", "--dry-run", "--json", stdin=json.dumps(_builtins(make.notice())))

    assert [row[1] for row in ran.json] == [make.CLAIM]
    assert kafka.came(NOTICE) == []


@pytest.mark.usefixtures("paid_ledger")
def test_a_redrive_sends_the_original_once_and_again_only_when_asked(claimhub: Claimhub, kafka: Broker) -> None:
    """Bytes, key and headers are the original's; an id is added so that a second one is a duplicate."""
    (letter,) = claimhub("dead-letters", "ls", "--json").json
    name = letter["id"]
    assert claimhub("dead-letters", "redrive", name, "--dry-run").code == 0
    assert kafka.came(ESTIMATE) == []

    assert claimhub("dead-letters", "redrive", name).code == 0
    second = claimhub("dead-letters", "redrive", name)
    assert second.code == 1 and "--again" in second.err
    assert claimhub("dead-letters", "redrive", name, "--again").code == 0

    first, again = kafka.came(ESTIMATE)
    assert (first.key(), first.value()) == (b"CLM-2026-000002", POISON)
    assert first.headers() == again.headers()
    assert first.headers() == [("sender", b"shop"), ("ce_id", name.encode()), ("ce_source", b"claimhub-redrive")]
    assert claimhub("dead-letters", "ls", "--json").json[0]["redriven_at"]


@pytest.mark.usefixtures("paid_ledger")
def test_a_retry_wakes_only_a_claim_with_parked_records(claimhub: Claimhub, kafka: Broker) -> None:
    """The wake goes to the claim's lane."""
    assert claimhub("parked", "retry", UNKNOWN_CLAIM).code == 1
    assert claimhub("parked", "retry", "CLM-2026-000003").code == 0
    (wake,) = kafka.came("hub.wake.v1")

    assert wake.key() == b"CLM-2026-000003"


@pytest.mark.usefixtures("paid_ledger")
def test_resync_asks_the_hub_for_one_claim_and_one_department(claimhub: Claimhub, kafka: Broker) -> None:
    """The command goes to the claim's lane. An unknown department is wrong use, an unknown claim is not there."""
    assert claimhub("resync", make.CLAIM, "SECRET").code == 2
    assert claimhub("resync", UNKNOWN_CLAIM, "finance").code == 1
    assert claimhub("resync", make.CLAIM, "finance", "--dry-run").code == 0
    (place,) = claimhub("resync", make.CLAIM, "finance", "--json").json
    (command,) = kafka.came("operations.command.v1")

    assert place[:2] == ["operations.command.v1", partition_for(make.CLAIM.encode(), 4)]
    assert command.key() == make.CLAIM.encode()


def test_commands_leave_a_ledger_that_holds(claimhub: Claimhub, paid_ledger: FilledLedger) -> None:
    """They are in the journal and the timeline, and `verify` counts versions without them."""
    version = claimhub("claim", "show", make.CLAIM, "--json").json["version"]
    paid_ledger.take(make.command("finance"), make.command("siu", 1))
    moments = claimhub("claim", "timeline", make.CLAIM, "--json").json

    assert claimhub("verify").code == 0
    assert claimhub("claim", "show", make.CLAIM, "--json").json["version"] == version
    assert [moment["rule"] for moment in moments[-3:]] == ["sync.resync", "sync.resync", "sync.acknowledged"]


def test_sync_shows_who_is_behind_and_drift_is_exit_1(
    claimhub: Claimhub, kafka: Broker, paid_ledger: FilledLedger
) -> None:
    """A department that committed the end of the log is level, all others are behind. --drift leaves out those that
    are level."""
    paid_ledger.publish(kafka.address)
    kafka.commit("finance.claims-status", "claims.status.v1")
    rows = {row["department"]: row for row in claimhub("sync", "ls", "--json").json}
    seen = {row["department"]: row for row in claimhub("sync", "show", make.CLAIM, "--json").json}

    assert rows.keys() == seen.keys() == departments().keys()
    assert [name for name, row in rows.items() if not row["claims_behind"]] == ["finance"]
    assert rows["siu"]["claims_behind"] == 1
    assert (seen["finance"]["seen"], seen["siu"]["seen"]) == (seen["finance"]["sent"], 0)
    assert "finance" not in claimhub("sync", "ls", "--drift").out
    assert claimhub("sync", "ls", "--drift").code == 0
    assert claimhub("sync", "ls", "--drift", "--department", "finance").code == 0
    assert claimhub("sync", "ls", "--department", "SECRET").code == 2
    assert claimhub("sync", "show", UNKNOWN_CLAIM).code == 1


def test_sync_tells_people_which_department_is_too_late(capsys: pytest.CaptureFixture[str]) -> None:
    """In words, beside the figures."""
    late = Drift("finance", "group", 10, at_least=True, oldest_s=301, limit_s=300, alarm=True)
    show_departments([late, Drift("siu", "group", 0, at_least=False, oldest_s=0, limit_s=900, alarm=False)])
    _, finance, siu = capsys.readouterr().out.splitlines()

    assert re.search(r"10 or more +301 +300 +ALARM", finance)
    assert siu.endswith("level") and " or more" not in siu


@pytest.mark.usefixtures("paid_ledger")
def test_drift_over_the_limit_is_exit_1(
    claimhub: Claimhub, kafka: Broker, paid_ledger: FilledLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a script that watches; without --drift the command only tells."""
    paid_ledger.publish(kafka.address)
    hours = time.time_ns() + 10**9 * 3600 * 24 * 7
    monkeypatch.setattr(time, "time_ns", lambda: hours)

    assert claimhub("sync", "ls", "--drift", "--department", "siu").code == 1
    assert claimhub("sync", "ls", "--department", "siu").code == 0


# -- what is missing


def test_an_unknown_setting_is_named_with_the_nearest_one(claimhub: Claimhub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt setting is never ignored."""
    monkeypatch.setenv("CLAIMHUB_LEDGR", "x")
    ran = claimhub("payments", "ls")

    assert ran.code == 2
    assert "CLAIMHUB_LEDGR" in ran.err and "Did you mean CLAIMHUB_LEDGER?" in ran.err


@pytest.mark.parametrize("command", ["claim show X", "payments ls", "verify", "up"])
def test_a_missing_database_is_named_without_its_password(
    claimhub: Claimhub, monkeypatch: pytest.MonkeyPatch, closed_port: int, command: str
) -> None:
    """Exit 69, the address, and what to do."""
    monkeypatch.setenv("CLAIMHUB_LEDGER", f"postgresql://hub:hidden@127.0.0.1:{closed_port}/claims")
    ran = claimhub(*command.split())

    assert (ran.code, ran.out) == (69, "")
    assert str(closed_port) in ran.err and "hidden" not in ran.err and "Traceback" not in ran.err


def test_a_ledger_that_was_never_made_names_the_command_that_makes_it(claimhub: Claimhub) -> None:
    """The way of a newcomer: doctor, migrate, doctor."""
    assert "claimhub migrate" in claimhub("payments", "ls").err
    before = claimhub("doctor")
    assert before.code == 1 and "claimhub migrate" in before.out
    assert claimhub("migrate").code == 0
    after = claimhub("doctor", "--json")
    assert after.code == 0 and all(check["ok"] for check in after.json)


def test_doctor_tells_a_database_without_tables_from_one_that_is_down(
    claimhub: Claimhub, monkeypatch: pytest.MonkeyPatch, postgres_url: str, closed_port: int
) -> None:
    """Each has its own remedy."""
    remedies = []
    for url in (postgres_url, f"postgresql://hub@127.0.0.1:{closed_port}/claims"):
        monkeypatch.setenv("CLAIMHUB_LEDGER", url)
        remedies += [check["mend"] for check in claimhub("doctor", "--json").json if not check["ok"]]

    assert remedies == ["claimhub migrate", "claimhub stack up, or correct CLAIMHUB_LEDGER"]


@pytest.mark.parametrize("command", ["up", f"send {NOTICE} notice.json"])
def test_a_missing_broker_is_named_with_its_address(
    claimhub: Claimhub, monkeypatch: pytest.MonkeyPatch, closed_port: int, tmp_path: Path, command: str
) -> None:
    """Exit 69 and one sentence."""
    monkeypatch.setenv("CLAIMHUB_KAFKA", f"127.0.0.1:{closed_port}")
    _example(tmp_path, make.notice())
    ran = claimhub(*command.split())

    assert (ran.code, ran.out) == (69, "")
    assert f"127.0.0.1:{closed_port}" in ran.err and ran.err.startswith("claimhub: ")


def test_send_without_a_running_hub_says_how_to_start_one(claimhub: Claimhub, tmp_path: Path) -> None:
    """With the embedded broker there is nothing to send to until a hub runs."""
    ran = claimhub("send", NOTICE, _example(tmp_path, make.notice()))

    assert ran.code == 69 and "claimhub up" in ran.err


@pytest.mark.parametrize(
    ("role", "said"),
    [(role, "not in this version yet") for role in ("gateway", "dispatcher", "console")]
    + [("workers", "there is no role workers")],
)
def test_a_role_that_is_not_there_is_wrong_use(claimhub: Claimhub, role: str, said: str) -> None:
    """Named, exit 2, before anything starts."""
    ran = claimhub("up", "--role", role)

    assert ran.code == 2 and role in ran.err and said in ran.err


# -- settings and cases


def test_schemas_register_tells_each_topics_id(claimhub: Claimhub) -> None:
    """The embedded registry has them all."""
    ids = claimhub("schemas", "register", "--json").json

    assert ids.keys() == TOPICS.keys()
    assert NOTICE in claimhub("topics", "ls").out and NOTICE in claimhub("schemas", "register").out


def test_config_shows_where_a_value_comes_from_and_no_secret(
    claimhub: Claimhub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Passwords are hidden as settings, inside URLs and among Kafka's options; a wrong setting is still shown."""
    monkeypatch.setenv("CLAIMHUB_LEDGER", "postgresql://hub:hidden@db/claims?password=hidden")
    monkeypatch.setenv("CLAIMHUB_KAFKA_PASSWORD", "hidden")
    monkeypatch.setenv("CLAIMHUB_KAFKA_OPTIONS", '{"sasl.username": "hub", "sasl.password": "hidden"}')
    (tmp_path / "claimhub.toml").write_text('lanes = 0\nregistry = "http://hub:hidden@registry"\n')
    ran = claimhub("config", "show", "--json")
    settings = {setting["name"]: setting for setting in ran.json}

    assert ran.code == 2 and "lanes" in ran.err
    assert "hidden" not in ran.out + ran.err
    assert settings["ledger"]["value"] == "postgresql://hub:***@db/claims?password=***"
    assert settings["kafka_password"]["value"] == "***"
    assert (settings["lanes"]["value"], settings["lanes"]["source"]) == ("0", "claimhub.toml")
    assert settings["group"]["source"] == "default"


@pytest.mark.parametrize(
    ("place", "reason", "kafka", "says"),
    [
        ("repair.estimate.v1", "old", "127.0.0.1:1", "repair.estimate.v1 is not a place"),
        ("repair.estimate.v1/4", "old", "127.0.0.1:1", "repair.estimate.v1/4 is not a place"),
        ("claims.status.v1/0", "old", "127.0.0.1:1", "claims.status.v1/0 is not a place"),
        ("repair.estimate.v1/0", " ", "127.0.0.1:1", "--reason is empty"),
        ("repair.estimate.v1/0", "old", "embedded", "the embedded broker deletes nothing that is unread"),
    ],
)
def test_a_loss_is_accepted_of_an_inbound_place_for_a_reason_only(
    claimhub: Claimhub, monkeypatch: pytest.MonkeyPatch, place: str, reason: str, kafka: str, says: str
) -> None:
    """Refused before anything is asked of Kafka or the ledger."""
    monkeypatch.setenv("CLAIMHUB_KAFKA", kafka)
    refused = claimhub("positions", "accept-loss", place, "--reason", reason, "--yes")

    assert refused.code == 2 and says in refused.err


def test_settle_knows_the_covers_that_only_a_product_has(claimhub: Claimhub, tmp_path: Path) -> None:
    """With its file; without it they are none. A file that is no product is refused, and says what is wrong."""
    case = json.dumps(
        {"covers": [{"cover": "travel-delay", "sum_insured": 50_000}], "losses": {"travel-delay": 60_000}}
    )
    settled = claimhub("settle", "--json", "--product", str(TRAVEL), stdin=case)
    without = claimhub("settle", "--json", stdin=case)
    odd, broken = tmp_path / "odd.toml", tmp_path / "broken.toml"
    odd.write_text(TRAVEL.read_text().replace('["limit"]', '["guess"]'))
    broken.write_text("currency = 1")

    (cover,) = settled.json["covers"]
    assert (cover["amount"], [step["step"] for step in cover["steps"]]) == (50_000, ["limit"])
    assert without.code == 2 and "covers[0].cover: is no cover" in without.err
    for file, said in ((odd, "covers.travel-delay: there is no step guess"), (broken, "is no product"), (tmp_path, "")):
        ran = claimhub("settle", "--product", str(file), stdin=case)
        assert (ran.code, ran.out) == (2, "") and said in ran.err


def test_settle_prints_what_is_owed_and_names_the_field_of_an_impossible_case(claimhub: Claimhub) -> None:
    """Domain, worked case: own damage, partial."""
    case = {
        "name": "own damage, partial",
        "covers": [{"cover": "own-damage", "sum_insured": 15000000, "deductible": 50000}],
        "losses": {"own-damage": 1234567},
    }
    assert claimhub("settle", "--json", stdin=json.dumps(case)).json["payable"] == 1184567
    assert "1184567" in claimhub("settle", stdin=json.dumps([case])).out

    wrong = claimhub("settle", "--json", stdin=json.dumps([case, {**case, "losses": {"own-damage": -1}}]))
    assert (wrong.code, wrong.out) == (2, "")
    assert "case 2: losses.own-damage" in wrong.err


# -- running


def test_up_takes_what_another_process_sends_and_drains_on_sigterm(claimhub: Claimhub, tmp_path: Path) -> None:
    """The embedded broker is found by its file, which is gone once the hub has ended with 0."""
    hub = subprocess.Popen(
        [sys.executable, "-c", "from streams.cli import main; main()", "up"],
        env={**os.environ, "CLAIMHUB_HTTP_PORT": "0"},
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    address = tmp_path / ".claimhub" / "embedded-broker"
    try:
        _wait(address.exists)
        assert claimhub("send", "underwriting.policy.v1", _example(tmp_path, make.policy())).code == 0
        assert claimhub("send", NOTICE, _example(tmp_path, make.notice())).code == 0
        _wait(lambda: claimhub("claim", "show", make.CLAIM).code == 0)
        second = claimhub("up")
        assert second.code == 69 and "already" in second.err
        hub.send_signal(signal.SIGTERM)
        assert hub.wait(30) == 0
    finally:
        hub.kill()
        hub.wait()
    assert not address.exists()
    assert claimhub("verify").code == 0


def _wait(done: Callable[[], bool], limit_s: float = 30.0) -> None:
    end = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)


def _builtins(record: object) -> dict[str, object]:
    found: dict[str, object] = to_builtins(record)
    return found


def _example(folder: Path, record: object) -> Path:
    file = folder / "notice.json"
    file.write_text(json.dumps({"key": None, "record": _builtins(record)}))
    return file
