"""`claimhub work`: a person's queue, and acting on it. What is sent is what the hub takes."""

import pytest
from confluent_kafka import Message

from schemas.records import ContactKind, Role
from streams.commands.work import DECISION
from streams.received import Headers
from tests import claims as make
from tests.e2e.conftest import Broker, Claimhub, Ran
from tests.e2e.filled_ledger import FilledLedger
from tests.e2e.test_cli import PERSONAL, UNKNOWN_CLAIM

LARGE, SMALL, ASKED = "CLM-2026-000008", make.CLAIM, "CLM-2026-000009"
ANSWER = "finance.amount-answer.v1"


def fill(ledger: FilledLedger) -> FilledLedger:
    """A claim that a handler decides, one that two must, one that finance is asked about, and one without a task."""
    cover = type(make.OWN_DAMAGE)(cover="own-damage", sum_insured_minor=2_000_000_00)
    ledger.take(make.policy(covers=(cover,)))
    for number, (claim, amount) in enumerate(((SMALL, 40_000_00), (LARGE, 60_000_00), (ASKED, 250_000_00))):
        ledger.take(
            make.notice(claim=claim, estimated_loss_minor=500_000_00),
            make.finding(claim=claim),
            make.estimate({"parts": amount}, claim=claim),
            make.invoice({"parts": amount}, claim=claim, number=f"0000000{number}", sha256=f"{number:064x}"),
        )
    ledger.take(make.notice(claim="CLM-2026-000010", estimated_loss_minor=3_000_00))
    return ledger


@pytest.fixture
def queue(ledger: FilledLedger) -> FilledLedger:
    """The claims, in SQLite."""
    return fill(ledger)


def act(claimhub: Claimhub, verb: str, claim: str, by: str, role: str, *more: str) -> Ran:
    return claimhub("work", verb, claim, "--by", by, "--role", role, "--reason", "定损与发票相符", *more)


def take(ledger: FilledLedger, message: Message) -> None:
    """Let the hub take what a command sent."""
    topic, key, value = message.topic(), message.key(), message.value()
    headers: Headers = message.headers() or []  # type: ignore[assignment]
    assert topic and isinstance(key, bytes) and isinstance(value, bytes)
    ledger.take_bytes(topic, key.decode(), value, headers)


@pytest.mark.usefixtures("filled")
def test_the_queue_has_what_people_decide_and_answer_and_nothing_else(claimhub: Claimhub) -> None:
    """With amount, next deadline, and what led to it; an amount check has a deadline of its own.
    A survey or an estimate is not decided here."""
    found = claimhub("work", "ls", "--json").json
    shown = claimhub("work", "ls")

    assert [(it["claim"], it["task"], it["role"], it["amount_minor"], it["due"][:10]) for it in found] == [
        (ASKED, "amount-check", "finance", 250_000_00, "2026-04-02"),
        (SMALL, "approval", "handler", 40_000_00, "2026-05-01"),
        (LARGE, "approval", "handler", 60_000_00, "2026-05-01"),
    ]
    assert all(
        it["cause"].startswith("repair.invoice.v1/") and "settlement 1: own-damage" in it["reason"] for it in found
    )
    assert all(it["age_s"] > 0 for it in found)
    assert "40 000.00 CNY" in shown.out
    assert not [word for word in PERSONAL if word in shown.out + shown.err]
    assert [it["claim"] for it in claimhub("work", "ls", "--role", "finance", "--json").json] == [ASKED]
    assert claimhub("work", "ls", "--role", "manager").out == ""


def test_two_people_approve_and_the_claim_is_paid(claimhub: Claimhub, kafka: Broker, queue: FilledLedger) -> None:
    """After the first the queue names the next role; the same person is refused before anything is sent."""
    assert act(claimhub, "approve", LARGE, "handler-07", "handler").code == 0
    (first,) = kafka.came(DECISION)
    take(queue, first)
    waiting = [it["role"] for it in claimhub("work", "ls", "--json").json if it["claim"] == LARGE]
    same = act(claimhub, "approve", LARGE, "handler-07", "approver")
    assert act(claimhub, "approve", LARGE, "approver-02", "approver").code == 0
    _, second = kafka.came(DECISION)
    take(queue, second)
    shown = claimhub("claim", "show", LARGE, "--json").json

    assert waiting == ["approver"]
    assert same.code == 1 and "person: already decided settlement 1 as handler" in same.err
    assert [(it["proposed_by"], it["approved_by"]) for it in shown["payments"]] == [("handler-07", "approver-02")]
    assert first.key() == LARGE.encode() and ("by", b"handler-07") in (first.headers() or [])
    assert claimhub("verify").code == 0


