"""A TCP proxy before an HTTP server, in the test's own process, that breaks what it is told to break.

It forwards one request a connection and streams the answer as chunks, so that it may cut, hold, garble or
drip any byte of it. A `Rule` says what happens to a request in its stead, and what happens to bodies. It
knows just enough HTTP for that, and of JSON-RPC the method and the tool.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Seen:
    """A request as the proxy saw it."""

    method: str
    path: str
    head: bytes
    body: bytes

    @property
    def message(self) -> dict:
        try:
            return json.loads(self.body) if self.body else {}
        except ValueError:
            return {}

    @property
    def rpc(self) -> str:
        """The JSON-RPC method, or nothing."""
        return self.message.get("method", "")

    @property
    def calls(self) -> str:
        """The tool it calls, or nothing."""
        return self.message.get("params", {}).get("name", "") if self.rpc == "tools/call" else ""


class Line:
    """The connection to the client, to which a rule may write."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        if data:
            await self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    async def status(self, status: int, words: str, body: bytes = b"", **headers: str) -> None:
        """A whole answer; underscores in names of headers are hyphens."""
        lines = [f"HTTP/1.1 {status} {words}", f"content-length: {len(body)}", "connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.raw("\r\n".join([*lines, "", ""]).encode() + body)

    def reset(self) -> None:
        """End it with a TCP reset, not with a goodbye."""
        sock = self.writer.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):  # it has ended just now
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Cut(Exception):
    """A rule has ended the connection."""


async def _passed(data: bytes, line: Line) -> None:
    await line.chunk(data)


async def _forwarded(seen: Seen, line: Line) -> Seen | None:
    return seen


@dataclass
class Rule:
    """What happens to the traffic from now on."""

    instead: Callable[[Seen, Line], Awaitable[Seen | None]] = _forwarded
    """Answers a request itself (None), or says what is forwarded."""
    body: Callable[[bytes, Line], Awaitable[None]] = _passed
    """Passes on a piece of an answer, or what it makes of it."""
    bodies_of: Callable[[Seen], bool] = lambda seen: True
    """Whose answers `body` sees."""


@dataclass
class Proxy:
    """Listens at an address of its own that it keeps; forwards to `upstream`, a port of this machine."""

    upstream: int
    port: int = 0
    rule: Rule = field(default_factory=Rule)

    def __post_init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._lines: dict[asyncio.Task, Line] = {}
        self._thawed = asyncio.Event()
        self._thawed.set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, and reset what is open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.reset_all()
        while self._lines:
            await asyncio.wait(self._lines)

    def reset_all(self) -> None:
        """Reset every connection there is."""
        for task, line in list(self._lines.items()):
            line.reset()
            task.cancel()

    def freeze(self) -> None:
        """Let nothing through any more, in either direction, and close nothing."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Work again; the far end remembers none of the old connections."""
        self._thawed.set()
        self.reset_all()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, Line(writer)))
        self._lines[task] = Line(writer)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task) -> None:
        line = self._lines.pop(task)
        line.writer.close()
        if not task.cancelled() and task.exception() is not None:
            raise task.exception()

    async def _serve(self, reader: asyncio.StreamReader, line: Line) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, Cut):
            seen = await _request(reader)
            await self._thawed.wait()
            forwarded = await self.rule.instead(seen, line)
            if forwarded is not None:
                await self._forward(forwarded, reader, line)

    async def _forward(self, seen: Seen, reader: asyncio.StreamReader, line: Line) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            up_writer.write(seen.head + seen.body)
            await up_writer.drain()
            gone = asyncio.create_task(reader.read())  # ends when the client hangs up
            pump = asyncio.create_task(self._pump(seen, up_reader, line))
            try:
                await asyncio.wait({gone, pump}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (gone, pump):
                    task.cancel()
                ended = await asyncio.gather(gone, pump, return_exceptions=True)
            if isinstance(ended[1], Exception):
                raise ended[1]
        finally:
            up_writer.transport.abort()

    async def _pump(self, seen: Seen, up_reader: asyncio.StreamReader, line: Line) -> None:
        head = await up_reader.readuntil(b"\r\n\r\n")
        kept = [
            part for part in head.split(b"\r\n")[1:]
            if part and not part.lower().startswith((b"content-length", b"connection", b"transfer-encoding"))
        ]  # fmt: skip
        status = head.split(b" ", 1)[1].split(b"\r\n", 1)[0]
        await self._thawed.wait()
        extra = [b"connection: close", b"transfer-encoding: chunked", b"", b""]
        await line.raw(b"\r\n".join([b"HTTP/1.1 " + status, *kept, *extra]))
        while data := await up_reader.read(1 << 20):
            await self._thawed.wait()
            if self.rule.bodies_of(seen):
                await self.rule.body(data, line)
            else:
                await line.chunk(data)
        await self._thawed.wait()
        await line.raw(b"0\r\n\r\n")


async def _request(reader: asyncio.StreamReader) -> Seen:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    body = await reader.readexactly(int(length[1])) if length else b""
    first, _, rest = head.partition(b"\r\n")
    method, path, _ = first.split(b" ")
    # 1.0, so that the server sends the bare body and then closes; the chunks are ours.
    rest = re.sub(rb"(?i)connection:[^\r]*\r\n", b"", rest)
    head = method + b" " + path + b" HTTP/1.0\r\nconnection: close\r\n" + rest
    return Seen(method.decode(), path.decode(), head, body)
