"""What servers ask in the middle of a call, in both eras: answered by a callback, or declined and said so."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager

import mcp_types
import pytest
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import (
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestURLParams,
    InputRequiredResult,
    TextContent,
)

from mcpnb.config import ServerConfig
from mcpnb.connection import Answering
from mcpnb.errors import ConfigError, ToolError

from .conftest import ASKING, connected, stdio
from .servers.asking import build

pytestmark = pytest.mark.anyio

ERAS = ("2025-11-25", "2026-07-28")


@pytest.fixture(params=ERAS)
def asking(request):
    """A way to connect to the asking server in one era."""

    @asynccontextmanager
    async def connect(config=None, **answering):
        config = config or ServerConfig("here", "in-process", target=build())
        legacy = request.param == "2025-11-25"
        async with connected(config, legacy=legacy, answering=Answering(**answering)) as both:
            assert both[0].protocol == request.param
            yield both

    return connect


def text(result) -> str:
    return result.content[0].text


async def test_a_person_is_asked_through_the_callback(asking) -> None:
    asked = []

    async def on_elicit(question):
        asked.append(question)
        return {"name": "Paris"}

    async with asking(on_elicit=on_elicit) as (connection, seen):
        assert text(await connection.call_tool("book", {})) == "booked Paris"
        assert [(q.server, q.message) for q in asked] == [(connection.name, "Which city?")]
        assert list(asked[0].schema["properties"]) == ["name"]
        assert not seen.of("elicitation_declined")


@pytest.mark.parametrize("way", ["stdio", "http", "sse"])
async def test_questions_come_through_on_every_way(way, asking, tmp_path, request) -> None:
    answers = {"on_elicit": lambda question: {"name": "Oslo"}, "on_sample": lambda question: "snow"}
    if way == "stdio":
        config = stdio(str(ASKING), "stdio")
    else:
        config = request.getfixturevalue(f"asking_{way}").config()
    async with asking(config, roots=[tmp_path], **answers) as (connection, _):
        assert text(await connection.call_tool("book", {})) == "booked Oslo"
        assert text(await connection.call_tool("describe", {"topic": "Oslo"})) == "Oslo: snow"
        assert text(await connection.call_tool("roots", {})) == tmp_path.as_uri()


async def test_a_question_that_nobody_answers_is_declined_and_told(asking) -> None:
    async with asking() as (connection, seen):
        with pytest.raises(ToolError):
            await connection.call_tool("book", {})
        (event,) = seen.of("elicitation_declined")
        assert event.server == connection.name
        assert event.detail == "book needs elicitation: nobody answers (on_elicit= at connect)"


async def test_a_plain_callback_may_block_without_holding_up_anybody(asking) -> None:
    asked, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def on_elicit(question):
        loop.call_soon_threadsafe(asked.set)
        go_on.wait(20)
        return {"name": "Rome"}

    async with asking(on_elicit=on_elicit) as (connection, _):
        call = asyncio.create_task(connection.call_tool("book", {}))
        await asked.wait()
        assert text(await connection.call_tool("steps", {})) == "done"
        go_on.set()
        assert text(await call) == "booked Rome"


@pytest.mark.parametrize(
    ("given", "why"), [(False, "declined"), (None, "dismissed"), ({"name": object()}, "on_elicit failed")]
)
async def test_whatever_is_no_acceptance_is_told(given, why) -> None:
    config = ServerConfig("here", "in-process", target=build())
    async with connected(config, answering=Answering(on_elicit=lambda question: given)) as (connection, seen):
        assert (await connection.call_tool("book", {})).is_error
        (event,) = seen.of("elicitation_declined")
        assert event.detail.startswith(f"it asked 'Which city?': {why}")


async def test_a_callback_that_fails_is_told_and_the_server_stays(asking) -> None:
    def on_elicit(question):
        raise RuntimeError("no terminal")

    async with asking(on_elicit=on_elicit) as (connection, seen):
        assert (await connection.call_tool("book", {})).is_error
        assert "on_elicit failed: no terminal" in seen.of("elicitation_declined")[0].detail
        assert text(await connection.call_tool("steps", {})) == "done"


async def test_a_model_is_asked_through_the_callback(asking) -> None:
    async with asking(on_sample=lambda question: f"rain ({question.text})") as (connection, seen):
        assert text(await connection.call_tool("describe", {"topic": "London"})) == "London: rain (London)"
        assert not seen.of("sampling_declined")


async def test_a_callback_may_answer_with_the_sdks_own_result() -> None:
    said = CreateMessageResult(role="assistant", content=TextContent(type="text", text="sun"), model="m")
    config = ServerConfig("here", "in-process", target=build())
    async with connected(config, answering=Answering(on_sample=lambda question: said)) as (connection, _):
        assert text(await connection.call_tool("describe", {"topic": "Rome"})) == "Rome: sun"


async def test_sampling_that_nobody_answers_is_declined_and_told(asking) -> None:
    async with asking() as (connection, seen):
        with pytest.raises(ToolError):
            await connection.call_tool("describe", {"topic": "London"})
        (event,) = seen.of("sampling_declined")
        assert event.detail == "describe needs sampling: nobody answers (on_sample= at connect)"


async def test_sampling_that_is_turned_down_is_the_calls_error(asking) -> None:
    async with asking(on_sample=lambda question: None) as (connection, seen):
        try:
            refused = (await connection.call_tool("describe", {"topic": "London"})).is_error
        except ToolError:
            refused = True
        assert refused
        assert seen.of("sampling_declined")[0].detail == "it asked 'London': turned down"


async def test_roots_are_told_when_a_server_asks(asking, tmp_path) -> None:
    async with asking(roots=[tmp_path, "file:///data"]) as (connection, _):
        told = (await connection.call_tool("roots", {})).structured_content["result"]
        assert told == [tmp_path.as_uri(), "file:///data"]


async def test_other_roots_are_told_from_then_on(asking) -> None:
    answering = {"roots": ["file:///data"]}
    async with asking(**answering) as (connection, _):
        connection._questions._answering.set_roots(["file:///other"])
        await connection.announce_roots()
        told = (await connection.call_tool("roots", {})).structured_content["result"]
        assert told == ["file:///other"]


async def test_a_server_of_the_handshake_era_is_notified_of_other_roots() -> None:
    heard = asyncio.Event()
    server = build()

    async def changed(context, params) -> None:
        heard.set()

    server._lowlevel_server.add_notification_handler(
        "notifications/roots/list_changed", mcp_types.NotificationParams, changed
    )
    config = ServerConfig("here", "in-process", target=server)
    async with connected(config, legacy=True, answering=Answering(roots=["file:///data"])) as (connection, _):
        await connection.announce_roots()
        async with asyncio.timeout(20):
            await heard.wait()


def test_a_root_that_is_no_folder_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="roots"):
        Answering(roots=["https://example.org/data"])


async def test_a_server_that_asks_unannounced_is_declined_and_its_secrets_are_not_shown() -> None:
    server = MCPServer("here", log_level="ERROR")

    @server.tool()
    async def pay() -> InputRequiredResult:
        page = ElicitRequestURLParams(message="Pay with sk-abcdef123456", url="https://example.org/pay")
        return InputRequiredResult(input_requests={"pay": ElicitRequest(params=page)}, request_state="s")

    config = ServerConfig("here", "in-process", target=server, hidden=frozenset({"sk-abcdef123456"}))
    async with connected(config) as (connection, seen):
        with pytest.raises(ToolError):
            await connection.call_tool("pay", {}, timeout=5)
        detail = seen.of("elicitation_declined")[0].detail
        assert detail == "it asked 'Pay with •••': nobody answers (on_elicit= at connect)"


async def test_a_page_to_visit_is_told_with_its_address() -> None:
    server = MCPServer("here", log_level="ERROR")
    asked = []

    @server.tool()
    async def pay(ctx: Context) -> str:
        return (await ctx.elicit_url("Pay here", "https://example.org/pay", "1")).action

    async def on_elicit(question):
        asked.append(question)
        return True

    config = ServerConfig("here", "in-process", target=server)
    async with connected(config, legacy=True, answering=Answering(on_elicit=on_elicit)) as (connection, _):
        assert text(await connection.call_tool("pay", {})) == "accept"
    assert (asked[0].url, asked[0].schema) == ("https://example.org/pay", None)
