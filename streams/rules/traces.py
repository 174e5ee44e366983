"""What records leave for other claims to find: digests of papers and contents, never the values themselves."""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Final

from msgspec import Struct

from schemas.records import Document, HospitalBill, Invoice, LossNotice

MOST: Final = 10
"""As many of the claims that have left the same trace are looked at: those of the highest numbers."""

_UNIQUE_DOCUMENTS: Final = frozenset({"receipt", "invoice", "photo"})
"""Kinds of documents that belong to one claim; others, such as a driving licence, may rightly come with several."""

Trace = int
"""The first 64 bits of a SHA-256, signed: narrow, and among ten million hardly ever two alike by chance."""


class Shared(Struct, frozen=True, array_like=True, gc=False):
    """Another claim that left the same trace, and when it first did."""

    claim: str
    at_ms: int


def of_notice(notice: LossNotice) -> tuple[Trace, ...]:
    """Its photos."""
    return tuple([_content(photo) for photo in notice.photos])


def of_document(document: Document) -> tuple[Trace, ...]:
    """Its content, when it belongs to one claim only."""
    return (_content(document.sha256),) if document.kind in _UNIQUE_DOCUMENTS else ()


def of_paper(paper: Invoice | HospitalBill) -> tuple[Trace, ...]:
    """Which paper it is by what is printed on it, and its content."""
    return _digest(f"paper|{paper.issuer}|{paper.code}|{paper.number}"), _content(paper.sha256)


def newest(rows: Iterable[Shared]) -> tuple[Shared, ...]:
    """Each claim once, the highest numbers first, at most so many."""
    by_claim: dict[str, Shared] = {}
    for row in rows:
        by_claim.setdefault(row.claim, row)
    return tuple([by_claim[claim] for claim in sorted(by_claim, reverse=True)[:MOST]])


def _content(content: str) -> Trace:
    return _digest(f"content|{content}")


@lru_cache(16_384)
def _digest(value: str) -> Trace:
    return int.from_bytes(sha256(value.encode()).digest()[:8], signed=True)
