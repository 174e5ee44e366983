"""The time of the stories: a hub that plays them goes by what was said last, not by the machine's clock."""

from monitoring.clock import SystemClock


class StoryClock(SystemClock):
    """The machine's clock, but for the time of day, which is `now_ms`: a story's clocks run out on the story's days."""

    def __init__(self) -> None:
        self.now_ms = 0

    def time(self) -> float:
        """See Clock."""
        return self.now_ms / 1000
