"""The relay in a process of its own, beside the worker's.

Sending takes a fifth of what reading, deciding and committing take. Under one interpreter's lock it slows them, in a
process of its own it does not. What the worker wants goes through a pipe; at the other end is a `Relay`. Neither
outlives the other: a relay whose worker is gone or frozen ends, and a worker whose relay is gone or frozen is told so.
"""

import fcntl
import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import Any, Final

from msgspec import Struct, msgpack

from monitoring.clock import SystemClock
from monitoring.log import get_logger
from sinks.clients import Clients, KafkaClients
from sinks.figures import Figures
from sinks.ledger.open import open_ledger
from sinks.ledger.port import Ledger, OutboxRow
from sinks.relay import AGAIN_S, Relay, RelayLane

SILENT_S: Final = 10.0  # without a word for so long, the relay's process counts as frozen
FROZEN_S: Final = 5.0  # the same of a worker: before Kafka gives its lanes to another, after 6 s
HEARTBEAT_S: Final = 1.0
_SETTLED_S: Final = 0.002
_PIPE_BYTES: Final = 1 << 20

log = get_logger("relay")


class Take(Struct, tag=True, array_like=True):
    """Serve a lane under a token."""

    lane: int
    token: int


class Rows(Struct, tag=True, array_like=True):
    """What was committed; without rows: look into the ledger."""

    lane: int
    token: int
    rows: list[OutboxRow]


class Lose(Struct, tag=True, array_like=True):
    """Another owner may have the lane: send nothing more, and say when it is settled."""

    lane: int
    token: int


class Close(Struct, tag=True, array_like=True):
    """Send what living lanes owe, then end."""

    timeout_s: float


class Alive(Struct, tag=True, array_like=True):
    """An answer was heard."""


class Settled(Struct, tag=True, array_like=True):
    """Nothing of this lost lane goes out any more."""

    lane: int
    token: int


class Failed(Struct, tag=True, array_like=True):
    """The relay cannot go on."""

    reason: str


class Counted(Struct, tag=True, array_like=True):
    """Figures; empty ones are a sign of life."""

    figures: Figures


Place = tuple[int, int]
"""A lane and a token."""

_encode = msgpack.Encoder().encode
_order = msgpack.Decoder(Take | Rows | Lose | Close | Alive).decode
_answer = msgpack.Decoder(Settled | Failed | Counted).decode


