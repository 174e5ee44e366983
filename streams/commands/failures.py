"""How a command fails: one sentence on stderr and an exit code, never a traceback for what can be expected."""

from collections.abc import Mapping
from typing import Final

from streams.exits import Exit

FAILED: Final = 1
"""A check failed, or what was asked for is not there."""

WRONG_USE: Final = 2
"""The command, its input or a setting is wrong."""


class Failed(Exception):
    """A check failed, or something asked for does not exist."""


class WrongInput(Exception):
    """The command was used wrongly, or a file given to it is wrong. The text names file, row and field."""


class Unavailable(Exception):
    """A service the command needs does not answer or is not ready."""


# By name, so that telling an error does not import what the command did not need.
EXIT_CODES: Final[Mapping[str, int]] = {
    "streams.commands.failures.Failed": FAILED,
    "streams.commands.failures.WrongInput": WRONG_USE,
    "streams.commands.failures.Unavailable": Exit.UNAVAILABLE,
    "streams.settings.SettingsError": WRONG_USE,
    "streams.reconciliation.clearing.Refused": FAILED,
    "streams.rules.settlement.CaseError": WRONG_USE,
    "streams.cluster.ClusterUnavailable": Exit.UNAVAILABLE,
    "streams.cluster.TopicsMissing": Exit.UNAVAILABLE,
    "streams.stack.errors.StackError": Exit.UNAVAILABLE,
    "schemas.codec.RegistryUnavailable": Exit.UNAVAILABLE,
    "schemas.codec.UnknownSchema": Exit.UNAVAILABLE,
    "sinks.case_file.CaseFileError": WRONG_USE,
    "sinks.payments.files.NotWritten": FAILED,
    "sinks.payments.following.RecordsGone": Exit.UNAVAILABLE,
    "sinks.payments.holds.NotHeld": FAILED,
    "sinks.payments.keys.KeyRefused": FAILED,
    "sinks.payments.keys.KeysUnreadable": Exit.UNAVAILABLE,
    "sinks.payments.keys.NoLiveKey": Exit.UNAVAILABLE,
    "sinks.ledger.port.LedgerUnavailable": Exit.UNAVAILABLE,
    "sinks.ledger.rebuild.NotEmpty": WRONG_USE,
    "sinks.ledger.port.TopicChanged": Exit.UNAVAILABLE,
    "monitoring.health.AddressTaken": Exit.UNAVAILABLE,
}


def exit_code(error: BaseException) -> int | None:
    """The exit code of an expected error; None for a fault of the program, which deserves its traceback."""
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
    return next((EXIT_CODES[name] for name in names if name in EXIT_CODES), None)
