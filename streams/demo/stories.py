"""Whole claims as data: what each department says and when, and all that must come of it.

Each is a file in `fixtures`, played by the demo, the tests and whoever wants to see how a claim goes. A record there
says only what matters to its story. The rest is as in its topic's first example; but a time is the one the record is
said at, and what only one claim has (papers, photos, phone, account, driver) is drawn from the claim's number.

Times are fixed, so that every run leads to the same ledger. People, plates and accounts are made up.
"""

import tomllib
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from stdnum.cn import ric

from schemas.records import PaymentStatusCode, Record
from schemas.topics import TOPICS, Key

SHANGHAI: Final = timezone(timedelta(hours=8))
FIXTURES: Final = files("streams.demo").joinpath("fixtures")
_EXAMPLES: Final = files("schemas").joinpath("examples")
_PHOTOS: Final = 2


class Said(Struct, frozen=True, kw_only=True):
    """One record a department sends. `content` is a record, or bytes that are none."""

    sender: str
    event_id: str
    topic: str
    key: str
    at_ms: int
    content: Record | bytes


class Answer(Struct, frozen=True, forbid_unknown_fields=True):
    """What finance says of an instruction."""

    status: PaymentStatusCode
    reason_code: str | None = None


class Instruction(Struct, frozen=True, forbid_unknown_fields=True):
    """A payment instruction, in minor units, and what became of it."""

    amount_minor: int
    state: str


