"""`claimhub verify`: the ledger's promises, checked on its rows and, when asked, on the topics."""

from msgspec.structs import asdict
from sqlalchemy import Engine

from monitoring.clock import SystemClock
from schemas.topics import OUTBOUND
from sinks.clients import KafkaClients
from sinks.ledger.prepare import check_topics as check_identities
from sinks.ledger.verify import Verification, verify
from sinks.read_back import LogReader, LogUnreadable
from sinks.topic_check import OnTopics, check_topics, published_marks
from streams.cluster import KafkaCluster
from streams.commands import show
from streams.commands.failures import Unavailable, WrongInput
from streams.commands.ledger import open_engine
from streams.settings import Settings


class OfLedgerAndTopics(Verification, frozen=True, kw_only=True):
    """The outcome when the topics were compared as well."""

    topics: OnTopics


def read_verification(settings: Settings, *, topics: bool = False) -> Verification:
    """Check every promise on the ledger the settings name, with `topics` also against what Kafka holds.

    Raises LedgerUnavailable, and of Kafka WrongInput, Unavailable, ClusterUnavailable, TopicsMissing, TopicChanged.
    """
    if topics and settings.embedded_kafka:
        raise WrongInput(
            "--topics needs a real Kafka: the embedded broker forgets what it had. Set CLAIMHUB_KAFKA, or leave it out"
        )
    with open_engine(settings) as engine:
        found = verify(engine)
        return _with_topics(found, settings, engine) if topics else found


def _with_topics(found: Verification, settings: Settings, engine: Engine) -> Verification:
    marks = published_marks(engine)
    cluster = KafkaCluster(settings.kafka_client())
    identities = cluster.identities(OUTBOUND)
    with engine.connect() as connection:
        check_identities(lambda sql: connection.exec_driver_sql(sql).all(), identities)
    ranges = cluster.bounds(OUTBOUND, range(max(topic.partitions for topic in identities)))
    log = LogReader(KafkaClients(cluster.options), SystemClock())
    try:
        checks, on_topics = check_topics(engine, marks, log, ranges)
    except LogUnreadable as error:
        raise Unavailable(f"Kafka at {settings.kafka} does not answer ({error}). See: claimhub doctor") from None
    finally:
        log.close()
    ok = found.ok and all(check.ok for check in checks)
    checks = (*found.checks, *checks)
    return OfLedgerAndTopics(ok, found.ledger_hash, checks, found.holes, found.accepted_losses, topics=on_topics)


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
    if isinstance(verification, OfLedgerAndTopics):
        counts = asdict(verification.topics).items()
        show.line(f"topics: {', '.join(f'{count} {name}' for name, count in counts)}")
