"""What a product's contract and the regulator fix, as data with effective dates."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache, cached_property
from importlib.resources import files
from typing import Annotated, Protocol, TypeVar

from msgspec import Meta, Struct, toml

from schemas.records import BankAccount, BillKind, Fault, RecoveryKind
from streams.rules.claim import ClockKind
from streams.rules.deadlines import Calendar
from streams.rules.traces import MOST

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


Whole = Annotated[int, Meta(ge=0)]


class CompulsoryBucket(StrEnum):
    """The buckets of compulsory motor insurance."""

    DEATH_DISABILITY = "death-disability"
    MEDICAL = "medical"
    PROPERTY = "property"


class _Data(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a product file."""


class CompulsoryLimits(_Data, frozen=True, kw_only=True):
    """What compulsory motor pays at most per bucket."""

    death_disability_minor: int
    medical_minor: int
    property_minor: int

    def of(self, bucket: CompulsoryBucket) -> int:
        """The limit of one bucket."""
        match bucket:
            case CompulsoryBucket.DEATH_DISABILITY:
                return self.death_disability_minor
            case CompulsoryBucket.MEDICAL:
                return self.medical_minor
            case CompulsoryBucket.PROPERTY:
                return self.property_minor


class Compulsory(_Data, frozen=True, kw_only=True):
    """Compulsory motor's limits from a date on."""

    since: datetime
    at_fault: CompulsoryLimits
    not_at_fault: CompulsoryLimits


class AuthorityLimits(_Data, frozen=True, kw_only=True):
    """Up to which settled amount who may decide, and below which risk score nobody needs to."""

    automatic_minor: int
    handler_minor: int
    approver_minor: int
    automatic_below_risk: int


class RiskWeights(_Data, frozen=True, kw_only=True, dict=True):
    """The weight of each risk signal, and `refer_from`, the score from which a claim is referred to SIU; no score is
    above `highest`. A loss is early up to so many days after inception, a notice late more than so many hours after its
    loss; a cover was just raised up to `cover_raised_days` before the loss, and an amount is near a limit that it keeps
    below by at most `near_limit_per_cent` of it. The police record is at odds with a notice whose loss is in another
    region or more than `police_minutes` away. The same person, phone, account or vehicle is a signal in
    `repeated_claims` claims within `repeated_months`, the claim itself among them; a shop or hospital is above its
    peers when the claim comes to more with it than `peers_per_cent` of at least `peers_claims` claims."""

    highest: int
    very_early_loss: int
    very_early_days: Whole
    early_loss: int
    early_days: Whole
    late_notice: int
    late_notice_hours: Whole
    payee_changed: int
    contradicted: int
    near_limit: int
    near_limit_per_cent: Annotated[int, Meta(ge=0, le=100)]
    cover_raised: int
    cover_raised_days: Whole
    police_differs: int
    police_minutes: Whole
    other_account: int
    re_inspected: int
    same_paper: int
    refer_from: int
    repeated: int
    repeated_claims: Annotated[int, Meta(ge=2, le=MOST + 1)]
    repeated_months: Annotated[int, Meta(ge=1, le=120)]
    above_peers: int
    peers_per_cent: Annotated[int, Meta(ge=1, le=99)]
    peers_claims: int

    @cached_property
    def very_early_ms(self) -> int:
        """`very_early_days` in milliseconds."""
        return self.very_early_days * _DAY_MS

    @cached_property
    def early_ms(self) -> int:
        """`early_days` in milliseconds."""
        return self.early_days * _DAY_MS

    @cached_property
    def cover_raised_ms(self) -> int:
        """`cover_raised_days` in milliseconds."""
        return self.cover_raised_days * _DAY_MS

    @cached_property
    def late_notice_ms(self) -> int:
        """`late_notice_hours` in milliseconds."""
        return self.late_notice_hours * _HOUR_MS


class SpotChecks(_Data, frozen=True, kw_only=True):
    """Which share of the automatically approved claims is looked at again, and the seed of the draw."""

    share_bp: int
    seed: str


class ClockTerms(_Data, frozen=True, kw_only=True):
    """How many calendar days a clock has, and which article or contract says so; `reported` names the article by which
    the regulator hears when it has run out. With a `case`, such as a cover, the
    length holds for that one; without, for every other."""

    kind: ClockKind
    case: str = ""
    days: int
    source: str
    reported: str = ""


class RequiredDocument(_Data, frozen=True, kw_only=True):
    """A kind of document the claimant must send when the loss as notified is above an amount."""

    kind: str
    above_minor: int = 0


class Contracted(_Data, frozen=True, kw_only=True):
    """A hospital under contract: up to which amount its bills are guaranteed, and the account it is paid to."""

    guarantee_minor: int
    account: BankAccount


