"""Structured answers against output schemas: the quick test says yes, the SDK's check says no."""

from __future__ import annotations

import pytest
from mcp import Client, MCPError
from mcp.server import Server
from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult, ListToolsResult, PaginatedRequestParams, TextContent, Tool

from mcpnb.config import ServerConfig
from mcpnb.connection.outputs import Outputs
from mcpnb.errors import ToolError

from .conftest import connected

pytestmark = pytest.mark.anyio

NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
KNOTTY = {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}}


def answering(structured: object, schema: dict[str, object]) -> Server:
    """A server whose one tool answers whatever its schema says."""

    async def listing(ctx, params) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name="n", input_schema={"type": "object"}, output_schema=schema)])

    async def call(ctx, params) -> CallToolResult:
        content = [TextContent(type="text", text="an answer")]
        return CallToolResult(content=content, structured_content=structured)

    return Server("answering", on_list_tools=listing, on_call_tool=call)


class Counting(Outputs):
    """Counts what is asked, and what the quick test let through."""

    asked = passed = 0

    def fits(self, name: str, answer: object) -> bool:
        fits = super().fits(name, answer)
        self.asked, self.passed = self.asked + 1, self.passed + fits
        return fits


async def asked(server: Server, outputs: Counting) -> CallToolResult:
    async with Client(server) as client:
        outputs.learn((await client.list_tools()).tools)
        outputs.stand_before(client.session)
        return await client.call_tool("n")


async def test_an_answer_that_plainly_fits_is_not_checked_again():
    outputs = Counting()
    assert (await asked(answering({"n": 1}, NUMBER), outputs)).structured_content == {"n": 1}
    assert (outputs.asked, outputs.passed) == (1, 1)


async def test_an_answer_that_the_quick_test_cannot_judge_is_left_to_the_sdk():
    outputs = Counting()
    assert (await asked(answering({"n": 1}, KNOTTY), outputs)).structured_content == {"n": 1}
    assert (outputs.asked, outputs.passed) == (1, 0)


async def refused(server: Server) -> str:
    """In which words a connection refuses the server's answer."""
    async with connected(ServerConfig("wrong", "in-process", target=server)) as (connection, _):
        with pytest.raises(ToolError) as caught:
            await connection.call_tool("n", {})
        return str(caught.value)


@pytest.mark.parametrize("schema", [NUMBER, KNOTTY])
async def test_an_answer_that_does_not_fit_is_an_error_in_the_sdks_words(schema):
    assert "Invalid structured content returned by tool n" in await refused(answering({"n": "one"}, schema))


async def test_an_answer_without_structure_is_an_error_where_a_schema_asks_for_it():
    assert "did not return structured content" in await refused(answering(None, NUMBER))


async def test_a_tool_whose_listing_could_not_be_had_is_called_without_asking_for_the_listing_again():
    asked_for = []

    async def listing(ctx, params) -> ListToolsResult:
        asked_for.append(1)
        raise MCPError(-32603, "no listing today")

    server = answering({"n": 1}, NUMBER)
    server.add_request_handler("tools/list", PaginatedRequestParams, listing)
    async with connected(ServerConfig("unlisted", "in-process", target=server)) as (connection, _):
        assert asked_for == [1]
        assert (await connection.call_tool("n", {})).structured_content == {"n": 1}
        assert asked_for == [1]


async def test_a_new_listing_replaces_what_was_known():
    outputs = Outputs()
    outputs.learn([Tool(name="n", input_schema={}, output_schema=NUMBER)])
    assert outputs.fits("n", {"n": 1})
    outputs.learn([Tool(name="n", input_schema={}, output_schema={"type": "string"})])
    assert not outputs.fits("n", {"n": 1})
    outputs.learn([])
    assert not outputs.fits("n", {"n": 1})


async def test_a_connection_knows_the_schemas_that_its_server_listed():
    server = MCPServer("growing", log_level="ERROR")

    @server.tool()
    async def double(n: int) -> int:
        return 2 * n

    async with connected(ServerConfig("growing", "in-process", target=server)) as (connection, _):
        assert (await connection.call_tool("double", {"n": 2})).structured_content == {"result": 4}
