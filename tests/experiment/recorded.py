"""A fleet to record: two servers that answer alike, with every kind of thing to ask for."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp_types import CallToolResult, TextContent, ToolAnnotations

import mcpnb

WAITING = threading.Event()
"""Set when a call that never ends has reached its server."""

READS = ToolAnnotations(read_only_hint=True)


def server(name: str) -> MCPServer:
    made = MCPServer(name, version="1.2", log_level="CRITICAL")
    turns = itertools.count(1)

    @made.tool(annotations=READS)
    def add(a: int, b: int = 1) -> dict[str, Any]:
        return {"sum": a + b, "by": name, "turn": next(turns), "none": None, "part": 0.1}

    @made.tool(annotations=READS)
    def echo(value: Any) -> CallToolResult:
        return CallToolResult(
            content=[TextContent(type="text", text=str(value))], structured_content={"v": value}
        )

    @made.tool(annotations=READS)
    def refuse(why: str) -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text=why)], is_error=True)

    @made.tool(annotations=READS)
    async def die(of: str) -> str:
        if of == name:
            raise asyncio.CancelledError  # what a server in this process looks like that dies in the middle
        return f"{name} lives"

    @made.tool(annotations=READS)
    async def wait() -> str:
        WAITING.set()
        await asyncio.Event().wait()
        return "never"

    @made.resource("docs://{page}")
    def page(page: str) -> str:
        return f"{page} at {name}"

    @made.tool()
    async def turn(page: str, context: Context) -> str:
        await context.notify_resource_updated(f"docs://{page}")
        return page

    @made.prompt()
    def greet(who: str) -> str:
        return f"Good day, {who}, from {name}."

    return made


def fleet(*names: str, **options: Any) -> mcpnb.Fleet:
    servers = {name: server(name) for name in names or ("a", "b")}
    return mcpnb.connect(servers, **{"replicas": True, "seed": 7, "name": "recorded", **options})
