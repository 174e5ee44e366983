"""A program of the bench: the fastest plain one that matches a statement. It reads the open payments into a dictionary
and looks each line of the statement up; it checks nothing else and keeps nothing."""

import sys

import psycopg
from lxml import etree

from streams.bench.spent import Spent

_NAMESPACE = "{urn:iso:std:iso:20022:tech:xsd:camt.053.001.08}"
_ID = f"{_NAMESPACE}NtryDtls/{_NAMESPACE}TxDtls/{_NAMESPACE}Refs/{_NAMESPACE}EndToEndId"


def match(url: str, file: str) -> int:
    """How many lines are an open payment of the very amount."""
    with psycopg.connect(url) as book:
        rows = book.execute("SELECT instruction_id, amount_minor, currency FROM bank_payments WHERE state = 'sent'")
        payments = {id_: (amount_minor, currency) for id_, amount_minor, currency in rows}
    matched = 0
    for _, entry in etree.iterparse(file, events=("end",), tag=f"{_NAMESPACE}Ntry"):
        amount = entry.find(f"{_NAMESPACE}Amt")
        id_ = entry.findtext(_ID)
        if amount is not None and id_ is not None:
            said = int((amount.text or "").replace(".", "")), amount.get("Ccy")
            matched += payments.pop(id_, None) == said
        entry.clear()
        parent = entry.getparent()
        while parent is not None and entry.getprevious() is not None:
            del parent[0]
    return matched


if __name__ == "__main__":
    spent = Spent()
    spent.show(matched=match(*sys.argv[1:]))
