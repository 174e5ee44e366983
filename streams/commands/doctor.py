"""`claimhub doctor`: what the hub needs, whether it is there, and the command that mends what is not."""

import os
import shutil
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from msgspec import Struct
from sqlalchemy.exc import DBAPIError

from connectors.registry import ConfluentRegistry
from schemas.codec import RegistryUnavailable, UnknownSchema
from schemas.topics import TOPICS
from sinks.ledger.open import SQLITE, make_engine, open_ledger, parse_url
from sinks.ledger.port import LedgerUnavailable, TopicIdentity
from sinks.payments.keys import KeyFolder, KeysUnreadable, NoLiveKey
from streams.cluster import ClusterUnavailable, KafkaCluster, mismatched, partitions_in_words
from streams.commands import show
from streams.commands.broker import address_file
from streams.commands.ledger import password, shown_url
from streams.rules.banking_days import announced, value_day
from streams.settings import Settings, SettingsError, load_settings

_LEAST_PYTHON: Final = (3, 11)
_LEAST_FREE_MB: Final = 500
_SOON: Final = timedelta(days=31)


class Check(Struct, frozen=True):
    """One thing the hub needs. `mend` is what brings it, when it is missing."""

    name: str
    ok: bool
    found: str
    mend: str = ""


def read_checks() -> list[Check]:
    """Look at everything; one thing that is missing hides no other."""
    checks = [_python()]
    try:
        settings = load_settings()
    except SettingsError as error:
        return [*checks, Check("settings", False, str(error), "correct the setting; see: claimhub config show")]
    return [
        *checks,
        Check("settings", True, "all known and valid"),
        _data_dir(settings),
        _disk(settings),
        _ledger(settings),
        *_kafka(settings),
        _registry(settings),
        _keys(settings),
        holidays(value_day(time.time_ns() // 1_000_000)),
    ]


def show_checks(checks: list[Check]) -> None:
    """Print each check, and what mends a missing one."""
    for check in checks:
        show.line(f"{'ok     ' if check.ok else 'missing'}  {check.name:<10}  {check.found}")
        if not check.ok:
            show.line(f"{'':21}{check.mend}")


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", sys.version_info >= _LEAST_PYTHON, version, "install Python 3.11 or newer")


def _data_dir(settings: Settings) -> Check:
    there = _nearest(settings.data_dir)
    ok = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    found = f"{settings.data_dir.absolute()}{'' if ok else ' cannot be written'}"
    return Check("data_dir", ok, found, "set CLAIMHUB_DATA_DIR to a folder you may write to")


def _disk(settings: Settings) -> Check:
    free_mb = shutil.disk_usage(_nearest(settings.data_dir)).free // 1_000_000
    mend = f"make {_LEAST_FREE_MB} MB free, or set CLAIMHUB_DATA_DIR to a folder on another disk"
    return Check("disk", free_mb >= _LEAST_FREE_MB, f"{free_mb} MB free", mend)


def _nearest(folder: Path) -> Path:
    """The folder, or the first one above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _ledger(settings: Settings) -> Check:
    try:
        open_ledger(settings.ledger_url, password(settings)).close()
    except LedgerUnavailable as error:
        return Check("ledger", False, str(error), _ledger_mend(settings))
    return Check("ledger", True, f"{shown_url(settings)}, its tables are of this version")


def _ledger_mend(settings: Settings) -> str:
    """What a ledger that cannot be opened needs: tables, when its database answers."""
    if not settings.ledger_url.startswith(SQLITE):
        try:
            engine = make_engine(parse_url(settings.ledger_url), password(settings))
            engine.connect().close()
            engine.dispose()
        except (DBAPIError, LedgerUnavailable):
            return "claimhub stack up, or correct CLAIMHUB_LEDGER"
    return "claimhub migrate"


def _kafka(settings: Settings) -> list[Check]:
    """The broker, and its topics."""
    if settings.embedded_kafka:
        running = address_file(settings)
        where = f"runs at {running.read_text()}" if running.exists() else "starts with: claimhub up"
        return [Check("kafka", True, f"embedded, {where}"), Check("topics", True, "the embedded broker makes them")]
    cluster = KafkaCluster(settings.kafka_client())
    try:
        missing = cluster.create_missing(settings.lanes, -1, dry_run=True)
        there = cluster.identities([name for name in TOPICS if name not in missing])
    except ClusterUnavailable as error:
        return [
            Check("kafka", False, str(error), "claimhub stack up, or correct CLAIMHUB_KAFKA"),
            Check("topics", False, "not seen, since Kafka does not answer", "claimhub topics apply, then"),
        ]
    return [Check("kafka", True, settings.kafka), _topics(settings, missing, there)]


def _topics(settings: Settings, missing: list[str], there: list[TopicIdentity]) -> Check:
    if missing:
        return Check("topics", False, f"Kafka has no topic {', '.join(missing)}", "claimhub topics apply")
    wrong = mismatched(there, settings.lanes)
    if wrong:
        mend = "set CLAIMHUB_LANES to the topics' count; see: claimhub topics apply --dry-run"
        return Check("topics", False, partitions_in_words(wrong, settings.lanes), mend)
    return Check("topics", True, f"{len(there)} with {settings.lanes} partitions each")


def _registry(settings: Settings) -> Check:
    if settings.embedded_registry:
        return Check("registry", True, "embedded")
    try:
        registry = ConfluentRegistry(settings.registry)
        for topic in TOPICS:
            registry.id_of(topic)
    except UnknownSchema as error:
        return Check("registry", False, f"the schema {error.schema_id} is not registered", "claimhub schemas register")
    except RegistryUnavailable as error:
        return Check("registry", False, str(error), "start it, or correct CLAIMHUB_REGISTRY")
    return Check("registry", True, f"{len(TOPICS)} schemas registered, each compatible with those before it")


def _keys(settings: Settings) -> Check:
    keys = KeyFolder(settings.keys)
    try:
        if settings.embedded_kafka and not keys.read():
            return Check("keys", True, f"none in {keys.folder}, the first one is made by: claimhub up")
        newest = keys.newest_live()
        keys.signing(newest)
    except NoLiveKey:
        return Check("keys", False, f"no live key in {keys.folder}", "claimhub keys new --by NAME --reason TEXT")
    except KeysUnreadable as error:
        return Check("keys", False, str(error), "mend it, then see: claimhub keys ls")
    return Check("keys", True, f"{newest.key_id} in {keys.folder} signs payment instructions")


def holidays(today: date) -> Check:
    """Whether the holidays of the coming month are known. It is no fault: payments go on, by weekends alone."""
    years = sorted({today.year, (today + _SOON).year})
    known = [f"{it}: {'known' if announced(it) else f'weekends only, no banking_days/{it}.toml'}" for it in years]
    return Check("holidays", True, "; ".join(known))
