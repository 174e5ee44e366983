"""`claimhub claim archive`: a claim's case file as a folder, and the check that it still is what the ledger says."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, func, select

from schemas.codec import Codec, Undecodable, UnknownSchema
from schemas.topics import TOPICS
from sinks.case_file import (
    CAME,
    FORMAT,
    SENT,
    Chain,
    FileEntry,
    Index,
    Linked,
    Retention,
    broken_files,
    came,
    compare,
    first_link,
    linked,
    read_index,
    sent,
    write_folder,
)
from sinks.ledger.streaming import snapshot
from sinks.ledger.tables import parked, policies
from streams.commands import show
from streams.commands.claim import read_state
from streams.commands.clocks import explain_clocks
from streams.commands.ledger import open_engine
from streams.commands.payments import read_payments
from streams.commands.send import open_codec
from streams.commands.timeline import read_timeline
from streams.commands.why import read_explanations
from streams.received import unpack_headers
from streams.rules.claim import Claim
from streams.rules.policy_file import PolicyFile
from streams.rules.retention import holds, kept
from streams.rules.stage import stage_of
from streams.settings import Settings


class Checked(Struct, frozen=True):
    """A case file after its check: how many records it has, how many the ledger has since, and what does not hold.
    `since` is missing when the ledger was not asked."""

    claim: str
    archived_at: str
    came: int
    sent: int
    since: int | None
    broken: list[str]


def archive(settings: Settings, number: str, folder: Path) -> Index:
    """Write the case file of a claim as the ledger has it now. Raises Failed, CaseFileError, LedgerUnavailable."""
    codec = open_codec(settings)
    with open_engine(settings) as engine, snapshot(engine) as connection:
        claim = read_state(connection, number)
        chains = {
            name: list(linked(number, name, rows(connection, number), lambda row: _says(codec, row)))
            for name, rows in ((CAME, came), (SENT, sent))
        }
        policy = _policy(connection, claim)
        files = {name: b"".join(msgspec.json.encode(line) + b"\n" for line in lines) for name, lines in chains.items()}
        files |= {
            "claim.json": _json(claim),
            "clocks.json": _json(explain_clocks(connection, number)),
            "payments.json": _json(read_payments(connection, number)),
            "policy.json": _json(policy.versions),
            "timeline.json": _json(read_timeline(connection, number)),
            "why.json": _json(read_explanations(connection, number)),
        }
        waiting = connection.execute(select(func.count()).where(parked.c.subject == number)).scalar_one()

    def index(entries: list[FileEntry]) -> Index:
        return Index(
            format=FORMAT,
            claim=number,
            version=claim.version,
            stage=stage_of(claim),
            archived_at=show.time(time.time_ns() // 1_000_000),
            retention=_retention(claim, policy),
            counts={"came": len(chains[CAME]), "sent": len(chains[SENT]), "waiting": waiting},
            chains={
                name: Chain(len(lines), lines[-1].link if lines else first_link(number, name))
                for name, lines in chains.items()
            },
            documents=list(_documents(chains[CAME])),
            files=entries,
        )

    return write_folder(folder, files, index)


def show_archived(index: Index) -> None:
    """Print what a case file has."""
    retention = index.retention
    if retention.legal_hold:
        kept_until = f"no end while held: {'; '.join(retention.legal_hold)}"
    elif retention.until is None:
        kept_until = "not known: the policy is not in the ledger"
    else:
        kept_until = f"{retention.until}, {retention.years} years after {retention.contract_ends} ({retention.source})"
    rows: list[tuple[str, object]] = [
        ("claim", f"{index.claim} version {index.version}, {index.stage}"),
        ("keep until", kept_until),
        *index.counts.items(),
        ("documents", len(index.documents)),
        *((f"chain of {name}", chain.head) for name, chain in index.chains.items()),
    ]
    show.pairs(rows)


def check(settings: Settings, folder: Path, *, offline: bool) -> Checked:
    """Check a case file by itself, and unless `offline` against the ledger. Raises CaseFileError, LedgerUnavailable."""
    index = read_index(folder)
    broken, since = list(broken_files(folder, index)), None
    if not offline:
        with open_engine(settings) as engine, snapshot(engine) as connection:
            differs, since = compare(connection, index)
        broken += differs
    counts = index.counts
    return Checked(index.claim, index.archived_at, counts["came"], counts["sent"], since, broken)


def show_checked(checked: Checked) -> None:
    """Print whether a case file holds."""
    show.line(f"{checked.claim}, archived at {checked.archived_at}: {checked.came} records came, {checked.sent} went")
    for what in checked.broken:
        show.line(f"broken: {what}")
    if not checked.broken:
        compared = "by itself; the ledger was not asked" if checked.since is None else "and is what the ledger has"
        show.line(f"the case file holds, {compared}")
    if checked.since:
        show.line(f"the ledger has {checked.since} records of the claim since then")


def _says(codec: Codec, row: dict[str, Any]) -> object:
    """What a record says, for people; the bytes beside it are what counts."""
    topic, value = row["topic"], row["value"]
    if topic not in TOPICS or value is None:
        return None
    try:
        return msgspec.to_builtins(codec.decode(topic, value, unpack_headers(row["headers"])))
    except (Undecodable, UnknownSchema):
        return None


def _documents(lines: list[Linked]) -> Iterator[dict[str, Any]]:
    """Everything that came and is kept elsewhere, by its hash: documents, papers, photos."""
    for line in lines:
        says = line.says
        if not isinstance(says, dict):
            continue
        what = {"topic": line.row["topic"], "offset": line.row["offset"]}
        if "sha256" in says:
            names = ("document_id", "kind", "url", "issuer", "code", "number")
            yield {**what, "sha256": says["sha256"], **{name: says[name] for name in names if name in says}}
        for photo in says.get("photos", ()):
            yield {**what, "kind": "photo", "sha256": photo}


def _policy(connection: Connection, claim: Claim) -> PolicyFile:
    notice = claim.notice
    number = claim.policy.number if claim.policy is not None else notice and notice.policy_number
    state = connection.execute(select(policies.c.state).where(policies.c.number == (number or ""))).scalar_one_or_none()
    return PolicyFile(number=number or "") if state is None else msgspec.convert(state, PolicyFile)


def _retention(claim: Claim, policy: PolicyFile) -> Retention:
    held, found = holds(claim), kept(claim, policy.versions)
    if found is None:
        return Retention(None, None, None, "", held)
    until = None if held else found.until.isoformat()
    return Retention(found.years, found.contract_ends.isoformat(), until, found.source, held)


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
