"""What is owed: every cover as a list of exact steps over a case, rounded once per cover."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Final, TypeVar

from msgspec import Meta, Struct, ValidationError, convert, field

from streams.rules.product import CompulsoryBucket, CompulsoryLimits, Product, Whole, product

Exact = int | Fraction
T = TypeVar("T")
Rate = Annotated[int, Meta(ge=0, le=10_000)]

WHOLE_BP: Final = 10_000
HALF: Final = Fraction(1, 2)


class CoverKind(StrEnum):
    """The covers of the lines the hub comes with; any other line may bring its own."""

    COMPULSORY_MOTOR = "compulsory-motor"
    OWN_DAMAGE = "own-damage"
    THIRD_PARTY_LIABILITY = "third-party-liability"
    MEDICAL = "medical"
    HOSPITAL_ALLOWANCE = "hospital-allowance"
    DISABILITY = "disability"
    PROPERTY = "property"
    RESCUE_COST = "rescue-cost"


class CaseError(ValueError):
    """A case cannot be settled: `field` says where, the text says why and never repeats the value."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field


class CoverTerms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One cover of a case: amounts in minor units, rates in basis points."""

    cover: str
    sum_insured: Whole | None = None
    insurable_value: Annotated[int, Meta(gt=0)] | None = None
    deductible: Whole = 0
    deductible_bp: Rate = 0
    deductible_used: Whole = 0
    reimbursement_bp: Rate | None = None
    paid_by_others: Whole = 0
    paid_before: Whole = 0
    salvage: Whole = 0
    daily: Whole | None = None
    waiting_days: Whole = 0


class Case(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All a settlement rests on. `losses` gives the assessed loss of each cover that starts from one: an amount, or
    for compulsory motor an amount per bucket. `liability_share` is the insured's share of the fault in per cent;
    compulsory motor's limits are those at `loss_at_ms`, without it the newest."""

    name: str = ""
    loss_at_ms: Whole | None = None
    covers: Annotated[tuple[CoverTerms, ...], Meta(min_length=1, max_length=50)]
    losses: dict[str, int | dict[str, int]] = {}
    liability_share: Annotated[int, Meta(ge=0, le=100)] | None = None
    hospital_days: Whole | None = None
    disability_grade: Annotated[int, Meta(ge=1, le=10)] | None = None
    advances: Whole = 0
    compulsory_paid: Whole | None = None


class Step(Struct, frozen=True, gc=False):
    """One step of a cover's calculation: exact amounts before and after, as whole numbers or fractions of a minor
    unit, and the sentence that explains it."""

    step: str
    before: str
    after: str
    why: str


class CoverAmount(Struct, frozen=True, gc=False):
    """What one cover pays, and how it came about."""

    cover: str
    amount_minor: int = field(name="amount")
    steps: tuple[Step, ...] = ()


class Settlement(Struct, frozen=True, gc=False):
    """What is owed in a case; as JSON it is what `claimhub settle` prints. A payable below zero is a recovery."""

    name: str
    covers: tuple[CoverAmount, ...]
    total_minor: int = field(name="total")
    payable_minor: int = field(name="payable")


class _Cover(Struct, frozen=True, gc=False):
    """One cover at work: its terms, the case, where the terms stand in it, and what compulsory motor pays."""

    terms: CoverTerms
    case: Case
    at: str
    compulsory: int

    def need(self, value: int | None, name: str) -> int:
        """The cover's own term `name`, or CaseError when the case leaves it out."""
        if value is None:
            raise CaseError(f"{self.at}.{name}", f"is missing; {self.terms.cover} needs it")
        return value

    def need_of_case(self, value: int | None, name: str) -> int:
        """The same for a value that stands beside the covers."""
        if value is None:
            raise CaseError(name, f"is missing; {self.terms.cover} needs it")
        return value


ANNUAL_DEDUCTIBLE: Final = "annual-deductible"
Rule = Callable[[_Cover, Exact], tuple[Exact, str]]


