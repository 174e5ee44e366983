"""A program of the bench: take one statement into the book, and print what that took, as JSON."""

import sys
import time
from pathlib import Path

from sinks.ledger.open import read_engine
from streams.bench.reconcile import ACCOUNT, CURRENCY
from streams.bench.spent import Spent
from streams.reconciliation.take import take

if __name__ == "__main__":
    url, file = sys.argv[1:]
    engine = read_engine(url)
    spent = Spent()
    taken = take(engine, Path(file), {(ACCOUNT, CURRENCY)}, time.time_ns() // 1_000_000)
    spent.show(matched=taken.payments)
