"""The live driver: what the dispatcher says is carried out, in the caller's own task where that is enough."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from mcpnb.client.driver import Driver
from mcpnb.errors import CallTimeout
from mcpnb.model import Attempt, Endpoint, Outcome, Request
from mcpnb.routing import Dispatcher, Finish

pytestmark = pytest.mark.anyio


class Servers:
    """Answers attempts by a script, server by server, and remembers what it saw."""

    def __init__(self, **answers) -> None:
        self.answers, self.seen, self.cancelled = answers, [], []
        self.arrived = asyncio.Event()

    async def send(self, attempt: Attempt, job: str) -> Outcome:
        self.seen.append((attempt.server, job, asyncio.current_task()))
        self.arrived.set()
        answer = self.answers[attempt.server]
        if answer is None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(attempt.server)
                raise
        return answer


def driver(servers: Servers, finishes: list[Finish] | None = None) -> Driver[str]:
    brain = Dispatcher("round_robin", rng=random.Random(0))
    for name in servers.answers:
        brain.add(Endpoint(name))
    made = Driver(
        brain, servers.send, (finishes if finishes is not None else []).append, print, time.monotonic
    )
    made.brain = brain
    return made


def request(servers: Servers, number: int = 1, **fields) -> Request:
    return Request(number, "echo", tuple(servers.answers), **fields)


async def test_a_call_runs_in_the_callers_own_task():
    servers = Servers(alpha=Outcome("ok", 7))
    finish = await driver(servers).run(request(servers), "job")
    assert finish.outcome.value == 7
    assert servers.seen == [("alpha", "job", asyncio.current_task())]


async def test_a_retry_runs_in_the_callers_own_task_too():
    servers = Servers(alpha=Outcome("refused"), beta=Outcome("refused"), gamma=Outcome("ok"))
    finishes = []
    for number in range(3):
        await driver(servers, finishes).run(request(servers, number), "job")
    assert {task for _, _, task in servers.seen} == {asyncio.current_task()}
    assert [finish.outcome.kind for finish in finishes] == ["ok"] * 3


async def test_a_caller_that_is_cancelled_cancels_its_attempt_and_leaves_no_lease():
    servers = Servers(alpha=None)
    running = driver(servers)
    task = asyncio.create_task(running.run(request(servers), "job"))
    await servers.arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert servers.cancelled == ["alpha"]
    assert running.brain.in_flight("alpha") == 0


async def test_the_deadline_cancels_the_attempt_but_not_the_caller():
    servers = Servers(alpha=None)
    running = driver(servers)
    now = time.monotonic()
    finish = await running.run(request(servers, deadline=now + 0.01, timeout=0.01), "job")
    assert isinstance(finish.outcome.error, CallTimeout)
    assert servers.cancelled == ["alpha"]
    assert not asyncio.current_task().cancelling()


async def test_a_backoff_is_waited_for_and_then_the_call_goes_on():
    servers = Servers(alpha=Outcome("refused"))
    running = driver(servers)
    task = asyncio.create_task(running.run(request(servers), "job"))
    await servers.arrived.wait()
    servers.answers["alpha"] = Outcome("ok", "second time")
    assert (await task).outcome.value == "second time"


async def test_closing_stops_the_timer():
    servers = Servers(alpha=Outcome("ok"))
    running = driver(servers)
    await running.run(request(servers, deadline=time.monotonic() + 60), "job")
    running.close()
    assert running._timer is None
