"""What a fault of one server costs the callers of the others: nothing that they could measure.

Windows with and without the fault alternate, on the same servers, so that whatever else this machine does
falls on both. A call's latency is counted in CPU seconds of the event loop's own thread, from its beginning
to its end: this is what a fault can take from others in this process, and what other programs take is not in
it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import numpy as np
import pytest

from mcpnb.client import MultiServerClient
from mcpnb.errors import McpnbError

from .matrix import ERAS, FAULTS, Case, Fault
from .stages import LIMIT, NetStage, Stage, StdioStage
from .test_faults import do

pytestmark = [pytest.mark.anyio, pytest.mark.long]

PAIRS = 6
WINDOW = 0.4
"""Seconds of each."""
BOUND = 1.2
"""Times the undisturbed 95th percentile."""
BY_CHANCE = 4
"""Pairs that may be above it. One is in five of those with no fault in either window, so five hardly ever."""

CELLS = (
    ("kill_mid_call", "stdio"), ("kill_idle", "http"), ("stop_idle", "stdio"), ("flap", "stdio"),
    ("exit_on_connect", "stdio"), ("big_result", "stdio"), ("big_result", "sse"), ("reset_mid_body", "http"),
    ("half_open", "http"), ("drip", "stdio"), ("garbage_flood", "stdio"), ("status_503", "http"),
)  # fmt: skip


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("name", "transport"), CELLS)
async def test_calls_to_other_servers_are_as_fast_as_ever(name, transport, tmp_path, forks) -> None:
    fault = next(fault for fault in FAULTS if fault.name == name)
    case = fault.cases[transport]

    def stage(name: str, transport: str, *, direct: bool) -> Stage:
        era, control = ERAS[transport][-1], tmp_path / name
        if transport in {"http", "sse"}:
            return NetStage(era, control, transport, forks, direct=direct)
        return (StdioStage if transport == "stdio" else Stage)(era, control)

    victim = stage("victim", transport, direct=case.direct)
    others = {name: stage(name, name, direct=True) for name in ("stdio", "http", "in-process")}
    async with contextlib.AsyncExitStack() as ends:
        for each in (victim, *others.values()):
            await each.open()
            ends.push_async_callback(each.close)
        configs = [victim.config(), *(replace(each.config(), name=name) for name, each in others.items())]
        # A breaker would keep most of the fault away, and take its time to close.
        client = await ends.enter_async_context(MultiServerClient(configs, seed=1, breaker=False))
        ratios = sorted([await pair(client, fault, case, victim, list(others)) for _ in range(PAIRS)])
    print(f"{name} over {transport}: the others' p95 is {np.median(ratios):.2f} times what it was")
    assert sum(ratio > BOUND for ratio in ratios) <= BY_CHANCE, ratios


async def pair(
    client: MultiServerClient, fault: Fault, case: Case, victim: Stage, others: list[str]
) -> float:
    """The 95th percentile of calls to the others with the fault, over that without it."""
    async with traffic(client):
        calm = await p95_of(client, others)
        await do(case.inject, victim)
        with affected(client, fault):
            ratio = await p95_of(client, others) / calm
        if case.lift is not None:
            await do(case.lift, victim)
    await well(client)
    return ratio


@contextlib.contextmanager
def affected(client: MultiServerClient, fault: Fault) -> Iterator[None]:
    """What meets the fault, once in each window: a new session, or the call that it is about."""

    async def meet() -> None:
        with contextlib.suppress(McpnbError):
            if fault.moment == "connect":
                await client.reconnect("victim")
            elif fault.arguments:
                await client.options(server="victim").call(fault.call, dict(fault.arguments))

    task = asyncio.create_task(meet())
    try:
        yield
    finally:
        task.cancel()


@contextlib.asynccontextmanager
async def traffic(client: MultiServerClient) -> AsyncIterator[None]:
    """Calls to the victim, which may fail, in windows of both kinds."""
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


async def p95_of(client: MultiServerClient, others: list[str]) -> float:
    """CPU seconds of this thread within which 95 % of the calls to the others end, over one window."""
    took: list[float] = []
    until = time.monotonic() + WINDOW

    async def call(name: str) -> None:
        other = client.options(server=name)
        while time.monotonic() < until:
            began = time.thread_time()
            await other.call("echo", text="x")
            took.append(time.thread_time() - began)
            await asyncio.sleep(0.005)

    await asyncio.gather(*(call(name) for name in others))
    return float(np.percentile(took, 95))


async def well(client: MultiServerClient) -> None:
    """Wait until the victim has healed."""
    news = asyncio.Event()
    off = client.on("*", lambda event: news.set())
    async with asyncio.timeout(LIMIT):
        while any(row.state != "connected" for row in client.servers()):
            news.clear()
            with contextlib.suppress(McpnbError):
                await client.options(server="victim", timeout=0.5).call("echo", text="x")
            if any(row.state != "connected" for row in client.servers()):
                await news.wait()
    off()