class RelayProcess:
    """A Publisher. Make it before the first thread: the process is a fork of this one. `pid` is its number."""

    def __init__(self, ledger: str, password: str | None, owner: str, kafka: Mapping[str, Any]) -> None:
        """`ledger` is the ledger's URL, `owner` names the relay's sessions there, `kafka` has the client's options."""
        (orders, self._orders), (self._answers, answers) = Pipe(duplex=False), Pipe(duplex=False)
        with suppress(OSError):  # more than the system allows at once
            fcntl.fcntl(self._orders.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self.pid = os.fork()
        if not self.pid:
            try:
                self._orders.close()
                self._answers.close()
                _relay_until_closed(orders, answers, open_ledger(ledger, password, owner), KafkaClients(kafka))
            except BaseException:
                log.exception("relay failed")
            finally:
                os._exit(1)
        orders.close()
        answers.close()
        self._lanes: dict[Place, RelayLane] = {}
        self._lost: dict[Place, RelayLane] = {}
        self._lock = threading.Lock()
        self._closing = False
        self._ended = threading.Event()
        self._tell: Callable[[Figures], None]
        self._on_fatal: Callable[[str], None]

    def use(self, tell: Callable[[Figures], None], on_fatal: Callable[[str], None]) -> None:
        """Say where figures go, and who hears (once, in the thread that calls `run`) why the relay cannot go on."""
        self._tell, self._on_fatal = tell, on_fatal

    def run(self) -> None:
        """Listen to the relay's process until it ends."""
        reason = self._listen()
        self._ended.set()
        if not self._closing:
            log.error("relay failed", reason=reason)
            self._on_fatal(reason)

    def add(self, lane: RelayLane) -> None:
        """See Publisher."""
        lane.busy = True
        with self._lock:
            self._lanes[lane.lane, lane.token] = lane
            self._send(Take(lane.lane, lane.token))

    def wake(self) -> None:
        """Hand over what was committed, and say which lanes are lost."""
        with self._lock:
            for place, lane in list(self._lanes.items()):
                if lane.dead:
                    del self._lanes[place]
                    self._lost[place] = lane
                    self._send(Lose(*place))
                elif lane.owe:
                    lane.owe = False  # before the rows are taken: a commit after that sets it again
                    self._send(Rows(*place, lane.take_committed()))

    def pending(self, lane: RelayLane) -> bool:
        """See Publisher."""
        return lane.busy and not self._ended.is_set()

    def close(self, timeout_s: float) -> None:
        """See Publisher."""
        self.wake()
        self._closing = True
        with self._lock:
            self._send(Close(timeout_s))
        if not self._ended.wait(timeout_s + 2 * AGAIN_S):
            os.kill(self.pid, signal.SIGKILL)

    def _send(self, order: Take | Rows | Lose | Close | Alive) -> None:
        with suppress(OSError):  # the listener hears of a process that is gone
            self._orders.send_bytes(_encode(order))

    def _listen(self) -> str:
        """Until the process ends or falls silent; why."""
        while True:
            try:
                if not self._answers.poll(SILENT_S):
                    os.kill(self.pid, signal.SIGKILL)
                    return f"the relay's process said nothing for {SILENT_S:.0f} s"
                answer = _answer(self._answers.recv_bytes())
            except (EOFError, OSError):
                _, status = os.waitpid(self.pid, 0)
                return f"the relay's process ended ({os.waitstatus_to_exitcode(status)})"
            match answer:
                case Failed(reason):
                    return reason
                case Settled(lane, token):
                    self._lost.pop((lane, token)).busy = False
                case Counted(figures):
                    self._tell(figures)
                    with self._lock:
                        self._send(Alive())


def _relay_until_closed(orders: Connection, answers: Connection, ledger: Ledger, clients: Clients) -> None:
    """The relay's process. What ends the worker is the worker's affair: it says so, or its end of the pipe closes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _Child(orders, answers).serve(ledger, clients)


class _Child:
    """The relay's end of the pipes. Ends the process when the worker wants it to, or is gone."""

    def __init__(self, orders: Connection, answers: Connection) -> None:
        self._orders = orders
        self._answers = answers
        self._answering = threading.Lock()
        self._lanes: dict[Place, RelayLane] = {}
        self._relay: Relay

    def serve(self, ledger: Ledger, clients: Clients) -> None:
        """Run the relay, and do what the worker says."""
        clock = SystemClock()
        self._relay = Relay(ledger, clients, clock, lambda figures: self._say(Counted(figures)), self._fail)
        threading.Thread(target=self._relay.run, name="relay", daemon=True).start()
        heard = clock.monotonic()
        while True:
            self._tell_settled()
            patience_s = self._patience_s()
            if self._orders.poll(patience_s):
                try:
                    self._obey(_order(self._orders.recv_bytes()))
                except EOFError:
                    os._exit(0)
                heard = clock.monotonic()
            elif self._lanes and clock.monotonic() - heard > FROZEN_S:
                log.error("relay ends: its worker is frozen")
                os._exit(1)
            elif patience_s == HEARTBEAT_S:
                self._say(Counted(Figures()))

    def _patience_s(self) -> float:
        return _SETTLED_S if any(lane.dead for lane in self._lanes.values()) else HEARTBEAT_S

    def _obey(self, order: Take | Rows | Lose | Close | Alive) -> None:
        match order:
            case Take(lane, token):
                self._lanes[lane, token] = RelayLane(lane, token)
                self._relay.add(self._lanes[lane, token])
            case Rows(lane, token, rows):
                self._lanes[lane, token].committed(rows)
                self._relay.wake()
            case Lose(lane, token):
                self._lanes[lane, token].dead = True
                self._relay.wake()
            case Close(timeout_s):
                self._relay.close(timeout_s)
                os._exit(0)
            case Alive():
                pass

    def _tell_settled(self) -> None:
        settled = [place for place, lane in self._lanes.items() if lane.dead and not self._relay.pending(lane)]
        for place in settled:
            del self._lanes[place]
            self._say(Settled(*place))

    def _say(self, answer: Settled | Failed | Counted) -> None:
        with self._answering, suppress(OSError):  # the worker is gone: the next order will tell
            self._answers.send_bytes(_encode(answer))

    def _fail(self, reason: str) -> None:
        self._say(Failed(reason))
        os._exit(1)
