"""Finance's desk for tests: a broker with its topics, keys that sign, a ledger with the payment book, a folder."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer
from lxml import etree
from msgspec.structs import replace
from sqlalchemy import Engine, Table, delete, insert, select

from connectors.registry import EmbeddedRegistry
from schemas.codec import Codec
from schemas.days import day_number
from schemas.records import BankAccount, CancellationRequest, PaymentInstruction
from schemas.topics import INSTRUCTIONS
from sinks.ledger.open import read_engine
from sinks.ledger.tables import topics
from sinks.payments import cancellations
from streams.commands.broker import address_file
from streams.commands.export import Exported, export
from streams.settings import Settings
from tests import claims as make
from tests.embedded_kafka import PARTITIONS, EmbeddedKafka
from tests.keys import keys_in, newest_in

DAY: Final = date(2026, 4, 7)
"""A banking day, on which everything is to be paid unless told otherwise."""
DEBTOR: Final = BankAccount(name="某财产保险股份有限公司", account="1100000000000000001", bank_code="102100099996")
FOREIGN_DEBTOR: Final = replace(DEBTOR, account="1100000000000000002")
TOPICS: Final = (INSTRUCTIONS, cancellations.TOPIC, "finance.payment-status.v1")
Headers = Sequence[tuple[str, bytes]]


class FinanceDesk:
    """One desk. What `send` sends is signed as the hub signs, unless other headers are given."""

    def __init__(self, folder: Path, ledger: str, address: str) -> None:
        self.ledger = ledger
        self.out = folder / "bank"
        accounts = {"CNY": DEBTOR, "EUR": FOREIGN_DEBTOR}
        self.settings = Settings(
            ledger=ledger,
            data_dir=folder / ".claimhub",
            debtor_accounts={
                currency: {"name": it.name, "account": it.account, "bank_code": it.bank_code}
                for currency, it in accounts.items()
            },
        )
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.keys = keys_in(self.settings.keys)
        self.key = self.keys.newest_live().key_id
        self.codec = Codec(EmbeddedRegistry(), 1_000_000)
        self._seq = 0
        self.connect(address)

    def connect(self, address: str) -> None:
        """Use this broker from now on, as a hub does that starts with an embedded one."""
        address_file(self.settings).write_text(address)
        self._producer = Producer({"bootstrap.servers": address, "log_level": 0})
        rows = [{"topic": it, "id": address, "partitions": PARTITIONS, "generation": 1} for it in TOPICS]
        with self.engine() as engine, engine.begin() as book:
            book.execute(delete(topics))
            book.execute(insert(topics), rows)

    def move(self, ledger: str) -> None:
        """Go on with this ledger."""
        self.ledger = ledger
        self.settings = self.settings.model_copy(update={"ledger": ledger})

    def payment(self, number: int = 1, **changes: object) -> PaymentInstruction:
        """An instruction of 100 yuan and `number` fen, due on DAY."""
        usual: dict[str, Any] = {
            "instruction_id": f"PI{number:030}",
            "claim": f"CLM-2026-{number:06}",
            "amount_minor": 100_00 + number,
            "value_on": day_number(DAY),
        }
        return make.payment_instruction(**(usual | changes))

    def instruct(self, number: int = 1, **changes: object) -> PaymentInstruction:
        """Send such an instruction."""
        record = self.payment(number, **changes)
        self.send(record)
        return record

    def ask_back(self, payment: PaymentInstruction) -> None:
        """Send the claim's request not to pay."""
        request = CancellationRequest(
            claim=payment.claim,
            instruction_id=payment.instruction_id,
            settlement_version=payment.settlement_version,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            at_ms=payment.issued_at_ms + 1,
            cause="adjuster.decision.v1/1/0/1",
            rule="cancellations.asked",
            reason="the manager asks finance to stop it",
        )
        self.send_bytes(cancellations.TOPIC, self.codec.encode(cancellations.TOPIC, request), [])

    def send(self, record: PaymentInstruction, headers: Headers | None = None, lane: int = 1) -> Headers:
        """Send an instruction with these headers, by default new ones of the hub; which they were."""
        if headers is None:
            self._seq += 1
            place = [("lane", b"%d" % lane), ("seq", b"%d" % self._seq)]
            headers = [*place, *newest_in(self.keys)(record, lane, self._seq)]
        self.send_bytes(INSTRUCTIONS, self.codec.encode(INSTRUCTIONS, record), headers, lane)
        return headers

    def send_bytes(self, topic: str, value: bytes, headers: Headers, lane: int = 1) -> None:
        """Send a record of any bytes."""
        self._producer.produce(topic, value, b"key", lane, headers=list(headers))
        assert self._producer.flush(10) == 0

    def export(self, as_of: date = DAY, *, write: bool = True) -> Exported:
        """Export as the command does."""
        return export(self.settings, self.out if write else None, as_of.isoformat())

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """An engine over the ledger."""
        engine = read_engine(self.ledger, begin="BEGIN IMMEDIATE")
        yield engine
        engine.dispose()

    def rows(self, table: Table) -> list[Mapping[str, Any]]:
        """All rows of a table of the book."""
        with self.engine() as engine, engine.begin() as book:
            return [dict(row) for row in book.execute(select(table)).mappings()]

    def files(self) -> dict[str, etree._Element]:
        """The files in the folder that are whole, by name."""
        return {file.name: etree.fromstring(file.read_bytes()) for file in sorted(self.out.glob("*.xml"))}

    def paid(self) -> list[str]:
        """The instruction of each transfer in the payment files, as often as it stands there."""
        return sorted(
            str(id_)
            for file in self.files().values()
            for id_ in file.xpath("//*[local-name()='CdtTrfTxInf']//*[local-name()='InstrId']/text()")
        )


@contextmanager
def broker() -> Iterator[str]:
    """The address of a broker with finance's topics, empty."""
    kafka = EmbeddedKafka(TOPICS)
    yield kafka.address
    kafka.stop()
