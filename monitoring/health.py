"""Health and metrics over HTTP: is the process alive, has it started, may it be given work."""

import socket
import threading
from dataclasses import asdict, dataclass
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client.exposition import choose_encoder

from monitoring.metrics import Metrics

BACKLOG: Final = 64


class AddressTaken(Exception):
    """The address of metrics and health cannot be listened on."""


@dataclass(frozen=True)
class Check:
    """One condition and, when it does not hold, why: a sentence without personal data."""

    ok: bool
    reason: str = ""


@dataclass(frozen=True)
class Answer:
    """What a probe gets: `ok` holds when every check does."""

    checks: dict[str, Check]

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.checks.values())


class Health:
    """The state of one process. Parts register by name and report from any thread.

    Live until `fail`; started once `start` was called; ready while started, live and every part's condition holds.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = Check(True)
        self._started = Check(False, "the process is starting")
        self._parts: dict[str, Check] = {}

    def set(self, name: str, ok: bool, reason: str = "") -> None:
        """Report part `name`, which counts from its first report on. `reason` says why it is not ok."""
        with self._lock:
            self._parts[name] = Check(ok, "" if ok else reason)

    def forget(self, name: str) -> None:
        """Part `name` is no longer this process's: what it last said does not count."""
        with self._lock:
            self._parts.pop(name, None)

    def start(self) -> None:
        """Every part has been built and registered."""
        with self._lock:
            self._started = Check(True)

    def fail(self, reason: str) -> None:
        """The process cannot go on and must be replaced; there is no way back."""
        with self._lock:
            self._process = Check(False, reason)

    def live(self) -> Answer:
        """Whether the process should be left running."""
        with self._lock:
            return Answer({"process": self._process})

    def startup(self) -> Answer:
        """Whether the process has come up."""
        with self._lock:
            return Answer({"startup": self._started})

    def ready(self) -> Answer:
        """Whether the process does its work now."""
        with self._lock:
            return Answer({"process": self._process, "startup": self._started, **self._parts})


def http_app(metrics: Metrics, health: Health, version: str) -> FastAPI:
    """The pages `/metrics` and `/health/live|ready|startup`; a probe that fails answers 503 with its reasons."""
    app = FastAPI(title="claimhub", version=version, docs_url=None, redoc_url=None, openapi_url=None)
    metrics.build_info.labels(version).set(1)

    @app.get("/metrics")
    async def scrape(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(metrics.registry), media_type=content_type)

    @app.get("/health/live")
    async def live() -> JSONResponse:
        return _answer(health.live())

    @app.get("/health/ready")
    async def ready() -> JSONResponse:
        return _answer(health.ready())

    @app.get("/health/startup")
    async def startup() -> JSONResponse:
        return _answer(health.startup())

    return app


def listen(host: str, port: int) -> socket.socket:
    """A listening socket to serve on; its `getsockname()` tells the port when `port` is 0. Raises AddressTaken.

    Bound by us and handed over as a file descriptor, because uvicorn ends the process when its own bind fails.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise AddressTaken(
            f"cannot serve metrics and health on {host}:{port}: {error.strerror or error}. "
            "Set CLAIMHUB_HTTP_HOST and CLAIMHUB_HTTP_PORT, or port 0 for a free one"
        ) from None


def _answer(answer: Answer) -> JSONResponse:
    checks = {name: asdict(check) for name, check in answer.checks.items()}
    return JSONResponse({"ok": answer.ok, "checks": checks}, status_code=200 if answer.ok else 503)
