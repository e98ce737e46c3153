"""One call to many servers: an outcome for each, whatever each of them does."""

from __future__ import annotations

import asyncio
import threading

import anyio
import anyio.lowlevel
import pytest

from mcpnb.errors import (
    ArgumentError,
    AuthError,
    CallTimeout,
    ConnectError,
    NoServerAvailable,
    ServerDisconnected,
    ToolError,
)
from mcpnb.fanout import fan_out, kind_of
from mcpnb.threads import beside

pytestmark = pytest.mark.anyio


class Servers:
    """Calls that wait until the test opens their gate."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.gates = {name: anyio.Event() for name in names}
        self.called: list[str] = []
        self.cancelled: list[str] = []
        self.all_called = anyio.Event()

    async def call(self, server: str) -> str:
        self.called.append(server)
        if len(self.called) == len(self.names):
            self.all_called.set()
        try:
            await self.gates[server].wait()
        except asyncio.CancelledError:
            self.cancelled.append(server)
            raise
        return f"from {server}"


def kinds(outcomes) -> list[str]:
    return [outcome.kind for outcome in outcomes]


async def test_all_servers_are_asked_at_once_and_answers_stand_in_the_order_of_the_servers():
    servers = Servers("a", "b", "c")

    async def open_backwards() -> None:
        await servers.all_called.wait()
        for name in ("c", "b", "a"):
            servers.gates[name].set()

    async with anyio.create_task_group() as group:
        group.start_soon(open_backwards)
        outcomes = await fan_out(servers.call, servers.names)
    assert [(outcome.server, outcome.value, outcome.ok) for outcome in outcomes] == [
        ("a", "from a", True), ("b", "from b", True), ("c", "from c", True),
    ]  # fmt: skip


async def test_a_server_that_fails_is_an_outcome_and_harms_no_other():
    problems = {
        "refusing": ConnectError("refusing", "connection refused"),
        "dying": ServerDisconnected("dying"),
        "saying no": ToolError("saying no", "t", "no"),
        "broken": KeyError("a bug"),
        "grouped": ExceptionGroup("g", [ExceptionGroup("h", [ConnectError("grouped", "gone")])]),
    }

    async def call(server: str) -> str:
        if server in problems:
            raise problems[server]
        return server

    outcomes = await fan_out(call, [*problems, "good"])
    assert kinds(outcomes) == ["refused", "disconnected", "tool_error", "tool_error", "refused", "ok"]
    assert [outcome.error for outcome in outcomes] == [*problems.values(), None]


async def test_the_deadline_cuts_off_those_that_still_work_and_keeps_the_answers():
    servers = Servers("quick", "slow")
    servers.gates["quick"].set()
    outcomes = await fan_out(servers.call, servers.names, timeout=0.05, tool="forecast")
    assert kinds(outcomes) == ["ok", "timeout"]
    assert servers.cancelled == ["slow"]
    assert isinstance(outcomes[1].error, CallTimeout)
    assert "'forecast' did not answer within 0.05 s on slow" in str(outcomes[1].error)


async def test_a_deadline_that_has_passed_asks_nobody_for_long():
    servers = Servers("a", "b")
    assert kinds(await fan_out(servers.call, servers.names, timeout=0)) == ["timeout", "timeout"]


async def test_a_quorum_ends_the_fan_out_and_cancels_the_rest():
    servers = Servers("a", "b", "c", "d")

    async def open_two() -> None:
        await servers.all_called.wait()
        servers.gates["b"].set()
        servers.gates["d"].set()

    async with anyio.create_task_group() as group:
        group.start_soon(open_two)
        outcomes = await fan_out(servers.call, servers.names, quorum=2)
    assert kinds(outcomes) == ["cancelled", "ok", "cancelled", "ok"]
    assert sorted(servers.cancelled) == ["a", "c"]
    assert outcomes[0].error is None


async def test_failures_do_not_count_towards_the_quorum():
    async def call(server: str) -> str:
        if server == "bad":
            raise ConnectError("bad", "gone")
        return server

    assert kinds(await fan_out(call, ["bad", "good"], quorum=1)) == ["refused", "ok"]
    assert kinds(await fan_out(call, ["bad", "bad"], quorum=1)) == ["refused", "refused"]


@pytest.mark.parametrize("quorum", [0, -1, 3])
async def test_a_quorum_that_cannot_be_reached_is_refused(quorum):
    with pytest.raises(ValueError, match="cannot be reached with 2 servers"):
        await fan_out(Servers("a", "b").call, ["a", "b"], quorum=quorum)


async def test_cancelling_the_caller_cancels_every_call():
    servers = Servers("a", "b", "c")
    task = asyncio.ensure_future(fan_out(servers.call, servers.names, timeout=60))
    await servers.all_called.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(servers.cancelled) == ["a", "b", "c"]


async def test_a_call_that_is_cancelled_from_within_is_an_outcome_and_not_the_callers_end():
    async def call(server: str) -> str:
        if server == "leaking":
            raise asyncio.CancelledError
        return server

    assert kinds(await fan_out(call, ["leaking", "good"])) == ["cancelled", "ok"]


async def test_nobody_to_ask_is_no_outcome():
    assert await fan_out(Servers().call, []) == []


async def test_the_same_server_twice_has_two_outcomes():
    servers = Servers("a")
    servers.gates["a"].set()
    assert kinds(await fan_out(servers.call, ["a", "a"])) == ["ok", "ok"]


async def test_latency_is_read_from_the_given_clock():
    ticks = iter([10.0, 12.5, 13.0])

    async def call(server: str) -> str:
        return server

    (outcome,) = await fan_out(call, ["a"], clock=lambda: next(ticks))
    assert outcome.latency == 2.5


async def test_fifty_servers_are_asked_concurrently():
    names = [f"s{i}" for i in range(50)]
    servers = Servers(*names)

    async def open_all() -> None:
        await servers.all_called.wait()
        for gate in servers.gates.values():
            gate.set()

    async with anyio.create_task_group() as group:
        group.start_soon(open_all)
        assert kinds(await fan_out(servers.call, names)) == ["ok"] * 50


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (CallTimeout("t", 1.0), "timeout"),
        (TimeoutError(), "timeout"),
        (AuthError("s", "401"), "refused"),
        (ConnectionResetError(), "disconnected"),
        (EOFError(), "disconnected"),
        (ArgumentError("t", "f", "p"), "rejected"),
        (NoServerAvailable("t", {}), "rejected"),
        (ToolError("s", "t", "m"), "tool_error"),
        (ZeroDivisionError(), "tool_error"),
    ],
)
def test_every_error_has_its_kind(error, kind):
    assert kind_of(error) == kind


async def test_work_beside_the_loop_does_not_hold_it_up():
    go, seen = threading.Event(), anyio.Event()

    def work() -> str:
        go.wait(10)
        return "done"

    async def loop_goes_on() -> None:
        await anyio.lowlevel.checkpoint()
        seen.set()
        go.set()

    async with anyio.create_task_group() as group:
        group.start_soon(loop_goes_on)
        assert await beside(work) == "done"
    assert seen.is_set()


async def test_an_error_beside_the_loop_is_raised_where_it_is_awaited():
    with pytest.raises(ZeroDivisionError):
        await beside(lambda: 1 / 0)


async def test_giving_up_on_work_beside_the_loop_ignores_its_end():
    go = threading.Event()
    task = asyncio.ensure_future(beside(lambda: go.wait(10)))
    await anyio.lowlevel.checkpoint()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
