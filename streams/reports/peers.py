"""What the shops and hospitals of a line come to, and the open claims that come to more with theirs than nearly all."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Subquery, and_, case, delete, func, insert, select, text

from schemas.records import PeerFigures, ProviderKind
from sinks.ledger.open import POSTGRES
from sinks.ledger.port import PeerLimitRow
from sinks.ledger.tables import peer_limits, report_claims, report_providers
from streams.reports.days import Days
from streams.rules.claim import Stage
from streams.rules.lines import LINES

_ENDED: Final = (Stage.NOT_ACCEPTED, Stage.PAID, Stage.CLOSED)
_ALONE: Final = "LOCK TABLE peer_limits IN SHARE ROW EXCLUSIVE MODE"
"""Of two who keep limits at once the second would not see, and so not take away, those of the first."""


def limits(connection: Connection, days: Days) -> list[PeerLimitRow]:
    """The limit of each kind, line and currency with as many claims as the line's product needs to compare."""
    a = _amounts(days)
    group = [a.c.kind, a.c.line, a.c.currency]
    ranked = (
        select(*group, a.c.amount_minor)
        .add_columns(func.row_number().over(partition_by=group, order_by=a.c.amount_minor).label("rank"))
        .add_columns(func.count().over(partition_by=group).label("claims"))
        .subquery()
    )
    r = ranked.c
    per_cent, least = _of_line(r.line, "peers_per_cent"), _of_line(r.line, "peers_claims")
    # The nearest rank: the smallest amount that so many per cent are not above.
    at_limit = and_(r.rank * 100 >= r.claims * per_cent, (r.rank - 1) * 100 < r.claims * per_cent)
    query = select(r.kind, r.line, r.currency, r.claims, per_cent, r.amount_minor).where(at_limit, r.claims >= least)
    return [PeerLimitRow(*row) for row in connection.execute(query.order_by(r.kind, r.line, r.currency))]


def keep(connection: Connection, found: Sequence[PeerLimitRow], at_ms: int) -> None:
    """Let the records to come be compared with these limits, and with no others; all within the caller's
    transaction."""
    if connection.dialect.name == POSTGRES:
        connection.execute(text(_ALONE))
    connection.execute(delete(peer_limits))
    if found:
        connection.execute(insert(peer_limits), [{**limit._asdict(), "at_ms": at_ms} for limit in found])


def above(connection: Connection, days: Days, found: Iterable[PeerLimitRow], at_ms: int) -> Iterator[PeerFigures]:
    """What to tell the claims that are open and above these limits of their line, in the order of their numbers."""
    a = _amounts(days).c
    for limit in found:
        query = select(a.claim, a.provider).where(
            a.kind == limit.kind,
            a.line == limit.line,
            a.currency == limit.currency,
            a.amount_minor > limit.limit_minor,
            a.stage.not_in(_ENDED),
        )
        for claim, provider in connection.execute(query.order_by(a.claim, a.provider)):
            yield PeerFigures(
                claim=claim,
                kind=ProviderKind(limit.kind),
                provider=provider,
                claims=limit.claims,
                per_cent=limit.per_cent,
                limit_minor=limit.limit_minor,
                currency=limit.currency,
                at_ms=at_ms,
            )


def _amounts(days: Days) -> Subquery:
    """What each claim comes to with each of its providers: the most that one paper of it comes to."""
    p, c = report_providers.c, report_claims.c
    keys = (p.claim, c.line, c.stage, p.kind, p.provider, p.currency)
    query = select(*keys, func.max(p.amount_minor).label("amount_minor")).join_from(
        report_providers, report_claims, p.claim == c.claim
    )
    return query.where(days.hold(c.reported_day), c.line.in_(list(LINES))).group_by(*keys).subquery()


def _of_line(line: Any, number: str) -> Any:  # noqa: ANN401 - SQL of either
    """A number of the newest terms of a line's product."""
    return case({name: getattr(rules.product.terms[0].risk, number) for name, rules in LINES.items()}, value=line)
