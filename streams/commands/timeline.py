"""`claimhub claim timeline`: all that came for a claim and all that went out, in the order the hub dealt with it."""

from collections import defaultdict
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, literal, select

from schemas.topics import TOPICS, Key
from sinks.ledger.tables import dead_letters, journal, outbox, parked, relay
from streams.commands import show
from streams.commands.failures import Failed


class Moment(Struct, frozen=True):
    """One record of a claim. `outcome` of what came: done, duplicate, retry, noted, parked, dead; of what went out:
    sent, or waiting until Kafka has it. `cause` is the ref of the record that made the hub send it."""

    at: str
    outcome: str
    topic: str
    ref: str
    rule: str
    reason: str
    cause: str | None


def read_timeline(connection: Connection, claim: str) -> list[Moment]:
    """What came, in the lane's order, and after each what it led to. Raises Failed when nothing is known of the claim.

    A record that waited stands where it was applied in the end.
    """
    sent = defaultdict(list)
    for moment in _sent(connection, claim):
        sent[moment.cause].append(moment)
    moments: list[Moment] = []
    for came in _came(connection, claim):
        moments += [came, *sent.pop(came.ref, [])]
    moments += [moment for rest in sent.values() for moment in rest]
    if not moments:
        raise Failed(f"nothing is known of claim {claim}")
    return moments


def show_timeline(moments: list[Moment]) -> None:
    """Print the timeline; what was sent stands indented below its cause."""
    rows = [
        (m.at, m.outcome, f"  {m.topic}" if m.cause else m.topic, m.ref.partition("/")[2], f"{m.reason} [{m.rule}]")
        for m in moments
    ]
    show.table(("time", "outcome", "topic", "record", "reason [rule]"), rows, "nothing happened")


def _came(connection: Connection, claim: str) -> list[Moment]:
    """Journal, parked and dead rows in `entry` order, which is one sequence for all three."""
    found: list[tuple[Any, ...]] = []
    for table, outcome, rule in (
        (journal, journal.c.outcome, journal.c.rule),
        (parked, literal("parked"), literal("engine.parked")),
        (dead_letters, literal("dead"), literal("engine.") + dead_letters.c.code),
    ):
        c = table.c
        query = select(c.entry, c.at_ms, outcome, c.topic, c.generation, c.partition, c.offset, rule, c.reason).where(
            c.subject == claim
        )
        found += map(tuple, connection.execute(query))
    return [
        Moment(show.time(at_ms), outcome, topic, f"{topic}/{generation}/{partition}/{offset}", rule, reason, None)
        for _, at_ms, outcome, topic, generation, partition, offset, rule, reason in sorted(found)
        if topic not in TOPICS or TOPICS[topic].key is not Key.POLICY
    ]


def _sent(connection: Connection, claim: str) -> list[Moment]:
    c = outbox.c
    query = (
        select(c.seq, c.lane, c.topic, c.rule, c.reason, c.cause, c.at_ms, relay.c.published)
        .join(relay, relay.c.lane == c.lane)
        .where(c.subject == claim)
        .order_by(c.lane, c.seq)
    )
    return [
        Moment(
            show.time(at_ms),
            "sent" if seq <= published else "waiting",
            topic,
            f"outbox/{lane}/{seq}",
            rule,
            reason,
            cause,
        )
        for seq, lane, topic, rule, reason, cause, at_ms, published in connection.execute(query)
        if not cause.startswith(_POLICY_TOPICS)
    ]


_POLICY_TOPICS = tuple(f"{topic.name}/" for topic in TOPICS.values() if topic.key is Key.POLICY)
