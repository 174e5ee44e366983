"""The bench's records: decided without a hitch from notice to paid, and spread over different claims."""

from collections import Counter

from streams.bench.templates import CLAIM, templates
from streams.bench.workload import DECIDING_TOPIC, STEPS, claims, record


def test_the_hub_takes_every_record_of_a_bench_claim_to_paid() -> None:
    """Else floor and hub would be compared on parked records or dead letters: the templates refuse those."""
    made = templates()

    assert len(made) == STEPS
    assert made["finance.payment-status.v1", 0].stage == "paid"
    deciding = [output.topic for output in made[DECIDING_TOPIC, 0].outputs]
    assert deciding.count("finance.payment-instruction.v1") == 1
    assert all(f'"{CLAIM}"' in template.state for template in made.values())


def test_each_claim_s_records_come_whole_in_order_and_far_apart() -> None:
    """Neighbours in the log are of different claims, so a batch holds mostly distinct ones."""
    sent = list(claims(800))
    order: dict[str, list[str]] = {}
    for one in sent:
        order.setdefault(one.key, []).append(one.topic)

    whole = [record(0, step, 0).topic for step in range(STEPS)]
    assert len(order) == 800
    assert all(topics == whole for topics in order.values())
    middle = Counter(one.key for one in sent[3000:3500])
    assert max(middle.values()) == 1
