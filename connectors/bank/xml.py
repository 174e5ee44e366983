"""XML from outside, read piece by piece: in bounded memory, and refusing what only attackers send.

No document types, entities or network; a limit on size, on depth and (libxml2's own) on the length of a text. Names are
without namespaces, since banks leave them out too.
"""

import codecs
import os
import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from lxml import etree

MOST_BYTES: Final = 64 * 1024 * 1024
DEEPEST: Final = 60
OTHERWISE: Final = "gb18030"
"""How a file is read whose bytes are not in the encoding that it names."""

_PROLOG_BYTES: Final = 4096
_CHUNK_BYTES: Final = 1 << 20
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_DECLARED: Final = re.compile(rb"<\?xml[^>]*encoding\s*=\s*[\"']([A-Za-z][A-Za-z0-9._-]*)")


class BadXml(Exception):
    """The file is no XML that may be read; the text says where and why, and never repeats what stands there."""


class Piece(NamedTuple):
    """An element that has ended, and the names of those around it, the outermost first."""

    element: etree._Element
    around: tuple[str, ...]


class XmlFile:
    """A file as the pieces it is made of. `recoded` says that it was not in the encoding that it names."""

    def __init__(self, path: Path) -> None:
        """Raises BadXml for a file that is too large, OSError for one that cannot be read."""
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise BadXml(f"the file has {size} bytes, more than {MOST_BYTES}: ask the bank for smaller ones")
        self._path = path
        self.namespace = ""
        named = _named_encoding(path)
        self.recoded = not _is_in(path, named)
        self._encoding = OTHERWISE if self.recoded else named

    def pieces(self, names: Collection[str]) -> Iterator[Piece]:
        """The elements of these names, each once it has ended; an element is emptied when the next is asked for.

        `namespace` is known from the first on. Raises BadXml.
        """
        # By its number: lxml would take the name, and fail for one that is not UTF-8.
        with os.fdopen(os.open(self._path, os.O_RDONLY), "rb") as file:
            parsed = etree.iterparse(
                file,
                events=("start", "end"),
                encoding=self._encoding,
                resolve_entities=False,
                no_network=True,
                load_dtd=False,
                huge_tree=False,
                remove_comments=True,
                remove_pis=True,
            )
            try:
                yield from self._pieces(parsed, names)
            except etree.XMLSyntaxError as error:
                last = error.error_log.last_error
                raise BadXml(f"line {last.line if last else 1}: this is not well-formed XML") from None

    def _pieces(self, parsed: Iterator[tuple[str, etree._Element]], names: Collection[str]) -> Iterator[Piece]:
        around: list[str] = []
        for event, element in parsed:
            if event == "start":
                if not around:
                    self._begin(element)
                around.append(name_of(element))
                if len(around) > DEEPEST:
                    raise BadXml(f"line {element.sourceline}: elements lie more than {DEEPEST} deep")
                continue
            if around.pop() in names:
                yield Piece(element, tuple(around))
                _forget(element)

    def _begin(self, root: etree._Element) -> None:
        if root.getroottree().docinfo.doctype:
            raise BadXml("line 1: the file has a DOCTYPE, which no bank message has")
        self.namespace = etree.QName(root).namespace or ""


def name_of(element: etree._Element) -> str:
    """An element's name without its namespace; "" for an entity, which is none."""
    tag = element.tag
    return _without_namespace(tag) if isinstance(tag, str) else ""


@lru_cache(512)  # a file has few names, and says each of them again and again
def _without_namespace(tag: str) -> str:
    return tag.rpartition("}")[2]


def _forget(element: etree._Element) -> None:
    """Let go of what was read, and of the empty one before it: the newest must stay while the file is being read."""
    element.clear()
    parent, before = element.getparent(), element.getprevious()
    if parent is not None and before is not None and before.tag == element.tag:
        parent.remove(before)


def _named_encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(_PROLOG_BYTES)
    for bom, encoding in _BOMS:
        if start.startswith(bom):
            return encoding
    declared = _DECLARED.search(start)
    return declared[1].decode("ascii") if declared else "utf-8"


def _is_in(path: Path, encoding: str) -> bool:
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except (LookupError, UnicodeDecodeError):
        return False
    return True
