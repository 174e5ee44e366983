"""Logging: one line an event on stderr, JSON or for people, with only the keys on the list below."""

import logging
import re
import sys
from collections.abc import MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, cast

import structlog
from structlog.typing import FilteringBoundLogger

KEYS: Final = frozenset(
    {
        *("event", "level", "timestamp", "source", "exception", "where", "dropped_keys"),
        *("claim", "policy", "instruction_id", "trace"),
        *("topic", "generation", "partition", "offset", "first_offset", "last_offset", "schema_id", "subject"),
        *("lane", "lanes", "token", "seq", "count", "size_bytes", "limit", "statements", "seconds", "attempt"),
        *("outcome", "code", "reason", "error", "ref", "check", "signal", "exit_code"),
        *("owner", "role", "version", "setting", "address", "path", "command", "revision"),
    }
)
"""What may be logged. A name goes here when none of its values can hold personal data (a claim or policy number
does not; a plate, phone, account or identity number does). `error` and `reason` carry sentences of this project."""

# These libraries speak of connections and sockets only; any other's arguments may quote a record.
PLAIN_SPOKEN: Final = ("kafka", "uvicorn", "asyncio", "alembic")

_LONG_NUMBER = re.compile(r"\d(?:[ -]?\d){6,}")  # phone, account, card, identity number


def configure_logging(level: str, json: bool) -> None:
    """Send our events at `level` and above, and other libraries' warnings, to stderr. May be called again."""
    threshold = logging.getLevelNamesMapping()[level]
    renderer = structlog.processors.JSONRenderer(ensure_ascii=False) if json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            describe_exception,
            AllowList(KEYS),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        # Looked up for each line, so that a live table which takes over stderr keeps its place on the screen.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [Foreign()]
    root.setLevel(max(threshold, logging.WARNING))


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines carry `source=name`; may be made at import, before logging is configured."""
    return cast(FilteringBoundLogger, structlog.get_logger(source=name))


class AllowList:
    """Drops every key that is not on the list, and says the name of each dropped key once."""

    def __init__(self, keys: frozenset[str]) -> None:
        self._keys = keys
        self._told: set[str] = set()

    def __call__(self, logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Keep the keys on the list; `dropped_keys` names those dropped for the first time."""
        unknown = event.keys() - self._keys
        kept = {key: value for key, value in event.items() if key in self._keys}
        if new := unknown - self._told:
            self._told |= new
            kept["dropped_keys"] = sorted(new)
        return kept


def describe_exception(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace `exc_info` by the exception's type and where it passed: its text may quote a record, so it stays out."""
    info = event.pop("exc_info", None)
    error = info if isinstance(info, BaseException) else info[1] if isinstance(info, tuple) else None
    if error is None and info:
        error = sys.exception()
    if error is not None:
        event["exception"] = _kinds(error)
        event["where"] = _frames(error.__traceback__)
    return event


class Foreign(logging.Handler):
    """Passes the records of standard logging (Faust, the Kafka client, uvicorn) through the same processors."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the message's template; its arguments only when the library never quotes a record."""
        plain = record.name.split(".")[0] in PLAIN_SPOKEN
        text = record.getMessage() if plain else _LONG_NUMBER.sub("…", str(record.msg))
        level = min(record.levelno // 10 * 10, logging.CRITICAL)
        get_logger(record.name).log(level, text, exc_info=record.exc_info)


def _kinds(error: BaseException) -> str:
    """The exception's type and those of its causes: `LedgerError from OperationalError`."""
    kinds: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(kinds) < 5:
        kinds.append(type(cause).__qualname__)
        cause = cause.__cause__ or cause.__context__
    return " from ".join(kinds)


def _frames(traceback: TracebackType | None) -> list[str]:
    """`folder/file.py:line` of each frame, outermost first."""
    frames: list[str] = []
    while traceback is not None:
        file = Path(traceback.tb_frame.f_code.co_filename)
        frames.append(f"{file.parent.name}/{file.name}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return frames
