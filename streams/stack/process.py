"""A detached process known by its pid file: it outlives the command that started it."""

import os
import random
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from streams.stack.errors import StackError

# Below the ports the kernel hands to outgoing connections, so that a port kept in a file is still free tomorrow.
PORTS = range(20_000, 30_000)
PAUSE_S = 0.05
LOG_TAIL_LINES = 15


def kept_port(file: Path) -> int:
    """The port written in `file`; the first time a free one is chosen and written."""
    if file.exists():
        return int(file.read_text())
    for port in random.sample(PORTS, k=100):
        if port_is_free(port):
            file.write_text(f"{port}\n")
            return port
    raise StackError(f"no free port between {PORTS.start} and {PORTS.stop} on 127.0.0.1")


def port_is_free(port: int) -> bool:
    """Whether nothing listens on this port of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def need_free_port(service: str, port: int, file: Path) -> None:
    """Raise StackError when another process listens on the service's port."""
    if not port_is_free(port):
        raise StackError(
            f"{service} keeps port {port} (in {file}) and another process listens on it. "
            f"Stop that process, or remove {file.parent} with the data in it"
        )


def spawn(command: list[str], folder: Path) -> None:
    """Start a process in a session of its own; its output goes to `folder`/log, its identity to `folder`/pid."""
    log = str(folder / "log")
    # Not subprocess.Popen: that object warns about, and wants to reap, a child that is meant to outlive it.
    pid = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    (folder / "pid").write_text(f"{pid} {psutil.Process(pid).create_time()}\n")


def spawned(folder: Path) -> psutil.Process | None:
    """The living process of this folder; None when there is none, or its number now belongs to a stranger."""
    try:
        pid, created = (folder / "pid").read_text().split()
        process = psutil.Process(int(pid))
        living = process.create_time() == float(created) and process.status() != psutil.STATUS_ZOMBIE
    except (FileNotFoundError, psutil.NoSuchProcess):
        return None
    return process if living else None


def send(process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal; SIGKILL goes to the process and all its children and returns once they are gone."""
    if number is not signal.SIGKILL:
        process.send_signal(number)
        return
    family = [process, *process.children(recursive=True)]
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=10)


def terminate(process: psutil.Process, limit_s: float) -> None:
    """Ask a process to end; kill it when it has not ended after `limit_s` seconds."""
    process.terminate()
    try:
        process.wait(limit_s)
    except psutil.TimeoutExpired:
        send(process, signal.SIGKILL)


def wait_ready(service: str, folder: Path, answers: Callable[[], bool], limit_s: float) -> None:
    """Wait until the service answers. Raises StackError with the end of its log when it dies or takes too long."""
    end = time.monotonic() + limit_s
    while not answers():
        if spawned(folder) is None:
            raise StackError(f"{service} ended while starting.\n{log_tail(folder)}")
        if time.monotonic() > end:
            raise StackError(f"{service} runs but does not answer after {limit_s:.0f} s.\n{log_tail(folder)}")
        time.sleep(PAUSE_S)


def log_tail(folder: Path) -> str:
    """The last lines of a service's log, headed by where it is."""
    log = folder / "log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join([f"{log} ends with:", *lines[-LOG_TAIL_LINES:]])
