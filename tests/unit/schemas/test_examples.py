"""The examples do what their names say."""

import msgspec
import pytest

from schemas.codec import without_value
from schemas.topics import TOPICS, Key
from tests.unit.schemas.examples import example_files, load, record


@pytest.mark.parametrize("file", example_files("pass"))
def test_a_pass_example_is_a_record_under_its_key(file: str) -> None:
    """And it holds no more than `key` and `record`."""
    topic, content = load(file)
    name = {Key.CLAIM: "claim", Key.POLICY: "policy_number", Key.NONE: "key"}[TOPICS[topic].key]

    assert set(content) == {"key", "record"}
    assert getattr(record(file)[1], name) == content["key"]


@pytest.mark.parametrize("file", example_files("fail"))
def test_a_fail_example_is_refused_for_what_it_says(file: str) -> None:
    """The message holds the words the example expects and none of the record's texts."""
    topic, content = load(file)

    assert set(content) == {"why", "error", "record"} and content["why"]
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(content["record"], TOPICS[topic].record)
    message = without_value(refused.value)
    assert content["error"] in message
    assert not [v for v in content["record"].values() if isinstance(v, str) and len(v) > 3 and v in message]
