"""Our partition of a key is librdkafka's murmur2 partition, on a broker inside the client."""

from confluent_kafka import KafkaError, Message, Producer

from schemas.partitioner import partition_for

KEYS = [b"CLM-2026-%06d" % number for number in range(200)] + [b"x" * length for length in range(1, 40)]


def test_librdkafka_puts_every_key_where_we_say() -> None:
    """The embedded broker has 4 partitions a topic; 239 keys of every length up to 39 bytes."""
    placed: dict[bytes, int] = {}

    def delivered(error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        key, partition = message.key(), message.partition()
        assert isinstance(key, bytes) and partition is not None
        placed[key] = partition

    producer = Producer({"test.mock.num.brokers": 1, "partitioner": "murmur2", "log_level": 0})
    partitions = len(producer.list_topics("keys", timeout=10).topics["keys"].partitions)
    for key in KEYS:
        producer.produce("keys", key=key, on_delivery=delivered)

    assert producer.flush(10) == 0
    assert placed == {key: partition_for(key, partitions) for key in KEYS}
    assert partitions > 1
