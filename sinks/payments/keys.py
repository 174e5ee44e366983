"""The keys that payment instructions are signed with: a folder of private keys, and `keys.json` with the public ones.

`keys.json` holds no secret. Finance keeps a copy of it (`claimhub keys export`) in a folder of its own, without private
keys. The newest live key signs. At most two are live, so that one follows another without a stop. A retired one still
verifies what it signed; what a revoked one signed is refused. Neither can sign again: its private half is deleted.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from msgspec import Struct

from schemas.signing import Sign, signing

MOST_LIVE: Final = 2
_FILE: Final = "keys.json"
_OWNER_ONLY: Final = 0o600
_OTHERS: Final = 0o077


class KeysUnreadable(Exception):
    """`keys.json` or a private key cannot be used. The text says which file, why, and what to do."""


class KeyRefused(Exception):
    """What was asked for is not done with this key. The text says why."""


class NoLiveKey(Exception):
    """No key may sign, so no payment can be approved. The text names the folder and the command that mends it."""


class KeyState(StrEnum):
    """Live keys sign and verify, retired ones only verify, revoked ones neither."""

    LIVE = "live"
    RETIRED = "retired"
    REVOKED = "revoked"


class KeyAction(Struct, frozen=True):
    """A key became this, because somebody wanted it, then."""

    state: KeyState
    person: str
    reason: str
    at: datetime


class Key(Struct, frozen=True):
    """A public key (32 bytes, base64 in the file) and what was done with it, in order."""

    key_id: str
    public_key: bytes
    actions: tuple[KeyAction, ...]

    @property
    def state(self) -> KeyState:
        """What the key is now."""
        return self.actions[-1].state

    def verifying(self) -> Ed25519PublicKey:
        """The key as what verifies with it."""
        return Ed25519PublicKey.from_public_bytes(self.public_key)


class _Document(Struct, frozen=True):
    keys: tuple[Key, ...] = ()


Keys = Mapping[str, Key]
"""Keys by id, the oldest first."""


class KeyFolder:
    """The keys in a folder. Whoever changes them is alone: others wait at a lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / _FILE

    def read(self) -> Keys:
        """All keys, none when there is no file. Raises KeysUnreadable."""
        try:
            document = msgspec.json.decode(self.file.read_bytes(), type=_Document)
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            raise KeysUnreadable(f"{self.file} cannot be read: {error}") from None
        for key in document.keys:
            if not key.actions or len(key.public_key) != 32 or key.key_id != _id_of(key.public_key):
                raise KeysUnreadable(f"{self.file}: {key.key_id} is not the id of its public key, or nobody made it")
        return {key.key_id: key for key in document.keys}

    def public(self) -> bytes:
        """The public keys as a file for whoever verifies. Raises KeysUnreadable."""
        return _document(self.read())

    def newest_live(self) -> Key:
        """The key that signs. Raises NoLiveKey, KeysUnreadable."""
        live = _live(self.read())
        if not live:
            raise NoLiveKey(f"no live key in {self.folder} signs payment instructions. Run: {_NEW}")
        return live[-1]

    def signing(self, key: Key) -> Sign:
        """What signs with a key. Raises KeysUnreadable when its private half is missing, another's, or for others to
        read."""
        private = self._private(key.key_id)
        if private.public_key().public_bytes_raw() != key.public_key:
            raise KeysUnreadable(f"{self._pem(key.key_id)} is not the private half of {key.key_id}. {_ANOTHER}")
        return signing(key.key_id, private)

    def make(self, person: str, reason: str, at: datetime) -> Key:
        """A new live key. Raises KeyRefused when as many are live as may be."""
        with self._alone() as keys:
            live = _live(keys)
            if len(live) >= MOST_LIVE:
                ids = " and ".join(key.key_id for key in live)
                raise KeyRefused(f"{ids} are live, and no more may be: retire the first of them, claimhub keys retire")
            private = Ed25519PrivateKey.generate()
            public = private.public_key().public_bytes_raw()
            key = Key(_id_of(public), public, (KeyAction(KeyState.LIVE, person, reason, at),))
            # The private half first: a key in keys.json can sign, whatever moment the process ends at.
            _write(self._pem(key.key_id), private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            self._keep({**keys, key.key_id: key})
        return key

    def retire(self, key_id: str, person: str, reason: str, at: datetime) -> Key:
        """Let a live key sign no more. Raises KeyRefused also for the only one: workers would have none."""
        with self._alone() as keys:
            key = _known(keys, key_id)
            if key.state is not KeyState.LIVE:
                raise KeyRefused(f"{key_id} is {key.state}, not live")
            if len(_live(keys)) == 1:
                raise KeyRefused(f"{key_id} is the only live key: make the one that follows first, claimhub keys new")
            return self._change(keys, key, KeyAction(KeyState.RETIRED, person, reason, at))

    def revoke(self, key_id: str, person: str, reason: str, at: datetime) -> Key:
        """Refuse from now on all that a key has signed. Raises KeyRefused."""
        with self._alone() as keys:
            key = _known(keys, key_id)
            if key.state is KeyState.REVOKED:
                raise KeyRefused(f"{key_id} is revoked already")
            return self._change(keys, key, KeyAction(KeyState.REVOKED, person, reason, at))

    def _change(self, keys: Keys, key: Key, action: KeyAction) -> Key:
        changed = msgspec.structs.replace(key, actions=(*key.actions, action))
        self._keep({**keys, key.key_id: changed})
        self._pem(key.key_id).unlink(missing_ok=True)
        return changed

    def _private(self, key_id: str) -> Ed25519PrivateKey:
        file = self._pem(key_id)
        try:
            if file.stat().st_mode & _OTHERS:
                raise KeysUnreadable(f"{file} can be read by others than its owner. Run: chmod 600 {file}")
            private = load_pem_private_key(file.read_bytes(), None)
        except FileNotFoundError:
            raise KeysUnreadable(f"{key_id} is live, but {file} is not there. Bring it back. {_ANOTHER}") from None
        except (OSError, ValueError, TypeError) as error:
            raise KeysUnreadable(f"{file} cannot be read ({type(error).__name__}). {_ANOTHER}") from None
        if not isinstance(private, Ed25519PrivateKey):
            raise KeysUnreadable(f"{file} holds no Ed25519 key. {_ANOTHER}")
        return private

    def _keep(self, keys: Keys) -> None:
        _write(self.file, _document(keys), mode=0o644)

    def _pem(self, key_id: str) -> Path:
        return self.folder / f"{key_id}.pem"

    @contextmanager
    def _alone(self) -> Iterator[Keys]:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (self.folder / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield self.read()
        except OSError as error:
            raise KeysUnreadable(f"the keys in {self.folder} cannot be changed: {error.strerror}") from None


_NEW: Final = "claimhub keys new --by NAME --reason TEXT"
_ANOTHER: Final = f"Or have another key sign: {_NEW}"


def _document(keys: Keys) -> bytes:
    return msgspec.json.format(msgspec.json.encode(_Document(tuple(keys.values()))), indent=2) + b"\n"


def _live(keys: Keys) -> list[Key]:
    return [key for key in keys.values() if key.state is KeyState.LIVE]


def _known(keys: Keys, key_id: str) -> Key:
    if key_id not in keys:
        raise KeyRefused(f"there is no key {key_id}. Those there are: claimhub keys ls")
    return keys[key_id]


def _id_of(public_key: bytes) -> str:
    """Nobody can give a key another one's id."""
    return "K" + sha256(public_key).hexdigest()[:16]


def _write(file: Path, content: bytes, mode: int = _OWNER_ONLY) -> None:
    """Put a file in place whole, and for good before this returns."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        os.fchmod(handle, mode)
        with os.fdopen(handle, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(handle)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
