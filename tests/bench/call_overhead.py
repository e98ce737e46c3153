"""What a call through mcpnb costs over the same call through the SDK's bare client.

    python tests/bench/call_overhead.py [--calls 2000] [--rounds 7] [--http]

Both sides answer the same echo tool in one process, in blocks that take turns in an order drawn anew for
each round, so that the machine's moods hit both alike. What counts is the ratio; the milliseconds are this
machine's.
Rows: p50 of single calls, throughput with 32 callers at once, and what the synchronous face adds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

from mcp import Client
from mcp.server.mcpserver import MCPServer

import mcpnb
from mcpnb.portal import get_portal

CALLERS = 32
Caller = Callable[[], Awaitable[object]]


def echo_server() -> MCPServer:
    server = MCPServer("echo", log_level="ERROR")

    @server.tool()
    async def echo(text: str) -> str:  # asynchronous: a worker thread's mood would drown what is measured
        return text

    return server


async def singles(call: Caller, calls: int) -> list[float]:
    """Seconds of each of `calls` calls, one after the other."""
    took: list[float] = []
    for _ in range(calls):
        began = time.perf_counter()
        await call()
        took.append(time.perf_counter() - began)
    return took


async def throughput(call: Caller, calls: int) -> float:
    """Calls per second with 32 callers at once."""

    async def caller() -> None:
        for _ in range(calls // CALLERS):
            await call()

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return calls // CALLERS * CALLERS / (time.perf_counter() - began)


async def compare(sides: Mapping[str, Caller], calls: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Name → (p50 seconds, calls per second): medians over the rounds."""
    p50: dict[str, list[float]] = {name: [] for name in sides}
    rate: dict[str, list[float]] = {name: [] for name in sides}
    rng = random.Random(1)
    for call in sides.values():
        await singles(call, 200)
    for _ in range(rounds):
        for name in rng.sample(list(sides), len(sides)):
            p50[name].append(statistics.median(await singles(sides[name], calls)))
        for name in rng.sample(list(sides), len(sides)):
            rate[name].append(await throughput(sides[name], calls))
    return {name: (statistics.median(p50[name]), statistics.median(rate[name])) for name in sides}


async def in_process(calls: int, rounds: int) -> dict[str, tuple[float, float]]:
    server = echo_server()
    async with AsyncExitStack() as stack:
        bare = await stack.enter_async_context(Client(server))
        await bare.list_tools()
        ours = await stack.enter_async_context(mcpnb.MultiServerClient({"echo": server}))
        return await compare(
            {
                "bare": lambda: bare.call_tool("echo", {"text": "hello"}),
                "mcpnb": lambda: ours.call_tool("echo", {"text": "hello"}),
            },
            calls,
            rounds,
        )


async def over_http(url: str, calls: int, rounds: int) -> dict[str, tuple[float, float]]:
    arguments = {"location": "London"}
    async with AsyncExitStack() as stack:
        bare = await stack.enter_async_context(Client(url))
        await bare.list_tools()
        ours = await stack.enter_async_context(mcpnb.MultiServerClient({"weather": url}))
        return await compare(
            {
                "bare": lambda: bare.call_tool("weather.current", arguments),
                "mcpnb": lambda: ours.call_tool("weather.current", arguments),
            },
            calls,
            rounds,
        )


def sync_face(calls: int) -> tuple[float, float]:
    """(p50 of `Fleet.call` in this thread, p50 of the same call awaited on the portal's loop), seconds."""
    fleet = mcpnb.connect({"echo": echo_server()}, name="bench")
    took: list[float] = []
    for _ in range(calls):
        began = time.perf_counter()
        fleet.call("echo", text="hello")
        took.append(time.perf_counter() - began)
    awaited = get_portal().call(singles, lambda: fleet.client.call("echo", text="hello"), calls)
    fleet.close()
    return statistics.median(took), statistics.median(awaited)


def show(title: str, measured: Mapping[str, tuple[float, float]]) -> None:
    bare, ours = measured["bare"], measured["mcpnb"]
    p50, rate = ours[0] / bare[0], ours[1] / bare[1]
    print(f"{title}, p50: {bare[0] * 1e3:.3f} ms bare, {ours[0] * 1e3:.3f} ms mcpnb, ratio {p50:.3f}")
    print(f"{title}, {CALLERS} callers: {bare[1]:.0f}/s bare, {ours[1]:.0f}/s mcpnb, ratio {rate:.3f}")


def main() -> None:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shape)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--http", action="store_true", help="also over Streamable HTTP, against a lab server")
    asked = parser.parse_args()
    show("in-process", asyncio.run(in_process(asked.calls, asked.rounds)))
    if asked.http:
        with mcpnb.lab.start("weather", replicas=1, transport="http") as fleet:
            fleet.profile(fleet.status()[0].server, latency_ms=0, jitter=0)
            (url,) = (config.url for config in fleet.client.configs)
            show("Streamable HTTP", asyncio.run(over_http(url, asked.calls // 4, asked.rounds)))
    face, awaited = sync_face(asked.calls)
    print(f"synchronous face: +{(face - awaited) * 1e6:.0f} µs over the awaited call")


if __name__ == "__main__":
    main()
