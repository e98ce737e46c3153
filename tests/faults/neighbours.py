"""One server that things happen to, three that nothing happens to, and a measure of what calls to these cost.

`Street` owns the servers and one client of them all; faults come and go on it, one after the other, and it is
mended in between. How long calls to the neighbours take it says for one window at a time. What a good figure
is, `test_others` says.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mcpnb.client import MultiServerClient
from mcpnb.connection import connection
from mcpnb.errors import McpnbError

from .behaviour import TOOLS
from .conftest import QUICK
from .matrix import ERAS, Case, Fault, untold
from .proxy import Rule
from .stages import LIMIT, USERS_HEALTH_INTERVAL, Forks, NetStage, Stage, StdioStage, do

NEIGHBOURS = ("stdio", "http", "in-process")

CALLS = 600
"""To the neighbours, in one window: a second or two."""

TURN = 10
"""Calls to the neighbours for one to the victim: by number, as by time a slow machine would make more."""

PAUSE = 0.002
"""Seconds between two calls of a caller."""

PACE = replace(QUICK, backoff_base=0.2, backoff_cap=30.0)
"""The whole story of a fault falls into a window. But a server is connected to and listed anew as often as
those of users are: what goes on all the while is what is measured."""


class Street:
    """A victim, its neighbours, and a client. `spoil` runs after each call to the victim."""

    def __init__(self, victims: dict[bool, Stage], client: MultiServerClient) -> None:
        self._victims, self.client = victims, client
        self.spoil: Callable[[], object] = lambda: None
        self._turns: asyncio.Queue[None] = asyncio.Queue(2)

    @classmethod
    @contextlib.asynccontextmanager
    async def built(cls, transport: str, era: str, folder: Path, forks: Forks) -> AsyncIterator[Street]:
        """Start it all, and end it."""

        def stage(name: str, transport: str, era: str, *, direct: bool) -> Stage:
            control = folder / name
            if transport in {"http", "sse"}:
                return NetStage(era, control, transport, forks, direct=direct)
            return (StdioStage if transport == "stdio" else Stage)(era, control)

        # With a proxy and without: what happens to a process must be felt as it is.
        ways = (False, True) if transport in {"http", "sse"} else (False,)
        victims = {way: stage(f"victim-{way}", transport, era, direct=way) for way in ways}
        others = {name: stage(name, name, ERAS[name][-1], direct=True) for name in NEIGHBOURS}
        stages = {**{_name(way): victim for way, victim in victims.items()}, **others}
        async with contextlib.AsyncExitStack() as ends:
            for each in stages.values():
                await each.open()
                ends.push_async_callback(each.close)
            configs = [
                replace(each.config(), name=name, health_interval=USERS_HEALTH_INTERVAL)
                for name, each in stages.items()
            ]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(connection, "Pace", lambda: PACE)
                # A breaker would keep most of a fault away.
                client = await ends.enter_async_context(MultiServerClient(configs, seed=1, breaker=False))
            yield cls(victims, client)

    async def pair(self, fault: Fault, case: Case) -> tuple[float, float]:
        """The 95th percentile in a window without the fault, and in one with it; see `window`."""
        direct = case.direct and True in self._victims
        victim, name = self._victims[direct], _name(direct)
        async with self._calling(name):
            calm = await self.window()
            await do(case.inject, victim)
            async with _beside(self._meet(fault, name)) as meeting:
                # Whoever reads a long listing for longer than that is watched to the end.
                disturbed = await self.window(meeting if fault.tools_after > TOOLS else None)
        if case.lift is not None:
            await do(case.lift, victim)
        await self._mend(victim, name)
        return calm, disturbed

    async def window(self, during: asyncio.Task | None = None) -> float:
        """Within how many yards 95 % of so many calls to the neighbours ended, or of all `during` something.

        CPU time of the loop's thread is counted, from a call's beginning to its end: it is what one server
        can take from the callers of another in this process, and what other programs take is not in it. But
        these make the processor slower, too, by a half and more; so it is counted in yards, see `yard`.
        """
        took: list[float] = []
        yards: list[float] = []

        def going_on() -> bool:
            return len(took) < CALLS or (during is not None and not during.done())

        async def call(name: str) -> None:
            neighbour = self.client.options(server=name)
            while going_on():
                began = time.thread_time()
                await neighbour.call("echo", text="x")
                took.append(time.thread_time() - began)
                yards.append(yard())
                if len(took) % TURN == 0 and not self._turns.full():
                    self._turns.put_nowait(None)
                await asyncio.sleep(PAUSE)

        await asyncio.gather(*map(call, NEIGHBOURS))
        return float(np.percentile(took, 95) / np.mean(yards))

    async def _meet(self, fault: Fault, name: str) -> None:
        """Meet the fault once: a new session, or the call that it is about."""
        with contextlib.suppress(McpnbError):
            if fault.moment == "connect":
                await self.client.reconnect(name)
            elif fault.arguments or fault.call == "work":
                await self.client.options(server=name).call(fault.call, dict(fault.arguments))

    @contextlib.asynccontextmanager
    async def _calling(self, name: str) -> AsyncIterator[None]:
        """Calls to the victim all the while, which may fail."""
        victim = self.client.options(server=name, timeout=0.2)

        async def call() -> None:
            while True:
                await self._turns.get()
                with contextlib.suppress(McpnbError):
                    await victim.call("echo", text="x")
                self.spoil()

        async with _beside(call()), _beside(call()):
            yield

    async def _mend(self, victim: Stage, name: str) -> None:
        """Leave it as if nothing had been."""
        untold(victim)
        victim.undo()
        if isinstance(victim, NetStage):
            victim.proxy.rule = Rule()
        async with asyncio.timeout(LIMIT):
            while True:
                with contextlib.suppress(McpnbError):
                    await self.client.reconnect(name)
                row = next(row for row in self.client.servers() if row.server == name)
                if (row.state, row.tools, row.last_error) == ("connected", TOOLS, None):
                    return


def yard() -> float:
    """CPU seconds for a piece of work that is always the same, much like what a call does."""
    began = time.thread_time()
    for _ in range(2):
        json.loads(json.dumps(_DOCUMENT))
    sorted(map(str, range(100)))
    return time.thread_time() - began


_DOCUMENT = {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "x" * 20}] * 6}}


def _name(direct: bool) -> str:
    return "victim-direct" if direct else "victim"


@contextlib.asynccontextmanager
async def _beside(work) -> AsyncIterator[asyncio.Task]:
    """Run it meanwhile, and no longer."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.result()
