"""The clock the engine's loops go by: they are given one, so that their time need not be the machine's."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time in seconds, and lets it pass."""

    def time(self) -> float:
        """Seconds since 1970."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Return after this long."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Return once the event is set or the time is over; whether it is set."""


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        """See Clock."""
        return time.time()

    def monotonic(self) -> float:
        """See Clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """See Clock."""
        time.sleep(seconds)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """See Clock."""
        return event.wait(timeout_s)
