"""What a fault of one server costs the callers of the others: nothing that they could measure.

Windows with and without the fault alternate on the same servers, so that whatever else this machine does
falls on both. The bound is wide, for machines that have other work; the figures are printed. A benchmark, run
by hand: `pytest -m long -s tests/faults/bench_others.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest

from mcpnb.client import MultiServerClient
from mcpnb.errors import McpnbError

from .behaviour import NEW
from .matrix import BUSY, Inject, nothing, restarted, ruled, signalled, told, unruled, untold
from .stages import LIMIT, NetStage, Stage, StdioStage

pytestmark = [pytest.mark.anyio, pytest.mark.long]

WINDOWS = 3
WINDOW = 0.4
"""Seconds of each."""
BOUND = 3.0
"""Times the undisturbed 95th percentile. Promised is 1.2, which the noise of other work exceeds by itself."""

KINDS: dict[str, tuple[str, Inject, Inject]] = {
    "kill": ("stdio", signalled(signal.SIGKILL), nothing),
    "kill_http": ("http", signalled(signal.SIGKILL), restarted),
    "stop": ("stdio", signalled(signal.SIGSTOP), nothing),
    "flood": ("stdio", told("garbage_flood"), untold),
    "status_503": ("http", ruled(BUSY), unruled),
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", KINDS)
async def test_calls_to_other_servers_are_as_fast_as_ever(kind, tmp_path, forks) -> None:
    transport, inject, lift = KINDS[kind]

    def stage(name: str, transport: str) -> Stage:
        control = tmp_path / name
        if transport == "http":
            return NetStage(NEW, control, "http", forks, direct=inject is not KINDS["status_503"][1])
        return StdioStage(NEW, control) if transport == "stdio" else Stage(NEW, control)

    victim = stage("victim", transport)
    others = {name: stage(name, name) for name in ("stdio", "http", "in-process")}
    async with contextlib.AsyncExitStack() as ends:
        for each in (victim, *others.values()):
            await each.open()
            ends.push_async_callback(each.close)
        configs = [replace(each.config(), name=name) for name, each in others.items()]
        client = await ends.enter_async_context(MultiServerClient([victim.config(), *configs], seed=1))
        ratios = []
        for _ in range(WINDOWS):
            async with traffic(client):
                calm = await p95_of(client, others)
                await _do(inject, victim)
                ratios.append(await p95_of(client, others) / calm)
                await _do(lift, victim)
            await well(client)
    print(
        f"{kind}: with the fault, the p95 of the others is {statistics.median(ratios):.2f} times what it was"
    )
    assert statistics.median(ratios) < BOUND


async def _do(what: Inject, stage: Stage) -> None:
    done = what(stage)
    if done is not None:
        await done


@contextlib.asynccontextmanager
async def traffic(client: MultiServerClient) -> AsyncIterator[None]:
    """Calls to the victim, which may fail."""
    victim = client.options(server="victim", timeout=0.2)

    async def call() -> None:
        while True:
            with contextlib.suppress(McpnbError):
                await victim.call("echo", text="x")
            await asyncio.sleep(0.05)

    tasks = [asyncio.create_task(call()) for _ in range(2)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def p95_of(client: MultiServerClient, others: dict[str, Stage]) -> float:
    """Seconds that 95 % of the calls to the others need, during one window."""
    times: list[float] = []
    until = time.monotonic() + WINDOW

    async def call(name: str) -> None:
        other = client.options(server=name)
        while time.monotonic() < until:
            times.append((await other.call("echo", text="x")).latency)
            await asyncio.sleep(0.005)

    await asyncio.gather(*(call(name) for name in others))
    return float(np.percentile(times, 95))


async def well(client: MultiServerClient) -> None:
    """Wait until the victim has healed."""
    news = asyncio.Event()
    off = client.on("*", lambda event: news.set())
    async with asyncio.timeout(LIMIT):
        while any((row.state, row.breaker) != ("connected", "closed") for row in client.servers()):
            news.clear()
            with contextlib.suppress(McpnbError):
                await client.options(server="victim", timeout=0.5).call("echo", text="x")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), 0.1)  # a probe of the breaker may be what is missing
    off()
