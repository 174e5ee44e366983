"""`claimhub claim archive`: the case file is whole, and any change to it is found."""

import json
import shutil
import stat
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from sinks.case_file import CAME, SENT
from tests import claims as make
from tests.e2e.conftest import Claimhub
from tests.e2e.filled_ledger import POISON, FilledLedger
from tests.e2e.test_cli import UNKNOWN_CLAIM
from tests.lane import CODEC

ESTIMATE = "repair.estimate.v1"


def fill(ledger: FilledLedger) -> FilledLedger:
    """A paid claim with a document and a dead letter, and one that came to nothing."""
    ledger.tell_all()
    ledger.take_bytes(ESTIMATE, make.CLAIM, POISON)
    ledger.take(make.document(), make.notice(claim="CLM-2026-000009", policy_number="POL-NONE"))
    return ledger


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    """What a chain's file has."""
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


@pytest.mark.usefixtures("filled")
def test_the_case_file_has_every_record_with_its_bytes_and_holds(claimhub: Claimhub, tmp_path: Path) -> None:
    """In and out, with decisions, reasons, clocks, payments, documents' hashes; only its owner may read it."""
    folder = tmp_path / "archive" / "case"
    assert claimhub("claim", "archive", make.CLAIM, "--to", folder).code == 0
    index, came, sent = json.loads((folder / "index.json").read_text()), lines(folder, CAME), lines(folder, SENT)
    timeline = claimhub("claim", "timeline", make.CLAIM, "--json").json
    checked = claimhub("claim", "archive", "--check", folder)

    assert (checked.code, "holds, and is what the ledger has" in checked.out) == (0, True)
    assert len(came) + len(sent) == len(timeline)
    assert index["counts"] == {"came": len(came), "sent": len(sent), "waiting": 0}
    estimate, poison = (line for line in came if line["row"]["topic"] == ESTIMATE)
    assert CODEC.decode(ESTIMATE, b64decode(estimate["row"]["value"]), []) == make.estimate()
    assert estimate["says"]["shop"] == "shop-01"
    assert (b64decode(poison["row"]["value"]), poison["says"], poison["table"]) == (POISON, None, "dead_letters")
    assert [(it["kind"], it["url"]) for it in index["documents"] if "url" in it] == [
        ("police-report", "https://documents.example/DOC-1")
    ]
    assert {it["sha256"] for it in index["documents"]} == {make.PHOTO}
    assert {file.name for file in folder.iterdir()} == {it["name"] for it in index["files"]} | {"index.json"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


@pytest.mark.usefixtures("filled")
def test_how_long_it_is_kept_follows_from_the_contract(claimhub: Claimhub, tmp_path: Path) -> None:
    """A year's policy ends with 2026 and is kept five years; without a policy nobody knows."""
    kept = claimhub("claim", "archive", make.CLAIM, "--to", tmp_path / "one", "--json").json["retention"]
    unknown = claimhub("claim", "archive", "CLM-2026-000009", "--to", tmp_path / "two")

    assert kept == {
        "years": 5,
        "contract_ends": "2027-01-01",
        "until": "2032-01-01",
        "source": "Insurance Law art. 87",
        "legal_hold": [],
    }
    assert "not known" in unknown.out


def _cut_last(folder: Path) -> None:
    whole = (folder / SENT).read_bytes().splitlines(keepends=True)
    (folder / SENT).write_bytes(b"".join(whole[:-1]))


def _change_value(folder: Path) -> None:
    file = folder / CAME
    file.write_text(file.read_text().replace('"subject":"CLM', '"subject":"XLM', 1))


def _swap(folder: Path) -> None:
    first, second, *rest = (folder / CAME).read_bytes().splitlines(keepends=True)
    (folder / CAME).write_bytes(b"".join([second, first, *rest]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_cut_last, "sent.ndjson ends with record"),
        (_change_value, "came.ndjson line 1: the record is not the one that was archived"),
        (_swap, "came.ndjson line 1: the record is not the one that was archived"),
        (lambda folder: (folder / "why.json").unlink(), "why.json is missing"),
        (lambda folder: (folder / "clocks.json").write_text("[]"), "clocks.json was changed"),
        (lambda folder: (folder / "note.txt").write_text("x"), "note.txt is not in the index"),
        (lambda folder: (folder / CAME).write_text("no JSON\n"), "came.ndjson line 1 cannot be read"),
    ],
)
def test_a_change_is_found_without_the_ledger(
    claimhub: Claimhub, ledger: FilledLedger, tmp_path: Path, change: Callable[[Path], object], says: str
) -> None:
    """Whatever it is; nothing of the record is quoted."""
    fill(ledger)
    folder = tmp_path / "case"
    claimhub("claim", "archive", make.CLAIM, "--to", folder)
    change(folder)
    (tmp_path / ".claimhub" / "ledger.db").rename(tmp_path / "away.db")
    ran = claimhub("claim", "archive", "--check", folder, "--offline")

    assert ran.code == 1 and f"broken: {says}" in ran.out
    assert make.PAYEE.account not in ran.out + ran.err


def test_a_case_file_made_anew_around_a_change_is_not_what_the_ledger_has(
    claimhub: Claimhub, filled: FilledLedger, tmp_path: Path
) -> None:
    """Its hashes agree with one another; the ledger's chain does not. What came since is counted, and is no fault."""
    folder = tmp_path / "case"
    assert claimhub("claim", "archive", make.CLAIM, "--to", folder).code == 0
    filled.take(make.document(document_id="DOC-2"))
    later = claimhub("claim", "archive", "--check", folder)
    shutil.rmtree(folder)
    with filled.engine() as engine, engine.begin() as connection:
        connection.execute(text("UPDATE outbox SET reason = 'another' WHERE seq = 3"))
    assert claimhub("claim", "archive", make.CLAIM, "--to", folder).code == 0
    with filled.engine() as engine, engine.begin() as connection:
        connection.execute(text("UPDATE outbox SET reason = 'the first' WHERE seq = 3"))
    forged = claimhub("claim", "archive", "--check", folder)

    assert later.code == 0 and "the ledger has 2 records of the claim since then" in later.out
    assert forged.code == 1 and "records of sent.ndjson are not those of the ledger" in forged.out
    assert claimhub("claim", "archive", "--check", folder, "--offline").code == 0


def test_nothing_is_written_over(claimhub: Claimhub, ledger: FilledLedger, tmp_path: Path) -> None:
    """A folder with something in it, a claim that is not there, and half a command are refused."""
    fill(ledger)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    (tmp_path / "empty").mkdir()
    for arguments, code, said in (
        ([make.CLAIM, "--to", "full"], 2, "is there and not empty"),
        ([UNKNOWN_CLAIM, "--to", "new"], 1, "there is no claim"),
        ([make.CLAIM], 2, "say either CLAIM --to FOLDER or --check FOLDER"),
        ([make.CLAIM, "--check", "full"], 2, "say either"),
        (["--check", "full"], 2, "index.json cannot be read"),
        ([make.CLAIM, "--to", "empty"], 0, ""),
    ):
        ran = claimhub("claim", "archive", *arguments)
        assert (ran.code, said in ran.err) == (code, True), arguments
    assert not (tmp_path / "new").exists()
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]
