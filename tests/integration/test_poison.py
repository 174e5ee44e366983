"""A record that kills every worker that decodes it, on a real Kafka and PostgreSQL."""

import sys
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import select

from sinks.ledger.tables import dead_letters
from streams.lanes import DEATHS
from tests import claims as make
from tests.integration.hub_world import fresh_topics, hub_settings, instruction_ids
from tests.integration.mortal_worker import DIED, KILLER
from tests.integration.workers import LIMIT_S, check_all_paid_once, records, said, surroundings, worker

ESTIMATE: Final = "repair.estimate.v1"
BEFORE, BEHIND = 10, 30
"""Claims whose records come before the killer, and behind it."""
COMMAND: Final = (sys.executable, "-m", "tests.integration.mortal_worker")


@pytest.mark.slow
def test_a_record_that_kills_its_worker_is_quarantined_and_all_others_go_on(
    kafka_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """Workers are started again as they die. The killer alone becomes a dead letter, with its bytes; every other
    record, of its lane and of those that died with it, is journalled once, each claim paid once, all promises kept.

    Processes that end in a row are counted: where the first of them had not fetched all, one after them may commit the
    records before the killer by themselves, and the count begins anew."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path)
    before, behind = records(0, BEFORE), records(BEFORE, BEFORE + BEHIND)
    killer = said(ESTIMATE, "C-KILLER", make.SAID_MS + BEFORE * 1000 - 1, KILLER)
    with fresh_topics(kafka_url), surroundings(settings) as around, (tmp_path / "stderr").open("wb") as stderr:
        around.departments.send(*before, killer, *behind)
        with worker(settings, stderr=stderr, command=COMMAND):
            around.idle.wait(2 * LIMIT_S)
        with around.engine.connect() as connection:
            dead = connection.execute(select(dead_letters.c.topic, dead_letters.c.code, dead_letters.c.value)).all()

        assert dead == [(ESTIMATE, "kills-the-process", KILLER)]
        assert 2 * DEATHS <= (tmp_path / "stderr").read_text().count(DIED) <= 3 * DEATHS - 1
        check_all_paid_once(around.engine, [*before, *behind], instruction_ids(kafka_url))
