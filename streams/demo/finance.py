"""A stand-in for the finance department: pays each instruction once and says so."""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from typing import Final, cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition
from msgspec import Struct

from schemas.codec import Codec
from schemas.records import PaymentInstruction, PaymentStatus, PaymentStatusCode
from schemas.topics import INSTRUCTIONS
from sinks.payments.keys import KeyFolder
from sinks.payments.signatures import Verdict, verify_instruction
from streams.cluster import ClientOptions
from streams.demo.departments import Departments
from streams.demo.stories import Answer, Said, Story

STATUSES: Final = "finance.payment-status.v1"
ANSWERS: Final = (Answer(PaymentStatusCode.RCVD), Answer(PaymentStatusCode.ACSC))
"""What finance says of a payment when the story does not say otherwise."""
WAIT_MS: Final = (60_000, 7_200_000)
"""How long after the instruction the first answer comes, and each that follows after the one before."""


class Paid(Struct, frozen=True):
    """An instruction finance has applied, and what it answered."""

    instruction: PaymentInstruction
    answers: tuple[PaymentStatusCode, ...]


class Finance:
    """Reads the instructions in a thread of its own.

    What any receiver of money records must do is done here: of each lane a `seq` not above the highest one seen is a
    repeat, an instruction id is applied once, and what has no good signature is refused.
    """

    def __init__(
        self,
        options: ClientOptions,
        codec: Codec,
        departments: Departments,
        partitions: int,
        keys: KeyFolder,
        stories: Sequence[Story] = (),
    ) -> None:
        """What is answered is as the `stories` say. Of `keys` only the public ones are read."""
        self._answers = {story.claim: deque(story.finance) for story in stories}
        self._options = options
        self._codec = codec
        self._departments = departments
        self._partitions = partitions
        self._keys = keys
        self._highest: dict[int, int] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="finance")
        self.paid: dict[str, Paid] = {}
        self.repeats = 0
        self.refused: list[str] = []

    def start(self) -> None:
        """Start reading, from the beginning of the topic."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        consumer = Consumer(
            {
                **self._options,
                "group.id": "finance",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 20,
                "logger": logging.getLogger("kafka.demo"),
            }
        )
        consumer.assign([TopicPartition(INSTRUCTIONS, number, OFFSET_BEGINNING) for number in range(self._partitions)])
        while not self._stopping.is_set():
            message = consumer.poll(0.05)
            if message is not None and message.error() is None:
                self._take(message)
        consumer.close()

    def _take(self, message: Message) -> None:
        headers = cast(list[tuple[str, bytes]], message.headers())
        instruction = self._codec.decode(INSTRUCTIONS, message.value(), headers)
        assert isinstance(instruction, PaymentInstruction)
        # Before its number counts: a forged one must not make the genuine ones look like repeats.
        checked = verify_instruction(instruction, headers, self._keys.read())
        if checked.verdict is not Verdict.GOOD:
            self.refused.append(f"instruction {instruction.instruction_id}: {checked.reason}")
            return
        number = {name: int(value) for name, value in headers if name in {"lane", "seq"}}
        lane, seq = number["lane"], number["seq"]
        if seq <= self._highest.get(lane, 0) or instruction.instruction_id in self.paid:
            self.repeats += 1
            return
        self._highest[lane] = seq
        waiting = self._answers.get(instruction.claim)
        answers = waiting.popleft() if waiting else ANSWERS
        said, at_ms = [], instruction.issued_at_ms
        for nth, answer in enumerate(answers):
            at_ms += WAIT_MS[nth > 0]
            said.append(status_of(instruction, answer, at_ms))
        if said:
            self._departments.send(*said)
        self.paid[instruction.instruction_id] = Paid(instruction, tuple(answer.status for answer in answers))


def status_of(instruction: PaymentInstruction, answer: Answer, at_ms: int) -> Said:
    """Times follow from the instruction, so that every run leads to the same ledger."""
    content = PaymentStatus(
        claim=instruction.claim,
        instruction_id=instruction.instruction_id,
        status=answer.status,
        reason_code=answer.reason_code,
        amount_minor=instruction.amount_minor,
        currency=instruction.currency,
        at_ms=at_ms,
    )
    return Said(
        sender="finance",
        event_id=f"{instruction.instruction_id}/{answer.status}",
        topic=STATUSES,
        key=instruction.claim,
        at_ms=at_ms,
        content=content,
    )
