"""Resources and prompts of one server: updates of what is subscribed to, completions."""

from __future__ import annotations

import contextlib
import dataclasses

import anyio
import pytest
from mcp.server.mcpserver import MCPServer
from mcp_types import PromptReference, Resource, ResourceTemplate, ResourceTemplateReference

from mcpnb.config import ServerConfig
from mcpnb.connection import Listing
from mcpnb.errors import CallTimeout, ToolError

from .conftest import ASKING, QUICK, connected, old, stdio
from .servers.asking import build

pytestmark = pytest.mark.anyio


def here(**more) -> ServerConfig:
    return ServerConfig("here", "in-process", target=build(), **more)


def updates(seen) -> list[str]:
    return [event.data["uri"] for event in seen.of("resource_updated")]


@pytest.mark.parametrize("way", ["in-process", "stdio", "http"])
async def test_an_update_is_told_while_subscribed_and_not_after(way, request) -> None:
    config = here() if way == "in-process" else stdio(str(ASKING), "stdio")
    if way == "http":
        config = request.getfixturevalue("asking_http").config()
    async with connected(config) as (connection, seen):
        await connection.subscribe("note://1")
        await connection.subscribe("note://1")
        await connection.call_tool("change", {"number": "1", "text": "second"})
        await seen.until(lambda: updates(seen) == ["note://1"])
        assert seen.of("resource_updated")[0].detail == "note://1"
        assert (await connection.read_resource("note://1")).contents[0].text == "second"
        await connection.unsubscribe("note://1")
        await connection.call_tool("change", {"number": "1", "text": "third"})
        await connection.call_tool("steps", {})
        assert updates(seen) == ["note://1"]


async def test_an_update_is_told_in_the_handshake_era() -> None:
    async with connected(old("resources")) as (connection, seen):
        await connection.call_tool("touch", {})
        await connection.subscribe("note://1")
        await connection.call_tool("touch", {})
        await seen.until(lambda: updates(seen) == ["note://1"])
        await connection.unsubscribe("note://1")
        await connection.call_tool("touch", {})
        assert updates(seen) == ["note://1"]


async def test_a_server_that_tells_of_no_changes_says_so() -> None:
    async with connected(old("resources", "mute")) as (connection, _):
        with pytest.raises(ToolError, match="no resources/subscribe here"):
            await connection.subscribe("note://1")
        assert connection.subscribed() == ()
    silent = MCPServer("here", subscriptions=False, log_level="ERROR")
    async with connected(ServerConfig("here", "in-process", target=silent)) as (connection, _):
        with pytest.raises(ToolError):
            await connection.subscribe("note://1")
        assert connection.subscribed() == ()


@pytest.mark.parametrize("config", [here(), old("resources")], ids=["2026-07-28", "2025-06-18"])
async def test_a_subscription_outlives_its_session_and_the_gap_is_told(config) -> None:
    async with connected(config) as (connection, seen):
        await connection.subscribe("note://1")
        await connection.reconnect()
        await seen.until(lambda: updates(seen) == ["note://1"])  # it may have changed meanwhile
        tool, arguments = ("touch", {}) if connection.transport == "stdio" else (
            "change", {"number": "1", "text": "second"}
        )  # fmt: skip
        await connection.call_tool(tool, arguments)
        await seen.until(lambda: updates(seen) == ["note://1"] * 2)


async def test_a_subscription_that_cannot_be_renewed_is_said() -> None:
    async with connected(old("resources")) as (connection, seen):
        connection._subscribed["note://1"] = None
        connection.config = old("resources", "mute")
        await connection.reconnect()
        await seen.until(lambda: seen.of("server_log"))
        assert "no subscription to note://1 any more" in seen.of("server_log")[0].detail


async def test_a_server_that_does_not_answer_a_subscription_costs_the_timeout_and_no_more() -> None:
    hasty = dataclasses.replace(QUICK, listing_timeout=0.1)
    async with connected(here(), pace=hasty) as (connection, _):
        connection._session.client = _Deaf(connection._session.client)
        with pytest.raises(CallTimeout):
            await connection.subscribe("note://1")


class _Deaf:
    """A client whose server never acknowledges a subscription."""

    def __init__(self, client) -> None:
        self._client = client

    def __getattr__(self, name: str):
        return getattr(self._client, name)

    def listen(self, **wanted):
        @contextlib.asynccontextmanager
        async def silent():
            await anyio.sleep_forever()
            yield

        return silent()


async def test_arguments_of_prompts_and_templates_are_completed() -> None:
    async with connected(here()) as (connection, _):
        assert connection.completes
        prompt = PromptReference(type="ref/prompt", name="greet")
        assert (await connection.complete(prompt, "who", "A")).values == ["Ada", "Alan"]
        template = ResourceTemplateReference(type="ref/resource", uri="note://{number}")
        assert (await connection.complete(template, "number", "G", {"who": "x"})).values == ["Grace"]


async def test_a_server_that_does_not_complete_is_known_not_to() -> None:
    async with connected(old()) as (connection, _):
        assert not connection.completes


def test_a_resource_is_found_by_its_uri_or_by_a_template_it_fits() -> None:
    listing = Listing(
        resources=(Resource(uri="note://one", name="one"),),
        templates=(
            ResourceTemplate(uri_template="{not}{matchable}", name="odd"),
            ResourceTemplate(uri_template="note://{n}", name="many"),
        ),
    )
    assert listing.resource("note://one") == "note://one"
    assert listing.resource("note://7") == "note://{n}"
    assert listing.resource("note://{n}") == "note://{n}"
    assert listing.resource("file:///7") is None
    assert listing.prompt("greet") is None
