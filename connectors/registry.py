"""Where schemas come from: any Confluent-compatible registry, or the ones shipped with the hub."""

import json
import re
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from schemas.codec import RegistryUnavailable, UnknownSchema
from schemas.topics import TOPICS, avro_schema, released_schemas

_NO_SUCH_SCHEMA: Final = frozenset({400, 404, 422})  # 400 and 422: an id that no registry could ever have given
_NOTHING: Final[frozenset[int]] = frozenset()
_VERSIONS: Final = 1000
_DEFAULTS: Final[Mapping[str, str | int | float | bool]] = {"timeout": 5, "max.retries": 1}

T = TypeVar("T")

if TYPE_CHECKING:  # the client is half a second of imports, which only those with such a registry pay
    from confluent_kafka.schema_registry import Schema


class ConfluentRegistry:
    """A registry with Confluent's REST API (Confluent, Apicurio, Karapace, Redpanda). The client keeps the answers.

    `options` are the client's own properties for authentication and TLS, such as `basic.auth.user.info` and
    `ssl.ca.location`. No call is made before the first question. Raises RegistryUnavailable for a wrong URL or option.
    """

    def __init__(self, url: str, options: Mapping[str, str | int | float | bool] | None = None) -> None:
        from confluent_kafka.schema_registry import SchemaRegistryClient

        self._shown_url = _without_credentials(url)
        try:
            self._client = SchemaRegistryClient({**_DEFAULTS, **(options or {}), "url": url})
        except (ValueError, TypeError) as error:  # its text may hold the URL with its password
            why = f"cannot be asked ({type(error).__name__}). Check the settings of the registry's URL and options"
            raise RegistryUnavailable(f"the schema registry at {self._shown_url} {why}") from None
        weakref.finalize(self, self._client.close)  # its connections end with this object, not some time later

    def schema_by_id(self, schema_id: int) -> str:
        """The schema's JSON text. Raises UnknownSchema, RegistryUnavailable."""
        return _text(self._ask(schema_id, lambda: self._client.get_schema(schema_id)))

    def schema_by_guid(self, guid: str) -> str:
        """The schema's JSON text by its GUID. Raises UnknownSchema, RegistryUnavailable.

        A registry that has no GUIDs, as Apicurio, knows none.
        """
        return _text(self._ask(guid, lambda: self._client.get_schema_by_guid(guid)))

    def id_of(self, topic: str) -> int:
        """The id of our current schema under the topic's subject. Raises UnknownSchema, RegistryUnavailable."""
        subject = TOPICS[topic].subject
        found = self._ask(f"of {subject}", lambda: self._client.lookup_schema(subject, _schema(topic)))
        return _known(found.schema_id)

    def register_all(self) -> dict[str, int]:
        """Set every subject's compatibility, then register our schemas: the id of each topic's schema.

        May be run again at any time. Raises RegistryUnavailable, also when the registry refuses a schema.
        """
        return {topic: self._register(topic) for topic in TOPICS}

    def _register(self, topic: str) -> int:
        subject, level = TOPICS[topic].subject, TOPICS[topic].compatibility
        self._ask(f"of {subject}", lambda: self._client.set_compatibility(subject, level), _NOTHING)
        return self._ask(f"of {subject}", lambda: self._client.register_schema(subject, _schema(topic)), _NOTHING)

    def _ask(self, about: int | str, question: Callable[[], T], no_such_schema: frozenset[int] = _NO_SUCH_SCHEMA) -> T:
        from confluent_kafka.schema_registry import SchemaRegistryError

        try:
            return question()
        except SchemaRegistryError as error:
            if error.http_status_code in no_such_schema:
                raise UnknownSchema(about) from None
            why = f"answers {error.http_status_code} (code {error.error_code}) about schema {about}"
            raise RegistryUnavailable(f"the schema registry at {self._shown_url} {why}") from None
        except Exception as error:  # the client lets its HTTP library's errors through
            why = f"does not answer ({type(error).__name__}). Check the setting `registry` and that it runs"
            raise RegistryUnavailable(f"the schema registry at {self._shown_url} {why}") from None


class EmbeddedRegistry:
    """The schemas shipped with the hub, for the embedded broker: no service, no state.

    The id is the topic's place in the registry times 1000 plus the schema's released version, so every process
    of one version agrees and bytes kept by an older version can still be read by a newer one.
    """

    def schema_by_id(self, schema_id: int) -> str:
        """The schema's JSON text. Raises UnknownSchema."""
        place, version = divmod(schema_id, _VERSIONS)
        if not 1 <= place <= len(TOPICS):
            raise UnknownSchema(schema_id)
        released = released_schemas(list(TOPICS)[place - 1])
        if not 1 <= version <= len(released):
            raise UnknownSchema(schema_id)
        return json.dumps(released[version - 1])

    def schema_by_guid(self, guid: str) -> str:
        """Nobody who writes to the embedded broker uses GUIDs. Raises UnknownSchema."""
        raise UnknownSchema(guid)

    def id_of(self, topic: str) -> int:
        """The id of our current schema of a topic, which is the last one released."""
        return (list(TOPICS).index(topic) + 1) * _VERSIONS + len(released_schemas(topic))


def _schema(topic: str) -> "Schema":
    from confluent_kafka.schema_registry import Schema

    return Schema(json.dumps(avro_schema(topic)), "AVRO")


def _text(schema: "Schema") -> str:
    return _known(schema.schema_str)


def _known(answer: T | None) -> T:
    """What a registry's answer must hold; the client's types allow for its absence."""
    if answer is None:
        raise RegistryUnavailable("the schema registry answered without a schema or id. Check the setting `registry`")
    return answer


def _without_credentials(urls: str) -> str:
    """Registry URLs as they may be shown, also when they are not quite URLs."""
    return re.sub(r"[^/,]*@", "", urls)
