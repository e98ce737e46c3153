"""Calls whose servers ask somebody in the middle: their time stands, in both eras, and can be told again.

On virtual time: a person who takes an hour costs nothing.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

import mcp_types
import pytest
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve, Sample
from pydantic import BaseModel

import mcpnb
from mcpnb.config import ServerConfig
from mcpnb.connection import Connection
from mcpnb.connection.warm import begin
from mcpnb.simulation.recorded import Ended, Paused, Resumed
from mcpnb.simulation.recorder import Recorder
from mcpnb.simulation.replayer import replay
from tests.drivers.virtual import VirtualLoop

ERAS = ("2025-11-25", "2026-07-28")
HOUR = 3600.0


class City(BaseModel):
    name: str


async def which_city() -> Elicit[City]:
    return Elicit("Which city?", City)


async def a_word() -> Sample:
    content = mcp_types.TextContent(type="text", text="a word?")
    return Sample([mcp_types.SamplingMessage(role="user", content=content)], max_tokens=10)


def asking() -> MCPServer:
    """All of it runs on the loop: virtual time waits for no thread."""
    server = MCPServer("asking", version="1.0", log_level="ERROR")

    @server.tool()
    async def book(city: Annotated[City, Resolve(which_city)]) -> str:
        return f"booked {city.name}"

    @server.tool()
    async def describe(word: Annotated[mcp_types.CreateMessageResult, Resolve(a_word)]) -> str:
        return word.content.text

    @server.tool()
    async def look() -> str:
        return "seen"

    @server.tool()
    async def sleep() -> str:
        await asyncio.sleep(10 * HOUR)
        return "never"

    return server


@pytest.fixture(params=ERAS)
def run(request, monkeypatch):
    """Runs a coroutine function with a client whose `call` times out after 5 s, and the recorder in it."""
    made: list[Recorder] = []

    def recording(*arguments, **options) -> Recorder:
        made.append(Recorder(*arguments, **options))
        return made[-1]

    def begun(connection, *arguments, start=Connection.start) -> None:
        if request.param == ERAS[0]:
            connection.protocol = request.param  # what it spoke last: it is greeted by the handshake
        start(connection)

    monkeypatch.setattr("mcpnb.client.core.Dispatcher", recording)
    monkeypatch.setattr(Connection, "start", begun)
    begin().result()  # what it imports in a thread: virtual time would not wait for that

    async def with_client(test, options) -> Recorder:
        loop = asyncio.get_running_loop()
        server = ServerConfig("here", "in-process", target=asking())
        client = mcpnb.MultiServerClient([server], timeout=5.0, seed=1, clock=loop.time, **options)
        async with client:
            assert client.servers()[0].protocol == request.param
            await test(client)
        assert made[0].in_flight("here") == 0
        return made[0]

    def run_it(test, **options) -> Recorder:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(with_client(test, options))

    return run_it


async def slowly(answer, seconds, question):
    await asyncio.sleep(seconds)
    return answer


def test_a_person_may_take_longer_than_the_call_may(run):
    async def test(client):
        result = await client.call("book")
        assert result.value == "booked Oslo"
        assert result.latency >= HOUR
        columns = client.log.columns()
        assert columns.latency[0] < 1.0  # the server's own
        (attempt,) = result.explain().attempts
        assert attempt.asked == pytest.approx(HOUR)

    run(test, on_elicit=partial(slowly, {"name": "Oslo"}, HOUR), question_timeout=None)


def test_a_model_may_take_longer_than_the_call_may(run):
    async def test(client):
        assert (await client.call("describe")).value == "sun"

    run(test, on_sample=partial(slowly, "sun", 60.0))


def test_answers_are_gathered_past_a_deadline_that_a_person_overruns(run):
    async def test(client):
        whole = await client.gather("book")
        assert whole.value == "booked Oslo"

    run(test, on_elicit=partial(slowly, {"name": "Oslo"}, 60.0))


def test_other_calls_end_in_their_own_time(run):
    async def test(client):
        begun = client.taps.now()
        booking = asyncio.create_task(client.call("book"))
        with pytest.raises(mcpnb.CallTimeout):
            await client.call("sleep")
        assert client.taps.now() - begun == pytest.approx(5.0)
        assert (await booking).value == "booked Oslo"

    run(test, on_elicit=partial(slowly, {"name": "Oslo"}, 60.0))


def test_a_question_that_nobody_answers_is_dismissed_in_the_end_and_told(run):
    async def test(client):
        begun = client.taps.now()
        refused = await client.options(raise_on_error=False).call("book")
        assert not refused.ok
        assert client.taps.now() - begun == pytest.approx(30.0)
        (event,) = [each for each in client.events.snapshot() if each.kind == "elicitation_declined"]
        assert event.detail == (
            "it asked 'Which city?': nobody answered within 30 s (question_timeout= at connect)"
        )

    run(test, on_elicit=partial(slowly, None, HOUR), question_timeout=30.0)


def test_a_call_is_cancelled_in_the_middle_of_its_question(run):
    async def test(client):
        asked = asyncio.Event()
        withdrawn = asyncio.Event()

        async def on_elicit(question):
            asked.set()
            try:
                await asyncio.sleep(HOUR)
            finally:
                withdrawn.set()

        client._answering.on_elicit = on_elicit
        call = asyncio.create_task(client.call("book"))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await withdrawn.wait()
        assert client.servers()[0].in_flight == 0

    run(test, on_elicit=partial(slowly, None, HOUR))


def test_a_server_that_goes_in_the_middle_of_its_question_ends_the_call(run):
    async def test(client):
        asked = asyncio.Event()

        async def on_elicit(question):
            asked.set()
            await asyncio.sleep(HOUR)

        client._answering.on_elicit = on_elicit
        call = asyncio.create_task(client.call("book"))
        await asked.wait()
        begun = client.taps.now()
        await client.remove("here", drain=False)
        with pytest.raises(mcpnb.McpnbError):
            await call
        assert client.taps.now() - begun < 5.0

    run(test, on_elicit=partial(slowly, None, HOUR), question_timeout=None)


def test_a_replay_of_questions_decides_the_same(run):
    async def test(client):
        await asyncio.gather(client.call("book"), client.call("look"), client.call("book"))
        with pytest.raises(mcpnb.CallTimeout):
            await client.call("sleep")

    live = run(test, on_elicit=partial(slowly, {"name": "Oslo"}, 60.0))
    kinds = [type(event) for event in live.recorded.events]
    assert kinds.count(Paused) == kinds.count(Resumed) == 2
    asked = [event.asked for event in live.recorded.events if isinstance(event, Ended) and event.asked]
    assert asked == pytest.approx([60.0, 60.0])
    again = replay(live.recorded, "p2c", resilience=_live(), seed=1)
    assert again.decisions_digest == live.digest
    assert sorted(again.outcomes) == ["ok", "ok", "ok", "timeout"]


def _live():
    from mcpnb.resilience.settings import Resilience

    return Resilience(breaker=True, retry=True, panic=True)
