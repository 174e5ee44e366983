"""Any record of a class, as JSON-like data: a hypothesis strategy made from the class's own types."""

from typing import Any

from hypothesis import strategies as st
from msgspec import inspect

from schemas.topics import TOPICS

_SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "currency": st.sampled_from(["CNY", "JPY", "KWD"]),
    "plate": st.just("京A12345"),
    "vin": st.sampled_from([None, "1M8GDM9AXKP042788"]),
    "driver_id": st.sampled_from([None, "11010519491231002X"]),
    "account": st.from_regex(r"\A[0-9A-Za-z]{8,32}\Z"),
    "bank_code": st.just("102100099996"),
    "generation": st.integers(1, 2**31 - 1),
    "partition": st.integers(0, 2**31 - 1),
    "offset": st.integers(0, 2**63 - 1),
    "payable_minor": st.none() | st.integers(-(10**15), 10**15),
}
_INTS = ("version", "settlement_version", "policy_version", "account_version", "attempt")
# Records whose fields agree with each other (sums, unique ids, periods) are covered by the examples.
_AGREE = {
    "underwriting.policy.v1",
    "repair.estimate.v1",
    "repair.invoice.v1",
    "operations.command.v1",
    "hospital.bill.v1",
    "hospital.record.v1",
    "adjuster.decision.v1",
    "reporting.contact.v1",
    "legal.outcome.v1",
    "finance.payment-closure.v1",
}
FREE = sorted(set(TOPICS) - _AGREE)


def values(kind: inspect.Type, name: str = "") -> st.SearchStrategy[Any]:
    """Whatever a field of this type and name may hold."""
    if name in _SPECIAL:
        return _SPECIAL[name]
    if isinstance(kind, inspect.UnionType):
        return st.one_of([values(part) for part in kind.types])
    if isinstance(kind, inspect.StructType):
        return st.fixed_dictionaries({field.name: values(field.type, field.name) for field in kind.fields})
    if isinstance(kind, inspect.VarTupleType):
        return st.lists(values(kind.item_type), min_size=kind.min_length or 0, max_size=3, unique_by=repr)
    return _scalar(kind, name)


def _scalar(kind: inspect.Type, name: str) -> st.SearchStrategy[Any]:
    simple: dict[type[inspect.Type], st.SearchStrategy[Any]] = {
        inspect.NoneType: st.none(),
        inspect.BoolType: st.booleans(),
        inspect.BytesType: st.binary(max_size=20),
    }
    if isinstance(kind, inspect.DictType):
        return st.dictionaries(values(kind.key_type), values(kind.value_type), max_size=3)
    if isinstance(kind, inspect.EnumType):
        return st.sampled_from([member.value for member in kind.cls])
    if isinstance(kind, inspect.StrType):
        if kind.pattern:
            return st.from_regex(kind.pattern.replace("$", r"\Z"))
        return st.text(min_size=kind.min_length or 0, max_size=min(kind.max_length or 20, 20))
    if isinstance(kind, inspect.IntType):
        least = int(kind.gt) + 1 if kind.gt is not None else int(kind.ge or 0)
        most = 2**31 - 1 if name in _INTS else 10**15
        return st.integers(least, most if kind.le is None else min(most, int(kind.le)))
    return simple[type(kind)]