def test_a_rejection_ends_the_claim(claimhub: Claimhub, kafka: Broker, queue: FilledLedger) -> None:
    """The command says before what it means."""
    ran = act(claimhub, "reject", SMALL, "handler-07", "handler")
    (sent,) = kafka.came(DECISION)
    take(queue, sent)

    assert "the handler rejected settlement 1 of 40 000.00 CNY [authority.rejected]" in ran.err
    assert claimhub("claim", "show", SMALL, "--json").json["outcome"] == "rejected"


def test_finance_answers_and_people_go_on(claimhub: Claimhub, kafka: Broker, queue: FilledLedger) -> None:
    """The query's id is found in what was sent to finance; a field the answer needs is named when it is missing."""
    without = act(claimhub, "answer", ASKED, "finance-03", "finance")
    other = act(claimhub, "answer", ASKED, "handler-07", "handler", "--set", "agreed=true")
    assert act(claimhub, "answer", ASKED, "finance-03", "finance", "--set", "agreed=true", "--dry-run").code == 0
    assert kafka.came(ANSWER) == []
    assert act(claimhub, "answer", ASKED, "finance-03", "finance", "--set", "agreed=true").code == 0
    (sent,) = kafka.came(ANSWER)
    take(queue, sent)

    assert without.code == 2 and "agreed" in without.err
    assert other.code == 1 and "is asked of finance, not of handler" in other.err
    assert [it["role"] for it in claimhub("work", "ls", "--json").json if it["claim"] == ASKED] == ["handler"]


def test_siu_clears_what_was_referred_to_it(claimhub: Claimhub, kafka: Broker, ledger: FilledLedger) -> None:
    """The referral is found in what was sent; who says so is in the answer."""
    ledger.take(make.policy(), make.notice(estimated_loss_minor=70_000_00), make.finding(contradicts_notice=True))
    ledger.take(make.notice(payee=make.OTHER_PAYEE, estimated_loss_minor=70_000_00))
    waiting = [(it["task"], it["role"]) for it in claimhub("work", "ls", "--json").json]
    ran = act(claimhub, "answer", make.CLAIM, "siu-02", "siu", "--set", "result=cleared")
    (sent,) = kafka.came("siu.outcome.v1")
    take(ledger, sent)

    assert waiting == [("siu", "siu")]
    assert ran.code == 0 and "SIU cleared referral 1" in ran.err
    assert claimhub("work", "ls").out == ""


def test_underwriting_answers_what_a_clause_says(claimhub: Claimhub, kafka: Broker, ledger: FilledLedger) -> None:
    """For the policy it was asked about."""
    ledger.take(make.policy_of("property", make.PLACE, make.BUILDING, make.RESCUE))
    ledger.take(make.notice_of("property", make.PLACE, "insured-property", cause="earthquake"))
    waiting = [it["role"] for it in claimhub("work", "ls", "--json").json if it["task"] == "clause-query"]
    more = ("--set", "covered=true", "--set", "version=1")
    ran = act(claimhub, "answer", make.CLAIM, "underwriter-04", "underwriting", *more)
    (sent,) = kafka.came("underwriting.clause-answer.v1")
    take(ledger, sent)

    assert (waiting, ran.code) == (["underwriting"], 0)
    assert "clause-query" not in claimhub("work", "ls").out


def test_legal_says_how_a_dispute_ended(claimhub: Claimhub, kafka: Broker, queue: FilledLedger) -> None:
    """Upheld: the amount stands, and the handler is asked again."""
    queue.take(make.contact(ContactKind.DISPUTE, claim=SMALL, settlement_version=1))
    waiting = [it["role"] for it in claimhub("work", "ls", "--json").json if it["claim"] == SMALL]
    ran = act(claimhub, "answer", SMALL, "counsel-01", "legal", "--set", "result=upheld")
    (sent,) = kafka.came("legal.outcome.v1")
    take(queue, sent)

    assert (waiting, ran.code) == (["legal"], 0)
    assert [it["role"] for it in claimhub("work", "ls", "--json").json if it["claim"] == SMALL] == ["handler"]


