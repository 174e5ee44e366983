"""`claimhub breaks` on a ledger the engine filled: what waits for too long, whose it is, and what became of it."""

from pathlib import Path

from tests import claims as make
from tests.e2e.conftest import Claimhub
from tests.e2e.filled_ledger import FilledLedger
from tests.e2e.test_cli import PERSONAL

LONG_MS = make.LOSS_MS + 73 * make.HOUR_MS
WITHOUT_NOTICE = "CLM-2026-000003"


def test_open_breaks_are_listed_with_owner_age_and_reason(claimhub: Claimhub, ledger: FilledLedger) -> None:
    """Told once; nothing before the limit is over; one of another owner is left out."""
    ledger.tell_all()
    assert claimhub("breaks", "ls", "--json").json == []
    assert [row.topic for row in ledger.tick(LONG_MS)].count("hub.break.v1") == 1
    assert [row.topic for row in ledger.tick(LONG_MS)].count("hub.break.v1") == 0
    (found,) = claimhub("breaks", "ls", "--json").json
    shown = claimhub("breaks", "ls")

    assert (found["owner"], found["kind"], found["subject"]) == ("reporting", "parked-too-long", WITHOUT_NOTICE)
    assert found["open"] and found["ended"] is None and found["age_s"] > 72 * 3600
    assert found["reason"].endswith("hours and more: estimate E01 waits for the claim's loss notice")
    assert found["id"] in shown.out and WITHOUT_NOTICE in shown.out and " d " in shown.out
    assert claimhub("breaks", "ls", "--owner", "finance").err.strip() == "no breaks"
    assert not [word for word in PERSONAL if word in shown.out + shown.err]


def test_a_break_is_cleared_when_its_record_goes_on(claimhub: Claimhub, ledger: FilledLedger, tmp_path: Path) -> None:
    """Then it is no longer open, and says what became of the record; every promise of the ledger holds before and
    after, and a replay sends the same."""
    ledger.tell_all()
    ledger.tick(LONG_MS)
    (found,) = claimhub("breaks", "ls", "--json").json
    (why,) = [it for it in claimhub("claim", "why", WITHOUT_NOTICE, "--json").json if it["topic"] == "hub.break.v1"]
    assert [(link["outcome"], link["rule"]) for link in why["chain"]] == [("parked", "engine.parked")]
    assert claimhub("verify").code == 0
    ledger.take(make.notice(claim=WITHOUT_NOTICE))
    cleared = claimhub("breaks", "show", found["id"], "--json").json
    shown = claimhub("breaks", "show", found["id"])

    assert claimhub("breaks", "ls", "--json").json == []
    assert [it["id"] for it in claimhub("breaks", "ls", "--all", "--json").json] == [found["id"]]
    assert not cleared["open"] and cleared["ended"].startswith("done: ") and found["id"] in shown.out
    assert (
        claimhub("verify").code == 0
        and claimhub("replay", "--from-journal", "--into", f"sqlite:///{tmp_path / 'again.db'}").code == 0
    )


def test_a_break_that_is_not_there_is_said_so(claimhub: Claimhub, ledger: FilledLedger) -> None:
    """With the command that lists them all."""
    ledger.tell_all()
    missing = claimhub("breaks", "show", "BK0")

    assert missing.code == 1 and "no break has the id BK0. See: claimhub breaks ls --all" in missing.err
