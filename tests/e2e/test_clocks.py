"""`claimhub clocks` on ledgers the engine filled: what is due, and how each clock came to where it stands."""

import pytest

from tests import claims as make
from tests.e2e.conftest import Claimhub
from tests.e2e.filled_ledger import FilledLedger
from tests.e2e.test_cli import PERSONAL, UNKNOWN_CLAIM

LATE, YOUNG = "CLM-2026-000008", "CLM-2026-000009"


def fill(ledger: FilledLedger) -> FilledLedger:
    """A paid claim whose payment clock runs, one that was never decided, and one on compulsory motor."""
    ledger.take(make.policy(), make.notice(), make.estimate(), make.invoice(), make.notice(claim=LATE))
    ledger.pass_time(make.LOSS_MS + 40 * make.DAY_MS)
    ledger.take(make.notice(claim=YOUNG, damaged=(make.THIRD,)), make.policy(version=2))
    return ledger


@pytest.mark.usefixtures("filled")
def test_open_clocks_stand_by_when_they_are_due(claimhub: Claimhub) -> None:
    """With how many days the law leaves and where it says so; a clock that ended is not listed."""
    found = claimhub("clocks", "ls", "--json").json
    shown = claimhub("clocks", "ls")

    assert [(it["due_day"], it["claim"], it["kind"], it["stands"], it["days"]) for it in found] == [
        ("2026-04-06", YOUNG, "decision", "running", 5),
        ("2026-04-11", make.CLAIM, "payment", "breached", 10),
        ("2026-05-01", LATE, "decision", "breached", 30),
        ("2026-05-31", LATE, "advance", "running", 60),
    ]
    assert [(it["source"], it["warned"]) for it in found] == [
        ("motor regulation art. 28", []),
        ("Insurance Law art. 23", [50, 80]),
        ("Insurance Law art. 23", [50, 80]),
        ("Insurance Law art. 25", [50]),
    ]
    assert found[2]["due"] == "2026-05-01T16:00:00.000Z"
    assert "payment 1" in shown.out and "50 %, 80 %" in shown.out
    assert not [word for word in PERSONAL if word in shown.out + shown.err]


@pytest.mark.usefixtures("filled")
def test_every_step_of_a_clock_names_the_record_behind_it(claimhub: Claimhub) -> None:
    """A decision clock from the notice on to the invoice that decided, and a payment clock that ran out."""
    decision, payment = claimhub("clocks", "explain", make.CLAIM, "--json").json
    shown = claimhub("clocks", "explain", make.CLAIM)

    assert (decision["stands"], payment["stands"]) == ("ended", "breached")
    assert [(step["step"], step["cause"].split("/")[0]) for step in decision["steps"]] == [
        ("start", "reporting.loss-notice.v1"),
        ("end", "repair.invoice.v1"),
    ]
    assert [(step["step"], step["cause"].split("/")[0]) for step in payment["steps"]] == [
        ("start", "repair.invoice.v1"),
        ("warning at 50 %", "hub.clock.v1"),
        ("warning at 80 %", "hub.clock.v1"),
        ("breach", "hub.clock.v1"),
    ]
    assert payment["steps"][3]["reason"] == (
        "the payment clock 1 ran out with 2026-04-11: 10 days after 2026-04-01 (Insurance Law art. 23) [clocks.breach]"
    )
    assert "   breach at 2026-04-11T16:00:00.000Z by hub.clock.v1/1/0/" in shown.out
    assert not [word for word in PERSONAL if word in shown.out + shown.err]


@pytest.mark.usefixtures("filled")
def test_a_tick_and_what_came_of_it_are_explained_back_to_the_record_that_started_the_clock(claimhub: Claimhub) -> None:
    """The snapshot of a breach was caused by a tick, and that by the notice; every promise of the ledger holds."""
    outputs = claimhub("claim", "why", LATE, "--json").json
    breach = next(output for output in outputs if output["rule"] == "clocks.breach")
    tick = next(output for output in outputs if output["rule"] == "clocks.due")

    assert [link["ref"].split("/")[0] for link in breach["chain"]] == ["hub.clock.v1", "reporting.loss-notice.v1"]
    assert [link["ref"].split("/")[0] for link in tick["chain"]] == ["reporting.loss-notice.v1"]
    assert claimhub("verify").code == 0


def test_a_claim_that_is_not_there_has_no_clocks(claimhub: Claimhub, ledger: FilledLedger) -> None:
    """Nor has an empty ledger."""
    ledger.take(make.policy())

    assert claimhub("clocks", "explain", UNKNOWN_CLAIM).code == 1
    listed = claimhub("clocks", "ls")
    assert (listed.code, listed.out, listed.err.strip()) == (0, "", "no clock is running")
    assert claimhub("clocks", "ls", "--json").json == []
