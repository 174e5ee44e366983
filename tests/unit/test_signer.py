"""Which key a running worker signs with."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from monitoring.clock import SystemClock
from schemas.signing import KEY_ID
from sinks.payments.keys import KeyFolder, NoLiveKey
from streams.signer import Signer
from tests import claims as make
from tests.keys import keys_in

AT: Final = datetime(2026, 3, 1, 8, tzinfo=UTC)


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    return keys_in(tmp_path / "keys")


@pytest.fixture
def ended() -> list[str]:
    """Why the worker ended, if it did."""
    return []


@pytest.fixture
def signer(keys: KeyFolder, ended: list[str]) -> Signer:
    return Signer(keys, SystemClock(), ended.append)


def signs_with(signer: Signer) -> str:
    """The key of the next signature."""
    return dict(signer(make.payment_instruction(), 0, 1))[KEY_ID].decode()


def make_another(keys: KeyFolder) -> str:
    return keys.make("key-admin-01", "rotation", AT).key_id


def test_a_key_made_meanwhile_is_taken_up(keys: KeyFolder, signer: Signer, ended: list[str]) -> None:
    """With the next look, and the old one can then be retired or revoked: nobody signs with it."""
    (first,) = keys.read()
    assert signs_with(signer) == first
    second = make_another(keys)

    signer.look()
    keys.revoke(first, "key-admin-01", "stolen", AT)
    signer.look()

    assert (signs_with(signer), ended) == (second, [])


def test_a_newest_key_that_cannot_be_read_leaves_the_old_one_signing(
    keys: KeyFolder, signer: Signer, ended: list[str]
) -> None:
    """Until it can: a file copied too late or too openly stops no payment."""
    (first,) = keys.read()
    pem = keys.folder / f"{make_another(keys)}.pem"
    pem.chmod(0o644)

    signer.look()
    assert (signs_with(signer), ended) == (first, [])
    pem.chmod(0o600)
    signer.look()

    assert signs_with(signer) == pem.stem


def test_a_revoked_key_signs_nothing_more(keys: KeyFolder, signer: Signer, ended: list[str]) -> None:
    """Without another one that can be used the worker ends, and says which key and what to do."""
    (first,) = keys.read()
    second = make_another(keys)
    (keys.folder / f"{second}.pem").chmod(0o644)
    keys.revoke(first, "key-admin-01", "stolen", AT)
    signer.look()
    keys.revoke(second, "key-admin-01", "not used", AT)
    signer.look()

    unreadable, none = ended
    assert f"key {first} is revoked" in unreadable and "chmod 600" in unreadable
    assert "claimhub keys new" in none
    with pytest.raises(NoLiveKey):
        Signer(keys, SystemClock(), ended.append)
