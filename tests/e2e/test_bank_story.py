"""Money out and back, by the commands alone: ten payments, the bank's statuses, its statement, and one that comes back.

Of the ten five are matched, one is rejected, one was booked with another amount, one twice; one the bank does not know,
and one we do not.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest
from lxml import etree
from msgspec import json
from sqlalchemy import select

from schemas.records import BankAccount
from sinks.ledger.tables import payments
from sinks.payments.keys import KeyFolder
from streams.demo import bank_says as bank
from streams.demo.bank_says import Said
from streams.received import Headers
from tests import claims as make
from tests.e2e.conftest import Broker, Claimhub
from tests.e2e.filled_ledger import FilledLedger
from tests.keys import newest_in

DEBTOR: Final = BankAccount(name="某财产保险股份有限公司", account=bank.ACCOUNT, bank_code="102100099996")
MATCHED, REJECTED, AMOUNT, DUPLICATE, MISSING = range(1, 6), 6, 7, 8, 9
OPENING: Final = 1_000_000_00
FIRST, LATER = date(2026, 4, 1), date(2026, 4, 7)
"""The day the payments are made on, and the third banking day after it: the days between are a holiday."""

TOLD: Final = ("finance.payment-status.v1", "finance.statement-line.v1", "finance.payment-closure.v1")


def claim(number: int) -> str:
    return f"CLM-2026-{number:06}"


def amount(number: int) -> int:
    """What a claim is paid: its estimate, less the deductible."""
    return 500_00 + number * 100_00


class Story:
    """Nine claims up to their instructions, the commands, and the hub that takes what they tell it."""

    def __init__(self, claimhub: Claimhub, ledger: FilledLedger, kafka: Broker, folder: Path) -> None:
        self.claimhub = claimhub
        self.folder = folder
        self._ledger = ledger
        self._kafka = kafka
        self._taken = dict.fromkeys(TOLD, 0)
        for number in range(1, 10):
            policy, plate = f"POL-2026-{number:06}", make.plate(claim(number))
            parts = {"parts": 1_000_00 + number * 100_00}
            ledger.take(
                make.policy(policy_number=policy, plate=plate),
                make.notice(claim=claim(number), policy_number=policy, plate=plate),
                make.estimate(parts, claim=claim(number)),
                make.invoice(parts, claim=claim(number)),
            )
        self.ids = {number: ledger.instructions(claim(number))[0] for number in range(1, 10)}

    def instruct(self) -> None:
        """All that the hub has to say, the instructions among it, is on its way."""
        self._ledger.publish(self._kafka.address)

    def take(self) -> None:
        """The hub takes what finance told the claims since."""
        for topic in TOLD:
            for message in self._kafka.came(topic)[self._taken[topic] :]:
                self._taken[topic] += 1
                headers: Headers = message.headers() or []  # type: ignore[assignment]
                key, value = message.key(), message.value()
                assert isinstance(key, bytes) and isinstance(value, bytes)
                self._ledger.take_bytes(topic, key.decode(), value, headers)

    def reconcile(self, name: str, content: str, as_of: date = FIRST) -> dict[str, Any]:
        """Run over a file of the bank's, and let the hub take what follows."""
        ran = self.claimhub("reconcile", "run", bank.put(self.folder, name, content), "--as-of", str(as_of), "--json")
        assert ran.code == 0, ran.err
        self.take()
        found: dict[str, Any] = ran.json
        return found

    def breaks(self) -> dict[str, str]:
        """The open breaks: the id of each kind."""
        found = self.claimhub("breaks", "ls", "--json").json
        assert len({it["kind"] for it in found}) == len(found)
        return {it["kind"]: it["id"] for it in found}

    def resolve(self, kind: str, end: str) -> None:
        """Two people clear a break."""
        id_ = self.breaks()[kind]
        for person, reason in (("cashier-01", "the bank's letter of 2026-04-08"), ("treasurer-02", "I have seen it")):
            ran = self.claimhub("breaks", "resolve", id_, "--as", end, "--person", person, "--reason", reason)
            assert ran.code == 0, ran.err
        self.take()

    def states(self) -> dict[int, str]:
        """Where each claim's payment stands."""
        with self._ledger.engine() as engine, engine.begin() as connection:
            found = {row.id: row.state for row in connection.execute(select(payments.c.id, payments.c.state))}
        return {number: found[id_] for number, id_ in self.ids.items()}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def story(
    request: pytest.FixtureRequest,
    claimhub: Claimhub,
    keys: KeyFolder,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Story]:
    """The story's beginning, in each kind of ledger, with a broker of its own: finance reads it from its beginning."""
    monkeypatch.setenv("CLAIMHUB_DEBTOR_ACCOUNTS", json.encode({"CNY": DEBTOR}).decode())
    url = f"sqlite:///{tmp_path}/.claimhub/ledger.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_ledger")
        monkeypatch.setenv("CLAIMHUB_LEDGER", url)
    ledger = FilledLedger(url, newest_in(keys))
    folder = tmp_path / ".claimhub"
    kafka = Broker()
    kafka.since_now()
    (folder / "embedded-broker").write_text(kafka.address)  # as a running hub writes it
    yield Story(claimhub, ledger, kafka, tmp_path)
    kafka.stop()
    ledger.close()


