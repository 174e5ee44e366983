"""`claimhub replay`: what the ledger took, decided again by today's code, and compared with what was written."""

from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct
from sqlalchemy import func, select

from sinks.ledger.business_hash import business_hash
from sinks.ledger.history import Part
from sinks.ledger.open import open_ledger, parse_url
from sinks.ledger.rebuild import copy_lanes, copy_progress, open_fresh, state_differences
from sinks.ledger.streaming import snapshot
from sinks.ledger.tables import lanes
from streams.commands import ledger, show
from streams.commands.failures import WrongInput
from streams.commands.send import open_codec
from streams.differences import Because, Difference
from streams.rebuild import Rebuild
from streams.settings import Settings
from streams.window import Window, replay_window

_FOREVER_MS: Final = 2**62
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class Replayed(Struct, frozen=True):
    """What a whole replay found. `records` and `outputs` are those compared; `replayed_hash` is None when something
    differed before the end."""

    equal: bool
    into: str
    batch_size: int
    records: int
    outputs: int
    ledger_hash: str
    replayed_hash: str | None
    first_difference: Difference | None


def check_use(*, from_journal: bool, into: str | None, window: tuple[str | None, str | None, str | None]) -> None:
    """Raise WrongInput unless it is said what to replay: all, into an empty ledger, or a window."""
    if not from_journal:
        raise WrongInput("say what to replay: --from-journal")
    if (into is None) == (window == (None, None, None)):
        raise WrongInput(
            "either rebuild the whole ledger: --into sqlite:///replayed.db (or an empty PostgreSQL database), "
            "or compare the outputs of a window: --since, --until or --claim"
        )


def rebuild_ledger(settings: Settings, into: str, batch_size: int) -> Replayed:
    """Replay the ledger the settings name into a fresh one. Raises NotEmpty, LedgerUnavailable."""
    own_password = parse_url(into).password is None
    password = ledger.password(settings) if own_password else None
    with ledger.open_engine(settings) as engine, snapshot(engine) as source:
        fresh = open_fresh(into, password)
        try:
            with fresh.begin() as connection:
                count = copy_lanes(source, connection)
            writing = open_ledger(into, password, "claimhub-replay")
            try:
                run = Rebuild(writing, open_codec(settings), count, batch_size)
                difference = run.first_difference(source)
            finally:
                writing.close()
            was, now = business_hash(source), None
            if difference is None:
                with fresh.begin() as connection:
                    copy_progress(source, connection)
                with snapshot(fresh) as connection:
                    now = business_hash(connection)
                    unlike = next(state_differences(source, connection), None)
                if unlike is not None:
                    difference = Difference(unlike.key, f"table {unlike.table}", unlike.field)
        finally:
            fresh.dispose()
    shown = parse_url(into).render_as_string(hide_password=True)
    equal = difference is None and was == now
    return Replayed(equal, shown, batch_size, run.records, run.outputs, was, now, difference)


def show_rebuilt(replayed: Replayed) -> None:
    """Print what a whole replay found."""
    show.line(f"{replayed.records} records and {replayed.outputs} outputs compared, {replayed.batch_size} a batch")
    show.line(f"ledger hash   {replayed.ledger_hash}")
    show.line(f"replayed hash {replayed.replayed_hash or 'none: the replay stopped at the first difference'}")
    if (first := replayed.first_difference) is not None:
        show.line(f"DIFFERENT  claim {first.claim}, {first.record}: {first.field}")
        for word, value in (("was", first.was), ("now", first.now)):
            if value is not None:
                show.line(f"           {word} {value}")
    elif not replayed.equal:
        show.line("DIFFERENT  the hashes, and no row: this is a fault of the hash")
    else:
        tables = "journal, parked records, dead letters, claims, policies, payments, outbox with numbers and headers"
        show.line(f"equal: {tables}; rebuilt in {replayed.into}")


def read_window(settings: Settings, since: str | None, until: str | None, claim: str | None) -> Window:
    """Compare what today's rules would send for the records of a window with what was sent. Raises WrongInput."""
    part = Part(_time(since, 0), _time(until, _FOREVER_MS), claim)
    with ledger.open_engine(settings) as engine, snapshot(engine) as source:
        count = source.execute(select(func.count()).select_from(lanes)).scalar_one()
        return replay_window(source, open_codec(settings), count, part)


def show_window(window: Window) -> None:
    """Print each output that today's rules would not send as it was sent."""
    for change in window.changes:
        fields = f" in {', '.join(change.fields)}" if change.fields else ""
        show.line(f"{change.kind:<7}  claim {change.claim}, {change.record}: {change.topic} {change.key}{fields}")
        for word, because in (("was", change.was), ("now", change.now)):
            if because is not None:
                show.line(f"         {word} {_words(because)}")
    counts = f"{window.records} records of {window.claims} claims and policies, {window.outputs} outputs sent"
    show.line(f"{counts}; today {len(window.changes)} would be others. Nothing was sent")


def _words(because: Because) -> str:
    return f"{because.reason} [{because.rule}]"


def _time(text: str | None, otherwise: int) -> int:
    """ISO 8601, UTC unless it says otherwise, as milliseconds since 1970."""
    if text is None:
        return otherwise
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise WrongInput(f"{text} is not a time: write it like 2026-03-04T08:05:00Z") from None
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND
