"""What departments ask for and say they have seen: a snapshot once more for one of them, and notes on versions."""

import pytest
from msgspec.structs import replace

from schemas.records import ClaimStatus, Command
from sinks.envelope import headers_of
from sinks.ledger.port import OutboxRow
from streams.rules.departments import departments
from tests import claims as make
from tests.lane import OneLane

COMMAND, NOTICE, ESTIMATE = "operations.command.v1", "reporting.loss-notice.v1", "repair.estimate.v1"


def statuses(lane: OneLane) -> list[tuple[OutboxRow, ClaimStatus]]:
    found = []
    for row in lane.outbox:
        record = lane.codec.decode(row.topic, row.value, [])
        if isinstance(record, ClaimStatus):
            found.append((row, record))
    return found


def test_a_resync_sends_the_newest_snapshot_to_one_department_and_nothing_else() -> None:
    """It says what the newest snapshot says, with the same version, and names the department; the claim's version and
    whatever else went out stay as they are."""
    lane = OneLane([make.policy()])
    lane.take(make.notice(), make.estimate())
    sent = len(lane.outbox)
    lane.take(make.command("finance"))

    assert len(lane.outbox) == sent + 1
    (_, newest), (row, again) = statuses(lane)[-2:]
    assert again == replace(newest, at_ms=again.at_ms, cause=again.cause, rule=again.rule, reason=again.reason)
    assert row.cause == again.cause == f"{COMMAND}/1/0/0"
    assert [dict(headers_of(row)).get("department") for row, _ in statuses(lane)] == [
        None,
        None,
        b"finance",
    ]
    assert lane.state.claims[make.CLAIM].version == 2
    assert lane.outcomes()[-1] == (COMMAND, "noted")


def test_the_next_change_is_the_next_version_for_all() -> None:
    """A resync between two changes leaves no gap and no twin in the versions everybody counts."""
    lane = OneLane([make.policy()])
    lane.take(make.notice(), make.command(), make.estimate(), make.command("finance", 2), make.invoice())

    told = [status.version for row, status in statuses(lane) if "department" not in dict(headers_of(row))]
    assert told == [1, 2, 3]


def test_the_same_command_twice_sends_once() -> None:
    """By its event id; the department's next wish is another event."""
    lane = OneLane([make.policy()])
    lane.take(make.notice())
    headers = [("ce_source", b"finance"), ("ce_id", b"1")]
    lane.take(*(lane.received(make.command(), headers=list(headers)) for _ in range(2)), make.command())

    assert [outcome for _, outcome in lane.outcomes()] == ["done", "noted", "duplicate", "noted"]
    assert len(statuses(lane)) == 3


def test_an_acknowledgement_is_kept_and_never_goes_back() -> None:
    """Per department the newest version; nothing is sent for it, and nothing else of the claim changes."""
    lane = OneLane([make.policy()])
    lane.take(make.notice(), make.estimate())
    before, sent = lane.state.claims[make.CLAIM], len(lane.outbox)
    lane.take(make.command("siu", 1), make.command("finance", 2), make.command("finance", 1))

    claim = lane.state.claims[make.CLAIM]
    assert claim == replace(before, acknowledged={"finance": 2, "siu": 1})
    assert list(claim.acknowledged) == ["finance", "siu"]
    assert len(lane.outbox) == sent
    assert [outcome for _, outcome in lane.outcomes()[-3:]] == ["noted"] * 3


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (make.command("SECRET"), "unknown-department", ", ".join(departments())),
        (make.command("finance", 3), "unknown-version", "is at version 2"),
        (make.command(claim="CLM-2026-000009"), "unknown-claim", "nothing is known of it"),
        (make.command("finance", 1, claim="CLM-2026-000009"), "unknown-claim", "nothing is known of it"),
    ],
)
def test_a_command_that_cannot_be_followed_is_refused_with_the_reason(command: Command, code: str, words: str) -> None:
    """A dead letter says what is wrong, and never what was given."""
    lane = OneLane([make.policy()])
    lane.take(make.notice(), make.estimate())
    effects = lane.take(command)

    (dead,) = effects.dead
    assert (dead.code, words in dead.reason) == (code, True)
    assert "SECRET" not in dead.reason
    assert [row.topic for row in effects.outbox] == ["hub.dead-letter.v1"]
    assert not effects.claims


@pytest.mark.parametrize("version", [None, 1])
def test_a_command_goes_by_the_records_that_wait(version: int | None) -> None:
    """It is most wanted when a claim does not go on. It ends no wait: what is parked stays parked, in its order."""
    lane = OneLane([make.policy()])
    lane.take(make.notice(), make.invoice(), make.document())
    parked = dict(lane.parked)
    lane.take(make.command("finance", version))

    assert [row.topic for row in parked.values()] == ["repair.invoice.v1", "reporting.document.v1"]
    assert lane.parked == parked
    assert lane.outcomes() == [(NOTICE, "done"), (COMMAND, "noted")]


def test_every_department_reads_in_a_group_of_its_own() -> None:
    """Two departments in one group would see half of the claims each."""
    known = departments()

    assert len({department.group for department in known.values()}) == len(known)
    assert all(department.drift_limit_s > 0 for department in known.values())
    assert all(name.isascii() and name.islower() for name in known)
