"""What a notice must tell before its claim can be registered (domain: route plan, required facts)."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

from schemas.identifiers import check_resident_id
from schemas.records import LossNotice
from streams.outcomes import Dead
from streams.rules.product import FactKind, Product


def missing(product: Product, notice: LossNotice) -> tuple[str, ...]:
    """The names of the required facts that a notice does not tell."""
    return tuple([fact.name for fact in product.facts if _told(notice, fact.name) is None])


def _told(notice: LossNotice, name: str) -> str | None:
    """A fact by name: a field of the notice, else one of its facts."""
    return notice.facts.get(name) or getattr(notice, name, None)


def check(product: Product, notice: LossNotice) -> None:
    """Raise Dead `bad-fact` naming the fact that is not written as the product wants it."""
    for fact in product.facts:
        value = notice.facts.get(fact.name)
        if value is not None:
            try:
                _CHECKS[fact.kind](value)
            except ValueError:
                raise Dead("bad-fact", f"facts.{fact.name}: is not a {fact.kind}") from None


def other_insured(product: Product, told: Mapping[str, str], insured: Mapping[str, str]) -> str | None:
    """The name of a fact in which a policy insures something else than a notice tells; None when there is none."""
    for fact in product.facts:
        if fact.insured and told.get(fact.name) != insured.get(fact.name):
            return fact.name
    return None


def _resident_id(value: str) -> None:
    check_resident_id(value, "fact")


def _number(value: str) -> None:
    if not (value.isascii() and value.isdigit()):
        raise ValueError


_CHECKS: Final[Mapping[FactKind, Callable[[str], object]]] = {
    FactKind.TEXT: str,
    FactKind.DATE: date.fromisoformat,
    FactKind.NUMBER: _number,
    FactKind.RESIDENT_ID: _resident_id,
}