def _less(amount: Exact, minus: int, what: str) -> tuple[Exact, str]:
    return max(amount - minus, 0), f"minus {what} {minus}, not below zero"


def _bucket_limits(cover: _Cover, amount: Exact) -> tuple[Exact, str]:
    loss, limits = _bucket_losses(cover), _compulsory_limits(cover.case)
    paid = {bucket: min(loss.get(bucket, 0), limits.of(bucket)) for bucket in CompulsoryBucket}
    words = ", ".join(f"{bucket} {paid[bucket]} (limit {limits.of(bucket)})" for bucket in CompulsoryBucket)
    return sum(paid.values()), f"the smaller of loss and limit per bucket: {words}"


def _less_compulsory(cover: _Cover, amount: Exact) -> tuple[Exact, str]:
    return _less(amount, cover.compulsory, "what compulsory motor pays")


def _less_paid_by_others(cover: _Cover, amount: Exact) -> tuple[Exact, str]:
    return _less(amount, cover.terms.paid_by_others, "what others paid")


def _less_salvage(cover: _Cover, amount: Exact) -> tuple[Exact, str]:
    return _less(amount, cover.terms.salvage, "salvage")


def _deductible_amount(cover: _Cover, amount: Exact) -> tuple[Exact, str]:
    return _less(amount, cover.terms.deductible, "deductible")


def _annual_deductible(cover: _Cover, amount: Exact) -> tuple[Exact, str]:
    left = max(cover.terms.deductible - cover.terms.deductible_used, 0)
    return _less(amount, left, "what is left of the year's deductible")


def _deductible_larger(cover: _Cover, amount: Exact) -> tuple[Exact, str]:
    by_rate = Fraction(amount * cover.terms.deductible_bp, WHOLE_BP)
    larger = max(by_rate, Fraction(cover.terms.deductible))
    words = f"minus the larger of {cover.terms.deductible} and {cover.terms.deductible_bp} bp, not below zero"
    return max(Fraction(amount) - larger, Fraction(0)), words


def _deductible_rate(cover: _Cover, amount: Exact) -> tuple[Exact, str]:
    return _share(amount, WHOLE_BP - cover.terms.deductible_bp), f"less a deductible of {cover.terms.deductible_bp} bp"


def _liability_share(cover: _Cover, amount: Exact) -> tuple[Exact, str]:
    share = cover.need_of_case(cover.case.liability_share, "liability_share")
    return _share(amount, share * 100), f"the insured's share of the fault: {share} per cent"


def _reimbursement_rate(cover: _Cover, amount: Exact) -> tuple[Exact, str]:
    rate = cover.need(cover.terms.reimbursement_bp, "reimbursement_bp")
    return _share(amount, rate), f"{rate} bp are reimbursed"


def _average(cover: _Cover, amount: Exact) -> tuple[Exact, str]:
    insured = cover.need(cover.terms.sum_insured, "sum_insured")
    value = cover.need(cover.terms.insurable_value, "insurable_value")
    if insured >= value:
        return amount, f"fully insured: {insured} of {value}"
    return amount * Fraction(insured, value), f"under-insured: {insured} of {value}"


def _daily_allowance(cover: _Cover, amount: Exact) -> tuple[Exact, str]:
    daily = cover.need(cover.terms.daily, "daily")
    days = cover.need_of_case(cover.case.hospital_days, "hospital_days")
    paid_days = max(days - cover.terms.waiting_days, 0)
    return daily * paid_days, f"{daily} a day for {paid_days} of {days} days, the first {cover.terms.waiting_days} not"


def _disability_grade(cover: _Cover, amount: Exact) -> tuple[Exact, str]:
    insured = cover.need(cover.terms.sum_insured, "sum_insured")
    grade = cover.need_of_case(cover.case.disability_grade, "disability_grade")
    return Fraction(insured * (11 - grade), 10), f"grade {grade}: {11 - grade} tenths of {insured}"


