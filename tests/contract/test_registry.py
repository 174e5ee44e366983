"""One suite for every registry: the shipped one, Confluent's API over HTTP, and a real one."""

import json
from collections.abc import Iterator
from uuid import UUID

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from connectors.registry import ConfluentRegistry, EmbeddedRegistry
from schemas.codec import Codec, RegistryUnavailable, SchemaSource, UnknownSchema
from schemas.records import Wake, WakeKind
from schemas.topics import TOPICS, avro_schema
from tests.contract.http_registry import HttpRegistry, http_registry

ONCE = {"max.retries": 0}


@pytest.fixture
def http() -> Iterator[HttpRegistry]:
    """Confluent's API on loopback, empty."""
    with http_registry() as registry:
        yield registry


@pytest.fixture(params=["embedded", "http", pytest.param("real", marks=pytest.mark.registry)])
def source(request: pytest.FixtureRequest) -> SchemaSource:
    """A registry that knows our schemas."""
    if request.param == "embedded":
        return EmbeddedRegistry()
    url = request.getfixturevalue("http").url if request.param == "http" else request.getfixturevalue("registry_url")
    registry = ConfluentRegistry(url)
    registry.register_all()
    return registry


@pytest.fixture(params=["http", pytest.param("real", marks=pytest.mark.registry)])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a registry with Confluent's API."""
    found: str = (
        request.getfixturevalue("http").url if request.param == "http" else request.getfixturevalue("registry_url")
    )
    return found


def test_every_topics_schema_is_found_by_its_id(source: SchemaSource) -> None:
    """The schema under an id is the one of the topic, and no two topics share an id."""
    ids = {topic: source.id_of(topic) for topic in TOPICS}

    assert len(set(ids.values())) == len(TOPICS)
    for topic, schema_id in ids.items():
        assert json.loads(source.schema_by_id(schema_id)) == avro_schema(topic)


@pytest.mark.parametrize("schema_id", [0, 1_999_999, 2**31, 2**32 - 1])
def test_an_id_nobody_gave_is_an_unknown_schema(source: SchemaSource, schema_id: int) -> None:
    """Also where the id cannot be one: whatever four bytes say, the lane goes on."""
    with pytest.raises(UnknownSchema) as unknown:
        source.schema_by_id(schema_id)
    assert unknown.value.schema_id == schema_id


def test_a_guid_nobody_gave_is_an_unknown_schema(source: SchemaSource) -> None:
    """As for ids."""
    with pytest.raises(UnknownSchema):
        source.schema_by_guid(str(UUID(int=2**127)))


def test_a_record_survives_the_wire_by_this_registry(source: SchemaSource) -> None:
    """What one process writes another reads, each with its own codec."""
    sent = Wake(claim="CLM-1", kind=WakeKind.RETRY, at_ms=1)

    assert Codec(source, 1000).decode("hub.wake.v1", Codec(source, 1000).encode("hub.wake.v1", sent), ()) == sent


def test_registering_again_changes_nothing(url: str) -> None:
    """Same ids, and another client finds them."""
    first = ConfluentRegistry(url).register_all()

    assert ConfluentRegistry(url).register_all() == first
    assert {topic: ConfluentRegistry(url).id_of(topic) for topic in TOPICS} == first


