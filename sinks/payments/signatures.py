"""What a payment instruction's signature is worth. Nobody pays one that is not good."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from schemas.records import PaymentInstruction
from schemas.signing import KEY_ID, SIGNATURE, is_signed
from sinks.payments.keys import Keys, KeyState

_READ: Final = frozenset({KEY_ID, SIGNATURE, "lane", "seq"})
_KEY_ID: Final = re.compile(rb"K[0-9a-f]{16}")
_NUMBER: Final = re.compile(rb"0|[1-9][0-9]{0,18}")


class Verdict(StrEnum):
    """`unknown-key` may be good once the newest public keys are here; all others are final."""

    GOOD = "good"
    FORGED = "forged"
    UNSIGNED = "unsigned"
    UNKNOWN_KEY = "unknown-key"
    REVOKED_KEY = "revoked-key"


class Checked(NamedTuple):
    """What was found, and the key the instruction names if it names one that can be."""

    verdict: Verdict
    key_id: str | None = None

    @property
    def reason(self) -> str:
        """The verdict as a sentence a person acts on."""
        return {
            Verdict.GOOD: f"signed with key {self.key_id}",
            Verdict.FORGED: "the signature is not of these fields: somebody has changed or made up the instruction",
            Verdict.UNSIGNED: "it has no signature: the hub did not send it, or an old version of it did",
            Verdict.UNKNOWN_KEY: f"signed with key {self.key_id}, which is not in keys.json: take in the newest public "
            "keys (claimhub keys export)",
            Verdict.REVOKED_KEY: f"signed with key {self.key_id}, which is revoked",
        }[self.verdict]


def verify_instruction(
    instruction: PaymentInstruction, headers: Iterable[tuple[str, bytes | None]], keys: Keys
) -> Checked:
    """Check an instruction as it came from Kafka against the public keys.

    `lane` and `seq` are signed: a receiver that knows repeats by them reads them from the same headers. One of these
    headers given twice is forged, since two readers could take two values.
    """
    given = [(name, value) for name, value in headers if name in _READ]
    said = dict(given)
    if said.get(KEY_ID) is None and said.get(SIGNATURE) is None:
        return Checked(Verdict.UNSIGNED)
    key_id, signature = said.get(KEY_ID) or b"", said.get(SIGNATURE) or b""
    lane, seq = said.get("lane") or b"", said.get("seq") or b""
    numbered = _NUMBER.fullmatch(lane) and _NUMBER.fullmatch(seq)
    if len(said) < len(given) or not _KEY_ID.fullmatch(key_id) or not numbered:
        return Checked(Verdict.FORGED)
    name = key_id.decode()
    key = keys.get(name)
    if key is None:
        return Checked(Verdict.UNKNOWN_KEY, name)
    if key.state is KeyState.REVOKED:
        return Checked(Verdict.REVOKED_KEY, name)
    good = is_signed(instruction, int(lane), int(seq), name, key.verifying(), signature)
    return Checked(Verdict.GOOD if good else Verdict.FORGED, name)
