"""How a lane is taken: token, positions, then the log's bounds, in this order (design: lanes, taking a lane)."""

from collections.abc import Sequence

from schemas.topics import INBOUND, OUTBOUND
from sinks.ledger.port import Lane as TakenLane
from sinks.ledger.port import Ledger, TopicChanged, TopicIdentity
from streams.cluster import Cluster, TopicsMissing, mismatched, partitions_in_words
from streams.exits import CannotGoOn, Exit


def take_lanes(
    cluster: Cluster, ledger: Ledger, owner: str, due: Sequence[int], lanes: int
) -> tuple[list[TakenLane], list[int]]:
    """Take the lanes in `due`; second come those whose row another owner's transaction still holds.

    Raises LedgerUnavailable and ClusterUnavailable (try again), CannotGoOn (topics or logs are not what we know).
    """
    try:
        inbound, outbound = cluster.identities(INBOUND), cluster.identities(OUTBOUND)
        _check_partitions((*inbound, *outbound), lanes)
        log_start = {place: low for place, (low, _) in cluster.bounds(INBOUND, range(lanes)).items()}
        ledger.prepare(inbound, outbound, log_start, cluster.memory_only)
        taken, late = ledger.take(owner, due)
    except (TopicChanged, TopicsMissing) as error:
        raise CannotGoOn(Exit.TOPIC_CHANGED, str(error)) from None
    if taken:
        _check_bounds(cluster, taken)
    return taken, late


def _check_partitions(identities: Sequence[TopicIdentity], lanes: int) -> None:
    wrong = mismatched(identities, lanes)
    if wrong:
        raise CannotGoOn(
            Exit.LANES_NOT_WHOLE,
            f"{partitions_in_words(wrong, lanes)}. A claim's records would reach different workers. "
            "Run: claimhub topics apply --dry-run",
        )


def _check_bounds(cluster: Cluster, taken: Sequence[TakenLane]) -> None:
    """Bounds are read after the positions: an older reading of a growing log would look like a shorter log."""
    bounds = cluster.bounds(INBOUND, [lane.lane for lane in taken])
    for lane in taken:
        for topic, position in lane.positions.items():
            low, high = bounds[topic, lane.lane]
            if position < low:
                raise CannotGoOn(
                    Exit.LOG_LOST,
                    f"{topic}/{lane.lane}: records {position} to {low - 1} were deleted before they were read. "
                    "Lengthen the topic's retention. Their sender may send them again; to go on without these: "
                    f'claimhub positions accept-loss {topic}/{lane.lane} --reason "..."',
                )
            if position > high:
                raise CannotGoOn(
                    Exit.TOPIC_CHANGED,
                    f"{topic}/{lane.lane}: the log ends at {high} but was read up to {position}: "
                    "it is not the log this ledger knows",
                )
