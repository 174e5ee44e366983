"""Reads JSON a person gives: strictly, and with the line of what is wrong."""

import json
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

from streams.commands.failures import WrongInput


class Row(NamedTuple):
    """One value of a file, and where in the file it stands."""

    where: str
    value: object


def read_json(text: str, name: str, line: int | None = None) -> object:
    """The value of a JSON text. A number with a fraction becomes a Decimal, which fits no field of whole units.

    `name` is the file's, `line` the text's line in it when it is one. Raises WrongInput for what is no JSON, a name
    given twice in one object, NaN or too deep nesting.
    """
    where = name if line is None else f"{name} line {line}"
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_number, object_pairs_hook=_without_twins)
    except json.JSONDecodeError as error:
        number = error.lineno + (line or 1) - 1
        raise WrongInput(f"{name} line {number} column {error.colno}: not JSON ({error.msg})") from None
    except RecursionError:
        raise WrongInput(f"{where}: nested too deeply") from None
    except ValueError as error:
        raise WrongInput(f"{where}: {error}") from None


def read_rows(text: str, name: str) -> list[Row]:
    """The values of a JSON text: the one it holds, those of its list, or one per line (NDJSON). Raises WrongInput."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if len(lines) > 1 and _is_json(lines[0][1]):
        return [Row(f"{name} line {n}", read_json(line, name, n)) for n, line in lines]
    value = read_json(text, name)
    if isinstance(value, list):
        return [Row(f"{name} row {number}", row) for number, row in enumerate(value, 1)]
    return [Row(name, value)]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")


def _without_twins(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        names = [name for name, _ in members]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the field {twin} twice")
    return found
