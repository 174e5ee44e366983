"""The reports there are: what each counts, of which claims, in which columns."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from math import ceil
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Float,
    Integer,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
    true,
    union_all,
)

from sinks.ledger.tables import report_claims, report_liabilities, report_movements, report_people, report_providers
from streams.reports.claim_figures import TIMED
from streams.reports.days import Days
from streams.reports.liabilities import APPROVED, INSTRUCTED, RESERVE
from streams.reports.peers import limits
from streams.rules.claim import Outcome, Stage

Values = tuple[Any, ...]
_HOUR_S: Final = 3600
_LEAST_ALIKE: Final = 5
"""Of fewer claims none is typical, and one could be recognised."""

c = report_claims.c


class ReportKind(Struct, frozen=True):
    """A report: what it is about, its columns, and its rows. Columns ending in `_minor` are amounts in minor units of
    the row's `currency`, in `_bp` shares in basis points."""

    about: str
    columns: tuple[str, ...]
    rows: Callable[[Connection, Days], Iterable[Values]]


def _counts(connection: Connection, days: Days) -> Iterable[Values]:
    """Each milestone counts in the month in which it was reached."""
    approved = case((c.outcome == Outcome.APPROVED, c.payable_minor), else_=0)
    rejected = c.outcome == Outcome.REJECTED
    decided = c.outcome.in_([Outcome.APPROVED, Outcome.REJECTED])
    milestones: list[tuple[str, Column[Any], ColumnElement[Any], ColumnElement[bool]]] = [
        ("reported", c.reported_day, c.estimated_minor, true()),
        ("registered", c.registered_day, c.estimated_minor, true()),
        ("not-accepted", c.not_accepted_day, c.estimated_minor, true()),
        ("decided", c.decided_day, approved, decided),
        ("rejected", c.decided_day, c.payable_minor, rejected),
        ("paid", c.paid_day, c.paid_minor, true()),
        ("closed", c.closed_day, c.paid_minor, true()),
        ("reopened", c.reopened_day, c.paid_minor, true()),
    ]
    queries = [
        select(
            _month(day),
            c.line,
            c.cause,
            c.region,
            c.currency,
            literal(what),
            func.count(),
            _sum(amount),
        )
        .where(days.hold(day), counted)
        .group_by(_month(day), c.line, c.cause, c.region, c.currency)
        for what, day, amount, counted in milestones
    ]
    return sorted(map(_whole, connection.execute(union_all(*queries))))


def _cycle_times(connection: Connection, days: Days) -> Iterable[Values]:
    """Of claims reported in these days, the stages they have left; the percentiles are of whole hours."""
    counted: dict[tuple[str, Stage], list[tuple[int, int]]] = defaultdict(list)
    for stage in TIMED:
        column = c[f"{stage}_s"]
        hours = column // _literal(_HOUR_S)
        query = select(c.line, hours, func.count()).where(column.is_not(None), days.hold(c.reported_day))
        for line, hour, count in connection.execute(query.group_by(c.line, hours).order_by(hours)):
            counted[line, stage].append((hour, count))
    for (line, stage), histogram in sorted(counted.items(), key=lambda it: (it[0][0], TIMED.index(it[0][1]))):
        claims = sum(count for _, count in histogram)
        yield line, str(stage), claims, percentile(histogram, 50), percentile(histogram, 90)


def _bottlenecks(connection: Connection, days: Days) -> Iterable[Values]:
    """Of claims reported in these days, where most of all their time went, the most first."""
    spent = [(stage, c[f"{stage}_s"]) for stage in TIMED]
    figures = [of for _, column in spent for of in (func.count(column), _sum(column))]
    query = select(c.line, c.cause, *figures).where(days.hold(c.reported_day)).group_by(c.line, c.cause)
    found = [
        (line, cause, str(stage), int(claims), int(seconds))
        for line, cause, *rest in connection.execute(query)
        for stage, claims, seconds in zip(TIMED, rest[::2], rest[1::2], strict=True)
        if claims
    ]
    whole = sum(seconds for *_, seconds in found)
    for *keys, claims, seconds in sorted(found, key=lambda row: (-row[4], row)):
        yield *keys, claims, round(seconds / claims / _HOUR_S), _share_bp(seconds, whole)


