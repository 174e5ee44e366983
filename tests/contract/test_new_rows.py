"""Rows that are in the book already stay as they are, on each kind of database."""

from sqlalchemy import Engine, select

from sinks.ledger.bank_tables import bank_records
from sinks.payments.new_rows import insert_new


def test_what_is_there_stays_as_it_is(book: Engine) -> None:
    """By any unique key; new rows beside it are put in, and no rows at all are no error."""
    row = {"topic": "a", "key": "b", "at_ms": 1, "value": b"first"}
    with book.begin() as connection:
        insert_new(connection, bank_records, [{**row, "event_id": "E1"}])
        insert_new(connection, bank_records, [{**row, "event_id": "E1", "value": b"x"}, {**row, "event_id": "E2"}])
        insert_new(connection, bank_records, [])
        query = select(bank_records.c.event_id, bank_records.c.value).order_by(bank_records.c.number)
        found = connection.execute(query).all()

    assert [tuple(it) for it in found] == [("E1", b"first"), ("E2", b"first")]
