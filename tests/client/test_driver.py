"""The live driver: what the dispatcher says is carried out, in the caller's own task where that is enough."""

from __future__ import annotations

import asyncio
import random
import time
from contextvars import ContextVar

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


async def test_an_attempt_that_swallows_the_request_to_end_is_asked_again(monkeypatch):
    monkeypatch.setattr("mcpnb.client.driver._INSIST", 0.01)
    asked = []

    class Deaf(Servers):
        async def send(self, attempt: Attempt, job: str) -> Outcome:
            while len(asked) < 3:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    asked.append(attempt.id)
            raise asyncio.CancelledError

    running = driver(servers := Deaf(alpha=None))
    finish = await running.run(request(servers, deadline=time.monotonic() + 0.01, timeout=0.01), "job")
    assert finish.outcome.kind == "timeout"
    assert len(asked) == 3
    assert not asyncio.current_task().cancelling()


async def test_an_attempt_that_answers_although_it_was_given_up_leaves_no_trace_in_the_callers_task():
    class Stubborn(Servers):
        async def send(self, attempt: Attempt, job: str) -> Outcome:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return Outcome("ok", "too late")

    running = driver(servers := Stubborn(alpha=None))
    finish = await running.run(request(servers, deadline=time.monotonic() + 0.01, timeout=0.01), "job")
    assert finish.outcome.kind == "timeout"
    assert not asyncio.current_task().cancelling()
    await asyncio.sleep(0)


async def test_a_caller_that_is_cancelled_while_its_attempt_is_given_up_stays_cancelled():
    servers = Servers(alpha=None)
    running = driver(servers)
    task = asyncio.create_task(running.run(request(servers), "job"))
    await servers.arrived.wait()
    (live,) = running._live.values()
    running._give_up(live.own)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_a_hedge_runs_in_a_context_like_its_callers_whoever_sends_it():
    where = ContextVar("where", default="nowhere")
    seen = []

    class Slow(Servers):
        async def send(self, attempt: Attempt, job: str) -> Outcome:
            seen.append((attempt.hedge, where.get()))
            where.set("changed")
            if attempt.hedge:
                return Outcome("ok", "hedged")
            return await super().send(attempt, job)

    running = driver(servers := Slow(alpha=None, beta=None))
    where.set("the caller's")
    finish = await running.run(request(servers, repeatable=True, hedge=0.01), "job")
    assert finish.outcome.value == "hedged"
    assert seen == [(False, "the caller's"), (True, "the caller's")]