class ClaimEnd(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a story leaves a claim; amounts in minor units.

    `tasks` are the open ones, by kind and what they are about; `notices` what the customer was told, in order, by kind;
    `clocks` says of each kind whether it is open, paused or ended, was paused, was breached; `sent` counts the claim's
    outputs by topic, but for snapshots, notices, instructions and movements of the reserve; `dead` and `parked` count
    its records that are.
    """

    claim: str
    stage: str
    covers: dict[str, int] = {}
    payable_minor: int | None = None
    paid_minor: int = 0
    reserve_minor: int = 0
    tasks: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    instructions: tuple[Instruction, ...] = ()
    clocks: dict[str, str] = {}
    sent: dict[str, int] = {}
    dead: int = 0
    parked: int = 0


class Story(Struct, frozen=True, kw_only=True):
    """A story: what is said, in this order, and how its claims end.

    Without content a time in `said` only passes. `finance` has the answers to each instruction of a claim, in their
    order; to those after it finance says that they are received and settled. The `short` ones are the demo's,
    the `bank` ones are played with a bank's files too.
    """

    name: str
    title: str
    claim: str
    said: tuple[Said | int, ...]
    ends: tuple[ClaimEnd, ...]
    finance: tuple[tuple[Answer, ...], ...] = ()
    short: bool = False
    bank: bool = False


class _Told(Struct, frozen=True, forbid_unknown_fields=True):
    """A record as a fixture has it: with a `text` it is no record, without a topic only time passes."""

    at: datetime
    topic: str | None = None
    by: str = ""
    record: dict[str, Any] = {}
    without: tuple[str, ...] = ()
    text: str | None = None


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    claim: str
    said: tuple[_Told, ...]
    ends: tuple[ClaimEnd, ...]
    finance: tuple[tuple[Answer, ...], ...] = ()
    short: bool = False
    bank: bool = False


class NoStory(Exception):
    """A fixture is not a story; the text says where and why."""


@cache
def stories() -> tuple[Story, ...]:
    """All of them, in the order of their files' names. Raises NoStory."""
    names = sorted(file.name for file in FIXTURES.iterdir() if file.name.endswith(".toml"))
    return tuple(read_story(name.removesuffix(".toml"), FIXTURES.joinpath(name).read_text("utf-8")) for name in names)


def short_stories() -> tuple[Story, ...]:
    """Those that show the hub in less than a minute."""
    return tuple(story for story in stories() if story.short)


def bank_story() -> Story:
    """Those of payments that the bank rejects, does not know the end of, and brings back, as one: its days are the
    bank's. Where the bank tells of what it has paid on its statements too, what is settled ends as booked."""
    together = [story for story in stories() if story.bank]
    said = [it for story in together for it in story.said]
    return Story(
        name="bank",
        title="payments that go wrong, with the files of a bank",
        claim=together[0].claim,
        said=tuple(sorted(said, key=lambda it: it if isinstance(it, int) else it.at_ms)),
        ends=tuple([_booked(end) for story in together for end in story.ends]),
    )


def bank_answers() -> dict[str, tuple[tuple[Answer, ...], ...]]:
    """What the bank says of each instruction of a claim, by claim."""
    return {story.claim: story.finance for story in stories() if story.bank}


def _booked(end: ClaimEnd) -> ClaimEnd:
    instructions = [replace(it, state="booked") if it.state == "settled" else it for it in end.instructions]
    return replace(end, instructions=tuple(instructions))


def read_story(name: str, text: str) -> Story:
    """A story from the text of its file. Raises NoStory."""
    try:
        file = msgspec.convert(tomllib.loads(text), _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise NoStory(f"story {name}: {error}") from None
    said: list[Said | int] = []
    for number, told in enumerate(file.said, 1):
        try:
            said.append(_said(file.claim, number, told))
        except (msgspec.ValidationError, KeyError, ValueError) as error:
            raise NoStory(f"story {name}, record {number} ({told.topic}): {error}") from None
    return Story(
        name=name,
        title=file.title,
        claim=file.claim,
        said=tuple(said),
        ends=file.ends,
        finance=file.finance,
        short=file.short,
        bank=file.bank,
    )


def _said(claim: str, number: int, told: _Told) -> Said | int:
    at_ms = _milliseconds(told.at)
    if told.topic is None:
        return at_ms
    topic = TOPICS[told.topic]
    event_id = f"{claim}/{number}"
    if told.text is not None:
        return Said(
            sender=told.by, event_id=event_id, topic=told.topic, key=claim, at_ms=at_ms, content=told.text.encode()
        )
    given = {"claim": claim, **_with_times(told.record)}
    example = _example(told.topic)
    fields = {**example, **_own(example, str(given["claim"]), event_id, at_ms), **given}
    left_out = set(told.without) | ({"claim"} - example.keys())
    record = msgspec.convert({name: value for name, value in fields.items() if name not in left_out}, topic.record)
    key = fields["policy_number"] if topic.key is Key.POLICY else fields["claim"]
    return Said(sender=told.by, event_id=event_id, topic=told.topic, key=key, at_ms=at_ms, content=record)


def _own(example: Mapping[str, Any], claim: str, event_id: str, at_ms: int) -> dict[str, Any]:
    """What a record's claim, or its time, decides."""
    number = int(_digest(claim), 16)
    own: dict[str, Any] = {name: at_ms for name in example if name == "at_ms" or name.endswith("_at_ms")}
    own["sha256"] = _digest(event_id)
    own["number"] = f"{int(_digest(event_id), 16) % 10**8:08}"
    own["photos"] = [_digest(f"{claim} photo {photo}") for photo in range(_PHOTOS)]
    own["reporter_phone"] = f"138{number % 10**8:08}"
    own["driver_id"] = _resident_id(number)
    if "payee" in example:
        own["payee"] = {**example["payee"], "account": f"62{number % 10**17:017}"}
    return {name: value for name, value in own.items() if name in example}


def _resident_id(number: int) -> str:
    """The identity number of somebody of Beijing, born in the year that the number says."""
    given = f"110105{1950 + number % 50}0101{number // 50 % 1000:03}"
    return given + ric.calc_check_digit(f"{given}0")


@cache
def _example(topic: str) -> Mapping[str, Any]:
    """The first of a topic's examples, by their names."""
    examples = (
        file for file in _EXAMPLES.iterdir() if file.name.startswith(f"{topic}.") and file.name.endswith(".pass.json")
    )
    record: dict[str, Any] = msgspec.json.decode(min(examples, key=lambda file: file.name).read_bytes())["record"]
    return record


def _with_times(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same with its local times as milliseconds."""
    return {name: _milliseconds(it) if isinstance(it, datetime) else it for name, it in fields.items()}


def _milliseconds(local: datetime) -> int:
    """Milliseconds since 1970 of a time in Shanghai."""
    return int(local.replace(tzinfo=SHANGHAI).timestamp() * 1000)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