@pytest.mark.parametrize(
    ("verb", "claim", "role", "more", "code", "says"),
    [
        ("approve", UNKNOWN_CLAIM, "handler", [], 1, "there is no claim"),
        ("approve", ASKED, "handler", [], 1, "waits for no approval or advance; it waits for amount-check of finance"),
        ("approve", "CLM-2026-000010", "handler", [], 1, "waits for no approval or advance; it waits for estimate"),
        ("approve", SMALL, "manager", [], 1, "is decided by handler, not by the manager"),
        ("approve", SMALL, "SECRET", [], 2, "role"),
        ("approve", SMALL, "handler", ["--settlement", "2"], 1, "the decision waits for settlement 2"),
        ("answer", SMALL, "finance", [], 1, "waits for no amount-check or siu or clause-query or legal"),
        ("answer", ASKED, "finance", ["--task", "approval"], 2, "no task is called approval"),
        ("answer", ASKED, "finance", ["--set", "agreed"], 2, "--set number 1 is not NAME=VALUE"),
        ("answer", ASKED, "finance", ["--set", "agreed=SECRET"], 2, "agreed"),
    ],
)
@pytest.mark.usefixtures("queue")
def test_what_the_hub_would_refuse_is_not_sent(
    claimhub: Claimhub, kafka: Broker, verb: str, claim: str, role: str, more: list[str], code: int, says: str
) -> None:
    """With the reason the hub itself would give, and never a wrong value."""
    ran = act(claimhub, verb, claim, "handler-07", role, *more)

    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err and "SECRET" not in ran.err
    assert kafka.came(DECISION) == [] and kafka.came(ANSWER) == []


def sent(kafka: Broker, ledger: FilledLedger, claim: str) -> None:
    """Let the hub take the decision that was sent last for a claim; those of others may come before or after it."""
    take(ledger, [it for it in kafka.came(DECISION) if it.key() == claim.encode()][-1])


def test_a_complaint_is_in_the_queue_with_its_deadline_until_it_is_answered(
    claimhub: Claimhub, kafka: Broker, queue: FilledLedger
) -> None:
    """More days are allowed in time, and not by who answers; without an open complaint nothing is sent."""
    queue.take(make.contact(ContactKind.COMPLAINT, claim=SMALL, contact_id="CT-9"))
    (first,) = [it for it in claimhub("work", "ls", "--json").json if it["task"] == "complaint"]
    refused = act(claimhub, "extend-complaint", SMALL, "handler-07", "handler")
    late = act(claimhub, "extend-complaint", SMALL, "approver-02", "approver", "--complaint", "CT-9")
    other = act(claimhub, "answer-complaint", SMALL, "handler-07", "handler", "--complaint", "CT-8")
    assert act(claimhub, "answer-complaint", SMALL, "handler-07", "handler").code == 0
    sent(kafka, queue, SMALL)
    none = act(claimhub, "answer-complaint", SMALL, "handler-07", "handler")

    assert (first["about"], first["role"], first["due"][:10]) == ("CT-9", "handler", "2026-04-16")
    assert (refused.code, late.code, other.code, none.code) == (1, 1, 1, 1)
    assert "an extension is approved by an approver or a manager" in refused.err
    assert "ran out or was extended before" in late.err
    assert "no complaint of this id" in other.err and "has no complaint. Nothing was sent" in none.err
    assert [it for it in claimhub("work", "ls", "--json").json if it["task"] == "complaint"] == []


def test_a_payment_is_stopped_from_the_queue(claimhub: Claimhub, kafka: Broker, queue: FilledLedger) -> None:
    """The one that is on its way; nothing is sent before there is one, nor without authority."""
    none = act(claimhub, "cancel-payment", LARGE, "approver-02", "approver")
    queue.take(make.decision(claim=LARGE), make.decision(Role.APPROVER, claim=LARGE))
    refused = act(claimhub, "cancel-payment", LARGE, "handler-07", "handler")
    unknown = act(claimhub, "cancel-payment", LARGE, "approver-02", "approver", "--instruction", "PI0")
    assert act(claimhub, "cancel-payment", LARGE, "approver-02", "approver").code == 0
    sent(kafka, queue, LARGE)
    outputs = [it for it in claimhub("claim", "why", LARGE, "--json").json if "cancellation" in it["topic"]]

    assert (none.code, refused.code, unknown.code) == (1, 1, 1)
    assert "has no payment on its way. Nothing was sent" in none.err
    assert "is stopped by the approver or above, not by the handler" in refused.err
    assert "the claim never gave this instruction" in unknown.err
    assert [it["rule"] for it in outputs] == ["cancellations.asked"] and claimhub("verify").code == 0


