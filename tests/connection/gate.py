"""A real MCP server over real HTTP, behind a door that can answer in its stead."""

from __future__ import annotations

import asyncio
import contextlib
import json

import uvicorn
from mcp.server.mcpserver import MCPServer

from mcpnb.config import ServerConfig


class Gate:
    """A real MCP server behind a door that can answer in its stead.

    `verdicts` maps the text argument of a tool call (or a method) to what happens to it: a status with
    headers and body, `"half"` (the connection breaks in the middle of the answer) or `"hang"` (until
    `go_on`). `"*"` stands for all.
    """

    def __init__(self) -> None:
        self.verdicts: dict[str, object] = {}
        self.sent: list[tuple[str, str]] = []
        self.streams: set[asyncio.Task] = set()
        """The subscriptions that are open."""
        mcp = self.mcp = MCPServer("gated", version="1.0", log_level="ERROR")
        self.running = asyncio.Event()
        self.go_on = asyncio.Event()

        @mcp.tool()
        def echo(text: str) -> str:
            return text

        @mcp.tool()
        async def held(text: str) -> str:
            self.running.set()
            await self.go_on.wait()
            return text

        self._app = mcp.streamable_http_app()

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = b""
        while scope["method"] == "POST":
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        verdict = self._verdict(scope, body)
        if verdict == "hang":
            await self.go_on.wait()
        if b'"subscriptions/listen"' in body and verdict is None:
            await self._stream(scope, _replay(body, receive), send)
        elif verdict is None or verdict == "hang":
            await self._app(scope, _replay(body, receive), send)
        else:
            await _carry_out(verdict, send)

    async def _stream(self, scope, receive, send) -> None:
        """A subscription, which a test may cut off."""
        task = asyncio.create_task(self._app(scope, receive, send))
        self.streams.add(task)
        try:
            await asyncio.wait([task])
        finally:
            self.streams.discard(task)
            task.cancel()
        if task.cancelled():
            raise ConnectionAbortedError

    def _verdict(self, scope, body: bytes) -> object:
        message = json.loads(body) if body else {}
        method = message.get("method", scope["method"])
        text = message.get("params", {}).get("arguments", {}).get("text", "")
        self.sent.append((method, text))
        for key in (text, method, "*"):
            if key and key in self.verdicts:
                return self.verdicts[key]
        return None


def _replay(body: bytes, receive):
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def again():
        return left.pop() if left else await receive()

    return again


async def _carry_out(verdict, send) -> None:
    status, headers, body = (200, {}, b"") if verdict == "half" else (*verdict, {}, b"")[:3]
    kind = [] if "content-type" in headers else [(b"content-type", b"application/json")]
    if verdict == "half":
        kind.append((b"content-length", b"1000"))
        body = b'{"jsonrpc": "2.0", "id": 1, '
    extra = [(key.encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": [*kind, *extra]})
    await send({"type": "http.response.body", "body": body, "more_body": verdict == "half"})
    if verdict == "half":
        raise ConnectionAbortedError


class Announcing(uvicorn.Server):
    def __init__(self, config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()


@contextlib.asynccontextmanager
async def gated(**more):
    """A gate, served over real HTTP on the test's own loop, and the configuration for it."""
    gate = Gate()
    settings = uvicorn.Config(gate, port=0, log_level="critical", timeout_graceful_shutdown=0, lifespan="on")
    server = Announcing(settings)
    serving = asyncio.create_task(server.serve())
    await server.ready.wait()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        url = f"http://127.0.0.1:{port}/mcp"
        yield gate, ServerConfig("web", "http", url=url, **{"health_interval": 1000, **more})
    finally:
        gate.go_on.set()
        server.should_exit = True
        await serving
