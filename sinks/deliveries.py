"""What is known of one lane's records on their way out: which are delivered without a gap, and where."""

from collections import Counter, deque
from operator import attrgetter

from confluent_kafka import KafkaError, Message

from sinks.ledger.port import OutboxRow, Published

Place = tuple[str, int]
"""A topic and a partition."""

_topic = attrgetter("topic")


class Page:
    """Outbox rows that follow each other, to be handed over topic by topic: the broker then gets few large requests.

    Of one place they stay in `seq` order. `handed` counts those the producer has, `reported` those with a delivery
    report; `out_next` is one after the last delivered record of each place.
    """

    def __init__(self, rows: list[OutboxRow]) -> None:
        """`rows` are in `seq` order, and not none."""
        self.last = rows[-1].seq
        self.rows = sorted(rows, key=_topic)
        self.handed = self.reported = 0
        self.out_next: dict[Place, int] = {}


class Deliveries:
    """One lane's sending from one known mark on; after a failure it only drains, and the lane starts a new one.

    `sent` is the last seq of all pages begun, `delivered` that of the last page all of whose records, and those of the
    pages before, have a delivery report; `marked` is the last seq the ledger knows as delivered. `out_next` moves with
    `delivered` alone, so every record of the lane after `delivered` lies at or after it. Reports of different
    partitions come in any order.
    """

    def __init__(self, known: Published) -> None:
        self.sent = self.delivered = self.marked = known.seq
        self.out_next = dict(known.out_next)
        self._marked_next = dict(known.out_next)
        self.failure = ""
        self.errors = 0  # reports with an error, and below delivered records by topic: since last emptied
        self.counts: Counter[str] = Counter()
        self._pages: deque[Page] = deque()

    @property
    def outstanding(self) -> int:
        """Records that the producer has and that have no report yet."""
        return sum(page.handed - page.reported for page in self._pages)

    @property
    def unfinished(self) -> Page | None:
        """The page that is only partly handed over."""
        page = self._pages[-1] if self._pages else None
        return page if page is not None and page.handed < len(page.rows) else None

    def begin(self, rows: list[OutboxRow]) -> Page:
        """The very next rows as a page."""
        page = Page(rows)
        self._pages.append(page)
        self.sent = page.last
        return page

    def report(self, page: Page, place: Place, error: KafkaError | None, message: Message) -> None:
        """Take the delivery report of one record. The first error stops all progress: a later record may be out."""
        page.reported += 1
        if error is not None:
            self.errors += 1
            self.fail(f"a record was not delivered to {place[0]}/{place[1]}: {error.name()}")
        offset = message.offset()
        # A record the broker had already (a retry whose first answer was lost) is delivered without an offset.
        if offset is not None and offset >= 0:
            page.out_next[place] = offset + 1
        if page.reported == len(page.rows) and not self.failure:
            self._advance()

    def fail(self, reason: str) -> None:
        """Stop all progress; the first reason stays."""
        self.failure = self.failure or reason

    def abandon(self, reason: str) -> None:
        """The producer is gone: no report will come any more."""
        self.fail(reason)
        self._pages.clear()

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

    def _advance(self) -> None:
        while self._pages and self._pages[0].reported == len(self._pages[0].rows):
            page = self._pages.popleft()
            self.delivered = page.last
            self.out_next |= page.out_next
            self.counts.update(map(_topic, page.rows))
