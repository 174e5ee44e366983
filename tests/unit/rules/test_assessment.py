"""Matching: buckets, supplements and what the invoice may not exceed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Bucket, EstimateLine
from streams.rules.assessment import LineDiff, bucket_totals, line_diff, match
from streams.rules.claim import KeptLine, Outcome, TaskKind
from tests.claims import LOSS_MS, OWN, THIRD, decision, estimate, finding, invoice, notice, policy
from tests.unit.rules.hub import Hub

PARTS, LABOUR = Bucket.PARTS, Bucket.LABOUR
AMOUNTS = st.dictionaries(st.sampled_from(list(Bucket)), st.integers(0, 10**9))


@pytest.mark.parametrize(
    ("estimated", "invoiced", "agreed", "excess"),
    [
        ({PARTS: 100_00}, {PARTS: 90_00}, 90_00, {}),
        ({PARTS: 100_00}, {PARTS: 100_01}, 100_00, {}),
        ({PARTS: 100_00}, {PARTS: 100_02}, 100_00, {PARTS: 2}),
        ({PARTS: 100_00}, {LABOUR: 50_00}, 0, {LABOUR: 50_00}),
        ({PARTS: 100_00, LABOUR: 50_00}, {PARTS: 120_00, LABOUR: 20_00}, 120_00, {PARTS: 20_00}),
    ],
)
def test_matching_per_bucket(
    estimated: dict[Bucket, int], invoiced: dict[Bucket, int], agreed: int, excess: dict[Bucket, int]
) -> None:
    """Below: pay the invoice. Above: the estimate, and a supplement when it is more than a fen."""
    assert match(estimated, invoiced, 1) == (agreed, excess)


@given(AMOUNTS, AMOUNTS)
def test_never_more_than_approved_nor_than_invoiced(estimated: dict[Bucket, int], invoiced: dict[Bucket, int]) -> None:
    """Whatever the papers say, also when one bucket is short and another over."""
    agreed = match(estimated, invoiced, 1).agreed_minor

    assert agreed <= min(sum(estimated.values()), sum(invoiced.values()))


def test_printed_totals_come_before_sums() -> None:
    """A bucket total on the paper is trusted; a bucket without one is summed."""
    lines = [EstimateLine(line_id=str(n), description="d", bucket=PARTS, amount_minor=33_33) for n in range(3)]
    lines.append(EstimateLine(line_id="9", description="d", bucket=LABOUR, amount_minor=10_00))

    assert bucket_totals(estimate(lines, printed={PARTS: 100_00})) == {PARTS: 100_00, LABOUR: 10_00}


def test_an_invoice_above_the_estimate_pays_no_more_until_a_supplement_is_there() -> None:
    """The agreed amount is the estimate's; nothing is settled before the supplement."""
    hub = Hub().play(policy(), notice(), estimate({"parts": 100_00}), invoice({"parts": 120_00}))

    assert hub.claim.assessed[0].agreed_minor == 100_00
    assert hub.tasks == [TaskKind.SUPPLEMENT]
    assert hub.claim.settlement is None

    hub.play(estimate({"parts": 120_00}, version=2))

    assert hub.claim.assessed[0].agreed_minor == 120_00
    assert hub.claim.outcome is Outcome.APPROVED
    assert "0 lines added, 1 changed, 0 removed, +20.00 CNY" in hub.decisions[-1].reason


def test_a_corrected_invoice_answers_an_excess_too() -> None:
    """A later invoice replaces the earlier one; an older one changes nothing."""
    hub = Hub().play(policy(), notice(), estimate({"parts": 100_00}), invoice({"parts": 120_00}))
    hub.play(invoice({"parts": 90_00}, number="0", issued_at_ms=LOSS_MS))
    assert hub.claim.assessed[0].excess

    hub.play(invoice({"parts": 99_00}, number="2"))

    assert (hub.claim.assessed[0].agreed_minor, hub.claim.outcome) == (99_00, Outcome.APPROVED)


def test_a_late_older_version_never_replaces_a_newer() -> None:
    """S02 stands when S01 comes after it; the first version only opens the count."""
    versions = (1, 3, 2)
    hub = Hub().play(policy(), notice(), *(estimate({"parts": n * 100_00}, version=n) for n in versions))

    assert (hub.claim.assessed[0].version, hub.claim.assessed[0].buckets) == (3, {PARTS: 300_00})


def test_a_supplement_waits_for_its_estimate() -> None:
    """S01 before E01 waits, then both apply."""
    hub = Hub().play(policy(), notice(), estimate({"parts": 5_00}, version=2))
    assert [park.until for _, park in hub.waiting] == [{"repair.estimate.v1"}]

    hub.play(estimate())

    assert (hub.claim.assessed[0].version, len(hub.waiting)) == (2, 0)


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (estimate(currency="USD"), "wrong-currency"),
        (invoice(currency="JPY"), "wrong-currency"),
        (finding(currency="USD"), "wrong-currency"),
        (estimate(shop="shop-02", version=2), "other-shop"),
        (invoice(shop="shop-02"), "other-shop"),
        (estimate({"parts": 1}), "version-conflict"),
        (estimate(damaged=THIRD), "not-covered"),
    ],
)
def test_what_does_not_belong_is_refused(record: object, code: str) -> None:
    """Other currency, shop, content or object: a dead letter, and the claim stays as it was."""
    hub = Hub().play(policy(), notice(), estimate())
    before = hub.claim

    hub.play(record)  # type: ignore[arg-type]

    assert [dead.code for dead in hub.dead] == [code]
    assert hub.claim == before


def test_one_paper_is_not_taken_for_two_objects() -> None:
    """Issuer, code and number name the paper."""
    hub = Hub().play(policy(), notice(damaged=(OWN, THIRD)), estimate(), estimate(damaged=THIRD))

    hub.play(invoice(), invoice(damaged=THIRD))

    assert [dead.code for dead in hub.dead] == ["same-paper"]


def test_after_approval_nothing_changes_the_money() -> None:
    """A supplement, an invoice, a notice and a decision after it are too late."""
    hub = Hub().play(policy(), notice(), estimate(), invoice())
    paid = hub.payments

    hub.play(estimate({"parts": 9_00}, version=2), invoice({"parts": 1}, number="2"), notice(), decision())

    assert [dead.code for dead in hub.dead] == ["too-late"] * 4
    assert hub.payments == paid


def _line(line_id: str, part: str | None, description: str, amount: int) -> KeptLine:
    return KeptLine(line_id, part, description, PARTS, amount)


def test_lines_pair_by_id_then_part_then_description() -> None:
    """A line that got another id or part number is still the same line."""
    before = [_line("1", "P1", "bumper", 10), _line("2", "P2", "lamp", 20), _line("3", None, "paint", 30)]
    after = [_line("1", "P1", "bumper", 10), _line("7", "P2", "headlamp", 25), _line("8", None, "paint", 30)]

    assert line_diff(before, after) == LineDiff(0, 0, 1, 5)
    assert line_diff(before, after[:1]) == LineDiff(0, 2, 0, -50)
    assert line_diff(before[:1], after) == LineDiff(2, 0, 0, 55)
