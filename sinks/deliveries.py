"""What is known of one lane's records on their way out: which are delivered without a gap, and where."""

from confluent_kafka import KafkaError, Message

from sinks.ledger.port import Published

Place = tuple[str, int]
"""A topic and a partition."""


class Deliveries:
    """One lane's sending from one known mark on; after a failure it only drains, and the lane starts a new one.

    `sent` is the last seq handed to the producer, `delivered` the last seq up to which every record has a delivery
    report, `marked` the last seq the ledger knows as delivered. `out_next` moves with `delivered` alone, so every
    record of the lane after `delivered` lies at or after it. Reports of different partitions come in any order.
    """

    def __init__(self, known: Published) -> None:
        self.sent = self.delivered = self.marked = known.seq
        self.out_next = dict(known.out_next)
        self._marked_next = dict(known.out_next)
        self.outstanding = 0
        self.failure = ""
        self.errors = 0  # reports with an error, and below delivered records by topic: since last emptied
        self.counts: dict[str, int] = {}
        self._early: dict[int, tuple[Place, int | None]] = {}

    def handed_over(self, seq: int) -> None:
        """The producer has accepted every record up to `seq`."""
        self.outstanding += seq - self.sent
        self.sent = seq

    def report(self, seq: int, place: Place, error: KafkaError | None, message: Message) -> None:
        """Take the delivery report of one record. The first error stops all progress: a later record may be out."""
        self.outstanding -= 1
        if error is not None:
            self.errors += 1
            self.fail(f"record {seq} was not delivered to {place[0]}/{place[1]}: {error.name()}")
        if self.failure:
            return
        if seq != self.delivered + 1:
            self._early[seq] = place, message.offset()
        else:
            self._advance(place, message.offset())
            while self._early and (early := self._early.pop(self.delivered + 1, None)):
                self._advance(*early)

    def fail(self, reason: str) -> None:
        """Stop all progress; the first reason stays."""
        self.failure = self.failure or reason

    def abandon(self, reason: str) -> None:
        """The producer is gone: no report will come any more."""
        self.fail(reason)
        self.outstanding = 0

    def unmarked(self) -> Published | None:
        """What the ledger may know and does not yet, with the places that moved; None when there is nothing."""
        if self.delivered == self.marked:
            return None
        moved = {place: offset for place, offset in self.out_next.items() if self._marked_next.get(place) != offset}
        return Published(self.delivered, moved)

    def know(self, known: Published) -> None:
        """The ledger knows this much now."""
        self.marked = max(self.marked, known.seq)
        self.out_next = known.out_next | self.out_next
        self._marked_next |= known.out_next

    def _advance(self, place: Place, offset: int | None) -> None:
        self.delivered += 1
        # A record the broker had already (a retry whose first answer was lost) is delivered without an offset.
        if offset is not None and offset >= 0:
            self.out_next[place] = offset + 1
        self.counts[place[0]] = self.counts.get(place[0], 0) + 1
