"""Why the process left. Leaving at once is always safe: the ledger's positions say where to go on."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes; from 70 on the process left by itself rather than go on in doubt."""

    OK = 0
    UNAVAILABLE = 69
    LOG_LOST = 70
    TOPIC_CHANGED = 71
    POSITION_MOVED = 72
    LANES_NOT_WHOLE = 73
    KEYS = 74
    AGENT = 75
    INTAKE = 76
    KAFKA = 77
    RELAY = 78
    STUCK = 79


class CannotGoOn(Exception):
    """Going on would lose or double something: the process must end with `code` and say why."""

    def __init__(self, code: Exit, reason: str) -> None:
        super().__init__(reason)
        self.code = code
