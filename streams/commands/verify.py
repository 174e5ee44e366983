"""`claimhub verify`: the ledger's promises, checked on its rows."""

from sinks.ledger.verify import Verification, verify
from streams.commands import show
from streams.commands.ledger import open_engine
from streams.settings import Settings


def read_verification(settings: Settings) -> Verification:
    """Check every promise on the ledger the settings name. Raises LedgerUnavailable."""
    with open_engine(settings) as engine:
        return verify(engine)


def show_verification(verification: Verification) -> None:
    """Print each check, and below a failed one the rows that break it."""
    for check in verification.checks:
        show.line(f"{'ok    ' if check.ok else 'BROKEN'}  {check.promise} [{check.name}]")
        for row in check.rows:
            show.line(f"          {row}")
    for loss in verification.accepted_losses:
        many, where = loss.last - loss.first + 1, f"{loss.log} {loss.first} to {loss.last}"
        show.line(f"given up: {where} ({many}), deleted unread; {show.time(loss.at_ms)} {loss.by}: {loss.reason}")
    show.line(f"ledger hash {verification.ledger_hash}")
