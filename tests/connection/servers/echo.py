"""A real MCP server for the tests: `echo.py stdio`, or `echo.py http|sse|resumable PORT`.

Over HTTP it prints `ready` on stdout once it takes connections. `resumable` gives its events numbers. The
tool `wait` makes a file, so that a test can wait for a call to be in the middle.
"""

import sys
import time
from pathlib import Path

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.streamable_http import EventStore

server = MCPServer("echo", version="1.2.3", log_level="ERROR")


@server.tool()
def echo(text: str) -> str:
    """Say it again."""
    return text


def note(mark: str) -> None:
    Path(mark).touch()


@server.tool()
async def wait(mark: str, seconds: float = 60.0) -> str:
    """Note that it runs, then take its time."""
    note(mark)
    await anyio.sleep(seconds)
    return "done"


@server.tool()
async def grow(name: str, ctx: Context) -> str:
    """Offer one more tool, and tell."""
    server.add_tool(lambda: name, name=name)
    await ctx.notify_tools_changed()
    return name


class Events(EventStore):
    """Numbers events, so that a client may ask for those it missed; it would never get any."""

    async def store_event(self, stream_id, message):
        return f"{stream_id}-{time.monotonic_ns()}"

    async def replay_events_after(self, last_event_id, send_callback):
        return None


def serve_http(kind: str, port: int) -> None:
    import uvicorn

    app = (
        server.sse_app()
        if kind == "sse"
        else server.streamable_http_app(event_store=Events() if kind == "resumable" else None)
    )

    class Announcing(uvicorn.Server):
        async def startup(self, sockets=None) -> None:
            await super().startup(sockets=sockets)
            print("ready", flush=True)

    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=30)
    Announcing(config).run()


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run("stdio")
    else:
        serve_http(sys.argv[1], int(sys.argv[2]))
