"""From the topic of instructions to files for the bank, on both databases: each payment once, and none that is not
genuine."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, event

from schemas.days import day_number
from schemas.records import BankAccount
from schemas.topics import INSTRUCTIONS
from sinks.ledger.bank_tables import bank_breaks, bank_cancellations, bank_messages, bank_payments, bank_records
from sinks.payments.book import BankState, CancellationState
from sinks.payments.files import NotWritten
from sinks.payments.following import RecordsGone
from sinks.payments.holds import NotHeld, hold, release
from streams.commands.failures import WrongInput
from tests.finance_desk import DAY, DEBTOR, FinanceDesk, broker
from tests.ledgers import make_ledger

AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
NEXT_DAY_MS = 1_775_606_400_000  # 2026-04-08, 08:00 in Shanghai


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FinanceDesk]:
    """A desk on each kind of database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/ledger.db"
        make_ledger(url)
    else:
        url = request.getfixturevalue("postgres_ledger")
    with broker() as address:
        yield FinanceDesk(tmp_path, url, address)


def states(desk: FinanceDesk) -> dict[str, str]:
    return {row["instruction_id"]: row["state"] for row in desk.rows(bank_payments)}


def test_what_is_due_is_written_into_one_file(desk: FinanceDesk) -> None:
    """With the sums of the book; a second export takes nothing in and writes nothing."""
    ids = [desk.instruct(n).instruction_id for n in (1, 2, 3)]
    first, again = desk.export(), desk.export()

    (message,) = desk.rows(bank_messages)
    (file,) = desk.out.iterdir()
    assert (first.new, again.new, again.repeats, again.written) == (3, 0, 0, [])
    assert desk.paid() == ids and set(states(desk).values()) == {BankState.SENT}
    assert first.written == [str(file)] == [message["file"]] and file.name == f"{message['message_id']}.xml"
    assert (message["transactions"], message["total_minor"], message["execute_on"]) == (3, 300_06, DAY)
    assert message["sha256"] == sha256(file.read_bytes()).hexdigest() and message["content"] is None
    assert file.stat().st_mode & 0o077 == 0


def test_looking_writes_no_file(desk: FinanceDesk) -> None:
    """Sums by account and value date, the account by its last digits; what is due later says so."""
    desk.instruct(1)
    desk.instruct(2)
    desk.instruct(3, value_on=None, issued_at_ms=NEXT_DAY_MS)
    found = desk.export(write=False)

    assert [(it.account, it.value_on, it.payments, it.amount_minor, it.now) for it in found.due] == [
        ("…0001", "2026-04-07", 2, 200_03, True),
        ("…0001", "2026-04-08", 1, 100_03, False),
    ]
    assert not desk.out.exists() and set(states(desk).values()) == {BankState.DUE}


def test_each_currency_and_cut_off_has_a_file_of_its_own(desk: FinanceDesk) -> None:
    """What a holiday held up is made on the next banking day; a currency without an account waits and is named."""
    desk.instruct(1, value_on=day_number(DAY) - 4)
    desk.instruct(2, currency="EUR")
    desk.instruct(3, currency="USD")
    desk.instruct(4, value_on=None, issued_at_ms=NEXT_DAY_MS)
    early = desk.export(date(2026, 4, 5))
    found = desk.export()

    files = {(it["currency"], it["account"][-1], it["transactions"]) for it in desk.rows(bank_messages)}
    assert files == {("CNY", "1", 1), ("EUR", "2", 1)} and len(early.written) == len(found.written) == 1
    assert early.execute_on == "2026-04-07" and {it["execute_on"] for it in desk.rows(bank_messages)} == {DAY}
    assert found.without_account == ["USD"] and not found.ok
    assert states(desk)[f"PI{3:030}"] == states(desk)[f"PI{4:030}"] == BankState.DUE


