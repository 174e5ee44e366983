"""`claimhub breaks resolve`: two people say how a break ends; the book has it, and the claim hears of it."""

import pytest
from confluent_kafka import Message
from sqlalchemy import insert, select, update

from schemas.records import BreakKind, PaymentClosure, PaymentStatusCode
from sinks.ledger.bank_tables import bank_payment_actions, bank_payments, bank_records, bank_statuses
from sinks.ledger.tables import payments
from sinks.payments.book import BankState, EntryKind
from streams.received import Headers
from streams.reconciliation.closures import TOPIC
from tests import book
from tests import claims as make
from tests.e2e.conftest import Broker, Claimhub, Ran
from tests.e2e.filled_ledger import FilledLedger
from tests.e2e.test_cli import PERSONAL
from tests.lane import CODEC


def fill(ledger: FilledLedger) -> FilledLedger:
    """A claim that is paid, of whose payment the bank says that it may have landed: nobody knows."""
    ledger.take(make.notice(), make.policy(), make.estimate(), make.invoice())
    (payment,) = ledger.instructions(make.CLAIM)
    with ledger.engine() as engine, engine.begin() as connection:
        amount: int = connection.execute(select(payments.c.amount_minor)).scalar_one()
    ledger.take(make.payment_status(payment, amount, PaymentStatusCode.RJCT, reason_code="AM05"))
    with ledger.engine() as engine, engine.begin() as connection:
        book.message(connection, total_minor=amount)
        book.payment(connection, instruction_id=payment, amount_minor=amount, state=BankState.UNKNOWN)
        about = {"instruction_id": payment, "about": payment, "sha256": None, "line": None, "element": None}
        book.raised(connection, BreakKind.MISSING, since_ms=make.LOSS_MS - 1, **about)
        book.raised(connection, BreakKind.BALANCE, instruction_id=None, claim=None, about="statement 7", sha256=None)
    return ledger


def say(claimhub: Claimhub, id_: str, end: str, person: str, *more: str) -> Ran:
    reason = "voucher 2026-0311" if person == "cashier-01" else "seen with the bank"
    return claimhub("breaks", "resolve", id_, "--as", end, "--person", person, "--reason", reason, *more)


def ids(claimhub: Claimhub, *kinds: str) -> list[str]:
    """The open breaks of these kinds, in this order."""
    found = {it["kind"]: it["id"] for it in claimhub("breaks", "ls", "--json").json}
    return [found[kind] for kind in kinds]


def states(ledger: FilledLedger) -> tuple[str, str]:
    """Where the payment stands in the book, and in its claim."""
    with ledger.engine() as engine, engine.begin() as connection:
        ours = connection.execute(select(bank_payments.c.state)).scalar_one()
        return ours, connection.execute(select(payments.c.state)).scalar_one()


def take(ledger: FilledLedger, message: Message) -> None:
    """Let the hub take what came to Kafka."""
    headers: Headers = message.headers() or []  # type: ignore[assignment]
    key, value = message.key(), message.value()
    assert isinstance(key, bytes) and isinstance(value, bytes)
    ledger.take_bytes(TOPIC, key.decode(), value, headers)


def test_two_people_say_that_a_payment_was_made(claimhub: Claimhub, kafka: Broker, filled: FilledLedger) -> None:
    """The first only proposes, the second ends the break: the book has it, the claim is told once and is paid, the
    lane's own break has ended with that, and every promise of the ledger holds."""
    unknown, missing = ids(claimhub, "unknown", "missing")
    proposed = say(claimhub, unknown, "paid", "cashier-01", "--json")
    assert proposed.json["open"] and proposed.json["proposed"] == "paid, says cashier-01: voucher 2026-0311"
    assert "once another person says so as well" in proposed.err
    assert states(filled) == ("unknown", "unknown") and kafka.came(TOPIC) == []
    resolved = say(claimhub, unknown, "paid", "treasurer-02", "--json")
    (told,) = kafka.came(TOPIC)
    take(filled, told)
    closure = CODEC.decode(TOPIC, told.value(), [])

    assert not resolved.json["open"]
    assert resolved.json["ended"] == "paid, say cashier-01 and treasurer-02: seen with the bank"
    assert [it["action"] for it in resolved.json["actions"]] == ["proposed", "resolved"]
    assert isinstance(closure, PaymentClosure)
    assert (closure.result, closure.proposed_by, closure.confirmed_by) == ("paid", "cashier-01", "treasurer-02")
    assert (closure.evidence, closure.amount_minor) == ("voucher 2026-0311", resolved.json["expected_minor"])
    assert states(filled) == ("settled", "settled")
    assert ids(claimhub, "missing") == [missing] and unknown not in claimhub("breaks", "ls").out
    assert claimhub("verify").code == 0


def test_two_people_prove_that_a_payment_was_not_made(claimhub: Claimhub, kafka: Broker, filled: FilledLedger) -> None:
    """It is dead in the book and in the claim, which has it up for approval again; nothing of it is missing."""
    (missing,) = ids(claimhub, "missing")
    say(claimhub, missing, "not-paid", "cashier-01")
    say(claimhub, missing, "not-paid", "treasurer-02")
    (told,) = kafka.came(TOPIC)
    take(filled, told)

    assert states(filled) == ("rejected", "rejected")
    assert [it["kind"] for it in claimhub("breaks", "ls", "--json").json] == ["balance"]
    assert "approval" in claimhub("work", "ls").out

    filled.take(make.decision(settlement_version=2))
    first, second = filled.instructions(make.CLAIM)
    for instruction in (first, second):
        found = claimhub("payments", "timeline", instruction, "--json").json
        assert [it["event"] for it in found].count("instructed") == 1


