"""What a server's troubles leave in memory: nothing, however many there were."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections import Counter

import pytest

from mcpnb.client import MultiServerClient
from mcpnb.errors import McpnbError

from .behaviour import NEW, OLD
from .stages import LIMIT, Stage

pytestmark = pytest.mark.anyio

FEW, MORE = 4, 12
"""Cycles of trouble before the first count, and before the second."""

TIMEOUT = 0.3
"""Seconds a call has. Until then routing may remember one that has ended."""

KEPT = {"mcpnb.model." + name for name in ("AttemptRecord", "Attempt", "Request", "Requirement", "Event")}
"""What the log is made of, which is bounded by its number of rows."""

OURS = {"mcpnb", "mcp", "mcp_types", "anyio", "_asyncio"}


def living() -> Counter[str]:
    """How many objects there are of each class of ours, of the SDK and of the loop (tasks, futures)."""
    gc.collect()
    kinds = (type(each) for each in gc.get_objects())
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in kinds if _is_ours(kind))
    return Counter(name for name in names if name not in KEPT)


def _is_ours(kind: type) -> bool:
    return str(kind.__module__).partition(".")[0] in OURS


async def trouble(client: MultiServerClient, stage: Stage, call: str) -> None:
    """A call that is answered, one cut off at work, one cancelled, a listing that fails, an unknown tool."""
    victim = client.options(server="victim", timeout=TIMEOUT)
    await victim.call("echo", text="x")
    for end in ("cut", "cancelled"):
        task = asyncio.create_task(victim.call("work", id=f"{call}-{end}"))
        await stage.in_the_middle(f"{call}-{end}")
        if end == "cancelled":
            task.cancel()
        stage.tell("page_2_fails")
        await client.reconnect("victim")
        with contextlib.suppress(McpnbError, asyncio.CancelledError):
            await task
    with contextlib.suppress(McpnbError):
        await victim.call("nothing")
    stage.tell("")
    await client.reconnect("victim")


def grown(before: Counter[str]) -> dict[str, int]:
    """What there is more of, by about one a cycle; one or two may come and go all the while."""
    return {kind: more for kind, more in (living() - before).items() if more >= MORE / 2}


async def settled(before: Counter[str]) -> dict[str, int]:
    """What has grown and stays so; what is just going has the time to."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LIMIT / 3):
            # What an allocator frees wakes nobody.
            while grown(before):  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.05)
    return grown(before)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("era", [OLD, NEW])
async def test_trouble_leaves_nothing_in_memory(era, tmp_path) -> None:
    stage = Stage(era, tmp_path / "control")
    async with MultiServerClient([stage.config()], seed=1, timeout=TIMEOUT, breaker=False) as client:
        for n in range(FEW):
            await trouble(client, stage, f"few-{n}")
        before = living()
        for n in range(MORE):
            await trouble(client, stage, f"more-{n}")
        assert await settled(before) == {}
