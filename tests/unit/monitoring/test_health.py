"""What the probes answer, and how a taken address is reported."""

import asyncio
import json

import pytest
from fastapi import FastAPI

from monitoring.health import AddressTaken, Health, http_app, listen
from monitoring.metrics import Metrics


def get(app: FastAPI, path: str, accept: str = "") -> tuple[int, str, bytes]:
    """Status, content type and body of one request, straight through ASGI."""
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"accept", accept.encode())],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]  # Starlette's own dict types
    start, *bodies = sent
    headers = dict(start["headers"])  # type: ignore[call-overload]
    content = b"".join(part.get("body", b"") for part in bodies)  # type: ignore[misc]
    return int(str(start["status"])), headers[b"content-type"].decode(), content


def probe(health: Health, name: str) -> tuple[int, dict[str, object]]:
    """Status and parsed answer of one probe."""
    status, content_type, body = get(http_app(Metrics(), health, "0.0.1"), f"/health/{name}")
    assert content_type == "application/json"
    answer = json.loads(body)
    assert set(answer) == {"ok", "checks"}
    assert answer["ok"] == (status == 200)
    return status, answer["checks"]


def test_a_new_process_is_alive_but_neither_started_nor_ready() -> None:
    """Nothing gives it work before its parts are there."""
    health = Health()
    assert probe(health, "live")[0] == 200
    assert probe(health, "startup")[0] == 503
    assert probe(health, "ready")[0] == 503


def test_ready_needs_every_registered_part() -> None:
    """One part that does not work makes the process unready and says why; its return makes it ready."""
    health = Health()
    health.start()
    health.set("ledger", ok=True)
    health.set("intake", ok=False, reason="no lane is assigned")
    status, checks = probe(health, "ready")
    assert status == 503
    assert checks["intake"] == {"ok": False, "reason": "no lane is assigned"}
    assert checks["ledger"] == {"ok": True, "reason": ""}
    health.set("intake", ok=True)
    assert probe(health, "ready")[0] == 200
    assert probe(health, "live")[0] == probe(health, "startup")[0] == 200


def test_a_part_that_is_another_process_s_now_does_not_count() -> None:
    """A lane that stopped here and was given away must not keep this process from being ready."""
    health = Health()
    health.start()
    health.set("lane 3", ok=False, reason="stopped")

    health.forget("lane 3")

    assert health.ready().ok


def test_a_failed_process_is_neither_alive_nor_ready() -> None:
    """It is replaced, and gets no work until then."""
    health = Health()
    health.start()
    health.fail("no progress for 60 s with records to read")
    status, checks = probe(health, "live")
    assert status == 503
    assert checks == {"process": {"ok": False, "reason": "no progress for 60 s with records to read"}}
    assert probe(health, "ready")[0] == 503


def test_metrics_are_served_in_the_format_asked_for() -> None:
    """Plain text by default, OpenMetrics on request; the version is a label."""
    app = http_app(Metrics(), Health(), "0.0.1")
    status, content_type, body = get(app, "/metrics")
    assert (status, content_type.split(";")[0]) == (200, "text/plain")
    assert b'claimhub_build_info{version="0.0.1"} 1.0' in body
    _, content_type, body = get(app, "/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/"])
def test_no_other_page_exists(path: str) -> None:
    """The port of the probes shows nothing else."""
    assert get(http_app(Metrics(), Health(), "0.0.1"), path)[0] == 404


def test_port_zero_tells_the_port_taken_and_a_second_listener_is_refused() -> None:
    """The message names the address and the settings that change it."""
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert port > 0
        with pytest.raises(AddressTaken, match=rf"127\.0\.0\.1:{port}: .*CLAIMHUB_HTTP_PORT"):
            listen("127.0.0.1", port)
