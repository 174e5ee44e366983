"""Keys that sign payment instructions in tests: one in memory, always the same, and folders with one of their own."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.signing import Sign, signing
from sinks.payments.keys import KeyFolder

SIGN: Final[Sign] = signing("K0123456789abcdef", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def keys_in(folder: Path) -> KeyFolder:
    """A folder with one live key."""
    keys = KeyFolder(folder)
    keys.make("key-admin-01", "in use from today", datetime.now(UTC))
    return keys


def newest_in(keys: KeyFolder) -> Sign:
    """What signs with the newest key of a folder."""
    return keys.signing(keys.newest_live())
