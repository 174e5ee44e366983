"""What reaches the log, and above all what does not."""

import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from monitoring.log import configure_logging, get_logger

PHONE = "13800138000"
ACCOUNT = "6222020200012345678"

Lines = Callable[[], list[dict[str, object]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Logging as a role configures it; call for the lines so far. No planted value may be in any of them."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    configure_logging("INFO", json=True)

    def read() -> list[dict[str, object]]:
        out, err = capsys.readouterr()
        assert out == ""
        assert PHONE not in err and ACCOUNT not in err
        return [json.loads(line) for line in err.splitlines()]

    yield read
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def pay(account: str) -> None:
    """Fails the way a library does: with the value in the exception's text."""
    raise ValueError(f"cannot pay to {account}")


def test_a_line_is_json_with_its_keys(lines: Lines) -> None:
    """Time in UTC, level, source, and the keys on the list."""
    get_logger("intake").info("lane taken", lane=3, token=7)
    (line,) = lines()
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {"event": "lane taken", "level": "info", "source": "intake", "lane": 3, "token": 7}


def test_an_unknown_key_is_dropped_and_named_once(lines: Lines) -> None:
    """Its value never shows; its name shows the first time, so that someone can put it on the list."""
    log = get_logger("intake")
    log.info("notice taken", claim="C-1", phone=PHONE, account=ACCOUNT)
    log.info("notice taken", claim="C-2", phone=PHONE)
    first, second = lines()
    assert first["dropped_keys"] == ["account", "phone"]
    assert "dropped_keys" not in second
    assert first["claim"] == "C-1"


def test_an_exception_shows_its_kinds_and_places_but_not_its_text(lines: Lines) -> None:
    """Type, causes and file:line of each frame are enough to find it; the text may quote a record."""
    try:
        try:
            pay(ACCOUNT)
        except ValueError as error:
            raise RuntimeError(PHONE) from error
    except RuntimeError:
        get_logger("relay").exception("relay stopped")
    (line,) = lines()
    assert line["exception"] == "RuntimeError from ValueError"
    assert [str(frame).split(":")[0] for frame in line["where"]] == ["monitoring/test_log.py"]  # type: ignore[attr-defined]


def test_an_exception_given_by_value_is_described_too(lines: Lines) -> None:
    """`exc_info=error` works outside the except block."""
    with pytest.raises(ValueError, match="cannot pay") as caught:
        pay(ACCOUNT)
    get_logger("relay").error("relay stopped", exc_info=caught.value)
    (line,) = lines()
    assert line["exception"] == "ValueError"
    assert len(line["where"]) == 2  # type: ignore[arg-type]


def test_other_libraries_come_through_the_same_door(lines: Lines) -> None:
    """Their warnings show as templates, without arguments, long numbers or exception texts; less is not shown."""
    log = logging.getLogger("faust.agents")
    log.info("quiet")
    log.warning("cannot decode %r", ACCOUNT)
    log.error(f"cannot reach {PHONE}")
    try:
        pay(ACCOUNT)
    except ValueError:
        log.exception("agent crashed: %r", ACCOUNT)
    warned, masked, crashed = lines()
    assert warned["event"] == "cannot decode %r"
    assert masked["event"] == "cannot reach …"
    assert (crashed["source"], crashed["level"], crashed["exception"]) == ("faust.agents", "error", "ValueError")


def test_the_kafka_client_may_speak_plainly(lines: Lines) -> None:
    """It talks of brokers and connections only, and its template alone would say nothing."""
    logging.getLogger("kafka").warning("%s [%s] %s", "FAIL", "rdkafka#consumer-1", "127.0.0.1:9092: 100% down")
    (line,) = lines()
    assert line["event"] == "FAIL [rdkafka#consumer-1] 127.0.0.1:9092: 100% down"


def test_the_level_holds_and_can_be_set_again(lines: Lines) -> None:
    """A second call replaces the first one."""
    configure_logging("ERROR", json=True)
    get_logger("intake").warning("not shown")
    logging.getLogger("faust").warning("not shown")
    assert lines() == []
    configure_logging("DEBUG", json=True)
    get_logger("intake").debug("shown")
    assert [line["event"] for line in lines()] == ["shown"]


def test_the_form_for_people_keeps_the_same_rules(lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    """The console form drops what JSON drops."""
    configure_logging("INFO", json=False)
    get_logger("intake").info("notice taken", claim="C-1", phone=PHONE)
    shown = capsys.readouterr().err
    assert "notice taken" in shown and "C-1" in shown and PHONE not in shown
