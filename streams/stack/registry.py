"""Apicurio, a schema registry that speaks Confluent's protocol, on loopback, with data that survives a restart."""

import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from streams.stack.java import artifact, java, unpacked
from streams.stack.process import kept_port, need_free_port, send, spawn, spawned, terminate, wait_ready

PROGRAM: Final = ("io.apicurio", "apicurio-registry-app", "3.3.3")
HEAP: Final = "-Xmx400m"
START_S: Final = 90.0
STOP_S: Final = 20.0
ANSWER_S: Final = 2.0


class Registry:
    """One Apicurio registry whose data, log, port and pid are in `folder`. Its program is a download of 160 MB."""

    name = "registry"

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    @property
    def address(self) -> str:
        """URL of the Confluent-compatible API."""
        return f"http://127.0.0.1:{kept_port(self.folder / 'port')}/apis/ccompat/v7"

    @property
    def running(self) -> bool:
        """Whether the registry's process lives."""
        return spawned(self.folder) is not None

    def start(self) -> str:
        """Start the registry unless it runs, wait until it answers, return its URL.

        Raises MissingPart without Java or the program, StackError when it does not come up.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.running:
            program = unpacked(artifact(*PROGRAM, classifier="all", packaging="tar.gz"))
            port = kept_port(self.folder / "port")
            need_free_port(self.name, port, self.folder / "port")
            settings = {
                "quarkus.http.host": "127.0.0.1",
                "quarkus.http.port": str(port),
                # A second listener, else on port 9000 of every interface.
                "quarkus.management.host": "127.0.0.1",
                "quarkus.management.port": "0",
                "quarkus.http.access-log.enabled": "false",
                # In memory unless told otherwise.
                "apicurio.storage.kind": "sql",
                "apicurio.storage.sql.kind": "h2",
                # H2 would keep what it has committed in memory for another half second.
                "apicurio.datasource.url": f"jdbc:h2:file:{self.folder / 'data'};WRITE_DELAY=0",
            }
            options = [f"-D{name}={value}" for name, value in settings.items()]
            spawn([java(), HEAP, *options, "-jar", str(program / "quarkus-run.jar")], self.folder)
        wait_ready(self.name, self.folder, lambda: _answers(f"{self.address}/subjects"), START_S)
        return self.address

    def stop(self) -> None:
        """Shut the registry down; nothing happens when it does not run."""
        if process := spawned(self.folder):
            terminate(process, STOP_S)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send the registry a signal; after SIGKILL it is gone on return."""
        if process := spawned(self.folder):
            send(process, number)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_S) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False