class RetentionTerms(_Data, frozen=True, kw_only=True):
    """For how many years a case file is kept after the contract ends: when that was for a year at most, or longer."""

    short_years: int
    long_years: int
    source: str


class Treaty(_Data, frozen=True, kw_only=True):
    """A reinsurance treaty: the reinsurer bears `share_bp` of what one claim costs above the threshold. It is told
    of each `step_minor` more; a share of `cash_call_minor` or more is called as soon as it is paid."""

    name: str
    threshold_minor: int
    share_bp: int
    step_minor: int
    cash_call_minor: int


class Terms(_Data, frozen=True, kw_only=True):
    """The rules of a product from a date on. `above_minor` are amounts above which more is asked, by what is asked;
    which of them a line has, its rules say. `catalogue` has how the codes of eligible bill items begin, `reserve_minor`
    what a claim of a cause costs on average, `other` being all causes it does not name. `causes` are those a cover
    names: underwriting is asked about any other; a cover without a list insures any. Settled amounts above
    `agreement_above_minor` are paid once the claimant agrees; without it none needs that. Nobody approves a changed
    payee account within `payee_cooling_off_days` calendar days; whoever owes a recovery
    has `recovery_days`, by its kind. A claimant may sue within `limitation_years` of the loss.
    Two notices whose losses are at most `same_loss_minutes` apart may be of one. Of `yearly_covers` the sum insured and
    the deductible are for all losses of a policy year together, of others for each loss. Finance is asked when
    two estimates of a repair differ by more than `estimates_per_cent`."""

    since: datetime
    above_minor: Mapping[str, int] = {}
    tolerance_minor: int = 1
    documents: tuple[RequiredDocument, ...] = ()
    catalogue: Mapping[BillKind, tuple[str, ...]] = {}
    authority: AuthorityLimits
    risk: RiskWeights
    spot_checks: SpotChecks
    liability_share: Mapping[Fault, int] = {}
    clocks: tuple[ClockTerms, ...] = ()
    contracted: Mapping[str, Contracted] = {}
    reserve_minor: Mapping[str, int] = {}
    causes: Mapping[str, tuple[str, ...]] = {}
    agreement_above_minor: int | None = None
    payee_cooling_off_days: int = 0
    retention: RetentionTerms | None = None
    recovery_days: Mapping[RecoveryKind, int] = {}
    treaty: Treaty | None = None
    limitation_years: int = 2
    same_loss_minutes: int = 0
    yearly_covers: tuple[str, ...] = ()
    estimates_per_cent: Whole = 0


class FactKind(StrEnum):
    """How a fact is written."""

    TEXT = "text"
    DATE = "date"
    NUMBER = "number"
    RESIDENT_ID = "resident-id"


class RequiredFact(_Data, frozen=True, kw_only=True):
    """Something a notice must tell before its claim can be registered: a field of the notice, else one of its
    `facts`. With `insured` the policy's fact of this name must be the same."""

    name: str
    kind: FactKind = FactKind.TEXT
    insured: bool = False


class _Dated(Protocol):
    @property
    def since(self) -> datetime: ...


D = TypeVar("D", bound=_Dated)


class Product(_Data, frozen=True, kw_only=True):
    """A product file; terms and limits are newest first. `facts` are what a notice must tell, `purpose` is the ISO
    20022 external purpose code of its payments, `calendar` has the days that clocks count. `covers` are the steps of
    the covers that no other product has, in order."""

    currency: str
    calendar: Calendar
    purpose: str = "INSC"
    facts: tuple[RequiredFact, ...] = ()
    terms: tuple[Terms, ...]
    compulsory: tuple[Compulsory, ...] = ()
    covers: Mapping[str, tuple[str, ...]] = {}

    def terms_at(self, loss_at_ms: int) -> Terms:
        """The terms for a loss at this time; the oldest ones for any loss before them."""
        return _in_force(self.terms, loss_at_ms)

    def compulsory_at(self, loss_at_ms: int) -> Compulsory:
        """Compulsory motor's limits for a loss at this time; the oldest ones for any loss before them."""
        return _in_force(self.compulsory, loss_at_ms)


@cache
def product(line: str) -> Product:
    """The product of a line of business the hub comes with."""
    return read_product(files("streams.rules").joinpath(f"products/{line}.toml").read_bytes())


def read_product(file: bytes) -> Product:
    """A product file. Raises msgspec.ValidationError naming what is wrong, and where."""
    return toml.decode(file, type=Product)


def _in_force(newest_first: tuple[D, ...], at_ms: int) -> D:
    for entry in newest_first:
        if _ms(entry.since) <= at_ms:
            return entry
    return newest_first[-1]


@cache
def _ms(since: datetime) -> int:
    return (since - _EPOCH) // _MILLISECOND
