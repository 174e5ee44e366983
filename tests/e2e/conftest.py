"""The command line run in this process, and the ledger it reads."""

import io
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec import json

from schemas.topics import TOPICS
from streams.cli import main
from tests.e2e.filled_ledger import FilledLedger
from tests.embedded_kafka import EmbeddedKafka


class Ran(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, read as JSON."""
        return json.decode(self.out)


Claimhub = Callable[..., Ran]


@pytest.fixture
def claimhub(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Claimhub:
    """Runs `claimhub` with these arguments in an empty folder; its data is in `.claimhub` there."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "argv", ["claimhub", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Ran(code or 0, out, err)

    return run


@pytest.fixture
def ledger(claimhub: Claimhub, tmp_path: Path) -> Iterator[FilledLedger]:
    """An empty ledger where the commands look for theirs."""
    filled = FilledLedger(tmp_path / ".claimhub" / "ledger.db")
    yield filled
    filled.close()


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a broker with every topic, which the settings name."""
    broker = EmbeddedKafka(dict.fromkeys(TOPICS, 4))
    monkeypatch.setenv("CLAIMHUB_KAFKA", broker.address)
    yield broker.address
    broker.stop()


@pytest.fixture
def closed_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port