def test_an_instruction_that_comes_again_is_paid_once(desk: FinanceDesk) -> None:
    """Before and after it is in a file, in the same page or later, and with another content too: the first stands."""
    record = desk.instruct(1)
    desk.instruct(1)
    desk.export()
    desk.instruct(1)
    desk.instruct(1, amount_minor=999_99)
    again = desk.export()

    assert desk.paid() == [record.instruction_id] and len(desk.rows(bank_messages)) == 1
    assert (again.new, again.repeats) == (0, 1)
    assert [what.partition(" says ")[2] for what in again.bad] == [
        f"instruction {record.instruction_id} otherwise than it came before; the first one stands"
    ]
    assert desk.rows(bank_payments)[0]["amount_minor"] == 100_01


def test_a_forged_instruction_is_never_paid_and_takes_no_genuine_ones_place(desk: FinanceDesk) -> None:
    """Another payee under a genuine signature, none, a made-up one: refused with the reason, and the genuine
    instruction that comes later under the same id is paid."""
    genuine = desk.instruct(1)
    thief = BankAccount(name="别人", account="6222020200099999999", bank_code="102100099996")
    headers = desk.send(replace(genuine, instruction_id=f"PI{2:030}"))
    desk.send(replace(genuine, instruction_id=f"PI{2:030}", payee=thief), headers)
    desk.send(replace(genuine, instruction_id=f"PI{3:030}"), [])
    forged = replace(genuine, instruction_id=f"PI{4:030}", payee=thief)
    desk.send(forged, [(name, value if name != "signature" else b"\0" * 64) for name, value in headers])
    found = desk.export()

    assert desk.paid() == [f"PI{1:030}", f"PI{2:030}"]
    assert states(desk) == {
        f"PI{1:030}": "sent",
        f"PI{2:030}": "sent",
        f"PI{3:030}": "refused",
        f"PI{4:030}": "refused",
    }
    assert len(found.bad) == 3 and not found.ok and len(found.refused) == 2
    assert not [what for what in (*found.bad, *(it.reason for it in found.refused)) if "别人" in what or "9999" in what]
    desk.send(replace(forged, payee=genuine.payee))
    assert desk.export().new == 1 and desk.paid() == [f"PI{1:030}", f"PI{2:030}", f"PI{4:030}"]


def test_what_a_revoked_key_signed_is_refused_though_it_was_taken_in_before(desk: FinanceDesk) -> None:
    """Unless it is in a file already; the reason names the key."""
    desk.instruct(1)
    desk.export()
    desk.instruct(2)
    assert desk.export(write=False).ok
    desk.keys.make("key-admin-01", "the next one", AT)
    desk.keys.revoke(desk.key, "key-admin-01", "a laptop was lost", AT)
    desk.instruct(3)
    found = desk.export()

    assert [(it.instruction_id, it.reason) for it in found.refused] == [
        (f"PI{2:030}", f"signed with key {desk.key}, which is revoked")
    ]
    assert desk.paid() == [f"PI{1:030}", f"PI{3:030}"]


def test_what_was_signed_with_a_key_that_is_not_here_yet_waits_for_it(desk: FinanceDesk) -> None:
    """Refused, and due as soon as keys.json has the key."""
    desk.instruct(1)
    known = desk.keys.file.read_bytes()
    desk.keys.file.write_bytes(b'{"keys":[]}')
    assert [it.instruction_id for it in desk.export().refused] == [f"PI{1:030}"]
    desk.keys.file.write_bytes(known)

    assert desk.export().ok and desk.paid() == [f"PI{1:030}"]


def test_a_record_that_cannot_be_read_is_a_break_and_holds_up_nothing(desk: FinanceDesk) -> None:
    """With its place, once; what came after it is taken in."""
    desk.send_bytes(INSTRUCTIONS, b"no Avro \xff", [])
    desk.instruct(1)
    found = desk.export()
    desk.export()

    (broken,) = desk.rows(bank_breaks)
    assert (broken["kind"], broken["about"]) == ("unreadable", f"{INSTRUCTIONS}/1/0")
    assert len(found.bad) == 1 and desk.paid() == [f"PI{1:030}"]


