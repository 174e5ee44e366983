"""How people clear a break, on each kind of database: two of them, and nothing they did is ever changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from sinks.ledger.bank_tables import break_actions
from sinks.payments.book import BreakAction, Resolution
from streams.reconciliation.clearing import Refused, Standing, assign, keep, read_standings, resolve

BREAK = "BK-1"
PAID, NOT_PAID, EXPLAINED = Resolution.PAID, Resolution.NOT_PAID, Resolution.EXPLAINED


def standing(book: Engine) -> Standing:
    """How far people have come with the break."""
    with book.connect() as connection:
        return read_standings(connection, BREAK).get(BREAK, Standing())


def say(book: Engine, person: str, end: Resolution, at_ms: int = 1) -> None:
    """One person says how the break ends."""
    with book.begin() as connection:
        before = read_standings(connection, BREAK).get(BREAK, Standing())
        keep(connection, resolve(before, BREAK, person, end, "seen on the statement", at_ms))


def test_a_break_ends_when_another_person_says_the_same(book: Engine) -> None:
    """Before that it is proposed only; who owns it stays who was given it last; all is kept in order."""
    with book.begin() as connection:
        keep(connection, assign(Standing(), BREAK, "clerk-1", "clerk-2", "knows the bank", 1))
    say(book, "clerk-2", PAID, 2)
    proposed = standing(book)
    say(book, "clerk-3", PAID, 3)
    resolved = standing(book)

    assert proposed.owner == "clerk-2" and proposed.resolved is None
    assert proposed.proposed is not None and proposed.proposed.person == "clerk-2"
    assert resolved.resolved is not None and resolved.proposed is None
    ended = resolved.resolved
    assert (ended.number, ended.resolution, ended.proposed_by, ended.person) == (3, PAID, "clerk-2", "clerk-3")
    assert [it.action for it in resolved.actions] == ["assigned", "proposed", "resolved"]


def test_the_same_person_cannot_confirm(book: Engine) -> None:
    """Nor under the same name spelt otherwise."""
    say(book, "clerk-2", PAID)
    for name in ("clerk-2", "Clerk-2", " clerk - 2 "):
        with pytest.raises(Refused, match="another person has to confirm it"):
            say(book, name, PAID)
    assert len(standing(book).actions) == 1


def test_another_resolution_takes_the_place_of_the_proposal(book: Engine) -> None:
    """And needs a confirmation of its own: that of whoever proposed the other one will do."""
    say(book, "clerk-2", PAID)
    say(book, "clerk-3", NOT_PAID)
    changed = standing(book)
    say(book, "clerk-2", NOT_PAID)

    assert changed.resolved is None and changed.proposed is not None and changed.proposed.person == "clerk-3"
    ended = standing(book).resolved
    assert ended is not None and (ended.resolution, ended.proposed_by) == (NOT_PAID, "clerk-3")


def test_resolved_is_final(book: Engine) -> None:
    """Neither another resolution nor another owner."""
    say(book, "clerk-2", EXPLAINED)
    say(book, "clerk-3", EXPLAINED)
    with pytest.raises(Refused, match=r"resolved as explained by clerk-2 and clerk-3, and that is final"):
        say(book, "clerk-4", PAID)
    with pytest.raises(Refused, match="final"):
        assign(standing(book), BREAK, "clerk-4", "clerk-4", "mine", 9)


def test_of_two_at_the_same_moment_one_is_told_to_look_again(book: Engine) -> None:
    """Both have read the same proposal: one confirmation is kept."""
    say(book, "clerk-2", PAID)
    before = standing(book)
    with book.begin() as connection:
        keep(connection, resolve(before, BREAK, "clerk-3", PAID, "I saw it", 2))
    with pytest.raises(Refused, match="at the same moment"), book.begin() as connection:
        keep(connection, resolve(before, BREAK, "clerk-4", NOT_PAID, "I did not", 2))
    ended = standing(book).resolved
    assert ended is not None and ended.person == "clerk-3"


@pytest.mark.parametrize("proposed_by", ["clerk-2", None])
def test_the_database_refuses_a_resolution_of_one_person(book: Engine, proposed_by: str | None) -> None:
    """Whatever a program makes of it."""
    row = {"break_id": BREAK, "number": 1, "action": BreakAction.RESOLVED, "person": "clerk-2", "reason": "so"}
    values = {**row, "resolution": PAID, "proposed_by": proposed_by, "at_ms": 1}
    with pytest.raises(IntegrityError, match="two_people"), book.begin() as connection:
        connection.execute(insert(break_actions).values(values))


@pytest.mark.parametrize("change", ["UPDATE break_actions SET person = 'clerk-9'", "DELETE FROM break_actions"])
def test_what_people_did_is_append_only(book: Engine, change: str) -> None:
    """The database itself refuses to change it."""
    say(book, "clerk-2", PAID)
    with pytest.raises(DBAPIError, match="append-only"), book.begin() as connection:
        connection.execute(text(change))


@given(
    calls=st.lists(
        st.tuples(st.sampled_from(["clerk-1", "CLERK-1", "clerk-2", "clerk-3"]), st.sampled_from([*Resolution, None])),
        max_size=12,
    )
)
def test_whoever_says_what_in_whatever_order_two_people_end_it_or_nobody(
    calls: list[tuple[str, Resolution | None]],
) -> None:
    """The last proposal before the end is another person's and says the same; nothing comes after it."""
    standing = Standing()
    for person, end in calls:
        try:
            if end is None:
                did = assign(standing, BREAK, person, person, "mine", 1)
            else:
                did = resolve(standing, BREAK, person, end, "so", 1)
        except Refused:
            continue
        assert standing.resolved is None
        standing = Standing((*standing.actions, did))
    proposals = [it for it in standing.actions if it.action is BreakAction.PROPOSED]
    ended = standing.resolved

    assert [it.number for it in standing.actions] == list(range(1, len(standing.actions) + 1))
    if ended is not None:
        assert standing.actions[-1] is ended and proposals[-1].resolution is ended.resolution
        assert proposals[-1].person == ended.proposed_by
        assert ended.person.casefold() != proposals[-1].person.casefold()
