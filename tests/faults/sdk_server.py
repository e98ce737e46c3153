"""The same servers made with the SDK, for HTTP, SSE and this process; and `sdk_server.py` as a process.

Importing the SDK takes a second, and a killed server has to be started again, so the process imports it once
and forks: `http|sse CONTROL ERA PORT` on its standard input starts a server, and `PORT` is the answer once it
takes connections. First of all it says `ready`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import sys
from pathlib import Path

import mcp_types
from mcp import MCPError
from mcp.server.mcpserver import MCPServer
from mcp.server.runner import serve_loop

try:
    from .behaviour import METHOD_NOT_FOUND, OLD, Behaviour, Never, Refused
except ImportError:  # as a script
    from behaviour import METHOD_NOT_FOUND, OLD, Behaviour, Never, Refused


def sdk_server(behaviour: Behaviour) -> MCPServer:
    """A server of the SDK with this behaviour, of its era alone."""

    @contextlib.asynccontextmanager
    async def lifespan(server):
        if behaviour.fault == "exit_on_connect":
            raise RuntimeError("no licence found")
        if behaviour.fault == "slow_start":
            await asyncio.sleep(behaviour.amount)
        yield {}

    server = MCPServer("faulty", version="1.0", log_level="CRITICAL", lifespan=lifespan)
    for name in list(server._lowlevel_server._request_handlers):
        if name.startswith(("prompts/", "resources/", "completion/")):
            del server._lowlevel_server._request_handlers[name]

    async def listed(ctx, params):
        return await _answered(lambda: behaviour.result("tools/list", {"cursor": params.cursor}))

    async def called(ctx, params):
        call = {"name": params.name, "arguments": params.arguments}
        return await _answered(lambda: behaviour.result("tools/call", call))

    async def unknown(ctx, params):
        raise MCPError(METHOD_NOT_FOUND, "there is no server/discover here")

    add = server._lowlevel_server.add_request_handler
    add("tools/list", mcp_types.PaginatedRequestParams, listed)
    add("tools/call", mcp_types.CallToolRequestParams, called)
    if behaviour.era == OLD:
        add("server/discover", mcp_types.RequestParams, unknown)
        server._lowlevel_server.run = functools.partial(_handshake_only, server._lowlevel_server)
    return server


async def _handshake_only(server, read_stream, write_stream, options, *, raise_exceptions=False) -> None:
    """As `Server.run`, which would let the first request choose the era, even one that it refuses."""
    async with server.lifespan(server) as state:
        await serve_loop(server, read_stream, write_stream, lifespan_state=state, init_options=options)


async def _answered(make):
    try:
        return make()
    except Refused as refusal:
        raise MCPError(refusal.code, refusal.message) from None
    except Never:
        await asyncio.Event().wait()


# -- as a process ------------------------------------------------------------------------------------------


def main() -> None:
    import uvicorn  # noqa: F401 - before the fork

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the killed ones leave no zombies
    print("ready", flush=True)
    for command in sys.stdin:
        kind, control, era, port = command.split()
        if os.fork() == 0:
            os.close(0)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _serve(kind, Path(control), era, int(port))
            os._exit(0)
    os.killpg(0, signal.SIGKILL)  # whoever started us has gone, or wants no more


def _serve(kind: str, control: Path, era: str, port: int) -> None:
    import uvicorn

    behaviour = Behaviour(control, era)
    server = sdk_server(behaviour)
    app = server.sse_app() if kind == "sse" else server.streamable_http_app()

    class Announcing(uvicorn.Server):
        async def startup(self, sockets=None) -> None:
            await super().startup(sockets=sockets)
            behaviour.begin()
            print(port, flush=True)

    Announcing(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical")).run()


if __name__ == "__main__":
    main()
