"""What tests give to discovery: time, a backend, members."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncGenerator, Callable
from itertools import count

from mcpnb.config import ServerConfig
from mcpnb.discovery import Backend, Sighting, Trouble

LIMIT = 20.0
"""Seconds after which a test has lost an event."""


class Time:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked: list[float] = []
        """How long sleepers wanted to sleep, in that order."""
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()
        self._news = asyncio.Event()

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), future))
        self._news.set()
        await future

    async def slept(self, times: int) -> None:
        """Wait until somebody has gone to sleep for that many times in all."""
        async with asyncio.timeout(LIMIT):
            while len(self.asked) < times:
                self._news.clear()
                await self._news.wait()

    async def advance(self, seconds: float) -> None:
        """Let time pass; who wakes up meanwhile acts at its own time, as far as that takes no waiting."""
        until = self.now + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            at, _, future = heapq.heappop(self._sleepers)
            self.now = max(self.now, at)
            if not future.done():
                future.set_result(None)
                await settle()
        self.now = until
        await settle()


async def settle() -> None:
    """Let everything run that can run without waiting."""
    for _ in range(20):
        await asyncio.sleep(0)


class Lister(Backend):
    """A backend that says what a test tells it to say."""

    kind = "lister"

    def __init__(self, name: str = "one", **options) -> None:
        super().__init__(**options)
        self.name = name
        self.asked = 0
        self._queue: asyncio.Queue[Sighting | Trouble | Exception | None] = asyncio.Queue()

    @property
    def address(self) -> str:
        return self.name

    def say(self, *configs: ServerConfig, **problems: str) -> None:
        self._queue.put_nowait(Sighting({config.name: config for config in configs}, problems))

    def fail(self, problem: str, *, lasting: bool = False) -> None:
        self._queue.put_nowait(self.failed(problem, lasting=lasting))

    def end(self) -> None:
        self._queue.put_nowait(None)

    async def sightings(self, around) -> AsyncGenerator[Sighting | Trouble]:
        self.asked += 1
        while (item := await self._queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item


class Board:
    """Members as a list of what happened to them; `hold` makes leaving take until `let_go`."""

    def __init__(self) -> None:
        self.there: dict[str, ServerConfig] = {}
        self.did: list[str] = []
        self.hold: set[str] = set()
        self.let_go = asyncio.Event()

    @property
    def names(self):
        return self.there

    async def join(self, config: ServerConfig) -> None:
        self.did.append(f"join {config.name}")
        self.there[config.name] = config

    async def change(self, before: ServerConfig, config: ServerConfig) -> None:
        self.did.append(f"change {config.name}")
        self.there[config.name] = config

    async def leave(self, name: str) -> None:
        self.did.append(f"leave {name}")
        if name in self.hold:
            await self.let_go.wait()
        del self.there[name]
        self.did.append(f"left {name}")


class Told:
    """What was told, and a way to wait for it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._news = asyncio.Event()

    def __call__(self, server, words, data=None) -> None:
        self.lines.append(words if server is None else f"{server}: {words}")
        self._news.set()

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(LIMIT):
            while not true():
                self._news.clear()
                await self._news.wait()


def at(port: int, name: str = "weather", **fields) -> ServerConfig:
    """A server at a port of this machine."""
    return ServerConfig(name, "http", url=f"http://127.0.0.1:{port}/mcp", **fields)
