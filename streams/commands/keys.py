"""`claimhub keys`: the keys that sign payment instructions, and whether instructions are signed with them."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import cast

import msgspec
from msgspec import Struct

from monitoring.clock import SystemClock
from schemas.codec import Undecodable, without_value
from schemas.records import PaymentInstruction
from schemas.signing import SIGNATURE
from schemas.topics import INSTRUCTIONS
from sinks.clients import KafkaClients
from sinks.payments.keys import Key, KeyFolder, Keys
from sinks.payments.signatures import Checked, Verdict, verify_instruction
from sinks.read_back import LogReader, LogUnreadable
from streams.cluster import KafkaCluster
from streams.commands import show
from streams.commands.broker import client_options
from streams.commands.failures import Unavailable, WrongInput
from streams.commands.json_rows import Row, read_rows
from streams.commands.send import open_codec
from streams.settings import Settings


class KeyRow(Struct, frozen=True):
    """A key, what it is since when, and who wanted that."""

    key_id: str
    state: str
    since: str
    by: str
    reason: str


class Verified(Struct, frozen=True):
    """What an instruction's signature is worth. `record` is where it stands: topic/partition/offset, or the file's row;
    what cannot be read has no id and no claim."""

    record: str
    instruction_id: str | None
    claim: str | None
    key_id: str | None
    verdict: Verdict
    reason: str


class Verification(Struct, frozen=True):
    """All instructions, and how many have each verdict; `ok` when all are good."""

    ok: bool
    counts: dict[str, int]
    instructions: list[Verified]


class _Given(Struct, forbid_unknown_fields=True):
    """A row of a file: the four headers that are signed or sign, the signature in hex, and the record."""

    headers: dict[str, str]
    record: PaymentInstruction


def make(settings: Settings, person: str, reason: str) -> KeyRow:
    """A new live key. Raises KeyRefused, KeysUnreadable."""
    return _row(KeyFolder(settings.keys).make(person, reason, datetime.now(UTC)))


def retire(settings: Settings, key_id: str, person: str, reason: str) -> KeyRow:
    """Let a key sign no more. Raises KeyRefused, KeysUnreadable."""
    return _row(KeyFolder(settings.keys).retire(key_id, person, reason, datetime.now(UTC)))


def revoke(settings: Settings, key_id: str, person: str, reason: str) -> KeyRow:
    """Have all that a key signed refused. Raises KeyRefused, KeysUnreadable."""
    return _row(KeyFolder(settings.keys).revoke(key_id, person, reason, datetime.now(UTC)))


def read_keys(settings: Settings) -> list[KeyRow]:
    """All keys, the oldest first. Raises KeysUnreadable."""
    return [_row(key) for key in KeyFolder(settings.keys).read().values()]


def show_keys(rows: list[KeyRow]) -> None:
    """Print the keys."""
    cells = [(row.key_id, row.state, row.since, row.by, row.reason) for row in rows]
    show.table(("key", "state", "since", "by", "reason"), cells, "no key. Run: claimhub keys new")


def export(settings: Settings) -> str:
    """The public keys as `keys.json` has them. Raises KeysUnreadable."""
    return KeyFolder(settings.keys).public().decode()


def verify_topic(settings: Settings) -> Verification:
    """Verify every instruction that Kafka holds now. Raises Unavailable, ClusterUnavailable, TopicsMissing,
    KeysUnreadable, RegistryUnavailable, UnknownSchema."""
    keys, codec = KeyFolder(settings.keys).read(), open_codec(settings)
    cluster = KafkaCluster(client_options(settings))
    lanes = settings.lanes if settings.embedded_kafka else cluster.identities([INSTRUCTIONS])[0].partitions
    ranges = cluster.bounds([INSTRUCTIONS], range(lanes))
    log = LogReader(KafkaClients(cluster.options), SystemClock())
    found = []
    try:
        for message in log.records(ranges):
            where = f"{message.topic()}/{message.partition()}/{message.offset()}"
            headers = cast(list[tuple[str, bytes | None]], message.headers() or [])
            try:
                record = codec.decode(INSTRUCTIONS, message.value(), headers)
            except Undecodable as error:
                found.append(Verified(where, None, None, None, Verdict.FORGED, error.reason))
                continue
            assert isinstance(record, PaymentInstruction)
            found.append(_verified(where, record, verify_instruction(record, headers, keys)))
    except LogUnreadable as error:
        raise Unavailable(f"Kafka does not answer ({error}). See: claimhub doctor") from None
    finally:
        log.close()
    return _all(found)


def verify_rows(settings: Settings, text: str, name: str) -> Verification:
    """Verify the instructions of a file: JSON or NDJSON of `{"headers": {...}, "record": {...}}`. Raises WrongInput,
    KeysUnreadable."""
    keys: Keys = KeyFolder(settings.keys).read()
    return _all(list(_of_rows(read_rows(text, name), keys)))


def show_verification(verification: Verification) -> None:
    """Print each instruction, and how many have each verdict."""
    cells = [(it.instruction_id, it.claim, it.key_id, it.verdict, it.record) for it in verification.instructions]
    show.table(("instruction", "claim", "key", "verdict", "record"), cells, "no instructions")
    for it in verification.instructions:
        if it.verdict is not Verdict.GOOD:
            show.note(f"{it.instruction_id or it.record} is not to be paid: {it.reason}")
    show.note(", ".join(f"{count} {verdict}" for verdict, count in verification.counts.items()))


def _of_rows(rows: list[Row], keys: Keys) -> Iterator[Verified]:
    for row in rows:
        try:
            given = msgspec.convert(row.value, _Given)
        except msgspec.ValidationError as error:
            raise WrongInput(f"{row.where}: {without_value(error)}") from None
        try:
            signature = bytes.fromhex(given.headers.get(SIGNATURE, ""))
        except ValueError:
            raise WrongInput(f"{row.where}: the signature is not in hexadecimal digits") from None
        headers = [(name, value.encode()) for name, value in given.headers.items() if name != SIGNATURE]
        signed = [(SIGNATURE, signature)] if SIGNATURE in given.headers else []
        yield _verified(row.where, given.record, verify_instruction(given.record, [*headers, *signed], keys))


def _verified(where: str, instruction: PaymentInstruction, checked: Checked) -> Verified:
    return Verified(
        where, instruction.instruction_id, instruction.claim, checked.key_id, checked.verdict, checked.reason
    )


def _all(found: list[Verified]) -> Verification:
    counts = Counter(it.verdict for it in found)
    return Verification(
        ok=counts.total() == counts[Verdict.GOOD],
        counts={verdict.value: counts[verdict] for verdict in Verdict if counts[verdict] or verdict is Verdict.GOOD},
        instructions=found,
    )


def _row(key: Key) -> KeyRow:
    last = key.actions[-1]
    return KeyRow(key.key_id, last.state, f"{last.at:%Y-%m-%dT%H:%M:%SZ}", last.person, last.reason)