def test_what_is_not_two_people_or_cannot_be_is_refused(
    claimhub: Claimhub, kafka: Broker, filled: FilledLedger
) -> None:
    """With why, and nothing changed: the same person, an end for what is no payment, another end than the bank's."""
    unknown, missing, balance = ids(claimhub, "unknown", "missing", "balance")
    say(claimhub, unknown, "paid", "cashier-01")
    same = say(claimhub, unknown, "paid", " Cashier-01")
    about_nothing = say(claimhub, balance, "paid", "cashier-01")
    wrong = say(claimhub, unknown, "lost", "cashier-01")
    with filled.engine() as engine, engine.begin() as connection:
        connection.execute(update(bank_payments).values(state=BankState.SETTLED))
    contrary = say(claimhub, missing, "not-paid", "cashier-01")

    assert same.code == 1 and "another person has to confirm it" in same.err
    assert about_nothing.code == 1 and "it cannot end as paid, only as explained" in about_nothing.err
    assert wrong.code == 2 and "'lost' is not one of" in wrong.err
    assert contrary.code == 1 and "is settled: it cannot be not-paid" in contrary.err
    assert states(filled)[1] == "unknown" and kafka.came(TOPIC) == []


def test_a_break_that_is_explained_leaves_the_payment_as_it_is(
    claimhub: Claimhub, kafka: Broker, filled: FilledLedger
) -> None:
    """And nobody is told; once it is resolved nothing more can be said of it."""
    (balance,) = ids(claimhub, "balance")
    say(claimhub, balance, "explained", "cashier-01")
    say(claimhub, balance, "explained", "treasurer-02")
    again = say(claimhub, balance, "explained", "treasurer-03")

    assert balance not in claimhub("breaks", "ls").out and kafka.came(TOPIC) == []
    assert again.code == 1 and "has ended: explained, say cashier-01 and treasurer-02" in again.err
    assert states(filled) == ("unknown", "unknown")


@pytest.mark.usefixtures("filled")
def test_what_kafka_does_not_take_is_told_later(
    claimhub: Claimhub, closed_port: int, monkeypatch: pytest.MonkeyPatch, filled: FilledLedger
) -> None:
    """The break is resolved all the same, and what to tell the claim stands in the book."""
    monkeypatch.setenv("CLAIMHUB_KAFKA", f"127.0.0.1:{closed_port}")
    (unknown,) = ids(claimhub, "unknown")
    say(claimhub, unknown, "paid", "cashier-01")
    late = say(claimhub, unknown, "paid", "treasurer-02")

    assert late.code == 69 and "the break is resolved, and the claim is not told yet" in late.err
    assert states(filled) == ("settled", "unknown")
    with filled.engine() as engine, engine.begin() as connection:
        assert connection.execute(select(bank_records.c.sent_at_ms)).all() == [(None,)]


def test_the_timeline_of_a_payment_tells_all_that_happened_to_it(
    claimhub: Claimhub, kafka: Broker, filled: FilledLedger
) -> None:
    """In the order of time, each with what it rests on: the claim's decision, finance's book, the bank's file and line,
    the people. Who is paid, and from which account, is not in it; another payment is not either."""
    (instruction,) = filled.instructions(make.CLAIM)
    with filled.engine() as engine, engine.begin() as connection:
        book.payment(connection, instruction_id="PI-other", message_id=None)
        book.file(connection)
        book.entry(connection, instruction_id=instruction, kind=EntryKind.BREAK)
        said = {"sha256": book.FILE, "number": 1, "level": "transaction", "code": "RJCT", "reason_code": "AM05"}
        connection.execute(insert(bank_statuses).values(**said, instruction_id=instruction, line=7, at_ms=1))
        held = {"number": 1, "action": "held", "person": "cashier-03", "reason": "ask the claimant"}
        connection.execute(
            insert(bank_payment_actions).values(**held, instruction_id=instruction, at_ms=make.LOSS_MS + 1)
        )
    (unknown,) = ids(claimhub, "unknown")
    say(claimhub, unknown, "paid", "cashier-01")
    say(claimhub, unknown, "paid", "treasurer-02")
    for told in kafka.came(TOPIC):
        take(filled, told)
    found = claimhub("payments", "timeline", instruction, "--json").json
    shown = claimhub("payments", "timeline", instruction)

    assert [it["at"] for it in found] == sorted(it["at"] for it in found)
    of = {it["event"]: it for it in found}
    assert "approved by " in of["instructed"]["what"] and of["instructed"]["cause"].count("/") == 3
    assert of["taken in"]["what"].endswith("to be paid on 2026-04-07")
    assert (of["in file"]["cause"], of["held"]["cause"]) == ("message PM-1", "cashier-03")
    assert (of["status"]["what"], of["status"]["cause"]) == ("RJCT (AM05), of the transaction", "statement.xml, line 7")
    assert of["booked"]["cause"] == "statement.xml, line 42"
    assert {it["what"].split(":")[0] for it in found if it["event"] == "break"} >= {"missing"}
    assert of["proposed"]["cause"] == f"cashier-01, {unknown}"
    assert of["resolved"]["what"] == "treasurer-02 confirmed cashier-01's paid: seen with the bank"
    assert of["told"]["what"] == "paid"
    assert [it["what"].rpartition("[")[2] for it in found if it["event"] == "claim"] == [
        "payments.unknown]",
        "closures.paid]",
    ]
    assert "PI-other" not in shown.out and not [word for word in PERSONAL if word in shown.out]
    missing = claimhub("payments", "timeline", "PI-none")
    assert missing.code == 1 and "no payment has the id PI-none" in missing.err