def test_ids_of_the_embedded_registry_never_move() -> None:
    """Bytes in journals and archives hold them: topic's place times 1000 plus released version."""
    ids = [EmbeddedRegistry().id_of(topic) for topic in TOPICS]

    assert [number // 1000 for number in ids] == list(range(1, len(TOPICS) + 1))
    assert json.loads(EmbeddedRegistry().schema_by_id(1001))["name"] == "LossNotice"


def test_subjects_get_their_compatibility(url: str) -> None:
    """FULL_TRANSITIVE for payment instructions, BACKWARD_TRANSITIVE for the others."""
    ConfluentRegistry(url).register_all()

    with SchemaRegistryClient({"url": url}) as client:
        levels = {topic.subject: client.get_compatibility(topic.subject) for topic in TOPICS.values()}
    assert levels == {topic.subject: topic.compatibility for topic in TOPICS.values()}
    assert levels["finance.payment-instruction.v1-value"] == "FULL_TRANSITIVE"


def test_a_real_registry_keeps_what_readers_rely_on(registry_url: str) -> None:
    """Another producer cannot register a field without a default."""
    ConfluentRegistry(registry_url).register_all()
    known = avro_schema("hub.wake.v1")
    broken = {**known, "fields": [*known["fields"], {"name": "new", "type": "string"}]}

    with SchemaRegistryClient({"url": registry_url}) as client, pytest.raises(SchemaRegistryError) as refused:
        client.register_schema(TOPICS["hub.wake.v1"].subject, Schema(json.dumps(broken), "AVRO"))
    assert refused.value.http_status_code == 409


def test_a_schema_not_registered_yet_is_unknown(http: HttpRegistry) -> None:
    """With an empty registry nothing can be written, and the error says of which subject."""
    with pytest.raises(UnknownSchema, match=r"hub\.wake\.v1-value"):
        ConfluentRegistry(http.url).id_of("hub.wake.v1")


def test_a_guid_the_registry_knows_is_found(http: HttpRegistry) -> None:
    """As newer Confluent clients write it in a header. Apicurio gives no GUIDs and has no /schemas/guids to ask."""
    ConfluentRegistry(http.url).register_all()

    assert json.loads(ConfluentRegistry(http.url).schema_by_guid(str(UUID(int=1)))) == avro_schema(next(iter(TOPICS)))


def test_nothing_is_asked_twice(http: HttpRegistry) -> None:
    """A schema under an id never changes."""
    registry = ConfluentRegistry(http.url)
    known = registry.register_all()["hub.wake.v1"]
    registry.schema_by_id(known)
    registry.id_of("hub.wake.v1")
    asked = len(http.requests)

    registry.schema_by_id(known)
    registry.id_of("hub.wake.v1")

    assert len(http.requests) == asked


def test_credentials_reach_the_registry(http: HttpRegistry) -> None:
    """Options pass through to the client."""
    registry = ConfluentRegistry(http.url, {"basic.auth.user.info": "claims:secret"})
    with pytest.raises(UnknownSchema):
        registry.schema_by_id(1)
    assert http.requests[0].authorization == "Basic Y2xhaW1zOnNlY3JldA=="


@pytest.mark.parametrize("status", [401, 403, 409, 429, 500, 503])
def test_a_registry_that_refuses_is_unavailable(http: HttpRegistry, status: int) -> None:
    """The text has the status and the URL, and no credentials."""
    http.fault = status
    registry = ConfluentRegistry(http.url.replace("//", "//claims:secret@"), ONCE)

    with pytest.raises(RegistryUnavailable, match=f"{http.url} answers {status}") as refused:
        registry.schema_by_id(1)
    assert "secret" not in str(refused.value)


def test_a_schema_the_registry_does_not_take_is_not_passed_over(http: HttpRegistry) -> None:
    """Registering stops at once, with the status."""
    http.fault = 422
    with pytest.raises(RegistryUnavailable, match="answers 422"):
        ConfluentRegistry(http.url, ONCE).register_all()


def test_a_registry_that_is_not_there_is_unavailable(http: HttpRegistry) -> None:
    """The text says what to check, and no credentials."""
    registry = ConfluentRegistry("http://claims:secret@127.0.0.1:1", ONCE)

    with pytest.raises(
        RegistryUnavailable, match=r"http://127\.0\.0\.1:1 does not answer .* setting `registry`"
    ) as gone:
        registry.schema_by_id(1)
    assert "secret" not in str(gone.value)


@pytest.mark.parametrize(("url", "options"), [("claims:secret@host", {}), ("http://u:secret@h", {"no.such": "option"})])
def test_a_wrong_url_or_option_is_named_at_once(url: str, options: dict[str, str]) -> None:
    """When the client is made, without credentials."""
    with pytest.raises(RegistryUnavailable, match="settings of the registry") as wrong:
        ConfluentRegistry(url, options)
    assert "secret" not in str(wrong.value)
