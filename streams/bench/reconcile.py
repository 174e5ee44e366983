"""Reconciliation: a statement of the bank's taken into a book in which every payment is open, against a plain program
that only reads the statement and looks each line up."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from sinks.ledger.bank_tables import bank_payments
from sinks.ledger.open import read_engine
from sinks.payments.book import BankState
from sinks.payments.new_rows import insert_rows
from streams.bench.measure import BenchFailed
from streams.bench.sizes import Sizes
from streams.bench.world import World, say

ACCOUNT: Final = "622202000000000000000017"
CURRENCY: Final = "CNY"
AMOUNT_MINOR: Final = 1_234_56
_DAY: Final = date(2026, 4, 7)
_PAGE: Final = 10_000
_PROGRAMS: Final = {"book": "streams.bench.reconcile_book", "floor": "streams.bench.reconcile_floor"}
_TENTH: Final = 10
_LIMIT_S: Final = 600.0


def reconcile(world: World, sizes: Sizes) -> dict[str, Any]:
    """Seconds, CPU seconds and peak resident MiB of the process that takes a camt.053 of `statement_lines` lines, one
    for each open payment, and of the floor; `growth` is by how much its peak is above that of a tenth of the lines.

    Telling the claims is not in it.
    """
    whole = _measure(world, sizes.statement_lines)
    tenth = _measure(world, sizes.statement_lines // _TENTH)
    return {
        "reconcile": {
            "lines": sizes.statement_lines,
            **whole,
            "growth": whole["book"]["peak_mib"] / tenth["book"]["peak_mib"] - 1,
            "times_floor": whole["book"]["cpu_s"] / whole["floor"]["cpu_s"],
        }
    }


def _measure(world: World, lines: int) -> dict[str, Any]:
    """The floor first: it changes nothing. Each program is a process of its own, so that its memory is its own."""
    with TemporaryDirectory() as folder, world.ledger() as ledger:
        file = Path(folder) / "statement.xml"
        with file.open("w", encoding="utf-8") as out:
            out.writelines(statement(lines))
        fill_book(ledger.url, lines)
        found = {name: _run(_PROGRAMS[name], ledger.url, file, lines) for name in ("floor", "book")}
    say(f"{lines:,} lines: {found['book']['seconds']:.1f} s, floor {found['floor']['seconds']:.1f} s")
    return found


def _run(program: str, url: str, file: Path, lines: int) -> dict[str, float]:
    """Run one program; what it measured of itself. Raises BenchFailed when it did not match every line."""
    ran = subprocess.run(
        [sys.executable, "-m", program, url, str(file)], capture_output=True, text=True, timeout=_LIMIT_S, check=False
    )
    if ran.returncode != 0:
        raise BenchFailed(f"{program} ended with {ran.returncode}. Its last words:\n{ran.stderr[-2000:]}")
    found: dict[str, float] = json.loads(ran.stdout)
    if found.pop("matched") != lines:
        raise BenchFailed(f"{program} did not match {lines} lines")
    return found


def instruction_id(number: int) -> str:
    """The id of a payment, as long as a real one."""
    return f"PI{number:030d}"


def fill_book(url: str, payments: int) -> None:
    """Put open payments into a book."""
    engine = read_engine(url)
    with engine.begin() as book:
        for start in range(0, payments, _PAGE):
            numbers = range(start, min(start + _PAGE, payments))
            insert_rows(book, bank_payments, [_payment(number) for number in numbers])
    engine.dispose()


def _payment(number: int) -> dict[str, Any]:
    return {
        "instruction_id": instruction_id(number),
        "claim": f"CLM-2026-{number:06d}",
        "lane": number % 4,
        "amount_minor": AMOUNT_MINOR,
        "currency": CURRENCY,
        "value_on": _DAY,
        "uetr": f"{number:08x}-0000-4000-8000-000000000000",
        "state": BankState.SENT,
        "message_id": "PM-1",
        "at_ms": 0,
        "value": b"",
    }


def statement(lines: int) -> Iterator[str]:
    """The text of a camt.053.001.08 that books as many payments, a line each."""
    opening, amount = lines * AMOUNT_MINOR, f"{AMOUNT_MINOR // 100}.{AMOUNT_MINOR % 100:02d}"
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><GrpHdr><MsgId>BENCH</MsgId>'
    yield "<CreDtTm>2026-04-08T06:00:00+08:00</CreDtTm></GrpHdr><Stmt><Id>1</Id><ElctrncSeqNb>1</ElctrncSeqNb>"
    yield f"<CreDtTm>2026-04-08T06:00:00+08:00</CreDtTm><Acct><Id><Othr><Id>{ACCOUNT}</Id></Othr></Id>"
    yield f"<Ccy>{CURRENCY}</Ccy></Acct>\n"
    for kind, minor in (("OPBD", opening), ("CLBD", 0)):
        yield (
            f'<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy="{CURRENCY}">{minor // 100}.'
            f"{minor % 100:02d}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>{_DAY}</Dt></Dt></Bal>\n"
        )
    for number in range(lines):
        yield (
            f'<Ntry><Amt Ccy="{CURRENCY}">{amount}</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
            f"<BookgDt><Dt>{_DAY}</Dt></BookgDt><ValDt><Dt>{_DAY}</Dt></ValDt><AcctSvcrRef>B{number:012d}</AcctSvcrRef>"
            "<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>ICDT</Cd><SubFmlyCd>DMCT</SubFmlyCd></Fmly></Domn></BkTxCd>"
            f"<NtryDtls><TxDtls><Refs><EndToEndId>{instruction_id(number)}</EndToEndId></Refs></TxDtls></NtryDtls>"
            "</Ntry>\n"
        )
    yield "</Stmt></BkToCstmrStmt></Document>\n"
