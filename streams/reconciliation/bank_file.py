"""A file from the bank, read to its end before anything of it is taken, in memory that does not grow with it.

What it says line by line waits in a nameless temporary file; what is in memory is few: its statements with the sums of
what they booked, and what could not be read.
"""

import hashlib
import os
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final, TypeVar

import msgspec
from msgspec import Struct

from connectors.bank.messages import Balance, Entry, Level, Message, Read, Statement, Status, Warned, read
from connectors.bank.xml import BadXml

STATUSES: Final = "pain.002"
STATEMENT: Final = "camt.053"
ADVICE: Final = "camt.054"
"""The messages that something follows from. An advice tells early of lines that the statement repeats."""

_BOOKED: Final = "BOOK"
"""The status of an entry that is money; others tell what may come."""
_MOST: Final = 10_000
"""Statements, statuses of whole messages, and amounts that cannot be read, in one file: each is held in memory."""
_CHUNK_BYTES: Final = 1 << 20
_LENGTH_BYTES: Final = 4


class Page(Struct, frozen=True, kw_only=True):
    """A statement or notification, or one page of it: the first and the last balance of each type, and the sum of what
    it booked by currency, in minor units, below zero when more left. `last_on` is its latest booking day."""

    statement: Statement
    first: dict[str, Balance]
    last: dict[str, Balance]
    booked: dict[str, int]
    last_on: date | None


class Line(Struct, frozen=True):
    """An entry that was booked, and which one of its statement it is, from 1."""

    number: int
    entry: Entry


Said = TypeVar("Said", Line, Status)


class BankFile:
    """A file that was read to its end. `compressed` are its bytes; `wholes` the statuses of messages and payment
    informations; `unreadable` amounts. `not_booked` counts the entries that are no money yet."""

    def __init__(self, name: str, message: Message, spool: IO[bytes]) -> None:
        self.name = name
        self.message = message
        self.sha256 = ""
        self.compressed = b""
        self.pages: dict[int, Page] = {}
        self.wholes: list[Status] = []
        self.unreadable: list[Warned] = []
        self.warnings = 0
        self.not_booked = 0
        self._spool = spool

    def lines(self) -> Iterator[Line]:
        """What was booked, in the order of the file; none of a message of statuses."""
        return self._spooled(Line) if self.message.name in (STATEMENT, ADVICE) else iter(())

    def statuses(self) -> Iterator[Status]:
        """What became of single transactions, in the order of the file; none of a statement."""
        return self._spooled(Status) if self.message.name == STATUSES else iter(())

    def _spooled(self, kind: type[Said]) -> Iterator[Said]:
        decoder = msgspec.msgpack.Decoder(kind)
        self._spool.seek(0)
        while length := self._spool.read(_LENGTH_BYTES):
            yield decoder.decode(self._spool.read(int.from_bytes(length)))


@contextmanager
def bank_file(path: Path) -> Iterator[BankFile]:
    """A file of the bank's for as long as the context lasts.

    Raises BadXml with line and element for one that may not be read or was still being written, OSError.
    """
    with TemporaryFile() as spool:
        before = _stamp(path)
        said = read(path)
        header = next(said)
        if not isinstance(header, Message):
            raise BadXml("line 1: the file does not begin with its message")
        file = BankFile(readable(path.name), header, spool)
        _Intake(file, spool).take(said)
        file.sha256, file.compressed = _content(path)
        if _stamp(path) != before:
            raise BadXml("the file changed while it was read: it is still being written. Run the command again")
        yield file


class _Intake:
    """Parts what a file says: lines to the spool, the rest to where it is kept."""

    def __init__(self, file: BankFile, spool: IO[bytes]) -> None:
        self._file = file
        self._spool = spool
        self._encoder = msgspec.msgpack.Encoder()
        self._number = 0
        self._first: dict[str, Balance] = {}
        self._last: dict[str, Balance] = {}
        self._booked: defaultdict[str, int] = defaultdict(int)
        self._last_on: date | None = None

    def take(self, said: Iterator[Read]) -> None:
        """Everything, to the end of the file."""
        statuses = self._file.message.name == STATUSES
        entries = self._file.message.name in (STATEMENT, ADVICE)
        for it in said:
            match it:
                case Warned():
                    self._warned(it)
                case Status() if statuses and it.level is Level.TRANSACTION:
                    self._put(it)
                case Status() if statuses:
                    self._file.wholes.append(it)
                    self._check(len(self._file.wholes), it.line, "statuses of whole messages")
                case Entry() if entries:
                    self._entry(it)
                case Balance() if entries and it.type is not None and len(self._last) < _MOST:
                    self._first.setdefault(it.type, it)
                    self._last[it.type] = it
                case Statement() if entries:
                    self._page(it)
        if self._number:
            raise BadXml("the last entries stand in no statement: whose account they are of is not known")

    def _warned(self, warned: Warned) -> None:
        self._file.warnings += 1
        if warned.money:
            self._file.unreadable.append(warned)
            self._check(len(self._file.unreadable), warned.line, "amounts that cannot be read")

    def _entry(self, entry: Entry) -> None:
        self._number += 1
        if entry.status != _BOOKED:
            self._file.not_booked += 1
            return
        if entry.amount_minor is None or entry.currency is None or entry.credit is None:
            return  # it was warned of
        self._booked[entry.currency] += entry.amount_minor if entry.credit else -entry.amount_minor
        if entry.booked_on is not None:
            self._last_on = max(entry.booked_on, self._last_on or entry.booked_on)
        self._put(Line(self._number, entry))

    def _page(self, statement: Statement) -> None:
        self._file.pages[statement.statement] = Page(
            statement=statement,
            first=self._first,
            last=self._last,
            booked=dict(self._booked),
            last_on=self._last_on,
        )
        self._check(len(self._file.pages), statement.line, "statements")
        self._number, self._last_on = 0, None
        self._first, self._last, self._booked = {}, {}, defaultdict(int)

    def _put(self, said: Line | Status) -> None:
        content = self._encoder.encode(said)
        self._spool.write(len(content).to_bytes(_LENGTH_BYTES) + content)

    def _check(self, found: int, line: int, what: str) -> None:
        if found > _MOST:
            raise BadXml(f"line {line}: the file has more than {_MOST} {what}. Ask the bank for smaller ones")


def readable(name: str) -> str:
    """A file's name as text: bytes in it that are none are written out."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _content(path: Path) -> tuple[str, bytes]:
    """The digest of a file, and its bytes compressed."""
    digest, compressor, parts = hashlib.sha256(), zlib.compressobj(), list[bytes]()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            parts.append(compressor.compress(chunk))
    return digest.hexdigest(), b"".join((*parts, compressor.flush()))


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
