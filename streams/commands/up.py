"""`claimhub up`: run the hub until SIGTERM, once all it needs is seen to answer."""

import asyncio
import sys

from monitoring.log import configure_logging
from schemas.codec import SchemaSource, UnknownSchema
from schemas.topics import OUTBOUND, TOPICS
from sinks.ledger.open import SQLITE, parse_url
from streams.app import Hub, open_cluster, open_registry, run_until_signal, start_relay, tune_the_interpreter
from streams.cluster import Cluster, mismatched, partitions_in_words
from streams.commands import show
from streams.commands.broker import announced, check_alone
from streams.commands.failures import Unavailable, WrongInput
from streams.commands.ledger import run_migrations
from streams.exits import Exit
from streams.settings import Settings

ALL, WORKER = "all", "worker"
LATER = ("gateway", "dispatcher", "console")


def check_role(role: str) -> None:
    """Raise WrongInput for a role that this version does not have."""
    if role in LATER:
        raise WrongInput(f"the role {role} is not in this version yet. Run: claimhub up --role {WORKER}")
    if role not in (ALL, WORKER):
        raise WrongInput(f"there is no role {role}. Roles: {WORKER}; without --role all of them run in one process")


def run(settings: Settings) -> Exit:
    """Run the worker until SIGTERM or SIGINT, then drain.

    A SQLite ledger is made and migrated first. Raises LedgerUnavailable, ClusterUnavailable, TopicsMissing,
    RegistryUnavailable, AddressTaken or Unavailable, each with what to do, before any record is taken.
    """
    check_alone(settings)
    configure_logging(settings.log_level, json=not sys.stderr.isatty())
    if parse_url(settings.ledger_url).drivername == SQLITE:
        run_migrations(settings)
    tune_the_interpreter()  # before the relay's process: it is a fork of this one
    relay = start_relay(settings)
    check_schemas(open_registry(settings))
    cluster = open_cluster(settings)
    try:
        check_topics(cluster, settings.lanes)
        hub = Hub(settings, cluster, relay=relay)
        with announced(settings, cluster.options):
            return asyncio.run(run_until_signal(hub, _tell_started))
    finally:
        cluster.close()


def check_topics(cluster: Cluster, lanes: int) -> None:
    """Raise Unavailable when a topic has another number of partitions than `lanes`."""
    wrong = mismatched(cluster.identities(list(TOPICS)), lanes)
    if wrong:
        raise Unavailable(
            f"{partitions_in_words(wrong, lanes)}. A claim's records would reach different workers. "
            "Set CLAIMHUB_LANES to the topics' count, or see: claimhub topics apply --dry-run"
        )


def check_schemas(registry: SchemaSource) -> None:
    """Raise Unavailable when the schema of a topic the hub writes is not registered."""
    try:
        for topic in OUTBOUND:
            registry.id_of(topic)
    except UnknownSchema:
        raise Unavailable("the schema registry lacks the hub's schemas. Run: claimhub schemas register") from None


def _tell_started(hub: Hub) -> None:
    show.note(f"claimhub: health and metrics at {hub.http_address}/health/ready and {hub.http_address}/metrics")
