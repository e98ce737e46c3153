"""The behaviour of lab servers: profiles, their file, and the middleware that applies them."""

from __future__ import annotations

import random
import statistics
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import MCPError
from mcp_types import CONNECTION_CLOSED

from mcpnb.errors import McpnbError
from mcpnb.lab.profile import Behaviour, Profile, ProfileFile

pytestmark = pytest.mark.anyio


class Fixed:
    """A profile that the test holds in its hand."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    def current(self) -> Profile:
        return self.profile


class Request:
    """As much of the SDK's request context as the middleware looks at."""

    def __init__(self, method: str = "tools/call") -> None:
        self.method = method
        self.params = {"name": "weather.current", "arguments": {"location": "London"}}


async def answer(ctx: Any) -> Any:
    return "answered"


class Sleeps:
    """A clock that stands still and notes how long somebody wanted to sleep."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    "values",
    [
        {"latency_ms": -1},
        {"latency_ms": float("nan")},
        {"latency_ms": float("inf")},
        {"latency_ms": "20"},
        {"latency_ms": True},
        {"jitter": -0.1},
        {"error_rate": 1.01},
        {"capacity": 0},
        {"capacity": 1.5},
        {"seed": None},
        {"rtt_ms": -1},
        {"fault_rate": 2},
        {"fault_ms": -1},
        {"drip": 0},
        {"drip": "slow"},
        {"partitioned": 1},
        {"latency": 20},
    ],
)
def test_a_profile_that_makes_no_sense_is_refused_with_the_name_of_the_field(values: dict[str, Any]) -> None:
    with pytest.raises(McpnbError, match=next(iter(values))):
        Profile().changed(**values)


def test_a_change_keeps_the_other_fields() -> None:
    assert Profile(latency_ms=20, jitter=0.5).changed(error_rate=0.1) == Profile(20, 0.5, 0.1)


def test_a_profile_says_what_differs_from_a_perfect_server() -> None:
    assert repr(Profile()) == "Profile()"
    assert repr(Profile(latency_ms=20, partitioned=True)) == "Profile(latency_ms=20, partitioned=True)"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"latency_ms": 400}, "slowed to 400 ms"),
        ({"latency_ms": 20.5}, "sped up to 20.5 ms"),
        ({"jitter": 0.35, "error_rate": 0.07}, "jitter 35 %, errors 7 %"),
        ({"fault_rate": 0.5, "rtt_ms": 12}, "round trip 12 ms, lost calls 50 %"),
        ({"capacity": 2}, "capacity 2"),
        ({"capacity": None, "seed": 9}, "capacity unbounded, seed 9"),
        ({"latency_ms": 100}, ""),
    ],
)
def test_what_became_different_is_said_with_its_unit(changes: dict[str, Any], said: str) -> None:
    before = Profile(latency_ms=100, capacity=4)
    assert before.changed(**changes).since(before) == said


def test_service_times_have_the_mean_and_the_spread_asked_for() -> None:
    profile, rng = Profile(latency_ms=200, jitter=0.5), random.Random(7)
    times = [profile.service_time(rng) for _ in range(40_000)]
    assert statistics.mean(times) == pytest.approx(0.2, rel=0.02)
    assert statistics.stdev(times) == pytest.approx(0.1, rel=0.05)
    assert min(times) > 0


def test_without_jitter_every_call_takes_the_same_time() -> None:
    assert {Profile(latency_ms=30).service_time(random.Random(n)) for n in range(5)} == {0.03}


def test_a_profile_file_is_read_again_when_it_was_replaced(tmp_path: Path) -> None:
    writer, reader = ProfileFile(tmp_path / "p.json"), ProfileFile(tmp_path / "p.json")
    assert reader.current() == Profile()
    for latency in (10.0, 20.0, 30.0):
        writer.write(Profile(latency_ms=latency))
        assert reader.current().latency_ms == latency


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"latency": 3}', '{"latency_ms": "x"}'])
def test_a_profile_file_that_makes_no_sense_leaves_the_last_good_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.json"
    file = ProfileFile(path)
    file.write(Profile(latency_ms=10))
    assert file.current().latency_ms == 10
    path.write_text(text)
    assert file.current().latency_ms == 10
    with pytest.raises(McpnbError):
        file.read()


def test_a_profile_file_that_is_gone_leaves_the_last_good_one(tmp_path: Path) -> None:
    file = ProfileFile(tmp_path / "p.json")
    file.write(Profile(capacity=3))
    assert file.current().capacity == 3
    file.path.unlink()
    assert file.current().capacity == 3


async def test_a_call_takes_the_time_of_the_profile_and_other_requests_do_not() -> None:
    sleeps = Sleeps()
    behaviour = Behaviour(Fixed(Profile(latency_ms=80)), name="a", sleep=sleeps)
    assert await behaviour(Request("tools/list"), answer) == "answered"
    assert sleeps.asked == []
    assert await behaviour(Request(), answer) == "answered"
    assert sleeps.asked == [0.08]


async def test_the_error_rate_makes_that_share_of_calls_tool_errors() -> None:
    behaviour = Behaviour(Fixed(Profile(error_rate=0.3)), name="a", sleep=Sleeps())
    answers = [await behaviour(Request(), answer) for _ in range(2000)]
    errors = [got for got in answers if got != "answered"]
    assert 0.27 < len(errors) / len(answers) < 0.33
    assert all(error.is_error for error in errors)
    assert errors[0].content[0].text == "weather.current failed on a: the lab's error rate struck"


async def test_lost_calls_look_like_a_broken_connection_after_the_time_for_it() -> None:
    sleeps = Sleeps()
    behaviour = Behaviour(Fixed(Profile(fault_rate=1, fault_ms=250)), name="a", sleep=sleeps)
    with pytest.raises(MCPError, match="Connection closed") as lost:
        await behaviour(Request(), answer)
    assert lost.value.code == CONNECTION_CLOSED
    assert sleeps.asked == [0.25]
    assert await behaviour(Request("ping"), answer) == "answered"


async def test_the_network_takes_half_its_time_each_way_and_no_place_of_the_capacity() -> None:
    door = Door()
    behaviour = Behaviour(Fixed(Profile(rtt_ms=50, capacity=1)), name="a", sleep=door)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(behaviour, Request(), answer)
        await anyio.wait_all_tasks_blocked()
        assert door.inside == 3
        for _ in range(6):
            door.let_out()
    door.close()


async def test_a_partition_lets_nothing_through_and_brings_it_when_the_network_is_whole() -> None:
    done: list[str] = []
    heard: list[Any] = []
    source, door = Fixed(Profile()), Door()

    async def cut_while_at_work(ctx: Any) -> Any:
        source.profile = Profile(partitioned=True)
        done.append(ctx.method)
        return "answered"

    async def send(method: str) -> None:
        heard.append((method, await behaviour(Request(method), cut_while_at_work)))

    behaviour = Behaviour(source, name="a", sleep=door)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send, "tools/call")
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(send, "ping")
        await anyio.wait_all_tasks_blocked()
        for _ in range(2):
            door.let_out()
        await anyio.wait_all_tasks_blocked()
        assert (door.inside, heard) == (2, [])
        assert done == ["tools/call"]  # the one at work was carried out, and nobody learnt of it
        source.profile = Profile()
        door.let_out()
        await anyio.wait_all_tasks_blocked()
        assert heard == [("tools/call", "answered")]
        tasks.cancel_scope.cancel()
    door.close()


async def test_the_same_seed_gives_the_same_course_of_events() -> None:
    async def course(seed: int) -> list[float]:
        sleeps = Sleeps()
        behaviour = Behaviour(
            Fixed(Profile(latency_ms=50, jitter=1, error_rate=0.5, seed=seed)), name="a", sleep=sleeps
        )
        for _ in range(20):
            await behaviour(Request(), answer)
        return sleeps.asked

    assert await course(1) == await course(1)
    assert await course(1) != await course(2)


class Door:
    """Holds every call in its sleep until the test lets one out."""

    def __init__(self) -> None:
        self.inside = 0
        self._send, self._receive = anyio.create_memory_object_stream[None](100)

    async def __call__(self, seconds: float) -> None:
        self.inside += 1
        try:
            await self._receive.receive()
        finally:
            self.inside -= 1

    def let_out(self) -> None:
        self._send.send_nowait(None)

    def close(self) -> None:
        self._send.close()
        self._receive.close()


async def test_more_calls_than_the_capacity_wait_their_turn() -> None:
    door = Door()
    behaviour = Behaviour(Fixed(Profile(latency_ms=1, capacity=2)), name="a", sleep=door)
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(behaviour, Request(), answer)
        for _ in range(4):
            await anyio.wait_all_tasks_blocked()
            assert door.inside == 2
            door.let_out()
        door.let_out()
    door.close()


async def test_a_call_cancelled_while_it_waits_takes_no_place() -> None:
    door = Door()
    behaviour = Behaviour(Fixed(Profile(latency_ms=1, capacity=1)), name="a", sleep=door)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(behaviour, Request(), answer)
        await anyio.wait_all_tasks_blocked()
        async with anyio.create_task_group() as impatient:
            impatient.start_soon(behaviour, Request(), answer)
            await anyio.wait_all_tasks_blocked()
            impatient.cancel_scope.cancel()
        door.let_out()
    assert door.inside == 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(behaviour, Request(), answer)
        await anyio.wait_all_tasks_blocked()
        assert door.inside == 1
        door.let_out()
    door.close()


async def test_a_capacity_that_was_raised_lets_more_calls_in() -> None:
    door, source = Door(), Fixed(Profile(latency_ms=1, capacity=1))
    behaviour = Behaviour(source, name="a", sleep=door)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(behaviour, Request(), answer)
        await anyio.wait_all_tasks_blocked()
        assert door.inside == 1
        source.profile = Profile(latency_ms=1)
        tasks.start_soon(behaviour, Request(), answer)
        await anyio.wait_all_tasks_blocked()
        assert door.inside == 4
        for _ in range(4):
            door.let_out()
    door.close()


async def test_the_pace_is_that_of_when_the_work_begins() -> None:
    source, door, asked = Fixed(Profile(latency_ms=1000, capacity=1)), Door(), list[float]()

    async def sleep(seconds: float) -> None:
        asked.append(seconds)
        await door(seconds)

    behaviour = Behaviour(source, name="a", sleep=sleep)
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(behaviour, Request(), answer)
            await anyio.wait_all_tasks_blocked()
        source.profile = Profile(latency_ms=10, capacity=1)
        door.let_out()
        door.let_out()
    door.close()
    assert asked == [1.0, 0.01]  # the second waited in line when the server got well
