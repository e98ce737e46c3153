"""Whether a server is still there: when it is asked, what it is asked, and what silence means."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import random
import signal

import pytest
from mcp.server.mcpserver import MCPServer

from mcpnb.config import ServerConfig
from mcpnb.connection import Pace

from .conftest import LIMIT, QUICK, Clock, connected, old, stdio
from .gate import gated

pytestmark = pytest.mark.anyio

ERAS = ["2026-07-28", "2025-06-18"]
HASTY = dataclasses.replace(QUICK, health_timeout=0.1, health_pause=0.001)


class Rounds(random.Random):
    """Counts the rounds of the health check: each draws its jitter."""

    def __init__(self) -> None:
        super().__init__(1)
        self.jitter: list[float] = []
        self._news = asyncio.Event()

    def uniform(self, a: float, b: float) -> float:
        drawn = super().uniform(a, b)
        if (a, b) == (0.8, 1.2):
            self.jitter.append(drawn)
            self._news.set()
        return drawn

    async def more(self, rounds: int) -> None:
        """Wait for that many more rounds to begin."""
        wanted = len(self.jitter) + rounds
        async with asyncio.timeout(LIMIT):
            while len(self.jitter) < wanted:
                self._news.clear()
                await self._news.wait()


def asked(gate, question: str) -> int:
    return sum(method == question for method, _ in gate.sent)


@pytest.mark.parametrize(
    ("legacy", "question", "never"),
    [(True, "ping", "server/discover"), (False, "server/discover", "ping")],
    ids=["2025-11-25", "2026-07-28"],
)
async def test_a_quiet_server_is_asked_the_cheapest_question_of_its_era(legacy, question, never) -> None:
    clock, rounds = Clock(), Rounds()
    async with (
        gated(health_interval=0.01) as (gate, config),
        connected(config, pace=HASTY, legacy=legacy, clock=clock, rng=rounds) as (connection, seen),
    ):
        before, others = asked(gate, question), asked(gate, never)
        await rounds.more(5)
        assert asked(gate, question) == before  # by the clock it has just been heard of
        clock.now += 1.0
        await rounds.more(2)
        assert asked(gate, question) == before + 1
        await rounds.more(3)
        assert (asked(gate, question), asked(gate, never)) == (before + 1, others)  # it answered: not quiet
        assert seen.states() == ["connecting", "connected"]
        assert connection.state == "connected"


async def test_the_interval_is_jittered_so_that_servers_are_not_asked_all_at_once() -> None:
    rounds = Rounds()
    async with connected(old(health_interval=0.001), pace=HASTY, rng=rounds):
        await rounds.more(20)
    assert len(set(rounds.jitter)) == len(rounds.jitter)
    assert min(rounds.jitter) >= 0.8
    assert max(rounds.jitter) <= 1.2


async def test_a_server_with_traffic_is_not_asked() -> None:
    clock, rounds = Clock(), Rounds()
    async with (
        gated(health_interval=0.01) as (gate, config),
        connected(config, pace=HASTY, clock=clock, rng=rounds) as (connection, _),
    ):
        before = asked(gate, "server/discover")
        for _ in range(5):
            clock.now += 0.002
            await connection.call_tool("echo", {"text": "x"})
            await rounds.more(1)
        assert asked(gate, "server/discover") == before


@pytest.mark.parametrize("config", [stdio(health_interval=1000), old(health_interval=1000)], ids=ERAS)
async def test_a_killed_idle_child_is_noticed_without_being_asked(config) -> None:
    async with connected(config) as (connection, seen):
        killed = connection.pid
        os.kill(killed, signal.SIGKILL)
        await seen.until(lambda: seen.states().count("connected") == 2)
        assert connection.pid != killed
        assert any("SIGKILL" in event.detail for event in seen.of("server_state"))


async def test_a_stopped_idle_child_is_noticed_by_its_silence_and_replaced() -> None:
    async with connected(old(health_interval=0.02), pace=HASTY) as (connection, seen):
        stopped = connection.pid
        os.kill(stopped, signal.SIGSTOP)
        await seen.until(lambda: seen.states().count("connected") == 2)
        assert seen.states()[2:4] == ["degraded", "reconnecting"]
        assert connection.pid != stopped


async def test_a_stopped_child_that_goes_on_in_time_is_well_again() -> None:
    patient = dataclasses.replace(HASTY, health_timeout=1.0)
    async with connected(old(health_interval=0.02), pace=patient) as (connection, seen):
        os.kill(connection.pid, signal.SIGSTOP)
        try:
            await seen.until(lambda: connection.state == "degraded")
        finally:
            os.kill(connection.pid, signal.SIGCONT)
        await seen.until(lambda: connection.state == "connected")
        assert seen.states() == ["connecting", "connected", "degraded", "connected"]


async def test_a_server_in_this_process_is_not_asked() -> None:
    rounds, clock = Rounds(), Clock()
    server = MCPServer("here", log_level="ERROR")
    config = ServerConfig("here", "in-process", target=server, health_interval=0.001)
    async with connected(config, pace=HASTY, rng=rounds, clock=clock) as (connection, _):
        heard = connection._session._last_seen
        clock.now += 100
        await rounds.more(5)
        assert connection._session._last_seen == heard


async def test_a_call_that_is_not_answered_is_a_reason_to_ask_and_the_row_says_that_nothing_answers() -> None:
    clock = Clock()
    pace = dataclasses.replace(QUICK, unanswered=0.01, slow_after=0.1)
    async with gated() as (gate, config), connected(config, pace=pace, clock=clock) as (connection, seen):
        call = asyncio.create_task(connection.call_tool("held", {"text": "x"}))
        await gate.running.wait()
        gate.verdicts["server/discover"] = "hang"
        clock.now += 1.0
        await seen.until(lambda: connection.state == "degraded")
        assert connection.last_error == "no answer to a health check within 0.1 s"
        gate.go_on.set()
        assert (await call).content[0].text == "x"
        await seen.until(lambda: connection.state == "connected")
        assert seen.states() == ["connecting", "connected", "degraded", "connected"]


async def test_a_call_that_its_caller_gave_up_is_as_good_a_reason_to_ask() -> None:
    clock = Clock()
    pace = dataclasses.replace(QUICK, unanswered=0.05, slow_after=0.1)
    async with gated() as (gate, config), connected(config, pace=pace, clock=clock) as (connection, seen):
        call = asyncio.create_task(connection.call_tool("held", {"text": "x"}))
        await gate.running.wait()
        gate.verdicts["server/discover"] = "hang"
        clock.now += 1.0
        call.cancel()
        await asyncio.wait([call])
        await seen.until(lambda: connection.state == "degraded")


async def test_a_slow_call_at_a_server_that_answers_others_is_no_reason_to_ask() -> None:
    pace = dataclasses.replace(QUICK, unanswered=0.01)
    async with gated() as (gate, config), connected(config, pace=pace, clock=Clock()) as (connection, _):
        call = asyncio.create_task(connection.call_tool("held", {"text": "x"}))
        await gate.running.wait()
        before = asked(gate, "server/discover")
        for _ in range(20):  # by the clock no time passes in which nothing is heard
            await connection.call_tool("echo", {"text": "y"})
        assert asked(gate, "server/discover") == before
        gate.go_on.set()
        await call


async def test_a_server_that_is_busy_with_one_call_after_the_other_is_never_given_up() -> None:
    rounds = Rounds()
    pace = dataclasses.replace(HASTY, health_timeout=0.4)
    async with (
        gated(health_interval=0.01) as (gate, config),
        connected(config, pace=pace, rng=rounds) as (connection, seen),
    ):
        gate.verdicts["server/discover"] = "hang"
        await seen.until(lambda: connection.state == "degraded")
        await connection.call_tool("echo", {"text": "x"})  # an answer: it was not away
        call = asyncio.create_task(connection.call_tool("held", {"text": "x"}))
        await rounds.more(4)
        assert (connection.state, call.done()) == ("degraded", False)
        gate.go_on.set()
        assert (await call).content[0].text == "x"


def test_who_gets_no_answer_reads_in_the_row_that_the_server_is_silent_within_two_seconds() -> None:
    pace = Pace()
    assert pace.unanswered + pace.slow_after + pace.health_pause < 2.0
