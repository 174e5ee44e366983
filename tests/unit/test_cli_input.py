"""What a person gives to `claimhub send`: every mistake is named with its file, row and field, never its value."""

import json
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.registry import EmbeddedRegistry
from schemas.codec import Codec
from schemas.topics import INBOUND, TOPICS
from streams.commands import send, show
from streams.commands.failures import EXIT_CODES, Failed, WrongInput, exit_code
from streams.commands.json_rows import read_json, read_rows
from streams.commands.send import OWN_TIMES, read_records
from streams.exits import Exit
from streams.settings import Settings
from tests import claims as make

NOTICE = "reporting.loss-notice.v1"


def row(**changes: object) -> dict[str, Any]:
    return {**msgspec.to_builtins(make.notice()), **changes}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(row()),
        json.dumps([row()]),
        json.dumps({"key": make.CLAIM, "record": row()}),
        json.dumps(row(), indent=2),
    ],
)
def test_a_record_a_list_and_an_example_are_read_alike(text: str) -> None:
    """The key is the record's own."""
    assert read_records(NOTICE, text, "file") == [(make.CLAIM, make.notice())]


def test_ndjson_is_one_record_a_line_and_empty_lines_are_nothing() -> None:
    """Lines keep their numbers."""
    other = row(claim="CLM-2026-000002")
    rows = read_rows(f"\n{json.dumps(row())}\n\n{json.dumps(other)}\n", "file")

    assert [found.where for found in rows] == ["file line 2", "file line 4"]
    assert rows[1].value == json.loads(json.dumps(other))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "file line 1 column 1: not JSON"),
        ('{"claim": }', "file line 1 column 11: not JSON"),
        ('{"a": 1}\n{"a": \n', "file line 2 column 7: not JSON"),
        ('{"a": NaN}', "file: NaN is not a number of JSON"),
        ('{"a": 1, "a": 2}', "file: an object has the field a twice"),
        ("[" * 100_000, "file: nested too deeply"),
        ("[]", "file holds no record"),
        ("[7]", "file row 1: Expected `object`, got `int`. Nothing was sent"),
        (json.dumps([row(), row(estimated_loss_minor=-1)]), "file row 2: Expected `int` >= 0 - at `$.estimated"),
        (json.dumps(row(estimated_loss_minor=1.5)), "Expected `int`, got `decimal` - at `$.estimated_loss_minor`"),
        (json.dumps(row(estimated_loss_minor=1.0)), "Expected `int`, got `decimal` - at `$.estimated_loss_minor`"),
        (json.dumps(row(currency="XXY")), "currency is not an active ISO 4217"),
        (json.dumps(row(fault="SECRET")), "Not one of the values allowed - at `$.fault`"),
        (json.dumps(row(extra=1)), "Object contains unknown field `extra`"),
        (json.dumps({"key": "SECRET", "record": row()}), "the key and the field claim differ"),
    ],
)
def test_wrong_input_is_named_without_its_value(text: str, said: str) -> None:
    """One sentence says where and what."""
    with pytest.raises(WrongInput) as refused:
        read_records(NOTICE, text, "file")

    assert said in str(refused.value)
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize("topic", ["claims.status.v1", "finance.payment-instruction.v1", "no.such.topic"])
def test_only_inbound_topics_are_sent_to(topic: str) -> None:
    """Nobody forges a payment instruction by `send`."""
    with pytest.raises(WrongInput, match="What can be sent to"):
        read_records(topic, "{}", "file")


@given(st.text())
def test_no_text_crashes_the_reader(text: str) -> None:
    """Any text is records or a WrongInput."""
    with suppress(WrongInput):
        read_records(NOTICE, text, "file")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda of: st.lists(of) | st.dictionaries(st.text(), of)
    )
)
def test_json_is_read_as_written(value: object) -> None:
    """Nothing is changed on the way."""
    assert read_json(json.dumps(value), "file") == value


def test_every_inbound_record_tells_its_own_time() -> None:
    """The CloudEvents time never depends on when a file is sent."""
    for topic in INBOUND:
        assert set(OWN_TIMES) & set(TOPICS[topic].record.__struct_fields__), topic


@pytest.mark.parametrize("changes", [{"place": "\ud800"}, {"reporter_name": "SECRET\udfff"}])
def test_a_record_that_cannot_be_written_is_named(changes: dict[str, object]) -> None:
    """JSON can hold half of a surrogate pair; UTF-8 cannot."""
    records = read_records(NOTICE, json.dumps([row(), row(**changes)]), "file")

    with pytest.raises(WrongInput, match="record 2 does not fit") as refused:
        send.outgoing(Settings(), NOTICE, records)
    assert "SECRET" not in str(refused.value)


def test_the_id_comes_from_topic_key_and_content() -> None:
    """The same again is a duplicate; anything else is not."""
    codec = Codec(EmbeddedRegistry(), 1_000_000)

    def event_id(record: Any, key: str = make.CLAIM) -> bytes | None:
        return dict(send.encoded(codec, NOTICE, key, record).headers)["ce_id"]

    assert event_id(make.notice()) == event_id(make.notice())
    assert len({event_id(make.notice()), event_id(make.notice(injury=True)), event_id(make.notice(), "other")}) == 3


def test_every_expected_error_exists() -> None:
    """The table of exit codes names errors, so a renamed one must not fall out of it."""
    for name in EXIT_CODES:
        module, _, kind = name.rpartition(".")
        assert issubclass(getattr(import_module(module), kind), Exception)


@pytest.mark.parametrize(
    ("error", "code"), [(Failed("x"), 1), (WrongInput("x"), 2), (ValueError("x"), None), (KeyError("x"), None)]
)
def test_a_fault_of_the_program_has_no_exit_code(error: Exception, code: int | None) -> None:
    """Only what can be expected is told without a traceback."""
    assert exit_code(error) == code


def test_an_error_below_an_expected_one_has_its_code() -> None:
    """MissingPart is a StackError."""
    errors: Mapping[str, Any] = vars(import_module("streams.stack.errors"))

    assert exit_code(errors["MissingPart"]("x")) == Exit.UNAVAILABLE


def test_a_plain_table_is_aligned_also_below_chinese_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A Chinese character is two columns wide; an empty table says so beside the data."""
    show.table(("name", "n"), [("查勘定损", 1), ("claim", None)], "none")
    show.table(("name", "n"), [], "none")
    out, err = capsys.readouterr()

    assert out == "name      n\n查勘定损  1\nclaim\n"
    assert err == "none\n"


def test_a_terminal_table_cuts_no_id_and_keeps_sentences_readable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the terminal is narrower than the ids."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    ids = ["repair.estimate.v1/1/3/42", "2026-03-05T02:00:00.000Z"]
    show.table(("id", "time", "reason"), [(*ids, "the key and the field claim differ")], "none")
    out = capsys.readouterr().out

    assert all(found in out for found in (*ids, "the key and the", "claim differ"))


def test_an_account_shows_its_last_four_digits() -> None:
    """And nothing else."""
    assert show.masked("6200000000000000018") == "…0018"
