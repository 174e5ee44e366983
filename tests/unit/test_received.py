"""Reading a record's envelope in a lane of several."""

from connectors.registry import EmbeddedRegistry
from schemas.codec import Codec
from schemas.partitioner import partition_for
from schemas.topics import INBOUND
from streams.outcomes import Dead
from streams.received import Parser, Received
from tests import claims as make

NOTICE = "reporting.loss-notice.v1"
LANES = 4


def test_a_key_in_another_lanes_partition_is_refused() -> None:
    """Two lanes must never hold one claim. The reason names the right partition."""
    codec = Codec(EmbeddedRegistry(), 1_000_000)
    right = partition_for(make.CLAIM.encode(), LANES)
    record = Received(NOTICE, 0, make.CLAIM.encode(), codec.encode(NOTICE, make.notice()), [], make.LOSS_MS)
    generations = dict.fromkeys(INBOUND, 1)
    parsed = [Parser(codec, lane, LANES, generations, {}).parse(record) for lane in range(LANES)]

    assert [one.record is not None for one in parsed] == [lane == right for lane in range(LANES)]
    refusals = [one.problem for one in parsed if one.record is None]
    assert all(isinstance(problem, Dead) and problem.code == "wrong-partition" for problem in refusals)
    assert all(f"partition {right} of {LANES}" in str(problem) for problem in refusals)
