"""A wire between worker and PostgreSQL that can be cut while a COMMIT is in flight, or stand still.

It understands just enough of the protocol: where a message ends, which statement it names, and that it says COMMIT.
"""

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Final, Literal, NamedTuple

from msgspec import Struct

When = Literal["before", "sent", "after"]
"""The server never gets the COMMIT; it gets it and nobody waits; it commits and the answer is lost."""
Of = Literal["batch", "take", "mark"]

# What a transaction says that is one of these.
SIGNS: Final[dict[Of, bytes]] = {
    "batch": b"UPDATE lanes SET seq",
    "take": b"UPDATE lanes SET token",
    "mark": b"UPDATE relay",
}
_PROTOCOL: Final = (3).to_bytes(2, "big")
_CHUNK: Final = 1 << 16


class Cut(Struct, frozen=True):
    """Cut the `nth` COMMIT of this kind."""

    of: Of
    when: When
    nth: int


class _Message(NamedTuple):
    type: bytes
    body: bytes
    whole: bytes


class Proxy:
    """Listens on a port of its own until closed; every connection goes on to the server."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._cut: Cut | None = None
        self._seen = 0
        self._done: Future[None] = Future()
        self._flows = asyncio.Event()
        self._flows.set()
        self._wires: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve()], name="proxy")
        self._thread.start()

    def close(self) -> None:
        """Cut everything and stop listening."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def cut(self, cut: Cut) -> "Future[None]":
        """Arm one cut; the future is done once it was made."""
        self._done = Future()
        self._seen, self._cut = 0, cut
        return self._done

    def disarm(self) -> None:
        """Make no cut any more."""
        self._cut = None

    def stand_still(self, still: bool) -> None:
        """Let nothing through, in either direction, or let it flow again."""
        self._loop.call_soon_threadsafe(self._flows.clear if still else self._flows.set)

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, sock=self._listening)
        async with server:
            await self._stop.wait()
            for wire in self._wires:
                wire.cancel()
            await asyncio.gather(*self._wires, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._wires.add(task)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.transport.abort()
        else:
            wire = _Wire(self, writer, back)
            pumps = [asyncio.ensure_future(it) for it in (wire.to_server(reader), wire.to_client(there))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                for end in (writer, back):
                    end.transport.abort()
        finally:
            self._wires.discard(task)

    async def flowing(self) -> None:
        """Wait while the wire stands still."""
        await self._flows.wait()

    def at_commit(self, said: list[bytes]) -> When | None:
        """Whether and how to cut a COMMIT of a transaction that said this."""
        cut = self._cut
        if cut is None or not any(SIGNS[cut.of] in statement for statement in said):
            return None
        self._seen += 1
        if self._seen < cut.nth:
            return None
        self._cut = None
        return cut.when

    def made(self) -> None:
        """A cut was made."""
        if not self._done.done():
            self._done.set_result(None)


class _Wire:
    """One connection. A direction that returns cuts it."""

    def __init__(self, proxy: Proxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._prepared: dict[bytes, bytes] = {}
        self._bound = b""
        self._said: list[bytes] = []
        self._swallow = False

    async def to_server(self, reader: asyncio.StreamReader) -> None:
        """Pass on what the client says, up to a COMMIT that is to be cut."""
        messages = _Messages(typed=False)
        while data := await reader.read(_CHUNK):
            for message in messages.feed(data):
                when = self._proxy.at_commit(self._said) if self._commits(message) else None
                await self._proxy.flowing()
                if when == "before":
                    self._proxy.made()
                    return
                self._swallow = self._swallow or when == "after"
                self._server.write(message.whole)
                if when == "sent":
                    await self._server.drain()
                    self._proxy.made()
                    return
            await self._server.drain()

    async def to_client(self, reader: asyncio.StreamReader) -> None:
        """Pass on what the server answers, but not the answer to a COMMIT that is to be lost."""
        messages = _Messages(typed=True)
        while data := await reader.read(_CHUNK):
            for message in messages.feed(data):
                await self._proxy.flowing()
                if self._swallow and (message.type == b"E" or message.body.startswith(b"COMMIT\0")):
                    self._proxy.made()
                    return
                self._client.write(message.whole)
            await self._client.drain()

    def _commits(self, message: _Message) -> bool:
        """Whether this message runs a COMMIT; remembers what the transaction has said so far."""
        if message.type == b"P":
            name, _, query = message.body.partition(b"\0")
            self._prepared[name] = query
        elif message.type == b"B":
            self._bound = self._prepared.get(message.body.partition(b"\0")[2].partition(b"\0")[0], b"")
        if message.type not in (b"Q", b"E"):
            return False
        statement = message.body if message.type == b"Q" else self._bound
        word = statement.lstrip()[:6].upper()
        if word.startswith(b"BEGIN"):
            self._said.clear()
        if word == b"COMMIT":
            return True
        self._said.append(statement)
        return False


class _Messages:
    """Cuts a stream of bytes into messages. What comes before the start-up has no type."""

    def __init__(self, *, typed: bool) -> None:
        self._typed = typed
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[_Message]:
        self._buffer += data
        while True:
            head = 1 if self._typed else 0
            if len(self._buffer) < head + 4:
                return
            size = head + int.from_bytes(self._buffer[head : head + 4], "big")
            if len(self._buffer) < size:
                return
            whole = bytes(self._buffer[:size])
            del self._buffer[:size]
            message = _Message(whole[:head], whole[head + 4 :], whole)
            if not self._typed and message.body.startswith(_PROTOCOL):
                self._typed = True
            yield message
