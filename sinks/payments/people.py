"""Two people, not one under two names."""


def same_person(one: str, other: str) -> bool:
    """However a name is spelt: small or large letters, and blanks, make no second person."""
    return "".join(one.split()).casefold() == "".join(other.split()).casefold()
