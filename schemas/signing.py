"""The signature of a payment instruction: which bytes are signed, and with what. Whoever pays can check it alone.

Ed25519 (RFC 8032) over the fields below in this order, each as a netstring: its length in bytes as a decimal number,
`:`, the bytes, `,`. Text is UTF-8, numbers are decimal digits without leading zeros. No two instructions have the same
bytes: a length says where a field ends, whatever stands in it.

    form                claimhub-payment-instruction-1
    key id              header `key_id`
    lane, seq           headers `lane` and `seq`: the record's place among all that the hub sends
    instruction_id, claim, settlement_version, attempt, amount_minor, currency, purpose
    payee               SHA-256, in hex, of the netstrings of its name, account and bank_code
    issued_at_ms        milliseconds since 1970 in UTC
    value_on            days since 1970, or nothing
    account_version

So the signed bytes tell of no person, and may be kept as evidence. What says why it is paid (cause, rule, reason) is
not among them: nobody pays by it.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas.records import PaymentInstruction

FORM: Final = "claimhub-payment-instruction-1"
KEY_ID: Final = "key_id"
SIGNATURE: Final = "signature"

Signed = list[tuple[str, bytes]]
Sign = Callable[[PaymentInstruction, int, int], Signed]
"""The two headers an instruction gets at a place in a lane: (instruction, lane, seq)."""


def unsigned(instruction: PaymentInstruction, lane: int, seq: int) -> Signed:
    """No signature: who decides again what was decided has no key."""
    return []


def signing(key_id: str, key: Ed25519PrivateKey) -> Sign:
    """What signs with this key."""

    def sign(instruction: PaymentInstruction, lane: int, seq: int) -> Signed:
        signature = key.sign(canonical(instruction, lane, seq, key_id))
        return [(KEY_ID, key_id.encode()), (SIGNATURE, signature)]

    return sign


def is_signed(
    instruction: PaymentInstruction, lane: int, seq: int, key_id: str, key: Ed25519PublicKey, signature: bytes
) -> bool:
    """Whether the signature (64 bytes) is by this key and of these very fields."""
    try:
        key.verify(signature, canonical(instruction, lane, seq, key_id))
    except InvalidSignature:
        return False
    return True


def canonical(instruction: PaymentInstruction, lane: int, seq: int, key_id: str) -> bytes:
    """The bytes that are signed."""
    payee = instruction.payee
    return _netstrings(
        FORM,
        key_id,
        lane,
        seq,
        instruction.instruction_id,
        instruction.claim,
        instruction.settlement_version,
        instruction.attempt,
        instruction.amount_minor,
        instruction.currency,
        instruction.purpose,
        sha256(_netstrings(payee.name, payee.account, payee.bank_code)).hexdigest(),
        instruction.issued_at_ms,
        "" if instruction.value_on is None else instruction.value_on,
        instruction.account_version,
    )


def _netstrings(*fields: str | int) -> bytes:
    texts = [str(field).encode() for field in fields]
    return b"".join([b"%d:%b," % (len(text), text) for text in texts])
