"""The folder of keys: who may sign, who may read, and what a signature is worth to whoever pays."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.signing import SIGNATURE
from sinks.payments.keys import KeyFolder, KeyRefused, KeyState, KeysUnreadable, NoLiveKey
from sinks.payments.signatures import Checked, Verdict, verify_instruction
from tests import claims as make

AT: Final = datetime(2026, 3, 1, 8, tzinfo=UTC)
INSTRUCTION: Final = make.payment_instruction()
Headers = list[tuple[str, bytes]]


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    return KeyFolder(tmp_path / "keys")


def made(keys: KeyFolder) -> str:
    return keys.make("key-admin-01", "in use from today", AT).key_id


def sent(keys: KeyFolder, lane: int = 2, seq: int = 7) -> Headers:
    """The headers of the instruction as the hub sends it now."""
    place = [("lane", b"%d" % lane), ("seq", b"%d" % seq)]
    return [("ce_id", b"x"), *place, *keys.signing(keys.newest_live())(INSTRUCTION, lane, seq)]


def checked(keys: KeyFolder, headers: Sequence[tuple[str, bytes | None]]) -> Checked:
    return verify_instruction(INSTRUCTION, headers, keys.read())


def test_a_key_signs_what_everybody_can_verify(keys: KeyFolder) -> None:
    """With nothing but `keys.json`, which holds no private key."""
    key_id = made(keys)

    assert checked(keys, sent(keys)) == (Verdict.GOOD, key_id)
    assert keys.read()[key_id].actions[0].person == "key-admin-01"
    assert b"PRIVATE" not in keys.file.read_bytes()


def test_private_keys_are_their_owners_alone(keys: KeyFolder) -> None:
    """One that others may read is not used: whoever copied it can pay."""
    made(keys)
    (pem,) = keys.folder.glob("*.pem")
    assert pem.stat().st_mode & 0o777 == 0o600

    for mode in (0o640, 0o604, 0o620):
        pem.chmod(mode)
        with pytest.raises(KeysUnreadable, match=f"chmod 600 {pem}"):
            keys.signing(keys.newest_live())


def test_one_key_follows_another_and_the_old_ones_signatures_stay_good(keys: KeyFolder) -> None:
    """Both are live at first; then the old one is retired, and its private half is gone."""
    first = made(keys)
    before = sent(keys)
    second = made(keys)
    after = sent(keys)

    keys.retire(first, "key-admin-02", "replaced", AT)

    assert (checked(keys, before), checked(keys, after)) == ((Verdict.GOOD, first), (Verdict.GOOD, second))
    assert [key.state for key in keys.read().values()] == [KeyState.RETIRED, KeyState.LIVE]
    assert [file.name for file in keys.folder.glob("*.pem")] == [f"{second}.pem"]


def test_what_a_revoked_key_signed_is_refused_and_the_key_named(keys: KeyFolder) -> None:
    """Also what it had signed before; who revoked it and why stands in the file."""
    key_id = made(keys)
    headers = sent(keys)

    keys.revoke(key_id, "key-admin-02", "the disk was stolen", AT)

    assert checked(keys, headers) == (Verdict.REVOKED_KEY, key_id)
    assert key_id in checked(keys, headers).reason
    assert keys.read()[key_id].actions[-1].reason == "the disk was stolen"
    with pytest.raises(NoLiveKey, match="claimhub keys new"):
        keys.signing(keys.newest_live())


def test_no_third_live_key_and_never_none_by_retiring(keys: KeyFolder) -> None:
    """Nor is a key retired or revoked twice, or one that nobody made."""
    first = made(keys)
    with pytest.raises(KeyRefused, match="the only live key"):
        keys.retire(first, "key-admin-01", "", AT)
    second = made(keys)
    with pytest.raises(KeyRefused, match=f"{first} and {second} are live"):
        made(keys)
    keys.retire(first, "key-admin-01", "", AT)
    with pytest.raises(KeyRefused, match="is retired, not live"):
        keys.retire(first, "key-admin-01", "", AT)
    keys.revoke(first, "key-admin-01", "", AT)
    with pytest.raises(KeyRefused, match="revoked already"):
        keys.revoke(first, "key-admin-01", "", AT)
    with pytest.raises(KeyRefused, match="there is no key K1"):
        keys.revoke("K1", "key-admin-01", "", AT)


def test_finance_does_not_know_a_key_it_was_not_given(keys: KeyFolder, tmp_path: Path) -> None:
    """That is no forgery yet: with the newest public keys the same instruction may be good."""
    made(keys)
    finance = KeyFolder(tmp_path / "finance")
    finance.folder.mkdir()
    finance.file.write_bytes(keys.file.read_bytes())
    newest = made(keys)
    headers = sent(keys)

    assert checked(finance, headers) == (Verdict.UNKNOWN_KEY, newest)
    assert "claimhub keys export" in checked(finance, headers).reason

    finance.file.write_bytes(keys.file.read_bytes())

    assert checked(finance, headers) == (Verdict.GOOD, newest)


@given(
    name=st.sampled_from(["key_id", "signature", "lane", "seq"]),
    value=st.none() | st.binary(max_size=70) | st.sampled_from([b"02", b"+2", b" 2", b"2 ", b"7_0", b"K" + b"0" * 15]),
)
def test_another_header_is_never_good(signed: tuple[KeyFolder, Headers], name: str, value: bytes | None) -> None:
    """Whatever bytes stand in it: an answer, never an exception. Nor is one that is left out, or given twice."""
    keys, headers = signed
    changed = [(header, value if header == name else was) for header, was in headers]
    if dict(headers)[name] != value:
        assert checked(keys, changed).verdict is not Verdict.GOOD
        assert checked(keys, [(name, value), *headers]).verdict is Verdict.FORGED
    assert checked(keys, [header for header in headers if header[0] != name]).verdict is Verdict.FORGED


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[KeyFolder, Headers]:
    keys = KeyFolder(tmp_path_factory.mktemp("keys"))
    made(keys)
    return keys, sent(keys)


def test_an_instruction_without_a_signature_is_told_from_a_forged_one(keys: KeyFolder) -> None:
    """One of an older hub has none; one for another payee has a good one of other fields."""
    made(keys)
    headers = sent(keys)
    another_payee = verify_instruction(replace(INSTRUCTION, payee=make.OTHER_PAYEE), headers, keys.read())

    assert checked(keys, headers[:3]) == (Verdict.UNSIGNED, None)
    assert another_payee.verdict is Verdict.FORGED
    assert checked(keys, [*headers[:-1], (SIGNATURE, bytes(64))]).verdict is Verdict.FORGED


def test_a_key_under_another_ones_id_is_not_read(keys: KeyFolder) -> None:
    """The id is of the public key: an entry that was exchanged is seen."""
    first, second = made(keys), made(keys)
    text = keys.file.read_text()
    keys.file.write_text(text.replace(first, "K?").replace(second, first).replace("K?", second))

    with pytest.raises(KeysUnreadable, match="is not the id of its public key"):
        keys.read()


def test_a_file_that_is_no_list_of_keys_is_named(keys: KeyFolder) -> None:
    """Nothing is signed by a guess."""
    made(keys)
    keys.file.write_text('{"keys": [{"key_id": 1}]}')

    with pytest.raises(KeysUnreadable, match="cannot be read"):
        keys.signing(keys.newest_live())


@pytest.mark.parametrize("content", [b"", b"no key", "another's", None])
def test_a_private_key_that_is_gone_or_another_is_named(keys: KeyFolder, content: bytes | str | None) -> None:
    """A signature by it would be refused by everybody, after the payment was approved."""
    pem = keys.folder / f"{made(keys)}.pem"
    if isinstance(content, bytes):
        pem.write_bytes(content)
    elif content is None:
        pem.unlink()
    else:
        another = made(keys)
        pem.write_bytes((keys.folder / f"{another}.pem").read_bytes())
        keys.retire(another, "key-admin-01", "not used", AT)

    with pytest.raises(KeysUnreadable, match=pem.name):
        keys.signing(keys.newest_live())
