"""A plain Faust agent: it takes each event by itself and writes the rows that the hub writes for it in one transaction.

Run as a process of its own: `python -m tests.benchmarks.peers.faust_per_event KAFKA LEDGER GROUP FOLDER`.

Faust's own Kafka client brings the records, one agent reads them, and decoding, rows and statements are those of the
floor. Settings are Faust's defaults but for these: positions stand in the ledger with the rows, so its offsets are
committed once a second only; the commit runs in a thread, so that the next records are fetched meanwhile.
"""

import asyncio
import os
import sys
from typing import Any, cast

import faust

from schemas import generated
from schemas.topics import INBOUND, avro_schema
from sinks.ledger.open import open_ledger
from streams.bench.floor import FRAME_BYTES, Rows, take_lanes
from streams.received import Received


def app(kafka: str, ledger_url: str, group: str, folder: str) -> faust.App:
    """The agent, ready to be started."""
    made = faust.App(
        group,
        broker=f"kafka://{kafka}",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        broker_commit_interval=1.0,
        datadir=folder,
    )
    ledger = open_ledger(ledger_url, None, f"faust-{os.getpid()}")
    lanes = take_lanes(kafka, ledger)
    rows = Rows()
    readers = {topic: generated.reader(avro_schema(topic)) for topic in INBOUND}

    @made.agent(made.topic(*INBOUND, key_serializer="raw", value_serializer="raw"))
    async def take(stream: faust.StreamT[bytes]) -> None:
        async for event in stream.events():
            message = cast(Any, event).message
            headers = [(name, value) for name, value in message.headers]
            fields, _ = readers[message.topic](message.value, FRAME_BYTES)
            received = Received(
                message.topic, message.offset, message.key, message.value, headers, int(message.timestamp * 1000)
            )
            lane = lanes[message.partition]
            lane.records.append((received, fields))
            await asyncio.to_thread(ledger.commit, rows.commit_of(lane))

    return made


if __name__ == "__main__":
    faust.Worker(app(*sys.argv[1:]), loglevel="WARNING", redirect_stdouts=False).execute_from_commandline()
