"""What the book has for the claims reaches Kafka, in order and as the same events however often it is sent."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Message
from sqlalchemy import Engine, select, update

from connectors.registry import EmbeddedRegistry
from schemas.codec import Codec
from schemas.partitioner import partition_for
from schemas.records import PaymentStatus, PaymentStatusCode
from sinks.ledger.bank_tables import bank_records
from sinks.ledger.open import read_engine
from sinks.payments.records import add_records, record_row
from streams.commands.failures import Unavailable
from streams.reconciliation.publish import publish
from tests.e2e.conftest import Broker
from tests.embedded_kafka import PARTITIONS
from tests.ledgers import make_ledger

STATUS = "finance.payment-status.v1"
NOW_MS = 1_772_000_000_000


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A book with three records for two claims."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    make_ledger(url)
    opened = read_engine(url)
    codes = (PaymentStatusCode.ACCP, PaymentStatusCode.ACSP, PaymentStatusCode.ACSC)
    rows = [
        record_row(f"BE{number}", STATUS, f"CLM-{number % 2}", status(code), 5) for number, code in enumerate(codes)
    ]
    with opened.begin() as connection:
        add_records(connection, rows)
        add_records(connection, rows[:1])
    yield opened
    opened.dispose()


def status(code: PaymentStatusCode) -> PaymentStatus:
    return PaymentStatus(claim="CLM-0", instruction_id="PI1", status=code, amount_minor=1, currency="CNY", at_ms=5)


def unsent(engine: Engine) -> int:
    with engine.connect() as connection:
        return len(connection.execute(select(bank_records).where(bank_records.c.sent_at_ms.is_(None))).all())


def send(engine: Engine, address: str) -> int:
    return publish(engine, Codec(EmbeddedRegistry(), 1_000_000), {"bootstrap.servers": address}, NOW_MS)


def test_records_are_sent_once_in_order_to_the_partition_of_their_claim(engine: Engine, kafka: Broker) -> None:
    """With the headers of an event of the bank's; put down twice, one is sent."""
    assert (send(engine, kafka.address), send(engine, kafka.address), unsent(engine)) == (3, 0, 0)
    came = kafka.came(STATUS)
    by_claim = {key: [ids(it)[1] for it in came if it.key() == key] for key in (b"CLM-0", b"CLM-1")}

    assert by_claim == {b"CLM-0": ["BE0", "BE2"], b"CLM-1": ["BE1"]}
    assert all(ids(it)[0] == "claimhub-bank" for it in came)
    assert all(it.partition() == partition_for(it.key() or b"", PARTITIONS) for it in came)


def test_after_a_crash_between_sending_and_marking_the_same_event_comes_again(engine: Engine, kafka: Broker) -> None:
    """Its id is the one the claims' lanes know."""
    send(engine, kafka.address)
    with engine.begin() as connection:
        connection.execute(update(bank_records).where(bank_records.c.event_id == "BE1").values(sent_at_ms=None))
    assert send(engine, kafka.address) == 1
    assert sorted(ids(it)[1] for it in kafka.came(STATUS)) == ["BE0", "BE1", "BE1", "BE2"]


def test_what_kafka_does_not_take_stays_to_be_sent(engine: Engine, kafka: Broker) -> None:
    """All of it."""
    kafka.desynchronize()
    with pytest.raises(Unavailable, match=r"took \d of 3"):
        send(engine, kafka.address)
    assert unsent(engine) == 3 and send(engine, kafka.address) == 3


def ids(message: Message) -> list[str]:
    """Source and id of the event."""
    headers = dict(message.headers() or [])
    return [it.decode() for name in ("ce_source", "ce_id") if isinstance(it := headers[name], bytes)]