def test_a_person_asks_legal_and_siu_and_reopens(claimhub: Claimhub, kafka: Broker, queue: FilledLedger) -> None:
    """Each once while it is open; a claim under way is not reopened, one without a settlement not sent to legal."""
    early = act(claimhub, "refer-legal", "CLM-2026-000010", "handler-07", "handler")
    under_way = act(claimhub, "reopen", LARGE, "handler-07", "handler")
    assert act(claimhub, "refer-legal", SMALL, "handler-07", "handler").code == 0
    sent(kafka, queue, SMALL)
    assert act(claimhub, "refer-siu", LARGE, "handler-07", "handler").code == 0
    sent(kafka, queue, LARGE)
    twice = [
        act(claimhub, f"refer-{to}", claim, "handler-07", "handler") for to, claim in (("legal", SMALL), ("siu", LARGE))
    ]
    waits = {(it["claim"], it["task"], it["role"]) for it in claimhub("work", "ls", "--json").json}

    assert (early.code, under_way.code, *(it.code for it in twice)) == (1, 1, 1, 1)
    assert "has no settlement that legal could be asked about" in early.err and "nothing to reopen yet" in under_way.err
    assert "legal is asked about settlement 1 already" in twice[0].err
    assert "SIU is asked about the claim already, by referral 1" in twice[1].err
    assert {(SMALL, "legal", "legal"), (LARGE, "siu", "siu")} <= waits


def test_a_rejected_claim_is_taken_up_again_from_the_queue(
    claimhub: Claimhub, kafka: Broker, queue: FilledLedger
) -> None:
    """It begins a new round."""
    queue.take(make.decision(claim=SMALL, action="reject"))
    assert act(claimhub, "reopen", SMALL, "handler-07", "handler").code == 0
    sent(kafka, queue, SMALL)

    assert claimhub("claim", "show", SMALL, "--json").json["stage"] == "assessing"


def test_an_advance_is_shown_approved_or_rejected_like_a_settlement(
    claimhub: Claimhub, kafka: Broker, ledger: FilledLedger
) -> None:
    """With its own version and amount, while the claim waits for its loss adjuster; approved it is paid."""
    ledger.take(make.policy_of("property", make.PLACE, make.BUILDING))
    for claim in (SMALL, LARGE):
        notice = make.notice_of("property", make.PLACE, "insured-property", cause="fire", claim=claim)
        papers = make.document(kind="list-of-losses", claim=claim), make.finding(loss_minor=120_000_00, claim=claim)
        ledger.take(notice, *papers)
    ledger.pass_time(make.LOSS_MS + 70 * make.DAY_MS)
    found = claimhub("work", "ls", "--role", "handler", "--json").json
    approved = act(claimhub, "approve", SMALL, "handler-07", "handler")
    rejected = act(claimhub, "reject", LARGE, "handler-07", "handler")
    for message in kafka.came(DECISION):
        take(ledger, message)

    assert [(it["claim"], it["task"], it["settlement_version"], it["amount_minor"]) for it in found] == [
        (SMALL, "advance", 1, 76_000_00),
        (LARGE, "advance", 1, 76_000_00),
    ]
    assert "[advances.approved]" in approved.err and "[advances.rejected]" in rejected.err
    paid = [claimhub("claim", "show", claim, "--json").json["payments"] for claim in (SMALL, LARGE)]
    assert [[it["amount_minor"] for it in payments] for payments in paid] == [[76_000_00], []]
    assert claimhub("work", "ls", "--json").json == []
    assert claimhub("verify").code == 0


def test_finance_is_asked_about_a_large_advance_and_answers_it_from_the_queue(
    claimhub: Claimhub, kafka: Broker, ledger: FilledLedger
) -> None:
    """The queue shows the advance's version and amount; before the answer nobody approves, after it two people do."""
    ledger.take(make.policy_of("property", make.PLACE, make.BUILDING))
    notice = make.notice_of("property", make.PLACE, "insured-property", cause="fire")
    ledger.take(notice, make.document(kind="list-of-losses"), make.finding(loss_minor=500_000_00))
    ledger.pass_time(make.LOSS_MS + 70 * make.DAY_MS)
    (asked,) = claimhub("work", "ls", "--json").json
    early = act(claimhub, "approve", SMALL, "handler-07", "handler")
    assert act(claimhub, "answer", SMALL, "finance-03", "finance", "--set", "agreed=true").code == 0
    (answer,) = kafka.came(ANSWER)
    take(ledger, answer)
    for person, role in (("handler-07", "handler"), ("approver-02", "approver")):
        assert act(claimhub, "approve", SMALL, person, role).code == 0
        take(ledger, kafka.came(DECISION)[-1])

    assert (asked["task"], asked["role"], asked["settlement_version"]) == ("amount-check", "finance", 1)
    assert asked["amount_minor"] == 316_666_67
    assert early.code == 1 and "waits for no approval or advance" in early.err
    (paid,) = claimhub("claim", "show", SMALL, "--json").json["payments"]
    assert (paid["amount_minor"], paid["approved_by"]) == (316_666_67, "approver-02")
    assert claimhub("verify").code == 0
