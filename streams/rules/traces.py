"""What records leave for other claims to find: digests of papers, phones, accounts, vehicles, persons and losses, never
the values themselves."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from hashlib import sha256
from typing import Final

from msgspec import Struct

from schemas.records import BankAccount, Contact, Document, HospitalBill, Invoice, LossNotice
from streams.rules.places import region_of

MOST: Final = 10
"""Of the claims that have left the same kind of trace as many are looked at: the newest."""

_UNIQUE_DOCUMENTS: Final = frozenset({"receipt", "invoice", "photo"})
"""Kinds of documents that belong to one claim; others, such as a driving licence, may rightly come with several."""

Trace = int
"""The first 60 bits of a SHA-256 and four of its kind, signed: narrow, and among ten million hardly ever two alike by
chance."""


class TraceKind(IntEnum):
    """What a trace is of; it stands in the lowest four bits."""

    PAPER = 0
    PHONE = 1
    ACCOUNT = 2
    VEHICLE = 3
    PERSON = 4
    LOSS = 5


_KIND_BITS: Final = 15
_KINDS: Final = tuple(TraceKind)
_INSURED: Final = "insured_person"
_INSURED_FACTS: Final = "insured_"
_DAY_MS: Final = 86_400_000
MOST_APART_MS: Final = 7_200_000
"""No product takes two notices for one loss whose times are further apart."""


class Shared(Struct, frozen=True, array_like=True, gc=False):
    """Another claim that left the same trace, when it was notified, and what of."""

    claim: str
    at_ms: int
    kind: TraceKind = TraceKind.PAPER


def of_notice(notice: LossNotice) -> tuple[Trace, ...]:
    """Its photos, and whom and what it is about: phone, account, vehicle, persons, loss."""
    left = [_digest(TraceKind.PAPER, f"content|{photo}") for photo in notice.photos]
    left.append(_digest(TraceKind.PHONE, notice.reporter_phone))
    left.append(_account(notice.payee))
    if notice.plate is not None:
        left.append(_digest(TraceKind.VEHICLE, notice.plate))
    if notice.vin is not None:
        left.append(_digest(TraceKind.VEHICLE, notice.vin))
    if notice.driver_id is not None:
        left.append(_digest(TraceKind.PERSON, notice.driver_id))
    if _INSURED in notice.facts:
        left.append(_digest(TraceKind.PERSON, notice.facts[_INSURED]))
    left += _losses(notice)
    return tuple(left)


def of_document(document: Document) -> tuple[Trace, ...]:
    """Its content, when it belongs to one claim only."""
    if document.kind not in _UNIQUE_DOCUMENTS:
        return ()
    return (_digest(TraceKind.PAPER, f"content|{document.sha256}"),)


def of_paper(paper: Invoice | HospitalBill) -> tuple[Trace, ...]:
    """Which paper it is by what is printed on it, and its content."""
    printed = _digest(TraceKind.PAPER, f"paper|{paper.issuer}|{paper.code}|{paper.number}")
    return printed, _digest(TraceKind.PAPER, f"content|{paper.sha256}")


def kind_of(trace: Trace) -> TraceKind:
    """What a trace is of."""
    return _KINDS[trace & _KIND_BITS]


def others(claim: str, traces: Iterable[Trace], left: Mapping[Trace, Sequence[Shared]]) -> tuple[Shared, ...]:
    """The other claims that `left` one of these traces: of each kind the newest first, each once, at most so many."""
    found = [it for trace in traces for it in left.get(trace, ()) if it.claim != claim]
    return _newest(found) if found else ()


def of_contact(contact: Contact) -> tuple[Trace, ...]:
    """The account it names, if it names one."""
    return () if contact.payee is None else (_account(contact.payee),)


def _losses(notice: LossNotice) -> Iterator[Trace]:
    """Which loss it is, by all but its hour: two notices of times near each other have one of these in common."""
    insured = [f"{name}={fact}" for name, fact in sorted(notice.facts.items()) if name.startswith(_INSURED_FACTS)]
    what = (notice.line, notice.plate or notice.policy_number, *insured, notice.cause, region_of(notice.place))
    near = {(notice.loss_at_ms + apart) // _DAY_MS for apart in (-MOST_APART_MS, 0, MOST_APART_MS)}
    for day in sorted(near):
        yield _digest(TraceKind.LOSS, "|".join(map(str, (*what, day))))


def _account(payee: BankAccount) -> Trace:
    return _digest(TraceKind.ACCOUNT, f"{payee.bank_code}|{payee.account}")


def _newest(rows: Iterable[Shared]) -> tuple[Shared, ...]:
    newest: dict[TraceKind, dict[str, Shared]] = {}
    for row in sorted(rows, key=lambda row: (row.at_ms, row.claim), reverse=True):
        of_kind = newest.setdefault(row.kind, {})
        if len(of_kind) < MOST:
            of_kind.setdefault(row.claim, row)
    return tuple([row for kind in sorted(newest) for row in newest[kind].values()])


@lru_cache(32_768)
def _digest(kind: int, value: str) -> Trace:
    digest = int.from_bytes(sha256(value.encode()).digest()[:8], signed=True)
    return digest & ~_KIND_BITS | kind
