"""The three ends of a record: done (a Decision is returned), parked, or dead letter. Anything else is a crash."""

from collections.abc import Iterable


class Park(Exception):
    """The record waits for another record or a person: it is kept with its bytes and tried again, in order.

    `until` names the topics whose next record on the same claim may end the wait; records of other topics of the
    claim wait behind this one. Its text says what is waited for and holds no personal data.
    """

    def __init__(self, reason: str, until: Iterable[str]) -> None:
        super().__init__(reason)
        self.reason = reason
        self.until = frozenset(until)


class Dead(Exception):
    """The record can never be taken: it becomes a dead letter with its original bytes.

    `code` is from a closed set (metrics label it), `reason` says what is wrong and which field, never its value.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
