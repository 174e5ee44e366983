"""Plays the stories through a hub in this process and shows what it did."""

import asyncio
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Final

from msgspec import to_builtins
from rich.console import Console
from sqlalchemy import Engine

from monitoring.log import configure_logging
from schemas.codec import Codec
from schemas.records import StatementLine
from sinks.ledger.migrate import migrate
from sinks.ledger.open import read_engine
from sinks.payments.keys import KeyFolder
from streams.app import Hub, Leave, leave_at_once, open_registry
from streams.cluster import ClientOptions, Cluster, EmbeddedCluster, KafkaCluster
from streams.commands import show
from streams.commands.broker import announced
from streams.demo.departments import Departments, NotSent
from streams.demo.desk import ACCOUNT, Desk
from streams.demo.ends import StoryEnd, read_story_end
from streams.demo.finance import STATUSES, Finance
from streams.demo.handled import Feed, Handled
from streams.demo.idle import Idle, NotDone
from streams.demo.report import Report, make_report, show_report
from streams.demo.screen import Screen, open_screen
from streams.demo.stories import Said, Story, bank_story, short_stories, stories
from streams.demo.story_clock import StoryClock
from streams.settings import EMBEDDED, Settings, load_settings
from streams.stack.stack import Stack

LANES: Final = 4
"""Partitions the embedded broker gives every topic."""

_START_LIMIT_S: Final = 40.0
_STEP_LIMIT_S: Final = 20.0


class Player:
    """The departments around a hub: plays stories record by record, each once the hub is done with the one before, so
    that every run leads to the same ledger."""

    def __init__(
        self,
        settings: Settings,
        options: ClientOptions,
        engine: Engine,
        screen: Screen,
        clock: StoryClock,
        played: Sequence[Story],
        bank: bool,
    ) -> None:
        """With `bank` finance has its book, and a bank that speaks in files."""

        def codec() -> Codec:
            return Codec(open_registry(settings), settings.max_record_bytes)

        self._stories = played
        self._engine = engine
        self._screen = screen
        self._clock = clock
        self._feed = Feed(engine)
        self._departments = Departments(options, codec(), settings.lanes)
        answers = Departments(options, codec(), settings.lanes)
        self._desk = Desk(settings, engine, codec(), clock, settings.data_dir / "bank") if bank else None
        self.finance = self._desk or Finance(
            options, codec(), answers, settings.lanes, KeyFolder(settings.keys), played
        )
        self.idle = Idle(engine, options, self.finance, settings.lanes, clock)
        self._shown: set[str] = set()
        self._handled: list[Handled] = []

    def play(self) -> Report:
        """Play the stories, one after the other. Raises NotSent, NotDone naming what did not happen."""
        with ExitStack() as stack:
            stack.callback(self.idle.close)
            self.finance.start()
            stack.callback(self.finance.stop)
            self.idle.wait(_START_LIMIT_S)
            ends = [self._play(story) for story in self._stories]
        return make_report(
            self._engine, self._stories, ends, self.finance.paid, self._handled, bank=self._desk is not None
        )

    def _play(self, story: Story) -> StoryEnd:
        """Play one story; how it ended is looked at before the next one lets time pass."""
        self._screen.begin(story)
        for said in story.said:
            if isinstance(said, int):
                self._clock.now_ms = said
                self._wait(f"claim {story.claim}, what is due by then")
                continue
            if self._desk is not None and self._desk.ends_day(said.at_ms):
                self._wait(f"the bank's statement before {said.topic} {said.event_id}")
            self._clock.now_ms = said.at_ms
            self._wait(f"claim {story.claim}, what is due before {said.topic} {said.event_id}")
            self._send(said)
            self._wait(f"claim {story.claim}, {said.topic} {said.event_id}")
        if self._desk is not None and self._desk.ends_day(None):
            self._wait(f"claim {story.claim}, the bank's statement")
        return read_story_end(self._engine, story)

    def _send(self, said: Said) -> None:
        """Send a record; what stands on a statement the bank says itself, if there is one."""
        if self._desk is not None and isinstance(said.content, StatementLine):
            self._desk.book(said.content)
        else:
            self._departments.send(said)

    def _wait(self, what: str) -> None:
        try:
            self.idle.wait(_STEP_LIMIT_S, self._show)
        except NotDone as error:
            raise NotDone(f"{what}: {error}") from None

    def _show(self) -> None:
        """Tell the screen what is new; a payment before the statuses that come of it."""
        new = self._feed.new()
        self._handled += new
        for record in new:
            if record.topic != STATUSES:
                self._screen.handled(record)
        for number, paid in list(self.finance.paid.items()):
            if number not in self._shown:
                self._shown.add(number)
                self._screen.paid(paid)
        for record in new:
            if record.topic == STATUSES:
                self._screen.handled(record)


