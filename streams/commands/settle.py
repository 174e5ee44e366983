"""`claimhub settle`: what is owed in a case, step by step, without touching the ledger."""

from pathlib import Path

from msgspec import DecodeError

from streams.commands import show
from streams.commands.failures import WrongInput
from streams.commands.json_rows import read_json
from streams.rules.product import read_product
from streams.rules.settlement import STEPS, CaseError, Settlement, Steps, read_case, settle, steps_of


def read_steps(file: Path | None) -> Steps:
    """The steps of every cover, with those that only the product in this file has. Raises WrongInput."""
    if file is None:
        return STEPS
    try:
        return steps_of(read_product(file.read_bytes()))
    except OSError as error:
        raise WrongInput(f"{file} cannot be read: {error.strerror}") from None
    except (DecodeError, CaseError) as error:
        raise WrongInput(f"{file} is no product: {error}") from None


def settle_all(text: str, steps: Steps) -> Settlement | list[Settlement]:
    """Settle the case, or each case of the list, in a JSON text. Raises WrongInput naming the case and the field."""
    value = read_json(text, "standard input")
    if isinstance(value, list):
        return [_settle(case, steps, f"case {number}: ") for number, case in enumerate(value, 1)]
    return _settle(value, steps, "")


def show_settlement(settlement: Settlement | list[Settlement]) -> None:
    """Print the covers of each case with their steps, amounts in minor units."""
    for case in settlement if isinstance(settlement, list) else [settlement]:
        rows = [
            (cover.cover, step.step, step.before, step.after, step.why) for cover in case.covers for step in cover.steps
        ]
        show.table((case.name or "cover", "step", "before", "after", "why"), rows, "no covers")
        show.pairs([(cover.cover, cover.amount_minor) for cover in case.covers])
        show.pairs([("total", case.total_minor), ("payable", case.payable_minor)])


def _settle(case: object, steps: Steps, where: str) -> Settlement:
    try:
        return settle(read_case(case), steps)
    except CaseError as error:
        raise WrongInput(f"{where}{error}") from None
