"""Servers that answer in virtual time, so that minutes of load take milliseconds and never vary."""

from __future__ import annotations

import asyncio
import itertools
import random
import selectors
from collections.abc import Callable, Mapping

import pytest

from mcpnb.errors import StrategyError
from mcpnb.experiment import Sample
from mcpnb.model import OutcomeKind


class _Skipping(selectors.DefaultSelector):
    """A selector that never waits: it tells the loop that the time has passed."""

    skipped = 0.0

    def select(self, timeout=None):
        events = super().select(0)
        if timeout and not events:
            self.skipped += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer as soon as nothing else is left to do."""

    def __init__(self):
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self):
        return self._skipping.skipped


class FakeServer:
    """Answers after `seconds`, one call at a time per worker; may fail a share of the calls."""

    def __init__(self, name, seconds, *, workers=1000, failing=0.0, outcome: OutcomeKind = "disconnected"):
        self.name, self.seconds, self.failing, self.outcome = name, seconds, failing, outcome
        self.workers = asyncio.Semaphore(workers)
        self.rng = random.Random(name)
        self.in_flight = 0

    async def answer(self):
        self.in_flight += 1
        try:
            async with self.workers:
                failed = self.rng.random() < self.failing
                seconds = self.seconds if isinstance(self.seconds, float | int) else self.seconds(self.rng)
                await asyncio.sleep(0.001 if failed else seconds)
        finally:
            self.in_flight -= 1
        return self.outcome if failed else "ok"


class FakeView:
    def __init__(self, target, pick):
        self.target, self.pick = target, pick
        self.closed = False
        self.seen: list[tuple[str, Mapping[str, object], float | None]] = []
        self.priorities: list[str] = []

    async def probe(self, tool, arguments, *, timeout, priority):  # noqa: ASYNC109 - the protocol's own name
        self.seen.append((tool, arguments, timeout))
        self.priorities.append(priority)
        self.target.order.append(self)
        server = self.pick(self.target.servers)
        outcome = await server.answer()
        return Sample(server.name, outcome, error="" if outcome == "ok" else "went away")

    def close(self):
        assert all(server.in_flight == 0 for server in self.target.servers)
        self.closed = True


class FakeTarget:
    """A `LiveTarget` over fake servers, with three strategies; every view counts from zero."""

    def __init__(self, servers: list[FakeServer]):
        self.servers = servers
        self.views: dict[str, list[FakeView]] = {}
        self.order: list[FakeView] = []
        self.strategies: dict[str, Callable[[], Callable]] = {
            "round_robin": self._round_robin,
            "first": lambda: lambda servers: servers[0],
            "second": lambda: lambda servers: servers[1],
            "last": lambda: lambda servers: servers[-1],
            "least_request": lambda: lambda servers: min(servers, key=lambda s: s.in_flight),
        }

    @staticmethod
    def _round_robin():
        turns = itertools.count()
        return lambda servers: servers[next(turns) % len(servers)]

    def experiment_view(self, strategy):
        name = strategy if isinstance(strategy, str) else strategy.name
        if name not in self.strategies:
            raise StrategyError(name, "there is no such strategy", known=self.strategies)
        view = FakeView(self, self.strategies[name]())
        self.views.setdefault(name, []).append(view)
        return view

    def run(self, function, /, *args):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(function(*args))


@pytest.fixture
def fleet():
    """Makes a target from (name, seconds, ...) rows."""

    def make(*rows, **options):
        return FakeTarget([FakeServer(*row, **options) if isinstance(row, tuple) else row for row in rows])

    return make


@pytest.fixture
def server():
    return FakeServer


@pytest.fixture(params=[("asyncio", {"loop_factory": VirtualLoop})], ids=["virtual time"])
def anyio_backend(request):
    return request.param
