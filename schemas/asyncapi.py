"""The hub's topics as an AsyncAPI 3.0 document, made from the registry: what every department sends and receives."""

from typing import Any, Final

from schemas.topics import TOPICS, Direction, Key, Topic, avro_schema

Document = dict[str, Any]

BINDING_VERSION: Final = "0.5.0"
AVRO: Final = "application/vnd.apache.avro+json;version=1.9.0"

_ACTIONS: Final = {
    Direction.IN: ("receive",),
    Direction.OUT: ("send",),
    Direction.INTERNAL: ("receive", "send"),
}
_KEYS: Final = {
    Key.CLAIM: "The claim number.",
    Key.POLICY: "The policy number.",
    Key.NONE: "The key of the record this one is about.",
}
_TIME: Final = {"type": "string", "format": "date-time"}
_TEXT: Final = {"type": "string"}

# What a department may send, and what the hub makes of it when it is missing, is the same for every topic.
_RECEIVED_HEADERS: Final[Document] = {
    "type": "object",
    "description": "CloudEvents 1.0, binary mode. With the same ce_source and ce_id a record is taken once.",
    "properties": {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {**_TEXT, "description": "Unique in its ce_source; without it, where the record stands in Kafka."},
        "ce_source": {**_TEXT, "description": "The system that sent the record."},
        "ce_type": {**_TEXT, "description": "The topic's name."},
        "ce_time": {**_TIME, "description": "When it happened; without it, the broker's time."},
        "ce_subject": {**_TEXT, "description": "The record's key."},
        "traceparent": {**_TEXT, "description": "W3C Trace Context; what follows from the record carries it on."},
    },
}
_SENT_HEADERS: Final[Document] = {
    "type": "object",
    "description": "CloudEvents 1.0, binary mode, with the causal chain and the number that shows repeats.",
    "required": [
        "ce_specversion",
        "ce_id",
        "ce_source",
        "ce_type",
        "ce_time",
        "ce_subject",
        "correlationid",
        "causationid",
        "lane",
        "seq",
    ],
    "properties": {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {**_TEXT, "description": "The causing record's place and this output's number: apply each once."},
        "ce_source": {"type": "string", "const": "claimhub"},
        "ce_type": {**_TEXT, "description": "The topic's name."},
        "ce_time": {**_TIME, "description": "The causing record's time."},
        "ce_subject": {**_TEXT, "description": "The record's key."},
        "correlationid": {**_TEXT, "description": "The claim or policy number the causing record was about."},
        "causationid": {**_TEXT, "description": "The causing record's event id."},
        "lane": {"type": "string", "pattern": "^[0-9]+$", "description": "The lane that wrote it."},
        "seq": {
            "type": "string",
            "pattern": "^[0-9]+$",
            "description": "Grows within a lane, over all its topics: a number that is not the highest is a repeat.",
        },
        "department": {
            **_TEXT,
            "description": "Of a snapshot on claims.status: sent once more because this department asked. It takes the "
            "snapshot whatever version it has; all others go by the version, as always.",
        },
        "instruction_id": {**_TEXT, "description": "Of a payment instruction: its id, to be paid once."},
        "key_id": {**_TEXT, "description": "Of a payment instruction: the key it is signed with, one of keys.json."},
        "signature": {
            "type": "string",
            "format": "binary",
            "description": "Of a payment instruction: the 64 bytes of its Ed25519 signature. What is signed is in "
            "schemas/signing.py. Nobody pays without a good one; repeats are known by the `lane` and `seq` in it.",
        },
        "traceparent": {**_TEXT, "description": "W3C Trace Context, as the causing record had it."},
    },
}


def asyncapi() -> Document:
    """The whole document. The hub is the application: it receives what departments send, and sends what they read."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "claimhub",
            "version": "1.0.0",
            "description": "The topics between the claims hub and the departments. Names end in their major version; "
            "a schema changes only so that every released version still reads.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "channels": {name: _channel(topic) for name, topic in TOPICS.items()},
        "operations": {
            f"{action}.{name}": _operation(action, topic)
            for name, topic in TOPICS.items()
            for action in _ACTIONS[topic.direction]
        },
        "components": {
            "messages": {name: _message(topic) for name, topic in TOPICS.items()},
            "schemas": {"receivedHeaders": _RECEIVED_HEADERS, "sentHeaders": _SENT_HEADERS},
        },
    }


def _channel(topic: Topic) -> Document:
    return {
        "address": topic.name,
        "description": f"Owned by {topic.owner}. Schema subject {topic.subject}, {topic.compatibility}.",
        "messages": {topic.record.__name__: {"$ref": f"#/components/messages/{topic.name}"}},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "topicConfiguration": {
                    "cleanup.policy": [topic.cleanup_policy],
                    "retention.ms": topic.retention_ms,
                },
                "bindingVersion": BINDING_VERSION,
            }
        },
    }


def _operation(action: str, topic: Topic) -> Document:
    channel = f"#/channels/{topic.name}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{topic.record.__name__}"}],
    }


def _message(topic: Topic) -> Document:
    schema = avro_schema(topic.name)
    headers = "receivedHeaders" if topic.direction is Direction.IN else "sentHeaders"
    return {
        "name": topic.name,
        "title": topic.record.__name__,
        "summary": schema["doc"],
        "contentType": "application/vnd.confluent.avro",
        "headers": {"$ref": f"#/components/schemas/{headers}"},
        "payload": {"schemaFormat": AVRO, "schema": schema},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": _KEYS[topic.key]},
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "bindingVersion": BINDING_VERSION,
            }
        },
    }
