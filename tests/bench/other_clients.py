"""What other clients of many MCP servers do when one server is missing, and when one dies.

Each of them wants an environment of its own, because they want different versions of the SDK. So the three
weather servers are run by another Python than the client:

    python -m venv other && other/bin/pip install fastmcp     # or langchain-mcp-adapters, or mcp-use
    other/bin/python tests/bench/other_clients.py fastmcp --servers .venv/bin/python

It prints what happened, in the words of the client; nothing is judged here.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

Config = dict[str, dict[str, Any]]
Call = Callable[[str], Awaitable[object]]
"""Calls `weather.current` of the server of that name, or of whichever the client likes better."""

ARGUMENTS = {"location": "London"}


def config(python: str, pids: Path, *, missing: bool = False) -> Config:
    """Three weather servers that leave their process id in a folder; with `missing`, one cannot start."""
    script = "import os,sys,runpy;open(sys.argv.pop(1),'w').write(str(os.getpid()));"
    script += "sys.argv[0]='weather';runpy.run_module('mcpnb.lab.servers.weather',run_name='__main__')"
    servers: Config = {
        name: {"command": python, "args": ["-c", script, str(pids / name), "--name", name]}
        for name in ("alpha", "beta", "gamma")
    }
    if missing:
        servers["beta"] = {"command": "no-such-command", "args": []}
    return servers


@asynccontextmanager
async def fastmcp(servers: Config) -> AsyncGenerator[Call]:
    """FastMCP's client of a config: tools are prefixed with their server's name."""
    from fastmcp import Client

    async with Client({"mcpServers": servers}) as client:
        await client.list_tools()
        yield lambda name: client.call_tool(f"{name}_weather.current", ARGUMENTS)


@asynccontextmanager
async def langchain(servers: Config) -> AsyncGenerator[Call]:
    """The adapters for LangChain: a session per call."""
    from langchain_mcp_adapters.client import MultiServerMCPClient

    client = MultiServerMCPClient(
        {name: {**server, "transport": "stdio"} for name, server in servers.items()}
    )
    tools = await client.get_tools()
    of_server = dict(zip(servers, (tool for tool in tools if tool.name == "weather.current"), strict=True))
    yield lambda name: of_server[name].ainvoke(ARGUMENTS)


@asynccontextmanager
async def mcp_use(servers: Config) -> AsyncGenerator[Call]:
    """mcp-use: a session per server."""
    from mcp_use import MCPClient

    client = MCPClient.from_dict({"mcpServers": servers})
    try:
        sessions = await client.create_all_sessions()
        yield lambda name: sessions[name].call_tool("weather.current", ARGUMENTS)
    finally:
        await client.close_all_sessions()


@asynccontextmanager
async def mcpnb(servers: Config) -> AsyncGenerator[Call]:
    """This project: one tool, routed."""
    from mcpnb import MultiServerClient

    async with MultiServerClient(servers, replicas=True) as client:
        yield lambda _: client.call("weather.current", ARGUMENTS)


CLIENTS = {each.__name__: each for each in (fastmcp, langchain, mcp_use, mcpnb)}


async def told(what: str, happening: Awaitable[object]) -> None:
    """Print how something ended, and after how long."""
    begun = time.perf_counter()
    try:
        await asyncio.wait_for(happening, 30)
        ended = "answered"
    except Exception as problem:  # noqa: BLE001 - whatever it is, it is the result
        ended = f"{type(problem).__name__}: {problem}".partition("\n")[0]
    print(f"{what:<36} {ended[:120]}  ({time.perf_counter() - begun:.1f} s)")


async def run(name: str, python: str, pids: Path) -> None:
    """Show one client in trouble."""
    client = CLIENTS[name]

    async def one_is_missing() -> None:
        async with client(config(python, pids, missing=True)) as call:
            await call("alpha")

    await told("beta cannot start; a call to alpha", one_is_missing())
    async with client(config(python, pids)) as call:
        await told("all are up; a call to beta", call("beta"))
        try:
            os.kill(int((pids / "beta").read_text()), signal.SIGKILL)
        except ProcessLookupError:
            print("beta runs for the length of a call only")
        for number in range(1, 4):
            await told(f"beta was killed; call {number} to beta", call("beta"))
        await told("a call to gamma", call("gamma"))


def main() -> None:
    parser = argparse.ArgumentParser(description="What a client does when a server is missing, or dies.")
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("--servers", required=True, help="a Python that has mcpnb")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(options.client, options.servers, Path(folder)))


if __name__ == "__main__":
    main()
