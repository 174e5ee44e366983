"""The part of Confluent's schema registry API that the hub uses, over HTTP on loopback: for faults on demand."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit


class Request(NamedTuple):
    """What was asked, and by whom."""

    method: str
    path: str
    authorization: str | None


class HttpRegistry:
    """Answers from memory. `fault` is the status every answer has instead, when set."""

    def __init__(self) -> None:
        self.url = ""
        self.fault: int | None = None
        self.requests: list[Request] = []
        self.levels: dict[str, str] = {}
        self.schemas: dict[int, str] = {}
        self._subjects: dict[str, list[int]] = {}

    def answer(self, method: str, path: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The status and body of an answer."""
        if self.fault is not None:
            return self.fault, {"error_code": self.fault, "message": "fault"}
        found: dict[str, Any] | None = None
        match method, path.strip("/").split("/"):
            case "PUT", ["config", subject]:
                self.levels[subject] = sent["compatibility"]
                found = sent
            case "GET", ["config", subject] if subject in self.levels:
                found = {"compatibilityLevel": self.levels[subject]}
            case "POST", ["subjects", subject, "versions"]:
                known = self._id(sent["schema"]) or len(self.schemas) + 1
                self.schemas[known] = sent["schema"]
                self._subjects.setdefault(subject, []).append(known)
                found = {"id": known}
            case "POST", ["subjects", subject]:
                if (known := self._id(sent["schema"]) or 0) in self._subjects.get(subject, []):
                    found = {"subject": subject, "id": known, "version": 1, "schema": sent["schema"]}
            case "GET", ["schemas", "ids", number] if int(number) in self.schemas:
                found = {"schema": self.schemas[int(number)]}
            case "GET", ["schemas", "guids", guid] if uuid.UUID(guid).int in self.schemas:
                found = {"schema": self.schemas[uuid.UUID(guid).int]}
        return (200, found) if found else (404, {"error_code": 40403, "message": "Schema not found"})

    def _id(self, schema: str) -> int | None:
        return next((number for number, text in self.schemas.items() if text == schema), None)


@contextmanager
def http_registry() -> Iterator[HttpRegistry]:
    """A registry on a free port of loopback, empty."""
    registry = HttpRegistry()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = unquote(urlsplit(self.path).path)
            registry.requests.append(Request(self.command, path, self.headers.get("Authorization")))
            status, body = registry.answer(self.command, path, json.loads(sent) if sent else {})
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 - names the server looks for

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    registry.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
