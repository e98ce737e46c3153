"""What a server logs: told, unless it talks so much that nothing else could be heard."""

from __future__ import annotations

import pytest
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import LoggingMessageNotification, LoggingMessageNotificationParams

from mcpnb.config import ServerConfig
from mcpnb.connection.chatter import Chatter

from .conftest import Clock, connected

pytestmark = pytest.mark.anyio


def test_messages_are_told_as_they_are() -> None:
    chatter = Chatter(Clock())
    assert [chatter.heard(f"line {n}") for n in range(50)] == [f"line {n}" for n in range(50)]


def test_a_flood_is_thinned_out_and_what_is_missing_is_counted() -> None:
    clock = Clock()
    chatter = Chatter(clock)
    assert sum(chatter.heard("x") is not None for _ in range(1000)) == 50
    clock.now += 0.2
    assert chatter.heard("later") == "later (950 messages before it were left out)"
    assert chatter.heard("too soon") is None
    clock.now += 3600
    assert chatter.heard("quiet again") == "quiet again (1 messages before it were left out)"
    assert chatter.heard("and on") == "and on"


def test_a_message_of_any_length_is_an_event_of_bounded_length() -> None:
    assert len(Chatter(Clock()).heard("x" * 1_000_000)) == 2000


async def test_a_server_that_logs_without_end_leaves_the_event_log_to_others() -> None:
    server = MCPServer("here", log_level="ERROR")

    @server.tool()
    async def chat(ctx: Context) -> str:
        for n in range(500):
            await ctx.request_context.session.send_notification(
                LoggingMessageNotification(params=LoggingMessageNotificationParams(level="info", data=n)),
                related_request_id=ctx.request_id,
            )
        return "done"

    async with connected(ServerConfig("here", "in-process", target=server), clock=Clock()) as (
        connection,
        seen,
    ):
        await connection.call_tool("chat", {})
        assert len(seen.of("server_log")) == 50
