"""The policy file: versions in any order, and every waiting claim woken once."""

import pytest

from schemas.records import PolicyWanted
from streams.outcomes import Dead
from streams.rules.decision import CapturedLookups, Cause
from streams.rules.policy_file import PolicyFile
from streams.rules.underwriting import on_policy, on_policy_wanted
from tests.claims import OTHER_PLATE, POLICY, policy

CAUSE = Cause("underwriting.policy.v1/1/0/1", "underwriting.policy.v1", 1)
NOTHING = CapturedLookups({}, {})


def _wanted(claim: str) -> PolicyWanted:
    return PolicyWanted(policy_number=POLICY, claim=claim, at_ms=1)


def test_versions_are_kept_in_order_whenever_they_come() -> None:
    """The newest version's plate is the file's, and a repeat adds nothing."""
    file = PolicyFile(number=POLICY)
    for version in (policy(version=2, plate=OTHER_PLATE), policy(), policy()):
        file = on_policy(file, version, CAUSE, NOTHING).policy

    assert [version.version for version in file.versions] == [1, 2]
    assert file.plate == OTHER_PLATE


def test_every_waiting_claim_is_woken_when_the_policy_comes() -> None:
    """Each once, under its own key, in an order that does not tell who asked first; the list is empty afterwards."""
    file = PolicyFile(number=POLICY)
    for claim in ("CLM-2", "CLM-1", "CLM-2"):
        file = on_policy_wanted(file, _wanted(claim), CAUSE, NOTHING).policy

    decided = on_policy(file, policy(), CAUSE, NOTHING)

    assert [output.key for output in decided.outputs] == ["CLM-1", "CLM-2"]
    assert decided.policy.waiting == ()


def test_a_claim_that_asks_for_a_known_policy_is_woken_at_once() -> None:
    """It is not kept waiting for the next endorsement."""
    file = on_policy(PolicyFile(number=POLICY), policy(), CAUSE, NOTHING).policy

    decided = on_policy_wanted(file, _wanted("CLM-1"), CAUSE, NOTHING)

    assert ([output.key for output in decided.outputs], decided.policy.waiting) == (["CLM-1"], ())


@pytest.mark.parametrize(
    ("changes", "code"), [({"currency": "USD"}, "wrong-currency"), ({"holder_name": "投保人乙"}, "version-conflict")]
)
def test_a_version_that_cannot_be_is_refused(changes: dict[str, object], code: str) -> None:
    """Another currency than the product's, or the same version with other content."""
    file = on_policy(PolicyFile(number=POLICY), policy(), CAUSE, NOTHING).policy

    with pytest.raises(Dead) as dead:
        on_policy(file, policy(**changes), CAUSE, NOTHING)

    assert dead.value.code == code
