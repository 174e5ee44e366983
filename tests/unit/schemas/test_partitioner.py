"""Keys land in the partition where Kafka's Java client puts them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.partitioner import murmur2, partition_for

# Signed results listed in the tests of Kafka's Java client.
JAVA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize("key", JAVA)
def test_murmur2_is_the_java_clients(key: bytes) -> None:
    """The Java client's own test vectors, read as unsigned."""
    assert murmur2(key) == JAVA[key] % 2**32


@pytest.mark.parametrize("key", JAVA)
def test_a_hash_is_made_positive_by_dropping_its_sign(key: bytes) -> None:
    """Not by its absolute value: that differs where the partition count is no power of two."""
    assert partition_for(key, 7) == (JAVA[key] & 0x7FFFFFFF) % 7


@given(st.binary(max_size=64), st.integers(1, 256))
def test_a_partition_is_in_range(key: bytes, count: int) -> None:
    """Any key, any partition count."""
    assert 0 <= partition_for(key, count) < count
