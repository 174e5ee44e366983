"""What the demo ends with: claims, payments with finance's answer, dead letters, what waits, and the ledger's proof."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from sqlalchemy import Engine, select

from schemas.money import format_minor
from sinks.ledger.tables import claims
from sinks.ledger.verify import Verification, verify
from streams.commands import show
from streams.commands.breaks import RaisedBreak, read_breaks, show_breaks
from streams.commands.dead_letters import DeadLetterRow, read_dead_letters, show_dead_letters
from streams.commands.parked import ParkedRecord, read_parked, show_parked
from streams.commands.payments import read_payments
from streams.commands.reconcile_report import read_report as read_days
from streams.commands.reports import ReportView, print_report
from streams.demo.ends import StoryEnd
from streams.demo.finance import Paid
from streams.demo.handled import RELEASED, Handled
from streams.demo.stories import Story
from streams.rules.claim import PAID, Claim

NO_ANSWER: Final = "none"


class ClaimEnd(Struct, frozen=True):
    """A claim as the demo leaves it; amounts in minor units. `released` counts its records that waited and went on."""

    claim: str
    story: str
    stage: str
    version: int
    payable_minor: int | None
    paid_minor: int
    currency: str | None
    released: int


class PaymentEnd(Struct, frozen=True):
    """A payment instruction, and what finance answered."""

    instruction_id: str
    claim: str
    amount_minor: int
    currency: str
    account: str
    state: str
    proposed_by: str
    approved_by: str
    acknowledged: tuple[str, ...]


class Report(Struct, frozen=True, omit_defaults=True):
    """All the demo ends with; as JSON it is what `claimhub demo --json` prints. With a bank also what finance's book
    and the bank say of each day, and the breaks."""

    stories: list[StoryEnd]
    claims: list[ClaimEnd]
    payments: list[PaymentEnd]
    dead_letters: list[DeadLetterRow]
    parked: list[ParkedRecord]
    verify: Verification
    reconciliation: ReportView | None = None
    breaks: list[RaisedBreak] | None = None

    def failures(self) -> list[str]:
        """What did not come out as the stories say."""
        wrong = [f"story {story.name}: {difference}" for story in self.stories for difference in story.differences]
        unproven = [f"{check.name}: {row}" for check in self.verify.checks for row in check.rows]
        return wrong + [f"verify: {row}" for row in unproven]


def make_report(
    engine: Engine,
    stories: Sequence[Story],
    ends: list[StoryEnd],
    paid: dict[str, Paid],
    handled: Sequence[Handled],
    *,
    bank: bool,
) -> Report:
    """Read the ledger once the hub is idle, and with a `bank` finance's book."""
    titles = {end.claim: story.title for story in stories for end in story.ends}
    released = [record.subject for record in handled if record.outcome == RELEASED]
    with engine.connect() as connection:
        rows = connection.execute(select(claims).order_by(claims.c.claim)).all()
        claim_ends = []
        for row in rows:
            claim = msgspec.convert(row.state, Claim)
            claim_ends.append(_claim_end(claim, row.stage, titles.get(row.claim, ""), released.count(row.claim)))
        payments = [
            PaymentEnd(
                instruction_id=payment.id,
                claim=payment.claim,
                amount_minor=payment.amount_minor,
                currency=payment.currency,
                account=show.masked(paid[payment.id].instruction.payee.account) if payment.id in paid else NO_ANSWER,
                state=payment.state,
                proposed_by=payment.proposed_by,
                approved_by=payment.approved_by,
                acknowledged=paid[payment.id].answers if payment.id in paid else (),
            )
            for payment in read_payments(connection)
        ]
        dead, waiting = read_dead_letters(connection), read_parked(connection)
        days = read_days(connection, None, None, None) if bank else None
        breaks = read_breaks(connection, every=True) if bank else None
    return Report(ends, claim_ends, payments, dead, waiting, verify(engine), days, breaks)


def show_report(report: Report, data_dir: Path | None) -> None:
    """Print the report for a person, and what to try next on the ledger in `data_dir`, if it is kept."""
    show.line("\nClaims")
    show.table(
        ("claim", "stage", "version", "payable", "paid", "story"),
        [
            (
                end.claim,
                end.stage,
                end.version,
                _amount(end.payable_minor, end.currency),
                _amount(end.paid_minor, end.currency),
                end.story,
            )
            for end in report.claims
        ],
        "no claims",
    )
    show.line("\nPayment instructions, and what finance answered")
    show.table(
        ("instruction", "claim", "amount", "account", "state", "proposed by", "approved by", "answered"),
        [
            (
                end.instruction_id,
                end.claim,
                format_minor(end.amount_minor, end.currency),
                end.account,
                end.state,
                end.proposed_by,
                end.approved_by,
                ", ".join(end.acknowledged) or NO_ANSWER,
            )
            for end in report.payments
        ],
        "no payments",
    )
    show.line("\nDead letters")
    show_dead_letters(report.dead_letters)
    show.line("\nParked")
    show_parked(report.parked)
    if report.reconciliation is not None:
        show.line("\nFinance's book and the bank's statements, day by day")
        print_report(report.reconciliation, as_csv=False, as_json=False)
    if report.breaks is not None:
        show.line("\nBreaks")
        show_breaks(report.breaks)
    kept = sum(check.ok for check in report.verify.checks)
    show.line(f"\nVerify: {kept} of {len(report.verify.checks)} promises kept, ledger hash {report.verify.ledger_hash}")
    if data_dir is None:
        return
    show.line(f"\nThe ledger is kept in {data_dir} until the next demo. Try:")
    first = report.claims[0].claim if report.claims else "CLAIM"
    tried = ("payments ls", "reconcile report", "breaks ls --all") if report.breaks is not None else ("parked ls",)
    for command in (f"claim why {first}", *tried, "verify"):
        show.line(f"  CLAIMHUB_DATA_DIR={data_dir} {_program()} {command}")


def _claim_end(claim: Claim, stage: str, story: str, released: int) -> ClaimEnd:
    settlement, notice = claim.settlement, claim.notice
    return ClaimEnd(
        claim=claim.number,
        story=story,
        stage=stage,
        version=claim.version,
        payable_minor=None if settlement is None else settlement.payable_minor,
        paid_minor=sum(p.amount_minor for p in claim.payments if p.state in PAID),
        currency=None if notice is None else notice.currency,
        released=released,
    )


def _amount(amount_minor: int | None, currency: str | None) -> str:
    return "" if amount_minor is None or currency is None else format_minor(amount_minor, currency)


def _program() -> str:
    """How this program can be called again: by its name, or by its path when it is not on PATH."""
    called = Path(sys.argv[0])
    if shutil.which(called.name):
        return called.name
    return str(called.relative_to(Path.cwd()) if called.is_relative_to(Path.cwd()) else called)
