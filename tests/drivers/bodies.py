"""The three bodies of the dispatcher, each driven through one case: what they decide, and what they record.

The live one is the client itself, in front of real MCP servers in this process. How long these take, and how
they fail, is said by the simulator's own models of servers, on the event loop's (virtual) time.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from itertools import cycle, repeat

import pytest
from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

from mcpnb.client import MultiServerClient
from mcpnb.config import ServerConfig
from mcpnb.connection.warm import begin
from mcpnb.errors import McpnbError
from mcpnb.model import Outcome
from mcpnb.simulation import At, Demand, SimServer, simulate
from mcpnb.simulation.chance import Streams
from mcpnb.simulation.recorded import Ended, Marked
from mcpnb.simulation.recorder import Recorder
from mcpnb.simulation.replayer import replay
from mcpnb.simulation.run import Run
from mcpnb.simulation.stations import station

from .cases import Case
from .virtual import VirtualLoop

TOOL, STAND_IN = "work", "other_work"


def simulated(case: Case, strategy: str, seed: int) -> tuple[Run, Recorder]:
    """The simulator."""
    demand = Demand(
        tools=repeat(TOOL), priorities=cycle(case.priorities), times=case.times, timeout=case.timeout
    )
    made: list[Recorder] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcpnb.simulation.driver.Dispatcher", partial(_recorder, made))
        found = simulate(case.scenario, strategy, demand, seed=seed)
    return found, made[0]


def _recorder(made: list[Recorder], *args, **options) -> Recorder:
    made.append(Recorder(*args, **options))
    return made[-1]


def replayed(case: Case, strategy: str, seed: int, recorder: Recorder) -> Run:
    """The replayer."""
    return replay(recorder.recorded, strategy, resilience=case.resilience, seed=seed)


def lived(case: Case, strategy: str, seed: int, *, virtual: bool = True) -> Recorder:
    """The client, in virtual time or in real time."""
    begin().result()  # what it imports in a thread: virtual time would not wait for that
    with asyncio.Runner(loop_factory=VirtualLoop if virtual else None) as runner:
        return runner.run(_Live(case, strategy, seed).run())


def seen(run: Run, recorder: Recorder) -> set[str]:
    """What happened in a case."""
    things = {*run.outcomes.tolist(), *(what for _, _, what in run.events)}
    things |= {name for name in ("retries", "hedges", "queued") if (getattr(run, name) > 0).any()}
    for event in recorder.recorded.events:
        if isinstance(event, Marked) and event.unavailable and event.at > 0:
            things.add("membership")
        if isinstance(event, Ended) and event.tool == STAND_IN:
            things.add("stand-ins")
    return things


class _LoopClock:
    """The simulator's clock, kept by the event loop."""

    def at(self, time, happening, number) -> None:
        if time < float("inf"):
            asyncio.get_running_loop().call_at(time, happening, number, time)


class _Server:
    """An MCP server whose tools take as long as a model of a server says."""

    def __init__(self, model: SimServer, chance: Streams) -> None:
        self.station = station(model, _LoopClock(), chance, self._ended)
        self._asked = 0
        self._answers: dict[int, asyncio.Future[Outcome]] = {}
        self.mcp = MCPServer(model.name, version="1", log_level="ERROR")

    def offer(self, tool: str) -> None:
        self.mcp.tool(name=tool, annotations=ToolAnnotations(read_only_hint=True))(self._serve)

    async def _serve(self) -> str:
        loop = asyncio.get_running_loop()
        self._asked += 1
        number, answer = self._asked, loop.create_future()
        self._answers[number] = answer
        self.station.send(number, loop.time())
        try:
            outcome = await answer
        except asyncio.CancelledError:
            self.station.cancel(number, loop.time())
            raise
        finally:
            del self._answers[number]
        if outcome.kind != "ok":
            raise asyncio.CancelledError  # what a server in this process looks like that dies in the middle
        return "done"

    def _ended(self, number: int, outcome: Outcome, now: float) -> None:
        if number in self._answers and not self._answers[number].done():
            self._answers[number].set_result(outcome)


class _Live:
    """One case, made by clients and servers."""

    def __init__(self, case: Case, strategy: str, seed: int) -> None:
        chance = Streams(seed)
        sessions = case.resilience.affinity
        self._keys = repeat(None) if sessions is None else chance.sessions(sessions)
        self._case, self._strategy, self._seed = case, strategy, seed
        self._servers = {model.name: _Server(model, chance) for model in case.servers}
        for name, each in self._servers.items():
            each.offer(STAND_IN if name == case.stands_in else TOOL)
        # As in the simulator: a call may be repeated where something is there that repeats it.
        self._repeatable = case.resilience.retry is not None or case.resilience.hedge is not None
        self._recorders: list[Recorder] = []
        self._begin = 0.0

    async def run(self) -> Recorder:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mcpnb.client.core.Dispatcher", lambda *a, **k: _recorder(self._recorders, *a, **k))
            client = self._client()
        async with client:
            self._begin = asyncio.get_running_loop().time()
            if self._case.stands_in:
                client.fallback(TOOL, [STAND_IN])
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._change(client))
                await self._call(client, tasks)
            assert not any(self._recorders[0].in_flight(name) for name in self._servers)
        return self._recorders[0]

    def _client(self) -> MultiServerClient:
        case, protections = self._case, self._case.resilience
        configs = [
            ServerConfig(
                model.name,
                "in-process",
                target=self._servers[model.name].mcp,
                weight=model.weight,
                priority=model.priority,
                max_in_flight=model.max_in_flight,
                max_queue=model.max_queue if model.max_in_flight else None,
            )
            for model in case.servers
        ]
        return MultiServerClient(
            configs,
            replicas=True,
            strategy=self._strategy,
            timeout=case.timeout,
            seed=self._seed,
            breaker=protections.breaker or False,
            retry=protections.retry or False,
            hedge=protections.hedge,
            panic=protections.panic,
            outlier=protections.outlier or False,
            queue=protections.queue,
            clock=asyncio.get_running_loop().time,
        )

    async def _call(self, client: MultiServerClient, tasks: asyncio.TaskGroup) -> None:
        case, priorities = self._case, cycle(self._case.priorities)
        for number, at in enumerate(case.times.tolist()):
            await self._until(at)
            view = client.options(
                priority=next(priorities), affinity=next(self._keys), idempotent=self._repeatable
            )
            task = tasks.create_task(_one(view))
            if number in case.cancels:
                asyncio.get_running_loop().call_later(case.cancels[number], task.cancel)

    async def _change(self, client: MultiServerClient) -> None:
        for at in self._case.timeline:
            await self._until(at.t)
            await self._apply(client, at)

    async def _until(self, at: float) -> None:
        """Wait for a time of the case, exactly: a sleep would miss it by a rounding."""
        loop = asyncio.get_running_loop()
        rung = loop.create_future()
        loop.call_at(self._begin + at, rung.set_result, None)
        await rung

    async def _apply(self, client: MultiServerClient, at: At) -> None:
        if at.goes:
            client.members[at.server].drain()
        self._servers[at.server].station.change(at, asyncio.get_running_loop().time())
        if at.comes:
            await client.reconnect(at.server)


async def _one(view) -> None:
    with suppress(McpnbError):  # how it ended is in the record
        await view.call(TOOL)
