"""What today's rules would send for the records of a window, against what was sent for them; nothing is sent."""

from collections import defaultdict
from heapq import merge
from itertools import chain, groupby
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection

from schemas.codec import Codec
from sinks.ledger.history import Part, sent, taken, waiting
from sinks.ledger.port import DeadRow, JournalRow, OutboxRow, ParkedRow
from streams.decide import LaneState
from streams.differences import Change, changes, ref_of
from streams.replay import Ended, LaneReplay

_ORDER: Final = {ParkedRow: 1, OutboxRow: 2}


class Window(Struct):
    """What was compared, and each output in which today's rules differ."""

    claims: int = 0
    records: int = 0
    outputs: int = 0
    changes: list[Change] = []


def replay_window(source: Connection, codec: Codec, lanes: int, part: Part) -> Window:
    """Decide the records of each claim and policy of a part again, from its first record on, and compare the outputs
    of those within the window.

    A claim's state at the start of the window is so what today's rules make of all that came before. Memory holds one
    claim's history.
    """
    window = Window()
    rows = merge(
        taken(source, part),
        waiting(source, part),
        sent(source, part),
        key=lambda row: (row.lane, row.subject, _ORDER.get(type(row), 0)),
    )
    for (lane, _), mine in groupby(rows, lambda row: (row.lane, row.subject)):
        window.claims += 1
        _compare(window, LaneReplay(codec, LaneState(lane, lanes, 0, 0)), list(mine), part)
    return window


def _compare(window: Window, replay: LaneReplay, rows: list[Ended | OutboxRow], part: Part) -> None:
    """Add what differs in one claim: its records in order, what it keeps parked, and what was sent for it."""
    effects = (
        replay.take([row for row in rows if isinstance(row, JournalRow | DeadRow)])[0],
        replay.wait([row for row in rows if isinstance(row, ParkedRow)])[0],
    )
    was, now = defaultdict[str, list[OutboxRow]](list), defaultdict[str, list[OutboxRow]](list)
    for row in rows:
        if isinstance(row, OutboxRow):
            was[row.cause].append(row)
        elif part.holds(row.at_ms):
            window.records += 1
    for output in chain.from_iterable(one.outbox for one in effects):
        if part.holds(output.at_ms):
            now[output.cause].append(output)
    ends: dict[str, Ended] = {}
    for one in effects:
        for rows_of in (one.journal, one.dead, one.parked.values()):
            ends |= {ref_of(end): end for end in rows_of}
    for cause in {**was, **now}:
        window.outputs += len(was[cause])
        window.changes += changes(was[cause], now[cause], ends.get(cause))