def percentile(histogram: Sequence[tuple[int, int]], per_cent: int) -> int:
    """The smallest value that `per_cent` of all are not above (nearest rank); `histogram` has values, rising, and how
    many have each."""
    rank = ceil(sum(count for _, count in histogram) * per_cent / 100)
    seen = 0
    for value, count in histogram:
        seen += count
        if seen >= rank:
            return value
    raise ValueError("a percentile of nothing")


def _touchless(connection: Connection, days: Days) -> Iterable[Values]:
    month = _month(c.paid_day)
    query = select(month, c.line, func.count(), _count_if(c.touchless)).where(days.hold(c.paid_day))
    for *keys, paid, touchless in connection.execute(query.group_by(month, c.line).order_by(month, c.line)):
        yield *keys, paid, touchless, _share_bp(touchless, paid)


def _one_shot(connection: Connection, days: Days) -> Iterable[Values]:
    month = _month(c.reported_day)
    query = select(month, c.line, func.count(), _count_if(c.document_notices <= 1)).where(days.hold(c.reported_day))
    for *keys, claims, once in connection.execute(query.group_by(month, c.line).order_by(month, c.line)):
        yield *keys, claims, once, _share_bp(once, claims)


def _deadlines(connection: Connection, days: Days) -> Iterable[Values]:
    stands: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    query = select(c.line, c.clocks, func.count()).where(days.hold(c.reported_day)).group_by(c.line, c.clocks)
    for line, clocks, count in connection.execute(query):
        for clock in clocks.split():
            kind, _, stood = clock.partition(":")
            stands[line, kind][stood] += count
    for (line, kind), of in sorted(stands.items()):
        ended = of["kept"] + of["broken"]
        yield line, kind, of["kept"], of["broken"], of["running"], _share_bp(of["kept"], ended)


def _triangles(connection: Connection, days: Days) -> Iterable[Values]:
    """What came to the losses of each month, so many months later; the days are those of the losses."""
    m = report_movements.c
    query = select(m.kind, m.line, m.currency, m.loss_month, m.month, m.amount_minor).where(
        days.hold_month(m.loss_month)
    )
    cumulated: dict[Values, int] = defaultdict(int)
    for *keys, loss_month, month, amount in connection.execute(query.order_by(*report_movements.primary_key)):
        row = (*keys, loss_month)
        cumulated[row] += amount
        yield *row, _months(month) - _months(loss_month), amount, cumulated[row]


def _liabilities(connection: Connection, days: Days) -> Iterable[Values]:
    """Each day of these on which something changed; what came before is in it. Reserves hold what is not paid yet,
    whether it is decided or not, so the other two are parts of them."""
    t = report_liabilities.c
    query = select(t.line, t.currency, t.day, t.kind, t.amount_minor).where(t.day <= days.last)
    rows = connection.execute(query.order_by(t.line, t.currency, t.day))
    for (line, currency), group in groupby(rows, lambda row: (row.line, row.currency)):
        open_ = dict.fromkeys((RESERVE, APPROVED, INSTRUCTED), 0)
        for day, changes in groupby(group, lambda row: row.day):
            for change in changes:
                open_[change.kind] += change.amount_minor
            if day >= days.first:
                yield day, line, currency, *open_.values()


def _fraud(connection: Connection, days: Days) -> Iterable[Values]:
    """In the month in which SIU confirmed it; the amount is what was still to be paid."""
    m = report_movements.c
    query = select(m.month, m.line, m.currency, _sum(m.amount_minor)).where(
        m.kind == "fraud-stopped", days.hold_month(m.month)
    )
    keys = (m.month, m.line, m.currency)
    return map(_whole, connection.execute(query.group_by(*keys).order_by(*keys)))


def _leakage(connection: Connection, days: Days) -> Iterable[Values]:
    month = _month(c.paid_day)
    query = select(month, c.line, c.currency, func.count(), _sum(c.paid_minor), _sum(c.payable_minor)).where(
        days.hold(c.paid_day)
    )
    keys = (month, c.line, c.currency)
    for row in map(_whole, connection.execute(query.group_by(*keys).order_by(*keys))):
        yield *row, row[-2] - row[-1]


def _providers(connection: Connection, days: Days) -> Iterable[Values]:
    p = report_providers.c
    keys = (p.kind, p.provider, p.currency)
    query = select(*keys, func.count(), _sum(p.amount_minor), _sum(p.supplements), func.avg(cast(p.days, Float)))
    if days != Days():
        query = query.where(p.claim.in_(select(c.claim).where(days.hold(c.reported_day))))
    for kind, name, currency, papers, amount, extra, stay in connection.execute(query.group_by(*keys).order_by(*keys)):
        average, per_hundred = round(int(amount) / papers), round(int(extra) * 100 / papers)
        yield kind, name, currency, papers, average, per_hundred, None if stay is None else round(float(stay), 1)


def _handlers(connection: Connection, days: Days) -> Iterable[Values]:
    p = report_people.c
    query = select(p.month, p.person, p.role, p.action, p.decisions).where(days.hold_month(p.month))
    return map(tuple, connection.execute(query.order_by(p.month, p.person, p.role, p.action)))


def _open_work(connection: Connection, days: Days) -> Iterable[Values]:
    """Of claims reported in these days."""
    waiting: dict[tuple[str, str, str], int] = defaultdict(int)
    query = select(c.line, c.waits, func.count()).where(c.waits != "", days.hold(c.reported_day))
    for line, waits, count in connection.execute(query.group_by(c.line, c.waits)):
        for task in waits.split():
            kind, _, addressee = task.partition(":")
            waiting[line, kind, addressee] += count
    return [(*keys, count) for keys, count in sorted(waiting.items())]


def _complaints(connection: Connection, days: Days) -> Iterable[Values]:
    """In the month in which the claim was reported; each complaint has a clock of its own."""
    month = _month(c.reported_day)
    claims: dict[Values, int] = defaultdict(int)
    complaints: dict[Values, int] = defaultdict(int)
    query = select(month, c.line, c.clocks, func.count()).where(days.hold(c.reported_day))
    for *keys, clocks, count in connection.execute(query.group_by(month, c.line, c.clocks)):
        claims[tuple(keys)] += count
        complaints[tuple(keys)] += count * sum(clock.startswith(_COMPLAINT) for clock in clocks.split())
    for group, count in sorted(claims.items()):
        yield *group, count, complaints[group], round(complaints[group] * 1000 / count, 2)


