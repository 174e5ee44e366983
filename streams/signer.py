"""What signs payment instructions in a running worker: the newest live key, also one that was made a moment ago."""

import threading
from collections.abc import Callable
from typing import Any, Final

from monitoring.clock import Clock
from monitoring.log import get_logger
from schemas.records import PaymentInstruction
from schemas.signing import Signed
from sinks.payments.keys import KeyFolder, KeyState, KeysUnreadable, NoLiveKey

LOOK_S: Final = 2.0

log = get_logger("keys")


class Signer:
    """Signs with the key it has taken up. The thread that calls `run` looks for a newer one again and again, so that
    nobody who signs waits for a disk."""

    def __init__(self, keys: KeyFolder, clock: Clock, on_no_key: Callable[[str], Any]) -> None:
        """`on_no_key` is called with the reason once there is no key left to sign with. Raises NoLiveKey,
        KeysUnreadable."""
        self._keys = keys
        self._clock = clock
        self._on_no_key = on_no_key
        self._stopped = threading.Event()
        self._key = keys.newest_live()
        self._sign = keys.signing(self._key)

    def __call__(self, instruction: PaymentInstruction, lane: int, seq: int) -> Signed:
        """See Sign."""
        return self._sign(instruction, lane, seq)

    def run(self) -> None:
        """Look every 2 s until told to stop."""
        while not self._clock.wait(self._stopped, LOOK_S):
            self.look()

    def stop(self) -> None:
        """Let `run` return."""
        self._stopped.set()

    def look(self) -> None:
        """Take up the newest live key. While that cannot be read, go on with the old one, unless it was revoked."""
        try:
            newest = self._keys.newest_live()
            if newest.key_id != self._key.key_id:
                self._sign, self._key = self._keys.signing(newest), newest
                log.info("signing with another key", key_id=newest.key_id)
        except NoLiveKey as error:
            self._on_no_key(str(error))
        except KeysUnreadable as error:
            if self._is_revoked():
                self._on_no_key(f"key {self._key.key_id} is revoked, and the one that follows cannot be used: {error}")
            log.warning("keys not read", reason=str(error), signing_with=self._key.key_id)

    def _is_revoked(self) -> bool:
        try:
            return self._keys.read()[self._key.key_id].state is KeyState.REVOKED
        except (KeysUnreadable, KeyError):
            return False
