"""The partition of a key: murmur2 as Kafka's Java client computes it, so that a claim is in one lane in every topic."""

from typing import Final

_MASK: Final = 0xFFFFFFFF
_SEED: Final = 0x9747B28C
_MULTIPLIER: Final = 0x5BD1E995


def murmur2(data: bytes) -> int:
    """The 32-bit murmur2 hash, unsigned, as `org.apache.kafka.common.utils.Utils.murmur2` (there signed)."""
    length = len(data)
    whole = length & ~3
    value = (_SEED ^ length) & _MASK
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _MULTIPLIER & _MASK
        word = (word ^ word >> 24) * _MULTIPLIER & _MASK
        value = (value * _MULTIPLIER & _MASK) ^ word
    if whole != length:
        value = (value ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _MASK
    value = (value ^ value >> 13) * _MULTIPLIER & _MASK
    return value ^ value >> 15


def partition_for(key: bytes, count: int) -> int:
    """The partition, 0 to `count` - 1, where Kafka's Java client puts a record with this key."""
    return (murmur2(key) & 0x7FFFFFFF) % count
