"""librdkafka's in-process broker with chosen topics, and with errors to order: through the library's public C API."""

import ctypes
from collections.abc import Iterable
from pathlib import Path

import confluent_kafka
from confluent_kafka import KafkaError, Producer

PARTITIONS = 4
"""What every topic has."""
PRODUCE = 0
"""Kafka's number of the Produce request."""
ANSWER_S = 5.0


class EmbeddedKafka:
    """A broker in this process; `address` is its bootstrap address. Memory only: `stop` forgets everything."""

    def __init__(self, topics: Iterable[str]) -> None:
        self._library = _library()
        self._client = self._library.rd_kafka_new(0, None, None, 0)
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        self.address: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        # A producer that names a topic makes it. The library's own call for it may wait for a second each time.
        producer = Producer({"bootstrap.servers": self.address})
        for topic in topics:
            assert len(producer.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions) == PARTITIONS

    def answer(self, request: int, *errors: KafkaError) -> None:
        """Answer the next requests of this kind with these errors, one each."""
        codes = (ctypes.c_int * len(errors))(*(error.code() for error in errors))
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, request, len(errors), codes)

    def stop(self) -> None:
        """Close the broker's port and drop its records. May be called again."""
        if self._client is None:
            return
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)
        self._client = None


def _library() -> ctypes.CDLL:
    """The library confluent-kafka has loaded already."""
    package = Path(confluent_kafka.__file__).parent
    (path,) = [*package.with_name("confluent_kafka.libs").glob("librdkafka*"), *package.glob(".dylibs/librdkafka*")][:1]
    library = ctypes.CDLL(str(path))
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures = {
        "rd_kafka_new": (pointer, [number, pointer, pointer, ctypes.c_size_t]),
        "rd_kafka_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_new": (pointer, [pointer, number]),
        "rd_kafka_mock_cluster_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_push_request_errors_array": (None, [pointer, ctypes.c_int16, ctypes.c_size_t, pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
