"""`claimhub stack`: real Kafka, PostgreSQL and schema registry on this machine, without containers."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from streams.commands import show
from streams.commands.failures import Unavailable
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.stack.stack import ServiceStatus, Stack

VARIABLES = {"kafka": "CLAIMHUB_KAFKA", "postgres": "CLAIMHUB_LEDGER", "registry": "CLAIMHUB_REGISTRY"}


def open_stack(settings: Settings) -> "Stack":
    """The stack in the data folder. Raises Unavailable when the parts it is made of are not installed."""
    try:
        from streams.stack.stack import Stack
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"the stack's parts are not installed ({error.name}). Run: pip install 'claimhub[stack]'"
        ) from None
    return Stack(settings.data_dir / "stack")


def show_services(services: "Iterable[ServiceStatus]") -> None:
    """Print each service: whether it runs, where, and where its log is."""
    rows = [(s.name, "running" if s.running else "stopped", s.address, s.folder) for s in services]
    show.table(("service", "state", "address", "folder"), rows, "no service was ever started here: claimhub stack up")


def show_next_steps(services: "Iterable[ServiceStatus]") -> None:
    """Print the environment that makes every command use these services, and tell what to run next."""
    running = {service.name: service.address for service in services if service.running}
    for name, address in running.items():
        show.line(f"export {VARIABLES[name]}={address}")
    register = ["claimhub schemas register"] if "registry" in running else []
    show.note("Set these in your shell, then run:")
    commands = ("claimhub migrate", "claimhub topics apply", *register, "claimhub keys new --by NAME --reason TEXT")
    for command in (*commands, "claimhub up"):
        show.note(f"  {command}")
