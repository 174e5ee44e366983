"""What the hub itself has written: its outbox values read again, for the checks and the business hash."""

from functools import cache
from io import BytesIO
from typing import Any, Final

import fastavro

from schemas.topics import avro_schema

_HEADER_BYTES: Final = 5


def read_written(topic: str, value: bytes) -> dict[str, Any] | None:
    """The fields of an outbox value in Confluent form, by this version's schema; None when it does not fit that.

    The five bytes of header are passed over: the schema id is the registry's affair and differs between registries.
    """
    body = BytesIO(value[_HEADER_BYTES:])
    try:
        fields = fastavro.schemaless_reader(body, _schema(topic), None)
    except (EOFError, ValueError, IndexError, OverflowError):  # fastavro's ways to say: these are not such a record
        return None
    return fields if isinstance(fields, dict) and not body.read(1) else None


@cache
def _schema(topic: str) -> Any:  # noqa: ANN401 - fastavro's own form
    return fastavro.parse_schema(avro_schema(topic))
