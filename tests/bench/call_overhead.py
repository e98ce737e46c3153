"""What a call through mcpnb costs over the same call through the SDK's bare client.

    python tests/bench/call_overhead.py [--rounds 40] [--calls 64] [--http]

Both sides answer the same tool, in small blocks that take turns in an order drawn anew for each round. What
counts is the ratio of two neighbouring blocks, and the median of these over the rounds: the machine's moods
are slower than a round and hit both alike. The milliseconds are this machine's.
Rows: p50 of single calls, throughput with 32 callers at once (by the clock, and by the processor time of
this process, which other processes disturb less), and what the synchronous face adds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Block:
    """What one block of calls took, per call and in seconds."""

    clock: float
    processor: float


async def singles(call: Caller, calls: int) -> Block:
    """One call after the other; by the clock the median counts."""
    took: list[float] = []
    used = time.process_time()
    for _ in range(calls):
        began = time.perf_counter()
        await call()
        took.append(time.perf_counter() - began)
    return Block(statistics.median(took), (time.process_time() - used) / calls)


async def together(call: Caller, calls: int) -> Block:
    """32 callers at once."""

    async def caller() -> None:
        for _ in range(calls // CALLERS):
            await call()

    began, used, done = time.perf_counter(), time.process_time(), calls // CALLERS * CALLERS
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return Block((time.perf_counter() - began) / done, (time.process_time() - used) / done)


async def compare(title: str, sides: Mapping[str, Caller], calls: int, rounds: int) -> None:
    """Measure both sides, `bare` and `mcpnb`, and print a row for each way of calling."""
    rng = random.Random(1)
    for how, measure in (("p50 of single calls", singles), (f"{CALLERS} callers", together)):
        blocks: dict[str, list[Block]] = {name: [] for name in sides}
        for call in sides.values():
            await measure(call, 4 * calls)
        for _ in range(rounds):
            for name in rng.sample(list(sides), len(sides)):
                blocks[name].append(await measure(sides[name], calls))
        show(f"{title}, {how}", blocks["bare"], blocks["mcpnb"])


def show(title: str, bare: list[Block], ours: list[Block]) -> None:
    clock = statistics.median(b.clock / a.clock for a, b in zip(bare, ours, strict=True))
    processor = statistics.median(b.processor / a.processor for a, b in zip(bare, ours, strict=True))
    typical = [statistics.median(block.clock for block in side) * 1e3 for side in (bare, ours)]
    rate = f", throughput {1 / clock:.3f}" if "callers" in title else ""
    print(
        f"{title}: {typical[0]:.3f} ms bare, {typical[1]:.3f} ms mcpnb, "
        f"ratio {clock:.3f} ({processor:.3f} in processor time){rate}"
    )


async def in_process(calls: int, rounds: int) -> None:
    server = echo_server()
    async with AsyncExitStack() as stack:
        bare = await stack.enter_async_context(Client(server))
        await bare.list_tools()
        ours = await stack.enter_async_context(mcpnb.MultiServerClient({"echo": server}))
        await compare(
            "in-process",
            {
                "bare": lambda: bare.call_tool("echo", {"text": "hello"}),
                "mcpnb": lambda: ours.call_tool("echo", {"text": "hello"}),
            },
            calls,
            rounds,
        )


async def over_http(url: str, calls: int, rounds: int) -> None:
    arguments = {"location": "London"}
    async with AsyncExitStack() as stack:
        bare = await stack.enter_async_context(Client(url))
        await bare.list_tools()
        ours = await stack.enter_async_context(mcpnb.MultiServerClient({"weather": url}))
        await compare(
            "Streamable HTTP",
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
    return statistics.median(took), awaited.clock


def main() -> None:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shape)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=64, help="calls in a block, a multiple of 32")
    parser.add_argument("--http", action="store_true", help="also over Streamable HTTP, against a lab server")
    asked = parser.parse_args()
    asyncio.run(in_process(asked.calls, asked.rounds))
    if asked.http:
        with mcpnb.lab.start("weather", replicas=1, transport="http") as fleet:
            fleet.profile(fleet.status()[0].server, latency_ms=0, jitter=0)
            (url,) = (config.url for config in fleet.client.configs)
            asyncio.run(over_http(url, asked.calls, asked.rounds))
    face, awaited = sync_face(2000)
    print(f"synchronous face: +{(face - awaited) * 1e6:.0f} µs over the awaited call")


if __name__ == "__main__":
    main()
