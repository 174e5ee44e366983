"""What makes a line of business: its product, which covers answer for what, what must be known before a claim is
settled, and what is then owed. A line is a product file and one of these; `lines.py` lists them."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct

from streams.rules.claim import Claim, Notice, PolicyInForce, TaskKind
from streams.rules.cover_use import used_before
from streams.rules.product import Product, Terms
from streams.rules.settlement import Case, CoverTerms


class Registered(NamedTuple):
    """A claim whose facts are complete and whose policy is known, with the product's terms at the time of its loss."""

    claim: Claim
    notice: Notice
    policy: PolicyInForce
    terms: Terms


class Wanted(NamedTuple):
    """Something the claim needs from somebody now."""

    kind: TaskKind
    addressee: str
    about: str = ""


class LineRules(Struct, frozen=True):
    """One line of business.

    `covers` says which cover answers for each thing a notice may call damaged, in the order covers are settled.
    `tasks` tells what is still needed, in the order it is told; `case` is what is settled once nothing is, `so_far` the
    case by what is known before that, None when nothing is. `persons` are those of the damaged that no repair shop
    mends, with the task whose end says what was lost: a hospital's bill, or the certificate of a disability.
    """

    product: Product
    covers: Mapping[str, str]
    tasks: Callable[[Registered], Iterable[Wanted]]
    case: Callable[[Registered], Case]
    so_far: Callable[[Registered], Case | None] = lambda claim: None
    persons: Mapping[str, TaskKind] = {}

    def covered(self, notice: Notice, policy: PolicyInForce) -> tuple[str, ...]:
        """The damaged objects the policy has a cover for, in the order covers are settled."""
        damaged = notice.damaged
        return tuple([it for it, cover in self.covers.items() if it in damaged and policy.cover(cover) is not None])


def cover_terms(kind: str, claim: Registered, product: Product) -> CoverTerms:
    """The terms of a cover that the claim's policy has, with what its other claims have used of it, for a settlement.
    Raises ValueError when it has none."""
    policy = claim.policy
    cover = policy.cover(kind)
    if cover is None:
        raise ValueError(f"policy {policy.number} has no cover {kind}")
    used = used_before(kind, claim.claim, claim.notice, policy, claim.terms, product.calendar)
    return CoverTerms(
        cover=kind,
        sum_insured=cover.sum_insured_minor,
        deductible=cover.deductible_minor,
        deductible_used=used.deductible_minor,
        paid_before=used.paid_minor,
        deductible_bp=cover.deductible_bp,
        reimbursement_bp=cover.reimbursement_bp,
        daily=cover.daily_minor,
        waiting_days=cover.waiting_days,
        insurable_value=cover.insurable_value_minor,
    )
