"""Listings: every page, the last good one, and changes as they are told."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from mcp.server.mcpserver import Context, MCPServer

from mcpnb.config import ServerConfig
from mcpnb.errors import ToolError

from .conftest import QUICK, connected, old, stdio
from .gate import gated

pytestmark = pytest.mark.anyio


def names(connection) -> list[str]:
    return [tool.name for tool in connection.listing.tools]


async def test_a_server_of_the_handshake_era_is_spoken_to_in_its_own_way() -> None:
    async with connected(old()) as (connection, _):
        assert connection.protocol == "2025-06-18"
        assert (connection.server_name, connection.server_version) == ("old", "0.9")
        assert (await connection.call_tool("first", {})).content[0].text == "ok"


async def test_every_page_is_listed() -> None:
    async with connected(old("pages")) as (connection, _):
        assert names(connection) == ["first", "second"]


async def test_a_server_is_not_asked_for_what_it_does_not_have() -> None:
    async with connected(old()) as (connection, _):
        assert connection.listing.prompts == connection.listing.resources == ()
        assert not any("asked for" in line for line in connection.stderr_tail)


class Leisurely:
    """Rests for longer than a server has for a listing."""

    def __init__(self) -> None:
        self.rests: list[int] = []
        self.drafted: list[str] = []

    async def rest(self, items: int) -> None:
        self.rests.append(items)
        await asyncio.sleep(1.5)

    async def draft(self, tools) -> str:
        self.drafted = [tool.name for tool in tools]
        return "drafts"


async def test_a_reader_may_rest_between_pages_and_it_is_not_the_servers_time() -> None:
    reader, hasty = Leisurely(), dataclasses.replace(QUICK, listing_timeout=1.0)
    async with connected(old("pages"), pace=hasty, reader=reader) as (connection, seen):
        assert not seen.of("listing_failed")
        assert reader.drafted == names(connection) == ["first", "second"]
        assert reader.rests == [1]  # not after the last
        assert connection.listing.drafts == "drafts"


async def test_pages_without_end_are_a_failed_listing_not_a_hanging_connection() -> None:
    async with connected(old("loop")) as (connection, seen):
        assert connection.state == "connected"
        assert "same page" in seen.of("listing_failed")[0].detail


async def test_a_listing_that_fails_is_told_and_tried_again() -> None:
    async with connected(old("broken", health_interval=0.01)) as (connection, seen):
        assert seen.of("listing_failed")[0].detail == "tools: no tools/list here"
        await seen.until(lambda: names(connection) == ["first"])


async def test_a_notification_of_the_handshake_era_refreshes_the_listing() -> None:
    async with connected(old()) as (connection, seen):
        await connection.call_tool("grow", {})
        await seen.until(lambda: names(connection) == ["first", "grown"])
        assert [event.detail for event in seen.of("tools_changed")] == ["1 tools", "2 tools"]


async def test_a_server_that_announces_a_change_with_every_listing_is_not_listed_without_end() -> None:
    pace = dataclasses.replace(QUICK, refresh_every=3600.0)
    async with connected(old("restless"), pace=pace) as (connection, seen):
        await seen.until(lambda: connection.listing.tools[0].title == "6")  # the first, and five at once
        for _ in range(20):
            await connection.call_tool("echo", {})
        assert connection.listing.tools[0].title == "6"
        assert len(seen.of("tools_changed")) == 6


async def test_a_subscription_refreshes_the_listing_over_stdio() -> None:
    async with connected(stdio()) as (connection, seen):
        assert connection.protocol == "2026-07-28"
        await connection.call_tool("grow", {"name": "bigger"})
        await seen.until(lambda: "bigger" in names(connection))


async def test_a_subscription_refreshes_the_listing_over_http(http_server) -> None:
    async with connected(http_server.config()) as (connection, seen):
        await connection.call_tool("grow", {"name": "bigger"})
        await seen.until(lambda: "bigger" in names(connection))


async def test_a_subscription_refreshes_the_listing_in_this_process() -> None:
    server = MCPServer("here", log_level="ERROR")

    @server.tool()
    async def grow(ctx: Context) -> str:
        server.add_tool(lambda: "x", name="bigger")
        await ctx.notify_tools_changed()
        return "grown"

    async with connected(ServerConfig("here", "in-process", target=server)) as (connection, seen):
        await connection.call_tool("grow", {})
        await seen.until(lambda: names(connection) == ["grow", "bigger"])


async def test_resources_templates_and_prompts_are_listed_and_read() -> None:
    server = MCPServer("here", log_level="ERROR")

    @server.resource("note://one")
    def one() -> str:
        return "first note"

    @server.resource("note://{n}")
    def by_number(n: str) -> str:
        return f"note {n}"

    @server.prompt()
    def greet(who: str) -> str:
        return f"Hello {who}"

    async with connected(ServerConfig("here", "in-process", target=server)) as (connection, _):
        listing = connection.listing
        assert [str(resource.uri) for resource in listing.resources] == ["note://one"]
        assert [template.uri_template for template in listing.templates] == ["note://{n}"]
        assert [prompt.name for prompt in listing.prompts] == ["greet"]
        assert (await connection.read_resource("note://7")).contents[0].text == "note 7"
        prompt = await connection.get_prompt("greet", {"who": "you"})
        assert prompt.messages[0].content.text == "Hello you"


async def test_the_last_good_listing_stays_while_the_server_is_away(http_server) -> None:
    quiet = dataclasses.replace(QUICK, backoff_base=60.0, backoff_cap=60.0)
    async with connected(http_server.config(), pace=quiet) as (connection, seen):
        before = connection.listing
        http_server.kill()
        await seen.until(lambda: connection.state == "reconnecting")
        assert connection.listing == before
        assert before.tools


async def test_the_same_listing_after_a_reconnect_is_no_news() -> None:
    async with connected(old()) as (connection, seen):
        await connection.reconnect()
        assert connection.state == "connected"
        assert len(seen.of("tools_changed")) == 1


async def test_noise_between_messages_is_told_once_and_harms_nothing() -> None:
    async with connected(old("noise")) as (connection, seen):
        assert names(connection) == ["first"]
        for _ in range(5):
            await connection.call_tool("first", {})
        assert [event.detail for event in seen.of("server_log")] == [
            "warning: it prints on stdout what is no MCP message: '[info] about to answer'"
        ]


async def test_a_flood_of_noise_leaves_the_session_usable() -> None:
    async with connected(old()) as (connection, seen):
        assert (await connection.call_tool("flood", {"lines": 20_000})).content[0].text == "ok"
        assert len(seen.of("server_log")) == 1
        assert connection.state == "connected"


async def test_an_answer_that_is_no_result_is_the_tools_error() -> None:
    async with connected(old("badcall")) as (connection, _):
        with pytest.raises(ToolError, match=r"does not fit protocol 2025-06-18: content"):
            await connection.call_tool("first", {})
        assert connection.state == "connected"


async def test_a_result_that_the_tool_marks_as_an_error_is_returned() -> None:
    server = MCPServer("here", log_level="ERROR")

    from mcp.server.mcpserver.exceptions import ToolError as Refusal

    @server.tool()
    def refuse() -> str:
        raise Refusal("not today")

    async with connected(ServerConfig("here", "in-process", target=server)) as (connection, _):
        result = await connection.call_tool("refuse", {})
        assert result.is_error
        assert "not today" in result.content[0].text


async def test_an_error_answer_of_the_protocol_carries_its_code() -> None:
    async with connected(stdio()) as (connection, _):
        with pytest.raises(ToolError) as caught:
            await connection.get_prompt("no such prompt")
        assert caught.value.code is not None


async def test_progress_reaches_the_caller_plain_or_awaited() -> None:
    server = MCPServer("here", log_level="ERROR")

    @server.tool()
    async def steps(ctx: Context) -> str:
        await ctx.report_progress(1, 2, "half")
        return "done"

    heard = []

    async def awaited(*progress) -> None:
        heard.append(progress)

    async with connected(ServerConfig("here", "in-process", target=server)) as (connection, _):
        await connection.call_tool("steps", {}, on_progress=lambda *progress: heard.append(progress))
        await connection.call_tool("steps", {}, on_progress=awaited)
    assert heard == [(1.0, 2.0, "half")] * 2


async def test_a_subscription_that_breaks_is_opened_again_and_what_changed_meanwhile_is_learnt() -> None:
    pace = dataclasses.replace(QUICK, subscribing=0.01)
    async with gated() as (gate, config):
        gate.verdicts = {"subscriptions/listen": "half"}
        async with connected(config, pace=pace) as (connection, seen):
            assert connection.state == "connected"
            gate.mcp.add_tool(lambda: "here", name="bigger")  # and tells nobody
            gate.verdicts = {}
            await seen.until(lambda: "bigger" in names(connection))
            assert connection.state == "connected"


async def test_a_subscription_to_a_resource_that_breaks_is_opened_again_and_told() -> None:
    async with gated() as (gate, config), connected(config) as (connection, seen):
        await connection.subscribe("note://one")
        streams = sum(method == "subscriptions/listen" for method, _ in gate.sent)
        for task in tuple(gate.streams):
            task.cancel()  # every stream ends in the middle
        await seen.until(lambda: seen.of("resource_updated"))
        assert sum(method == "subscriptions/listen" for method, _ in gate.sent) > streams
        assert connection.state == "connected"
