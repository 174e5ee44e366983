"""The worker and the process that publishes for it: neither outlives the other, and nothing is lost when one ends."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from streams.exits import Exit
from tests.integration.hub_world import fresh_topics, hub_settings, instruction_ids
from tests.integration.workers import LIMIT_S, check_all_paid_once, records, surroundings, told, wait_until, worker

CLAIMS = 40


@pytest.mark.slow
def test_a_worker_whose_relay_was_killed_leaves_and_the_next_goes_on(
    kafka_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """It ends with the exit code that says so; what was committed and not sent is sent by the next worker, once."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path)
    first, second = records(0, CLAIMS), records(CLAIMS, 2 * CLAIMS)
    with fresh_topics(kafka_url), surroundings(settings) as around:
        with worker(settings, Exit.RELAY) as process:
            around.departments.send(*first)
            wait_until(lambda: told(around.engine) != [], "the worker took no record")
            _relay_of(process.pid).kill()
            around.departments.send(*second)
            assert process.wait(LIMIT_S) == Exit.RELAY
        with worker(settings):
            around.idle.wait(LIMIT_S)
        check_all_paid_once(around.engine, [*first, *second], instruction_ids(kafka_url))


def test_a_relay_whose_worker_was_killed_is_gone(kafka_url: str, postgres_url: str, tmp_path: Path) -> None:
    """It would go on sending for a lane that soon belongs to another worker."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path)
    with fresh_topics(kafka_url), surroundings(settings) as around, worker(settings) as process:
        around.departments.send(*records(0, 1))
        around.idle.wait(LIMIT_S)
        relay = _relay_of(process.pid)
        process.kill()
        process.wait(LIMIT_S)
        relay.wait(LIMIT_S)


@pytest.mark.slow
def test_a_relay_whose_worker_is_frozen_ends(kafka_url: str, postgres_url: str, tmp_path: Path) -> None:
    """Before Kafka gives the worker's lanes away. Once it wakes up, the worker leaves, and the next one goes on."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path)
    sent = records(0, CLAIMS)
    with fresh_topics(kafka_url), surroundings(settings) as around:
        with worker(settings, Exit.RELAY) as process:
            around.departments.send(*sent)
            wait_until(lambda: told(around.engine) != [], "the worker took no record")
            relay = _relay_of(process.pid)
            process.send_signal(signal.SIGSTOP)
            wait_until(lambda: relay.status() == psutil.STATUS_ZOMBIE, "the relay did not end")
            process.send_signal(signal.SIGCONT)
            assert process.wait(LIMIT_S) == Exit.RELAY
        with worker(settings):
            around.idle.wait(LIMIT_S)
        check_all_paid_once(around.engine, sent, instruction_ids(kafka_url))


@pytest.mark.slow
def test_an_interrupt_from_the_keyboard_drains_both(kafka_url: str, postgres_url: str, tmp_path: Path) -> None:
    """A terminal interrupts every process of its group: the relay leaves it to the worker to say when it is over."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path)
    sent = records(0, CLAIMS)
    with fresh_topics(kafka_url), surroundings(settings) as around:
        with worker(settings) as process:
            around.departments.send(*sent)
            wait_until(lambda: told(around.engine) != [], "the worker took no record")
            for number in (_relay_of(process.pid).pid, process.pid):
                os.kill(number, signal.SIGINT)
            assert process.wait(LIMIT_S) == Exit.OK
        with worker(settings):
            around.idle.wait(LIMIT_S)
        check_all_paid_once(around.engine, sent, instruction_ids(kafka_url))


def _relay_of(worker_pid: int) -> psutil.Process:
    (relay,) = psutil.Process(worker_pid).children()
    return relay
