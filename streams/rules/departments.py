"""The departments that read `claims.status`, as data: by which consumer group, and how far each may fall behind."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from msgspec import Struct, toml


class Department(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One department: the consumer group it reads `claims.status` with, and the age in seconds from which a version it
    has not seen is an alarm."""

    group: str
    drift_limit_s: int


@cache
def departments() -> Mapping[str, Department]:
    """Every department by name, in the order of the file."""
    data = files("streams.rules").joinpath("departments.toml").read_bytes()
    return MappingProxyType(toml.decode(data, type=dict[str, Department]))
