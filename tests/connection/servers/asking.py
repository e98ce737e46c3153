"""A real MCP server that asks, tells and waits: `asking.py stdio`, or `asking.py http|sse PORT`.

Its questions travel in the way of the negotiated era. `sleep` notes in files that it runs and that it was
cancelled; `change` changes a resource and tells.
"""

import sys
import warnings
from pathlib import Path
from typing import Annotated

import anyio
import mcp_types
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve, Sample
from pydantic import BaseModel


class City(BaseModel):
    name: str


def which_city() -> Elicit[City]:
    return Elicit("Which city?", City)


def a_word(topic: str) -> Sample:
    message = mcp_types.SamplingMessage(role="user", content=mcp_types.TextContent(type="text", text=topic))
    return Sample([message], max_tokens=10)


def known_roots() -> ListRoots:
    return ListRoots()


def touch(mark: str) -> None:
    Path(mark).touch()


def build() -> MCPServer:
    server = MCPServer("asking", version="1.0", log_level="ERROR")
    ask_in(server)
    tell_in(server)
    return server


def ask_in(server: MCPServer) -> None:
    """Tools that ask."""

    @server.tool()
    async def book(city: Annotated[City, Resolve(which_city)]) -> str:
        return f"booked {city.name}"

    @server.tool()
    async def describe(topic: str, word: Annotated[mcp_types.CreateMessageResult, Resolve(a_word)]) -> str:
        return f"{topic}: {word.content.text}"

    @server.tool()
    async def roots(found: Annotated[mcp_types.ListRootsResult, Resolve(known_roots)]) -> list[str]:
        return [str(root.uri) for root in found.roots]


def tell_in(server: MCPServer) -> None:
    """Tools that tell, and what there is to read."""
    notes = {"1": "first"}

    @server.tool()
    async def steps(ctx: Context) -> str:
        await ctx.report_progress(1, 2, "half")
        await ctx.report_progress(2, 2, "all")
        with warnings.catch_warnings(action="ignore"):  # logging is deprecated since 2026-07-28, and used
            await ctx.info("two steps taken", logger_name="steps")
        return "done"

    @server.tool()
    async def sleep(mark: str) -> str:
        touch(mark)
        try:
            await anyio.sleep(600)
        except anyio.get_cancelled_exc_class():
            touch(f"{mark}.cancelled")
            raise
        return "never"

    @server.resource("note://{number}")
    def note(number: str) -> str:
        return notes[number]

    @server.tool()
    async def change(number: str, text: str, ctx: Context) -> str:
        notes[number] = text
        await ctx.notify_resource_updated(f"note://{number}")
        return text

    @server.prompt()
    def greet(who: str) -> str:
        return f"Hello {who}"

    @server.completion()
    async def complete(ref, argument, context) -> mcp_types.Completion:
        known = ["Ada", "Alan", "Grace"]
        return mcp_types.Completion(values=[name for name in known if name.startswith(argument.value)])


def serve_http(kind: str, port: int) -> None:
    import uvicorn

    server = build()
    app = server.sse_app() if kind == "sse" else server.streamable_http_app()

    class Announcing(uvicorn.Server):
        async def startup(self, sockets=None) -> None:
            await super().startup(sockets=sockets)
            print("ready", flush=True)

    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1)
    Announcing(config).run()


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        build().run("stdio")
    else:
        serve_http(sys.argv[1], int(sys.argv[2]))
