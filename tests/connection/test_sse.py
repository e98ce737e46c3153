"""SSE servers of other people's making: what their streams may say besides answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import jsonrpc_message_adapter

from mcpnb.config import ServerConfig
from mcpnb.connection.messages import message
from mcpnb.errors import ConnectError

from .conftest import LIMIT, connected

pytestmark = pytest.mark.anyio

VERSION = "2025-11-25"


def event(data: object, kind: str = "message") -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return f"event: {kind}\r\ndata: {text}\r\n\r\n".encode()


class Stream:
    """A server of the handshake era over SSE, which begins its stream with `greeting`."""

    def __init__(self, greeting: Sequence[bytes]) -> None:
        self.greeting = greeting
        self.outbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.refuses = b""
        """A method whose POST is answered with 503."""
        self.posted: list[str] = []
        """The methods of what was posted."""

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] == "GET":
            self.outbox = asyncio.Queue()
            headers = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            for piece in self.greeting:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            outbox = self.outbox  # the next stream has another
            while True:
                body = await outbox.get()
                await send({"type": "http.response.body", "body": body, "more_body": True})
        body = (await receive())["body"]
        self.posted.append(json.loads(body).get("method", ""))
        refused = self.refuses and self.refuses in body
        await send({"type": "http.response.start", "status": 503 if refused else 202, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        if not refused and (answer := self.answer(json.loads(body))):
            self.outbox.put_nowait(event(answer))

    def answer(self, request: dict) -> dict | None:
        results = {
            "initialize": {
                "protocolVersion": VERSION, "capabilities": {"tools": {}},
                "serverInfo": {"name": "old", "version": "1"},
            },
            "tools/list": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]},
            "tools/call": {"content": [{"type": "text", "text": "x"}]},
            "ping": {},
        }  # fmt: skip
        if "id" not in request:
            return None
        known = results.get(request["method"])
        refusal = {"code": -32601, "message": "there is no such method"}
        told = {"error": refusal} if known is None else {"result": known}
        return {"jsonrpc": "2.0", "id": request["id"], **told}


@contextlib.asynccontextmanager
async def streaming(*greeting: bytes) -> AsyncIterator[tuple[Stream, ServerConfig]]:
    stream = Stream(greeting)
    config = uvicorn.Config(stream, port=0, log_level="critical", timeout_graceful_shutdown=0, lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(LIMIT):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield stream, ServerConfig("web", "sse", url=f"http://127.0.0.1:{port}/sse")
    finally:
        server.should_exit = True
        await task


HERE = event("/messages?session=1", "endpoint")


async def test_what_is_no_message_passes_by() -> None:
    strange = [b": hello\n\n", b"data:\n\n", event("{}", "heartbeat"), HERE, event("/other", "endpoint")]
    async with streaming(HERE, *strange) as (_, config), connected(config) as (connection, seen):
        assert (connection.state, connection.protocol) == ("connected", VERSION)
        assert (await connection.call_tool("echo", {})).content[0].text == "x"
        assert seen.of("server_log") == []


async def test_an_event_that_cannot_be_read_is_told_and_harms_nothing() -> None:
    half = event('{"jsonrpc": "2.0", ')
    async with streaming(HERE, half) as (_, config), connected(config) as (connection, seen):
        assert (await connection.call_tool("echo", {})).content[0].text == "x"
        assert seen.of("server_log")[0].detail.startswith("error: it sent what cannot be read")


async def test_messages_are_not_posted_to_another_server() -> None:
    elsewhere = event("http://user:hunter2@127.0.0.1:9/messages?key=hunter2", "endpoint")
    async with streaming(elsewhere) as (_, config), connected(config) as (connection, seen):
        assert connection.state == "reconnecting"
        assert "has messages posted to another server, http://127.0.0.1:9/messages" in connection.last_error
        assert "hunter2" not in "".join(each.detail for each in seen.events)


async def test_what_was_not_taken_is_not_taken_back() -> None:
    async with streaming(HERE) as (stream, config), connected(config) as (connection, _):
        stream.refuses = b'"method":"tools/call"'
        with pytest.raises(ConnectError):
            await connection.call_tool("echo", {})
        stream.refuses = b""
        await connection.call_tool("echo", {})
        assert "notifications/cancelled" not in stream.posted


async def test_a_greeting_that_nobody_takes_fails_at_once() -> None:
    async with streaming(HERE) as (stream, config):  # which is refused at first
        stream.refuses = b'"method":"initialize"'
        async with connected(config) as (connection, seen):
            assert connection.state == "reconnecting"
            assert "HTTP 503" in connection.last_error
            stream.refuses = b""
            await seen.until(lambda: connection.state == "connected")


MESSAGES = st.fixed_dictionaries(
    {"jsonrpc": st.sampled_from(["2.0", "1.0"])},
    optional={
        "id": st.none() | st.integers() | st.text(max_size=3) | st.floats() | st.booleans(),
        "method": st.text(max_size=5) | st.none(),
        "params": st.dictionaries(st.text(max_size=3), st.integers(), max_size=2) | st.lists(st.none()),
        "result": st.dictionaries(st.text(max_size=3), st.floats(), max_size=2) | st.none(),
        "error": st.fixed_dictionaries({"code": st.integers(), "message": st.text(max_size=3)}),
    },
)  # fmt: skip


@given(MESSAGES)
def test_a_message_is_what_the_sdk_reads_in_it(value) -> None:
    text = json.dumps(value)
    try:
        expected = jsonrpc_message_adapter.validate_json(text, by_name=False)
    except ValueError:
        expected = None
    try:
        found = message(text)
    except ValueError:
        found = None
    assert repr(found) == repr(expected)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "7", '{"jsonrpc": "2.0"} x', "\ufeff{}"])
def test_what_is_no_json_or_no_message_is_an_error_of_its_value(text) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are pydantic's
        message(text)
