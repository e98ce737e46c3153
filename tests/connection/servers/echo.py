"""A real MCP server for the tests: `echo.py stdio`, `echo.py http PORT`, `echo.py sse PORT`.

Over HTTP it prints `ready` on stdout once it takes connections. `started FILE` tools write to FILE when they run,
so that a test can wait for a call to be in the middle.
"""

import os
import sys
import time
from pathlib import Path

import anyio
from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("echo", version="1.2.3", log_level="ERROR")


@server.tool()
def echo(text: str) -> str:
    """Say it again."""
    return text


@server.tool()
def pid() -> int:
    """The process that answers."""
    return os.getpid()


@server.tool()
async def wait(mark: str, seconds: float = 60.0) -> str:
    """Note that it runs, then take its time."""
    Path(mark).touch()
    await anyio.sleep(seconds)
    return "done"


@server.tool()
def crash(text: str) -> str:
    """Say why, and die."""
    print(text, file=sys.stderr, flush=True)
    os._exit(3)


@server.tool()
def last_words(text: str) -> str:
    """Answer, and die right after."""

    def die() -> None:
        time.sleep(0.05)
        os._exit(0)

    import threading

    threading.Thread(target=die, daemon=True).start()
    return text


@server.tool()
async def grow(name: str, ctx: Context) -> str:
    """Offer one more tool, and tell."""
    server.add_tool(lambda: name, name=name)
    await ctx.notify_tools_changed()
    return name


def serve_http(kind: str, port: int) -> None:
    import uvicorn

    app = server.streamable_http_app() if kind == "http" else server.sse_app()

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