def test_ten_payments_a_status_file_a_statement_and_a_return(story: Story) -> None:
    """Each is what it is, with the break it deserves and no other; the claims hear of it, the day's difference is what
    the open breaks are about, two people clear them, and in the end every promise of the ledger holds."""
    story.instruct()
    exported = story.claimhub("payments", "export", "--out", "bank", "--as-of", str(FIRST), "--json")
    assert exported.json["bad"] == [] and len(exported.json["written"]) == 1
    file = etree.parse(exported.json["written"][0])
    message = str(file.findtext(".//{*}MsgId"))
    assert sorted(it.text or "" for it in file.iterfind(".//{*}InstrId")) == sorted(story.ids.values())

    said = [Said("ACSC", story.ids[number]) for number in (*MATCHED, AMOUNT, DUPLICATE)]
    said += [Said("RJCT", story.ids[REJECTED], "AC01"), Said("ACSP", story.ids[MISSING])]
    statuses = story.reconcile("statuses.xml", bank.report(said, of=message))
    assert (statuses["files"][0]["statuses"], statuses["told"], story.breaks()) == (9, 9, {})
    assert story.states()[REJECTED] == "rejected" and story.states()[MISSING] == "accepted"

    lines = [bank.paid(amount(number), story.ids[number]) for number in (*MATCHED, DUPLICATE, DUPLICATE)]
    lines += [bank.paid(amount(AMOUNT) - 90_00, story.ids[AMOUNT]), bank.paid(777_00, "NOBODYS")]
    lines = [line._replace(booked_on=FIRST) for line in (*lines, bank.Entry(-5_00, code=bank.FEE))]
    statement = bank.statement(lines, 1, opening=OPENING, day=FIRST, message_id="BANK-1")
    (taken,) = story.reconcile("statement-1.xml", statement)["files"]
    assert (taken["payments"], taken["other"]) == (len(MATCHED) + 1, 1)
    assert taken["breaks"] == {"amount": 1, "duplicate": 1, "orphan": 1}
    assert [story.states()[number] for number in MATCHED] == ["booked"] * 5

    back = bank.returned(amount(MATCHED[0]), story.ids[MATCHED[0]], booked_on=LATER)
    closing = OPENING + sum(line.minor for line in lines)
    second = bank.statement([back], 2, opening=closing, day=LATER, message_id="BANK-2")
    ran = story.reconcile("statement-2.xml", second, as_of=LATER)
    assert (ran["missing"], ran["late"], ran["files"][0]["returns"]) == (1, 0, 1)
    assert sorted(story.breaks()) == ["amount", "duplicate", "missing", "orphan", "returned"]
    assert story.states()[MATCHED[0]] == "returned"

    first, last = story.claimhub("reconcile", "report", "--json").json
    missed = amount(MISSING) - amount(DUPLICATE) - 777_00 + 90_00
    assert (first["day"], first["opening_minor"], first["closing_minor"]) == (FIRST.isoformat(), OPENING, closing)
    assert (first["difference_minor"], first["other_minor"], first["adds_up"]) == (missed, -5_00, True)
    assert (last["ours_minor"], last["theirs_minor"], last["adds_up"]) == (amount(1), amount(1), True)
    assert (first["open_breaks"], last["open_breaks"]) == (4, 1)
    assert story.claimhub("verify").code == 0

    story.resolve("missing", "not-paid")
    for kind in ("amount", "duplicate", "orphan", "returned"):
        story.resolve(kind, "explained")
    assert story.breaks() == {} and story.states()[MISSING] == "rejected"
    told = [it["event"] for it in story.claimhub("payments", "timeline", story.ids[MISSING], "--json").json]
    assert [event for event in told if event != "claim"] == [
        "instructed",
        "taken in",
        "in file",
        "status",
        "told",
        "break",
        "proposed",
        "resolved",
        "told",
    ]
    assert story.claimhub("verify").code == 0