def _limit(cover: _Cover, amount: Exact) -> tuple[Exact, str]:
    if amount == 0:
        return amount, "nothing to limit"
    left = max(cover.need(cover.terms.sum_insured, "sum_insured") - cover.terms.paid_before, 0)
    return min(amount, left), f"at most {left}, what is left of the sum insured"


RULES: Final[Mapping[str, Rule]] = {
    "bucket-limits": _bucket_limits,
    "less-compulsory": _less_compulsory,
    "less-paid-by-others": _less_paid_by_others,
    "less-salvage": _less_salvage,
    "deductible-amount": _deductible_amount,
    ANNUAL_DEDUCTIBLE: _annual_deductible,
    "deductible-larger": _deductible_larger,
    "deductible-rate": _deductible_rate,
    "liability-share": _liability_share,
    "reimbursement-rate": _reimbursement_rate,
    "average": _average,
    "daily-allowance": _daily_allowance,
    "disability-grade": _disability_grade,
    "limit": _limit,
}
"""What each step does."""

Steps = Mapping[str, tuple[str, ...]]
"""The steps of each cover, in order."""

STEPS: Final[Steps] = {
    CoverKind.COMPULSORY_MOTOR: ("bucket-limits",),
    CoverKind.OWN_DAMAGE: ("less-paid-by-others", "less-salvage", "deductible-amount", "limit", "deductible-rate"),
    CoverKind.THIRD_PARTY_LIABILITY: ("less-compulsory", "liability-share", "limit", "deductible-rate"),
    CoverKind.MEDICAL: ("less-paid-by-others", ANNUAL_DEDUCTIBLE, "reimbursement-rate", "limit"),
    CoverKind.HOSPITAL_ALLOWANCE: ("daily-allowance", "limit"),
    CoverKind.DISABILITY: ("disability-grade", "limit"),
    CoverKind.PROPERTY: ("less-salvage", "average", "deductible-larger", "limit"),
    CoverKind.RESCUE_COST: ("average", "limit"),
}
WITHOUT_LOSS: Final = frozenset({CoverKind.HOSPITAL_ALLOWANCE, CoverKind.DISABILITY})


def steps_of(product: Product) -> Steps:
    """The steps of every cover, those that only this product has included. Raises CaseError for a step there is not."""
    for cover, names in product.covers.items():
        for name in names:
            if name not in RULES:
                raise CaseError(f"covers.{cover}", f"there is no step {name}; they are {', '.join(RULES)}")
    return {**STEPS, **product.covers} if product.covers else STEPS


def settle(case: Case, steps: Steps = STEPS) -> Settlement:
    """Compute what each cover pays, the total, and what is payable after advances.

    Raises CaseError naming the field a cover needs and the case does not have, or a loss that cannot be.
    """
    _check_covers(case, steps)
    _check_losses(case)
    amounts: dict[int, CoverAmount] = {}
    compulsory = 0
    for index in _compulsory_first(case.covers):
        terms = case.covers[index]
        paid_first = compulsory if case.compulsory_paid is None else case.compulsory_paid
        cover = _Cover(terms, case, f"covers[{index}]", paid_first)
        amounts[index] = _settle_cover(cover, steps[terms.cover])
        if terms.cover == CoverKind.COMPULSORY_MOTOR:
            compulsory = amounts[index].amount_minor
    total = sum(amount.amount_minor for amount in amounts.values())
    in_order = tuple(amounts[index] for index in range(len(case.covers)))
    return Settlement(case.name, in_order, total, total - case.advances)


def read_case(value: object) -> Case:
    """Read a case from decoded JSON. Raises CaseError naming the field that is wrong, unknown or missing."""
    losses = value.get("losses") if isinstance(value, dict) else None
    for name, loss in losses.items() if isinstance(losses, dict) else ():
        for bucket, amount in loss.items() if isinstance(loss, dict) else (("", loss),):
            _converted(amount, int, _loss_field(name, bucket))
    return _converted(value, Case, "")