def _typical_cases(connection: Connection, days: Days) -> Iterable[Values]:
    """The claim in the middle of its line and cause by what was payable, without whose it is: amounts in two digits,
    times in days, nothing that names anybody. A group of few has none."""
    group = [c.line, c.cause, c.currency]
    ranked = (
        select(c.claim)
        .add_columns(func.row_number().over(partition_by=group, order_by=c.payable_minor).label("rank"))
        .add_columns(func.count().over(partition_by=group).label("alike"))
        .where(c.stage.in_([Stage.PAID, Stage.CLOSED]), days.hold(c.reported_day))
        .subquery()
    )
    r = ranked.c
    middle = select(*c, r.alike).join_from(ranked, report_claims, c.claim == r.claim)
    middle = middle.where(r.alike >= _LEAST_ALIKE, r.rank == (r.alike + 1) // 2)
    for row in connection.execute(middle.order_by(*group)).mappings():
        stages = {str(stage): _days(row[f"{stage}_s"]) for stage in TIMED if row[f"{stage}_s"] is not None}
        amounts = [_two_digits(row[name]) for name in ("estimated_minor", "payable_minor", "paid_minor")]
        words = ", ".join(f"{stage} {spent} d" for stage, spent in stages.items())
        yield row["line"], row["cause"], row["currency"], row["alike"], row["outcome"], *amounts, words


_COMPLAINT: Final = "complaint:"

REPORTS: Final[Mapping[str, ReportKind]] = {
    "counts": ReportKind(
        "How many claims reached each milestone, and over how much, by month, line, cause and region.",
        ("month", "line", "cause", "region", "currency", "what", "claims", "amount_minor"),
        _counts,
    ),
    "cycle-times": ReportKind(
        "How long claims stay in each stage: the middle one, and what nine of ten stay below.",
        ("line", "stage", "claims", "median_hours", "p90_hours"),
        _cycle_times,
    ),
    "bottlenecks": ReportKind(
        "Where most of all time goes, by line, cause and stage: where to improve.",
        ("line", "cause", "stage", "claims", "mean_hours", "share_of_all_time_bp"),
        _bottlenecks,
    ),
    "touchless": ReportKind(
        "Paid claims that no person decided, by month of payment.",
        ("month", "line", "paid", "touchless", "share_bp"),
        _touchless,
    ),
    "one-shot": ReportKind(
        "Claims with at most one notice for documents, by month of report.",
        ("month", "line", "claims", "one_shot", "share_bp"),
        _one_shot,
    ),
    "deadlines": ReportKind(
        "How often each of the law's clocks was kept.",
        ("line", "clock", "kept", "broken", "running", "share_kept_bp"),
        _deadlines,
    ),
    "triangles": ReportKind(
        "What was paid and set aside for the losses of each month, so many months later.",
        (
            "kind",
            "line",
            "currency",
            "loss_month",
            "development_month",
            "amount_minor",
            "cumulated_minor",
        ),
        _triangles,
    ),
    "liabilities": ReportKind(
        "What is open at the end of each day: set aside, of it approved and not instructed, instructed and not paid.",
        ("day", "line", "currency", "reserves_minor", "approved_minor", "instructed_minor"),
        _liabilities,
    ),
    "leakage": ReportKind(
        "What was paid beyond what was agreed in the end, by month of payment.",
        ("month", "line", "currency", "claims", "paid_minor", "agreed_minor", "leakage_minor"),
        _leakage,
    ),
    "fraud": ReportKind(
        "What was not paid because SIU confirmed a fraud, by month.",
        ("month", "line", "currency", "stopped_minor"),
        _fraud,
    ),
    "providers": ReportKind(
        "Repair shops and hospitals beside each other: average amount, supplements, days.",
        (
            "kind",
            "provider",
            "currency",
            "papers",
            "average_minor",
            "supplements_per_100",
            "average_days",
        ),
        _providers,
    ),
    "peers": ReportKind(
        "What nearly all claims of a line come to with their repair shop or hospital; --publish has the claims to come "
        "compared with it, and tells the open ones above it.",
        ("kind", "line", "currency", "claims", "per_cent", "limit_minor"),
        limits,
    ),
    "handlers": ReportKind(
        "Who decided how much, by month.", ("month", "person", "role", "action", "decisions"), _handlers
    ),
    "open-work": ReportKind("What claims wait for, and of whom.", ("line", "task", "of", "claims"), _open_work),
    "complaints": ReportKind(
        "Complaints per 1 000 claims, by month of report.",
        ("month", "line", "claims", "complaints", "per_1000"),
        _complaints,
    ),
    "typical-cases": ReportKind(
        "A typical claim of each line and cause, for training: rounded, and without whose it is.",
        (
            "line",
            "cause",
            "currency",
            "alike",
            "outcome",
            "estimated_minor",
            "payable_minor",
            "paid_minor",
            "stages",
        ),
        _typical_cases,
    ),
}
"""Every report by its name."""


def _month(day: Column[Any]) -> ColumnElement[int]:
    return day // _literal(100)


def _literal(number: int) -> ColumnElement[int]:
    """A number that stands in the statement itself: PostgreSQL takes two parameters for two expressions to group by."""
    return literal_column(str(number), Integer)


def _sum(amount: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(amount), 0)


def _count_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(cast(condition, Integer))


def _whole(row: Sequence[Any]) -> Values:
    """A row whose sums are int again: PostgreSQL adds 64-bit numbers up to a numeric."""
    return tuple(value if value is None or isinstance(value, str) else int(value) for value in row)


def _share_bp(part: int, whole: int) -> int | None:
    return round(part * 10_000 / whole) if whole else None


def _months(month: int) -> int:
    return month // 100 * 12 + month % 100


def _days(seconds: int) -> int:
    return round(seconds / (24 * _HOUR_S))


def _two_digits(amount: int) -> int:
    """An amount rounded to its two leading digits."""
    return round(amount, 2 - len(str(abs(amount))))
