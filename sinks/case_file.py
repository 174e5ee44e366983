"""A claim's case file: one folder with every record in and out, and a hash chain over them that anybody can check.

There are two chains: what came (journal and dead letters, in the order the hub dealt with it) and what went out (the
outbox). Both only ever grow, so the chain of an archived case file is the beginning of the ledger's.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import merge
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Select, Table, select

from sinks.ledger.streaming import stream
from sinks.ledger.tables import dead_letters, journal, outbox, row_columns

FORMAT: Final = "claimhub case file 1"
INDEX: Final = "index.json"
CAME, SENT = "came.ndjson", "sent.ndjson"
_PAGE: Final = 100  # rows that may hold a megabyte each

Row = dict[str, Any]
Decode = Callable[[Row], object]
"""What a row says, as plain values; None when it cannot be read."""


class FileEntry(Struct, frozen=True):
    """One file of the folder."""

    name: str
    sha256: str
    size_bytes: int


class Chain(Struct, frozen=True):
    """A chain's last link, and how many records it has."""

    records: int
    head: str


class Retention(Struct, frozen=True):
    """How long the file must be kept: until when, so many years after the contract ends, and who says so. `until` is
    missing while a legal hold stops it, or the contract is not known. `legal_hold` says what holds it."""

    years: int | None
    contract_ends: str | None
    until: str | None
    source: str
    legal_hold: tuple[str, ...]


class Index(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a case file is of, and what is in it."""

    format: str
    claim: str
    version: int
    stage: str
    archived_at: str
    retention: Retention
    counts: dict[str, int]
    chains: dict[str, Chain]
    documents: list[dict[str, Any]]
    files: list[FileEntry]


class CaseFileError(Exception):
    """A folder cannot be written, or is no case file. The text says which and why."""


class Linked(Struct, frozen=True):
    """One line of a chain: the ledger's row with its original bytes, what it says, and the chain's link up to it."""

    table: str
    row: Row
    says: object
    link: str


def came(connection: Connection, claim: str) -> Iterator[tuple[str, Row]]:
    """Every record of the claim that was applied or became a dead letter, in the order the hub dealt with them."""
    return merge(
        _rows(connection, journal, claim, "entry"), _rows(connection, dead_letters, claim, "entry"), key=_by_entry
    )


def sent(connection: Connection, claim: str) -> Iterator[tuple[str, Row]]:
    """Every record that was sent for the claim, in order."""
    return _rows(connection, outbox, claim, "seq")


def linked(claim: str, name: str, rows: Iterable[tuple[str, Row]], decode: Decode) -> Iterator[Linked]:
    """The rows as a chain: each link is the SHA-256 of the one before and the row."""
    link = first_link(claim, name)
    for table, row in rows:
        link = next_link(link, table, row)
        yield Linked(table, row, decode(row), link)


def first_link(claim: str, name: str) -> str:
    """What a chain begins with: it belongs to one claim and one file."""
    return hashlib.sha256(f"{FORMAT}|{claim}|{name}".encode()).hexdigest()


def next_link(link: str, table: str, row: Row) -> str:
    """The link after this row. The row counts as its JSON: columns in the table's order, bytes as base64."""
    content = msgspec.json.encode([table, row])
    return hashlib.sha256(bytes.fromhex(link) + hashlib.sha256(content).digest()).hexdigest()


def write_folder(folder: Path, files: Mapping[str, bytes], index: Callable[[list[FileEntry]], Index]) -> Index:
    """Write a case file: the folder, which must not be there yet or be empty, is there whole or not at all, and only
    its owner may read it. Raises CaseFileError."""
    entries = [
        FileEntry(name, hashlib.sha256(content).hexdigest(), len(content)) for name, content in sorted(files.items())
    ]
    made = index(entries)
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise CaseFileError(f"{folder} is there and not empty. Nothing was written; name a new folder")
        partial.mkdir(mode=0o700, parents=True)
        for name, content in {**files, INDEX: msgspec.json.format(msgspec.json.encode(made), indent=2)}.items():
            _write(partial / name, content)
        partial.rename(folder)
    except OSError as error:
        raise CaseFileError(f"{folder} cannot be written: {error.strerror}") from None
    return made


def read_index(folder: Path) -> Index:
    """The index of a case file. Raises CaseFileError."""
    try:
        return msgspec.json.decode((folder / INDEX).read_bytes(), type=Index)
    except OSError as error:
        raise CaseFileError(f"{folder / INDEX} cannot be read: {error.strerror}") from None
    except msgspec.DecodeError:  # its words may quote what is in the file
        raise CaseFileError(f"{folder / INDEX} is not the index of a case file") from None


def broken_files(folder: Path, index: Index) -> Iterator[str]:
    """What is not as the index says: a file that is missing, changed or too much, and a chain that does not hold."""
    names = {INDEX, *(entry.name for entry in index.files)}
    for entry in index.files:
        try:
            content = (folder / Path(entry.name).name).read_bytes()
        except OSError:
            yield f"{entry.name} is missing"
            continue
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            yield f"{entry.name} was changed: its SHA-256 is not the index's"
    yield from (
        f"{name} is not in the index"
        for name in sorted(it.name for it in folder.iterdir())
        if name not in {*names, INDEX}
    )
    for name, chain in index.chains.items():
        yield from _broken_chain(folder / name, index.claim, chain)


def compare(connection: Connection, index: Index) -> tuple[list[str], int]:
    """Where the case file's chains are not the beginning of the ledger's, and how many records the ledger has since."""
    broken, since = [], 0
    for name, rows in ((CAME, came), (SENT, sent)):
        chain = index.chains[name]
        link, count = first_link(index.claim, name), 0
        for table, row in rows(connection, index.claim):
            count += 1
            if count <= chain.records:
                link = next_link(link, table, row)
        if count < chain.records:
            broken.append(f"{name} has {chain.records} records, the ledger {count} of them")
        elif link != chain.head:
            broken.append(f"the first {chain.records} records of {name} are not those of the ledger")
        since += max(0, count - chain.records)
    return broken, since


def _broken_chain(file: Path, claim: str, chain: Chain) -> Iterator[str]:
    link, number = first_link(claim, file.name), 0
    try:
        for number, line in enumerate(file.read_bytes().splitlines(), 1):
            found = msgspec.json.decode(line, type=Linked)
            link = next_link(link, found.table, found.row)
            if link != found.link:
                yield f"{file.name} line {number}: the record is not the one that was archived"
                return
    except OSError:
        return  # told as a missing file
    except msgspec.DecodeError:
        yield f"{file.name} line {number} cannot be read"
        return
    if (number, link) != (chain.records, chain.head):
        yield f"{file.name} ends with record {number}, the index with record {chain.records}, or with another one"


def _rows(connection: Connection, table: Table, claim: str, number: str) -> Iterator[tuple[str, Row]]:
    c, names = table.c, [str(column.name) for column in row_columns(table)]
    query: Select[Any] = select(*row_columns(table)).where(c.subject == claim).order_by(c.lane, c[number])
    for row in stream(connection, query, _PAGE):
        yield str(table.name), dict(zip(names, row, strict=True))


def _by_entry(one: tuple[str, Row]) -> tuple[int, int]:
    _, row = one
    return row["lane"], row["entry"]


def _write(file: Path, content: bytes) -> None:
    """Only the owner may read it, and it is on disk before the folder gets its name."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