def round_half_away(amount: Exact) -> int:
    """The nearest whole number; a half goes away from zero."""
    if isinstance(amount, int):
        return amount
    whole = int(abs(amount) + HALF)
    return whole if amount >= 0 else -whole


def _compulsory_limits(case: Case) -> CompulsoryLimits:
    """The limits of an insured at fault, unless the share of the fault is 0."""
    motor = product("motor")
    table = motor.compulsory[0] if case.loss_at_ms is None else motor.compulsory_at(case.loss_at_ms)
    return table.not_at_fault if case.liability_share == 0 else table.at_fault


def _settle_cover(cover: _Cover, names: tuple[str, ...]) -> CoverAmount:
    amount: Exact = _assessed_loss(cover)
    steps = []
    for name in names:
        before = amount
        amount, why = RULES[name](cover, before)
        steps.append(Step(name, str(before), str(amount), why))
    return CoverAmount(cover.terms.cover, round_half_away(amount), tuple(steps))


def _assessed_loss(cover: _Cover) -> int:
    kind = cover.terms.cover
    if kind in WITHOUT_LOSS:
        return 0
    if kind == CoverKind.COMPULSORY_MOTOR:
        return sum(_bucket_losses(cover).values())
    loss = cover.case.losses.get(kind)
    if not isinstance(loss, int):
        raise CaseError(f"losses.{kind}", "is missing")
    return loss


def _bucket_losses(cover: _Cover) -> Mapping[str, int]:
    loss = cover.case.losses.get(cover.terms.cover)
    if not isinstance(loss, dict):
        raise CaseError(f"losses.{cover.terms.cover}", "is missing")
    return loss


def _check_covers(case: Case, steps: Steps) -> None:
    kinds = [terms.cover for terms in case.covers]
    for index, kind in enumerate(kinds):
        if kind not in steps:
            raise CaseError(f"covers[{index}].cover", f"is no cover; they are {', '.join(sorted(steps))}")
        if kind in kinds[:index]:
            raise CaseError(f"covers[{index}].cover", f"{kind} is given twice")


def _check_losses(case: Case) -> None:
    kinds = [terms.cover for terms in case.covers]
    for name, loss in case.losses.items():
        if name not in kinds:
            raise CaseError(f"losses.{name}", "is no cover of this case")
        if isinstance(loss, dict) is not (name == CoverKind.COMPULSORY_MOTOR):
            raise CaseError(f"losses.{name}", f"is one amount; only {CoverKind.COMPULSORY_MOTOR} has buckets")
        for bucket, amount in loss.items() if isinstance(loss, dict) else (("", loss),):
            if bucket and bucket not in set(CompulsoryBucket):
                raise CaseError(_loss_field(name, bucket), f"is no bucket; they are {', '.join(CompulsoryBucket)}")
            if amount < 0:
                raise CaseError(_loss_field(name, bucket), "is below zero")


def _loss_field(name: str, bucket: str) -> str:
    return f"losses.{name}.{bucket}" if bucket else f"losses.{name}"


def _converted(value: object, kind: type[T], at: str) -> T:
    """The value as this type. msgspec names a place inside the value, `at` says where the value itself stands."""
    try:
        return convert(value, kind)
    except ValidationError as error:
        why, _, path = str(error).partition(" - at `$")
        raise CaseError(at or path.rstrip("`").lstrip(".") or "case", why) from None


def _compulsory_first(covers: tuple[CoverTerms, ...]) -> list[int]:
    return sorted(range(len(covers)), key=lambda index: covers[index].cover != CoverKind.COMPULSORY_MOTOR)


def _share(amount: Exact, rate_bp: int) -> Exact:
    return amount if rate_bp == WHOLE_BP else Fraction(amount * rate_bp, WHOLE_BP)
