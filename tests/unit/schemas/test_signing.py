"""What is signed of a payment instruction: every field that money moves by, and nothing can be read two ways."""

from typing import Final, cast

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import BankAccount, PaymentInstruction
from schemas.signing import KEY_ID, SIGNATURE, canonical, is_signed, signing
from tests.claims import payment_instruction
from tests.unit.schemas.strategies import values

KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER: Final = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEY_NAME: Final = "K0123456789abcdef"
NOT_SIGNED: Final = {"cause", "rule", "reason"}
"""What says why it is paid: nobody pays by it."""


RECORD: Final = msgspec.inspect.type_info(PaymentInstruction)
KINDS: Final = {field.name: field.type for field in cast(msgspec.inspect.StructType, RECORD).fields}
INSTRUCTIONS: Final = values(RECORD).map(lambda fields: msgspec.convert(fields, PaymentInstruction))


def is_signed_at(instruction: PaymentInstruction, lane: int, seq: int, key_id: str, signature: bytes) -> bool:
    return is_signed(instruction, lane, seq, key_id, KEY.public_key(), signature)


def signature_of(instruction: PaymentInstruction, lane: int, seq: int) -> bytes:
    return dict(signing(KEY_NAME, KEY)(instruction, lane, seq))[SIGNATURE]


def test_the_bytes_are_these() -> None:
    """Written out once, so that a program in any language can be held to them."""
    payee = BankAccount(name="投保人甲", account="6222020200012345678", bank_code="102100099996")
    instruction = payment_instruction(
        claim="C26-0001",
        payee=payee,
        amount_minor=268_000,
        issued_at_ms=1_772_500_000_000,
        value_on=20_515,
        account_version=2,
    )

    assert canonical(instruction, 3, 41, KEY_NAME) == (
        b"30:claimhub-payment-instruction-1,17:K0123456789abcdef,1:3,2:41,3:PI1,8:C26-0001,1:1,1:1,6:268000,3:CNY,"
        b"4:INSC,64:b70e21fa910272c0dc2aa37aa77fe227abf3bfa6d01e3b729873c276317be994,13:1772500000000,5:20515,1:2,"
    )


@given(instruction=INSTRUCTIONS, lane=st.integers(0, 255), seq=st.integers(1, 10**15))
def test_what_was_signed_verifies_and_by_no_other_key(instruction: PaymentInstruction, lane: int, seq: int) -> None:
    """Whatever it says, in any script."""
    headers = dict(signing(KEY_NAME, KEY)(instruction, lane, seq))

    assert headers[KEY_ID] == KEY_NAME.encode()
    assert len(headers[SIGNATURE]) == 64
    assert is_signed_at(instruction, lane, seq, KEY_NAME, headers[SIGNATURE])
    assert not is_signed(instruction, lane, seq, KEY_NAME, OTHER.public_key(), headers[SIGNATURE])


@pytest.mark.parametrize("field", sorted(KINDS.keys() - NOT_SIGNED))
@given(data=st.data(), instruction=INSTRUCTIONS)
def test_one_changed_field_is_enough(field: str, data: st.DataObject, instruction: PaymentInstruction) -> None:
    """Any field that the record has, or will have, but the three that say why: to any other value."""
    fields = msgspec.to_builtins(instruction)
    fields[field] = data.draw(values(KINDS[field], field).filter(lambda value: value != fields[field]))
    changed = msgspec.convert(fields, PaymentInstruction)

    assert not is_signed_at(changed, 0, 1, KEY_NAME, signature_of(instruction, 0, 1))


@given(instruction=INSTRUCTIONS, lane=st.integers(0, 255), seq=st.integers(1, 10**15), by=st.integers(1, 255))
def test_another_place_is_not_what_was_signed(instruction: PaymentInstruction, lane: int, seq: int, by: int) -> None:
    """Nor another key's id: nobody passes a copy off as a second instruction."""
    signature = signature_of(instruction, lane, seq)

    assert not is_signed_at(instruction, lane + by, seq, KEY_NAME, signature)
    assert not is_signed_at(instruction, lane, seq + by, KEY_NAME, signature)
    assert not is_signed_at(instruction, seq, lane, KEY_NAME, signature) or seq == lane
    assert not is_signed_at(instruction, lane, seq, "K0123456789abcdee", signature)


@given(instruction=INSTRUCTIONS, bit=st.integers(0, 511))
def test_one_changed_bit_of_the_signature_is_enough(instruction: PaymentInstruction, bit: int) -> None:
    """And so is another length."""
    signature = signature_of(instruction, 0, 1)
    flipped = (int.from_bytes(signature) ^ (1 << bit)).to_bytes(64)

    assert not is_signed_at(instruction, 0, 1, KEY_NAME, flipped)
    assert not is_signed_at(instruction, 0, 1, KEY_NAME, signature[:-1])
    assert not is_signed_at(instruction, 0, 1, KEY_NAME, signature + b"\0")


@given(text=st.from_regex(r"\A[0-9A-Za-z]{12,40}\Z"), data=st.data())
def test_another_payee_of_the_same_letters_is_another_payee(text: str, data: st.DataObject) -> None:
    """Where a field ends and the next begins is signed: nobody moves a digit from the name to the account."""
    cut = st.integers(max(1, len(text) - 32), len(text) - 8)
    first, second = data.draw(cut), data.draw(cut)
    payees = [BankAccount(name=text[:at], account=text[at:], bank_code="102100099996") for at in (first, second)]
    signature = signature_of(payment_instruction(payee=payees[0]), 0, 1)

    assert is_signed_at(payment_instruction(payee=payees[1]), 0, 1, KEY_NAME, signature) is (first == second)