def test_what_a_file_cannot_carry_is_held_and_the_others_go(desk: FinanceDesk) -> None:
    """With the field and no value; released, it is held again."""
    payee = replace(DEBTOR, name="甲" * 141)
    desk.instruct(1, payee=payee)
    desk.instruct(2)
    desk.export()
    with desk.engine() as engine, engine.begin() as book:
        release(book, f"PI{1:030}", "cashier-01", "try again", 1)
    found = desk.export()

    assert [(it.by, it.reason) for it in found.held] == [
        ("claimhub", f"instruction PI{1:030}: payee.name is longer than 140 characters")
    ]
    assert desk.paid() == [f"PI{2:030}"]


def test_a_held_payment_is_in_no_file_until_somebody_else_releases_it(desk: FinanceDesk) -> None:
    """Who holds it does not release it; what is in a file cannot be held; both are kept with person and reason."""
    desk.instruct(1)
    desk.instruct(2)
    desk.export(write=False)
    with desk.engine() as engine, engine.begin() as book:
        hold(book, f"PI{1:030}", "cashier-01", "the payee has called", 1)
    found = desk.export()
    assert desk.paid() == [f"PI{2:030}"]
    assert [(it.by, it.reason) for it in found.held] == [("cashier-01", "the payee has called")]
    with desk.engine() as engine:
        with pytest.raises(NotHeld, match="somebody else has to release it"), engine.begin() as book:
            release(book, f"PI{1:030}", "cashier-01", "it is right", 2)
        with pytest.raises(NotHeld, match="is sent: only a payment that is due"), engine.begin() as book:
            hold(book, f"PI{2:030}", "cashier-01", "too late", 2)
        with engine.begin() as book:
            release(book, f"PI{1:030}", "cashier-02", "it is right", 3)
    desk.export()

    assert desk.paid() == [f"PI{1:030}", f"PI{2:030}"]


def test_what_its_claim_asks_back_before_it_is_in_a_file_is_never_paid(desk: FinanceDesk) -> None:
    """Also when the request is read before its payment, and when the payment is held or comes again; the claim is told
    once that it is cancelled."""
    early = desk.payment(1)
    desk.ask_back(early)
    desk.export()
    desk.send(early)
    held = desk.instruct(2)
    desk.export(write=False)
    with desk.engine() as engine, engine.begin() as book:
        hold(book, held.instruction_id, "cashier-01", "the payee has called", 1)
    desk.ask_back(held)
    desk.ask_back(held)
    desk.export()
    desk.send(early)
    desk.export()

    assert set(states(desk).values()) == {BankState.CANCELLED} and not desk.paid()
    assert sorted(it["event_id"] for it in desk.rows(bank_records)) == [f"cancelled/PI{1:030}", f"cancelled/PI{2:030}"]
    assert all(it["sent_at_ms"] for it in desk.rows(bank_records))
    assert {it["state"] for it in desk.rows(bank_cancellations)} == {CancellationState.DONE}


def test_what_is_in_a_file_is_asked_back_from_the_bank_once(desk: FinanceDesk) -> None:
    """In a camt.055 that names the payment and the file; one that has ended is too late."""
    first, second, third = (desk.instruct(n) for n in (1, 2, 3))
    desk.export()
    for payment in (first, second):
        desk.ask_back(payment)
    desk.export()
    desk.export()

    asked = {name: file for name, file in desk.files().items() if name.startswith("CX")}
    (file,) = asked.values()
    message = next(it for it in desk.rows(bank_messages) if it["kind"] == "pain.001")
    ns = {"c": "urn:iso:std:iso:20022:tech:xsd:camt.055.001.08"}
    assert file.xpath("//c:OrgnlInstrId/text()", namespaces=ns) == [first.instruction_id, second.instruction_id]
    assert file.xpath("//c:OrgnlMsgId/text()", namespaces=ns) == [message["message_id"]]
    assert file.xpath("//c:CtrlSum/text()", namespaces=ns) == ["200.03"]
    assert {it["state"] for it in desk.rows(bank_cancellations)} == {CancellationState.SENT}
    assert not desk.rows(bank_records) and states(desk)[third.instruction_id] == BankState.SENT