def run_demo(json: bool, every: bool, stack: bool, bank: bool) -> int:
    """Play the short stories, or `every` one, or those of the `bank` with its files, on the embedded broker and a fresh
    SQLite ledger, or on a `stack` of its own: Kafka and PostgreSQL. The exit code.

    With `json` one object goes to standard output and progress to standard error. Raises MissingPart, StackError.
    """
    started = time.monotonic()
    configure_logging("ERROR", json=False)
    settings = _demo_settings(load_settings())
    console = Console(file=sys.stderr if json else sys.stdout, highlight=False, markup=False, emoji=False)
    where = "Kafka and PostgreSQL of its own" if stack else "an embedded broker"
    console.print(f"Starting the hub on {where}; forming its consumer group takes 3 s", soft_wrap=True)
    if settings.data_dir.exists():
        shutil.rmtree(settings.data_dir)
    report: Report | None = None
    with ExitStack() as closing:
        if stack:
            settings, cluster = closing.enter_context(_real_services(settings))
        else:
            cluster = EmbeddedCluster()
        migrate(settings.ledger_url)
        screen = open_screen(console)
        closing.callback(screen.close)
        try:
            told = (bank_story(),) if bank else stories() if every else short_stories()
            report = asyncio.run(play_in_hub(settings, cluster, screen, told, bank=bank))
        except (NotDone, NotSent) as error:
            failures = [str(error)]
        else:
            failures = report.failures()
    if report is not None and json:
        show.as_json(report)
    elif report is not None:
        show_report(report, None if stack else settings.data_dir)
    for failure in failures:
        show.note(f"claimhub demo: {failure}")
    console.print(f"\nThe demo took {time.monotonic() - started:.1f} s", soft_wrap=True)
    return 1 if failures else 0


async def play_in_hub(
    settings: Settings,
    cluster: Cluster,
    screen: Screen,
    played: Sequence[Story],
    leave: Leave = leave_at_once,
    *,
    bank: bool = False,
) -> Report:
    """Start a hub on a cluster and a migrated ledger, play the stories in a thread beside its event loop, and stop it.

    Raises NotSent, NotDone naming what did not happen.
    """
    engine = read_engine(settings.ledger_url)
    clock = StoryClock()
    player = Player(settings, cluster.options, engine, screen, clock, played, bank)
    hub = Hub(settings, cluster, leave, clock=clock)
    await hub.start()
    try:
        with announced(settings, cluster.options):
            return await asyncio.to_thread(player.play)
    finally:
        player.idle.abandoned.set()
        await hub.stop()
        engine.dispose()
        cluster.close()


@contextmanager
def _real_services(settings: Settings) -> Iterator[tuple[Settings, Cluster]]:
    """Kafka and PostgreSQL in the demo's folder, gone with the context; the settings that name them."""
    services = Stack(settings.data_dir / "stack")
    try:
        services.up()
        KeyFolder(settings.keys).make("claimhub", "first key of a demo", datetime.now(UTC))
        real = settings.model_copy(update={"kafka": services.kafka.address, "ledger": services.postgres.address})
        cluster = KafkaCluster(real.kafka_client())
        cluster.create_missing(LANES, 1, dry_run=False)
        yield real, cluster
    finally:
        services.down()
        shutil.rmtree(settings.data_dir, ignore_errors=True)


def _demo_settings(settings: Settings) -> Settings:
    """Everything in this process and in a folder of its own, whatever these settings name."""
    own = {"kafka": EMBEDDED, "registry": EMBEDDED, "ledger": "", "lanes": LANES, "http_port": 0}
    accounts = {"CNY": to_builtins(ACCOUNT)}
    return settings.model_copy(update={**own, "data_dir": settings.data_dir / "demo", "debtor_accounts": accounts})
