"""The demo's finance department pays what the hub signed, and nothing else."""

from pathlib import Path

from confluent_kafka import Producer

from schemas.topics import INSTRUCTIONS, TOPICS
from streams.demo.departments import Departments
from streams.demo.finance import Finance
from tests import claims as make
from tests.embedded_kafka import PARTITIONS, EmbeddedKafka
from tests.integration.workers import wait_until
from tests.keys import keys_in, newest_in
from tests.lane import CODEC


def test_what_has_no_good_signature_is_refused_and_the_rest_is_paid(tmp_path: Path) -> None:
    """A genuine instruction turned to another payee, one without a signature, and then a genuine one, whose number is
    below theirs: what is forged makes nothing a repeat."""
    keys, kafka = keys_in(tmp_path), EmbeddedKafka(TOPICS)
    options = {"bootstrap.servers": kafka.address}
    finance = Finance(options, CODEC, Departments(options, CODEC, PARTITIONS), PARTITIONS, keys)
    said = {name: make.payment_instruction(instruction_id=name) for name in ("PI1", "PI2", "PI3")}
    sent = [
        (said["PI1"], make.payment_instruction(instruction_id="PI1", payee=make.OTHER_PAYEE)),
        (None, said["PI2"]),
        (said["PI3"], said["PI3"]),
    ]
    producer = Producer(options)
    for seq, (signed, written) in zip((9, 8, 1), sent, strict=True):
        headers: list[tuple[str, str | bytes | None]] = [("lane", b"0"), ("seq", b"%d" % seq)]
        if signed is not None:
            headers += newest_in(keys)(signed, 0, seq)
        producer.produce(INSTRUCTIONS, CODEC.encode(INSTRUCTIONS, written), b"key", 0, headers=headers)
    producer.flush(10)
    finance.start()
    try:
        wait_until(lambda: bool(finance.paid), "finance paid nothing")
    finally:
        finance.stop()
        kafka.stop()

    assert list(finance.paid) == ["PI3"]
    forged, unsigned = finance.refused
    assert forged.startswith("instruction PI1: the signature is not of these fields")
    assert unsigned.startswith("instruction PI2: it has no signature")