def test_a_file_of_that_name_with_other_content_is_never_written_over(desk: FinanceDesk) -> None:
    """The error names it; once it is moved away the same bytes are written."""
    desk.instruct(1)
    desk.export()
    (file,) = desk.out.iterdir()
    right = file.read_bytes()
    forget_that_it_is_there(desk, right)
    file.write_bytes(b"something else")
    with pytest.raises(NotWritten, match=file.name):
        desk.export()
    assert file.read_bytes() == b"something else"
    file.unlink()
    desk.export()

    assert file.read_bytes() == right


def forget_that_it_is_there(desk: FinanceDesk, content: bytes) -> None:
    """As after a crash between the commit and the file."""
    with desk.engine() as engine, engine.begin() as book:
        book.execute(bank_messages.update().values(content=content))


def test_a_folder_that_cannot_be_one_is_said_before_anything_is_sent(desk: FinanceDesk) -> None:
    """And the payments stay due."""
    desk.instruct(1)
    desk.out.write_text("a file")
    with pytest.raises(WrongInput, match="--out"):
        desk.export()
    assert desk.rows(bank_payments) == []


def test_records_that_are_gone_unread_are_an_error(desk: FinanceDesk) -> None:
    """Nothing is taken in past records that nobody has seen."""
    desk.instruct(1)
    desk.export(write=False)
    with desk.engine() as engine, engine.begin() as book:
        book.exec_driver_sql("UPDATE bank_positions SET next = 5")
    with pytest.raises(RecordsGone, match=r"partition \d is read up to 5, and its log holds 0 to"):
        desk.export()


def test_an_embedded_broker_that_starts_anew_is_read_from_its_beginning(desk: FinanceDesk) -> None:
    """Its log is another one; what the book has is known by its id."""
    first = desk.instruct(1)
    desk.export()
    with broker() as address:
        desk.connect(address)
        desk.send(first)
        desk.instruct(2)
        found = desk.export()

    assert (found.new, found.repeats, desk.paid()) == (1, 1, [f"PI{1:030}", f"PI{2:030}"])


def test_exports_at_the_same_time_write_each_file_once(desk: FinanceDesk) -> None:
    """Whoever comes first takes a page in, sends what is due and writes the file; the others find it done."""
    ids = [desk.instruct(n).instruction_id for n in range(1, 31)]
    desk.ask_back(desk.instruct(31))
    with ThreadPoolExecutor(4) as runs:
        found = [run.result() for run in [runs.submit(desk.export) for _ in range(4)]]

    assert desk.paid() == ids and len(desk.rows(bank_messages)) == len(list(desk.out.iterdir()))
    assert sum(it.new for it in found) == 31 and sum(it.repeats for it in found) == 0
    written = [file for it in found for file in it.written]
    assert sorted(written) == sorted(map(str, desk.out.iterdir()))
    assert [it["event_id"] for it in desk.rows(bank_records)] == [f"cancelled/PI{31:030}"]


def test_a_payment_held_while_it_is_put_into_a_file_stays_out_of_it(postgres_ledger: str, tmp_path: Path) -> None:
    """What was read as due and is no longer when the file is committed: the file is made anew without it."""
    held: list[str] = []
    with broker() as address:
        found = FinanceDesk(tmp_path, postgres_ledger, address)
        found.instruct(1)
        found.instruct(2)

        def hold_now(_: Connection, __: object, statement: str, *___: object) -> None:
            if statement.startswith("UPDATE bank_payments SET state") and not held:
                held.append(statement)
                with found.engine() as engine, engine.begin() as book:
                    hold(book, f"PI{1:030}", "cashier-01", "the payee has called", 1)

        event.listen(Engine, "before_cursor_execute", hold_now)
        try:
            found.export()
        finally:
            event.remove(Engine, "before_cursor_execute", hold_now)

    assert held and found.paid() == [f"PI{2:030}"]
    assert [row["transactions"] for row in found.rows(bank_messages)] == [1]
