"""The bench's records: decided without a hitch from notice to paid, and spread over different claims."""

from collections import Counter

from connectors.registry import EmbeddedRegistry
from schemas.codec import Codec
from streams.bench.encoded import Encoder
from streams.bench.templates import CLAIM, templates
from streams.bench.workload import DECIDING_TOPIC, STEPS, claims, record


def test_the_hub_takes_every_record_of_a_bench_claim_to_paid() -> None:
    """Else floor and hub would be compared on parked records or dead letters: the templates refuse those."""
    made = templates()

    assert len(made) == STEPS
    assert made["finance.payment-status.v1", 0].stage == "paid"
    deciding = [output.topic for output in made[DECIDING_TOPIC, 0].outputs]
    assert deciding.count("finance.payment-instruction.v1") == 1
    assert all(f'"{CLAIM}"'.encode() in template.state for template in made.values())


def test_each_claim_s_records_come_whole_in_order_and_far_apart() -> None:
    """Neighbours in the log are of different claims, so a batch holds mostly distinct ones."""
    sent = list(claims(800))
    order: dict[int, list[int]] = {}
    for number, step in sent:
        order.setdefault(number, []).append(step)

    assert len(order) == 800
    assert all(steps == list(range(STEPS)) for steps in order.values())
    middle = Counter(number for number, _ in sent[3000:3500])
    assert max(middle.values()) == 1


def test_a_record_made_fast_has_the_bytes_of_one_that_is_encoded() -> None:
    """Else the bench would measure other records than those whose templates the floor fills in."""
    codec = Codec(EmbeddedRegistry(), 1_000_000)
    places = [(number, step) for number in (0, 7, 1000, 123_456, 99_999_999) for step in range(STEPS)]

    for (number, step), made in zip(places, Encoder(codec).encode(places), strict=True):
        sent = record(number, step)
        assert made == (sent.topic, sent.key.encode(), codec.encode(sent.topic, sent.record))
