"""A worker that does not survive the decoding of certain bytes, and its supervisor, who starts it again and again."""

import os
import signal
import sys
import threading
from itertools import count
from typing import Final

from schemas.codec import Codec, Headers
from schemas.records import Record
from streams import cli
from streams.commands import up  # noqa: F401 - so that a worker starts in no time

KILLER: Final = b"\0\0\0\0\1 this kills"
DIED: Final = "supervisor: the worker was killed"

_decode = Codec.decode


def supervise() -> None:
    """Run `claimhub` with this process's arguments until it ends by itself. Each worker has a consumer group of its
    own: it need not wait until Kafka gives up the dead one."""
    Codec.decode = _decode_or_die  # type: ignore[method-assign]  # as a fault in a C library would
    group = os.environ["CLAIMHUB_GROUP"]
    for life in count(1):
        os.environ["CLAIMHUB_GROUP"] = f"{group}-{life}"
        alive, supervisor = os.pipe()
        worker = os.fork()
        if not worker:
            os.close(supervisor)
            threading.Thread(target=_die_with_supervisor, args=(alive,), daemon=True).start()
            cli.main()
            return
        os.close(alive)
        signal.signal(signal.SIGTERM, lambda *_, worker=worker: os.kill(worker, signal.SIGTERM))
        _, status = os.waitpid(worker, 0)
        os.close(supervisor)
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))
        sys.stderr.write(f"{DIED}\n")
        sys.stderr.flush()


def _decode_or_die(self: Codec, topic: str, value: bytes | None, headers: Headers) -> Record:
    if value == KILLER:
        os.kill(os.getpid(), signal.SIGKILL)
    return _decode(self, topic, value, headers)


def _die_with_supervisor(alive: int) -> None:
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    supervise()
