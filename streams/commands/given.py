"""Who does something by a command, and why: what the book keeps of it."""

from typing import Final

from streams.commands.failures import WrongInput

_LONGEST_NAME: Final = 64
_LONGEST_REASON: Final = 256


def given(option: str, text: str) -> str:
    """What was given, without blanks around it. Raises WrongInput when that is nothing, or too much to keep."""
    text, longest = text.strip(), _LONGEST_REASON if option == "--reason" else _LONGEST_NAME
    if not 0 < len(text) <= longest:
        raise WrongInput(f"{option} has {len(text)} characters: give it 1 to {longest}. Nothing was changed")
    return text
