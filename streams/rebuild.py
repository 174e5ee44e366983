"""A whole ledger decided again into a fresh one, batch by batch, and compared with what was written."""

from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from operator import attrgetter
from typing import Final

from sqlalchemy import Connection

from schemas.codec import Codec
from sinks.ledger.history import instructions, sent, taken, ticks, waiting
from sinks.ledger.port import Ledger, OutboxRow, ParkedRow
from sinks.relay import RelayLane
from streams.decide import Effects
from streams.differences import Difference, first_difference, ref_of
from streams.lanes import Lane, commit_of
from streams.replay import Again, Ended, LaneReplay, RecordedSignatures, Taken

_STATES_CACHED: Final = 20_000

_lane_of = attrgetter("lane")
_subject_of = attrgetter("subject")


class Rebuild:
    """Fills a ledger whose lanes are there and empty. `records` and `outputs` count what is compared and written.

    Memory holds one batch, and the states of 20 000 claims.
    """

    def __init__(self, fresh: Ledger, codec: Codec, lanes: int, batch_records: int) -> None:
        self._fresh = fresh
        self._codec = codec
        self._batch_records = batch_records
        taken_lanes, _ = fresh.take("claimhub-replay", range(lanes))
        self._lanes = {
            lane.lane: Lane(lane, lanes, RelayLane(lane.lane, lane.token), batch_records) for lane in taken_lanes
        }
        self.records = 0
        self.outputs = 0

    def first_difference(self, source: Connection) -> Difference | None:
        """Decide all that `source` has taken, lane by lane, and try what it keeps parked, until something differs.

        None once everything is in and alike. A batch that differs is not written, nor anything after it.
        """
        return next(self._differences(source), None)

    def _differences(self, source: Connection) -> Iterator[Difference]:
        outbox = _Outbox(sent(source))
        for number, rows in groupby(taken(source), _lane_of):
            signed = RecordedSignatures(instructions(source, number))
            yield from self._applied(number, rows, outbox, ticks(source, number), signed)
        yield from outbox.left_over()
        for number, parked in groupby(waiting(source), _lane_of):
            yield from self._parked(number, parked)

    def _applied(
        self,
        number: int,
        rows: Iterator[Taken],
        outbox: "_Outbox",
        ticked: Iterator[OutboxRow],
        signed: RecordedSignatures,
    ) -> Iterator[Difference]:
        lane = self._lanes.get(number)
        if lane is None:
            yield _without_lane(next(rows))
            return
        replay = LaneReplay(self._codec, lane.state, self._fresh, ticked, signed)
        while batch := list(islice(rows, self._batch_records)):
            seq, entry = lane.state.seq, lane.state.entry
            effects, ended = replay.take(batch)
            for row, again in zip(batch, ended, strict=True):
                yield from outbox.differences(row, again)
            self._fresh.commit(commit_of(lane, seq, entry, {}, effects))
            lane.state.forget_oldest(_STATES_CACHED)
            self.records += len(batch)
            self.outputs += len(effects.outbox)
        lane.state.forget_oldest(0)

    def _parked(self, number: int, rows: Iterator[ParkedRow]) -> Iterator[Difference]:
        lane = self._lanes.get(number)
        if lane is None:
            yield _without_lane(next(rows))
            return
        replay = LaneReplay(self._codec, lane.state, self._fresh)
        for batch in _whole_subjects(rows, self._batch_records):
            for row, again in zip(batch, replay.wait(batch)[1], strict=True):
                yield from _first(first_difference(row, again, ()))
            effects = Effects(parked={row[:4]: row for row in batch})
            self._fresh.commit(commit_of(lane, lane.state.seq, lane.state.entry, {}, effects))
            lane.state.forget_oldest(_STATES_CACHED)
            self.records += len(batch)
        lane.state.forget_oldest(0)


class _Outbox:
    """What was sent, in the order of lanes and their numbers, read along with the records that caused it."""

    def __init__(self, rows: Iterator[OutboxRow]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def differences(self, row: Ended, again: Again) -> Iterator[Difference]:
        """How a record's end and outputs differ from what was written, if they do."""
        sent_for = list(self._sent_for(row.lane, ref_of(row)))
        if again.outputs and not sent_for and self._next is not None and self._next[:2] <= again.outputs[0][:2]:
            yield _without_record(self._next)
        yield from _first(first_difference(row, again, sent_for))

    def left_over(self) -> Iterator[Difference]:
        """What was sent for no record."""
        if self._next is not None:
            yield _without_record(self._next)

    def _sent_for(self, lane: int, ref: str) -> Iterator[OutboxRow]:
        while self._next is not None and self._next.lane == lane and self._next.cause == ref:
            yield self._next
            self._next = next(self._rows, None)


def _without_record(row: OutboxRow) -> Difference:
    was = f"outbox {row.lane}/{row.seq} [{row.rule}]"
    return Difference(row.subject, row.cause, f"output {row.topic}", was, "the record is in no table")


def _without_lane(row: Ended) -> Difference:
    return Difference(row.subject, ref_of(row), "lane", str(row.lane), "there is no such lane")


def _first(difference: Difference | None) -> Iterable[Difference]:
    return () if difference is None else (difference,)


def _whole_subjects(rows: Iterator[ParkedRow], size: int) -> Iterator[list[ParkedRow]]:
    """Batches of about `size`, each with all of its claims' rows."""
    batch: list[ParkedRow] = []
    for _, mine in groupby(rows, _subject_of):
        batch += mine
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch
