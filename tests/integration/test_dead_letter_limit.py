"""Too many dead letters in a row, from what is seen of them to how the lane goes on: on real services."""

import json
from itertools import chain, islice
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import func, select

from schemas.partitioner import partition_for
from sinks.ledger.tables import dead_letters
from streams.demo.stories import Said
from tests import claims as make
from tests.integration.hub_world import LANES, fresh_topics, hub_settings, instruction_ids
from tests.integration.workers import (
    LIMIT_S,
    Surroundings,
    answer,
    check_all_paid_once,
    claimhub,
    metric,
    records,
    said,
    surroundings,
    told,
    wait_until,
    worker,
)

NOTICE: Final = "reporting.loss-notice.v1"
LIMIT, BAD = 3, 5
HOME: Final = partition_for(make.POLICY.encode(), LANES)
STOPPED: Final = f"lane {(HOME + 1) % LANES}"


@pytest.mark.slow
def test_a_bad_setting_stops_one_lane_and_nothing_is_lost_once_it_is_put_right(
    kafka_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """A worker that takes too small a record for too large stops the lane where it meets three in a row: not ready,
    with what to do, and counted for the alert; the other lanes go on. With the setting put right, a start and a
    redrive bring in all of it."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path)
    policy, *_ = records(0, 1)
    bad, sound = _claims(True), _claims(False)
    stderr = tmp_path / "stderr"
    with fresh_topics(kafka_url), surroundings(settings) as around:
        around.departments.send(policy, *sound, *map(_large, bad))
        wrong = settings.model_copy(update={"max_record_bytes": 1000, "dead_letter_limit": LIMIT})
        with stderr.open("wb") as log, worker(wrong, stderr=log):
            wait_until(lambda: STOPPED in answer(stderr, "/health/ready")[1], "the lane does not stop")
            wait_until(lambda: _events([policy, *sound]) <= set(told(around.engine)), "the other lanes do not go on")
            status, page = answer(stderr, "/health/ready")
            check = json.loads(page)["checks"][STOPPED]
            assert (status, check["ok"], _dead(around)) == (503, False, LIMIT)
            assert f"{STOPPED} stopped after {LIMIT} dead letters in a row" in check["reason"]
            assert "start this worker again, then: claimhub dead-letters redrive" in check["reason"]
            assert metric(stderr, 'claimhub_lanes_dropped_total{reason="dead-letters"}') == 1

        with worker(settings):
            wait_until(lambda: around.idle.left() is None, "the lane does not go on")
            ids = [row["id"] for row in json.loads(claimhub(settings, "dead-letters", "ls", "--json").stdout)]
            assert len(ids) == LIMIT
            assert claimhub(settings, "dead-letters", "redrive", *ids).returncode == 0
            around.idle.wait(LIMIT_S)
        check_all_paid_once(around.engine, [policy, *sound, *bad], instruction_ids(kafka_url))


def _claims(bad: bool) -> list[Said]:
    """The records of claims that are, or are not, of the lane that will stop; none of them of claim 0."""
    lane = int(STOPPED.removeprefix("lane "))
    numbers = (n for n in range(1, 200) if (partition_for(f"C-{n:05d}".encode(), LANES) == lane) is bad)
    return list(chain.from_iterable(records(number, number + 1) for number in islice(numbers, BAD)))


def _large(one: Said) -> Said:
    """A notice that says more than a thousand bytes; other records as they are."""
    if one.topic != NOTICE:
        return one
    photos = tuple(make.digest(one.key, f"photo {number}") for number in range(20))
    return said(NOTICE, one.key, one.at_ms, make.notice(claim=one.key, photos=photos))


def _events(sent: list[Said]) -> set[str]:
    return {f"{one.sender} {one.event_id}" for one in sent}


def _dead(around: Surroundings) -> int:
    with around.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(dead_letters)).scalar_one())
