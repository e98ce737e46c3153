"""Several sessions to one server: which one takes a call, and how many there are."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from mcp.server.mcpserver import Context, MCPServer

from mcpnb.config import ServerConfig
from mcpnb.connection import Connection, ConnectionPool, connection_for
from mcpnb.errors import ConnectError, ServerDisconnected

from .conftest import LIMIT, QUICK, Clock, Recorder, appears, old

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def pooled(config: ServerConfig, clock=None, *, wait: bool = True):
    recorder = Recorder()
    options = {} if clock is None else {"clock": clock}
    pool = ConnectionPool(config, on_change=recorder, rng=random.Random(1), pace=QUICK, **options)
    pool.start()
    try:
        if wait:
            await all_settled(pool)
            assert pool.sessions == config.connections
        yield pool, recorder
    finally:
        await pool.close()


async def all_settled(pool: ConnectionPool) -> None:
    async with asyncio.timeout(LIMIT):
        await asyncio.gather(*(lane.connection.settled() for lane in pool._lanes))


class Held:
    """A server in this process whose calls last until they are let go, and that knows their sessions."""

    def __init__(self, connections: int = 3) -> None:
        self.running: list[int] = []
        self.go_on = asyncio.Event()
        self.news = asyncio.Event()
        server = MCPServer("held", version="1.0", log_level="ERROR")

        @server.tool()
        async def hold(ctx: Context) -> str:
            self.running.append(id(ctx.request_context.session))
            self.news.set()
            await self.go_on.wait()
            return "done"

        @server.tool()
        async def grow(ctx: Context) -> str:
            server.add_tool(lambda: "x", name="bigger")
            await ctx.notify_tools_changed()
            return "grown"

        self.config = ServerConfig("here", "in-process", target=server, connections=connections)

    async def until_running(self, calls: int) -> None:
        async with asyncio.timeout(LIMIT):
            while len(self.running) < calls:
                self.news.clear()
                await self.news.wait()


def loads(pool: ConnectionPool) -> list[int]:
    return [lane.in_flight for lane in pool._lanes]


async def test_a_call_goes_to_the_session_with_the_fewest() -> None:
    held = Held()
    async with pooled(held.config) as (pool, _), asyncio.TaskGroup() as tasks:
        for n in range(1, 8):
            tasks.create_task(pool.call_tool("hold", {}))
            await held.until_running(n)
            assert max(loads(pool)) - min(loads(pool)) <= 1
            assert pool.in_flight == n
        held.go_on.set()
    assert pool.in_flight == 0


async def test_a_cancelled_call_gives_its_place_back() -> None:
    held = Held()
    async with pooled(held.config) as (pool, _):
        call = asyncio.create_task(pool.call_tool("hold", {}))
        await held.until_running(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert loads(pool) == [0, 0, 0]


async def test_idle_sessions_close_but_one_and_open_again_under_load() -> None:
    held, clock = Held(), Clock()
    async with pooled(held.config, clock) as (pool, seen), AsyncExitStack() as stack:
        stack.callback(held.go_on.set)
        clock.now += held.config.idle_timeout - 1
        pool.shrink()
        assert pool.sessions == 3
        clock.now += 1
        pool.shrink()
        assert (pool.sessions, pool.state) == (1, "connected")
        first = asyncio.create_task(pool.call_tool("hold", {}))
        await held.until_running(1)
        assert len(pool._lanes) == 1  # nobody waited: one is enough
        second = asyncio.create_task(pool.call_tool("hold", {}))
        await held.until_running(2)
        async with asyncio.timeout(LIMIT):
            await pool._lanes[1].connection.settled()
        assert pool.sessions == 2
        third = asyncio.create_task(pool.call_tool("hold", {}))
        await held.until_running(3)
        assert loads(pool) == [2, 1]
        held.go_on.set()
        await asyncio.gather(first, second, third)
        assert seen.states() == ["connecting", "connected"]


async def test_a_busy_session_is_not_idle_however_long_its_call_lasts() -> None:
    held, clock = Held(2), Clock()
    async with pooled(held.config, clock) as (pool, _):
        calls = [asyncio.create_task(pool.call_tool("hold", {})) for _ in range(2)]
        await held.until_running(2)
        clock.now += 10 * held.config.idle_timeout
        pool.shrink()
        assert pool.sessions == 2
        held.go_on.set()
        await asyncio.gather(*calls)


async def test_the_timer_closes_idle_sessions_by_itself() -> None:
    server = MCPServer("here", log_level="ERROR")
    config = ServerConfig("here", "in-process", target=server, connections=3, idle_timeout=0.05)
    async with pooled(config, wait=False) as (pool, _):
        await pool.settled()
        async with asyncio.timeout(LIMIT):
            # The pool's own task, which tells nobody.
            while len(pool._lanes) > 1 or pool._leaving:  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.01)
        assert pool.state == "connected"
        assert pool._timer is None


async def test_the_state_is_the_best_of_the_sessions_and_told_once(tmp_path) -> None:
    config = old(connections=2)
    async with pooled(config) as (pool, seen):
        assert seen.states() == ["connecting", "connected"]
        one, two = (lane.connection for lane in pool._lanes)
        assert one.pid != two.pid
        call = asyncio.create_task(one.call_tool("wait", {"mark": str(tmp_path / "running")}))
        await appears(tmp_path / "running")
        os.kill(one.pid, signal.SIGKILL)
        with pytest.raises(ServerDisconnected):
            await call
        assert (pool.state, pool.last_error) == ("connected", None)
        assert (await pool.call_tool("first", {})).content[0].text == "ok"
        assert seen.states() == ["connecting", "connected"]


async def test_a_server_that_is_gone_is_told_with_the_reason_and_connected_anew() -> None:
    config = old(connections=2)
    async with pooled(config) as (pool, seen):
        for lane in pool._lanes:
            os.kill(lane.connection.pid, signal.SIGKILL)
        await seen.until(lambda: "reconnecting" in seen.states())
        await seen.until(lambda: pool.state == "connected")
        assert (await pool.call_tool("first", {})).content[0].text == "ok"


async def test_a_configuration_that_cannot_work_is_said_by_all() -> None:
    config = ServerConfig("child", "stdio", command="no-such-command-anywhere", connections=3)
    async with pooled(config, wait=False) as (pool, seen):
        await pool.settled()
        assert pool.state == "failed"
        assert "command not found" in pool.last_error
        with pytest.raises(ConnectError, match="it is failed: command not found"):
            await pool.call_tool("first", {})
        assert seen.states() == ["connecting", "failed"]


async def test_a_change_of_the_listing_is_told_once() -> None:
    held = Held()
    async with pooled(held.config) as (pool, seen):
        assert len(seen.of("tools_changed")) == 1
        await pool.call_tool("grow", {})
        await seen.until(lambda: len(pool.listing.tools) == 3)
        for lane in pool._lanes:
            async with asyncio.timeout(LIMIT):
                # What it learns is no news, so nobody is told.
                while len(lane.connection.listing.tools) < 3:  # noqa: ASYNC110 - see above
                    await asyncio.sleep(0.005)
        assert len(seen.of("tools_changed")) == 2


async def test_draining_takes_no_new_calls_and_lets_the_running_ones_end() -> None:
    held = Held()
    async with pooled(held.config) as (pool, _):
        call = asyncio.create_task(pool.call_tool("hold", {}))
        await held.until_running(1)
        pool.drain()
        assert pool.state == "draining"
        with pytest.raises(ConnectError, match="it is draining"):
            await pool.call_tool("hold", {})
        held.go_on.set()
        assert (await call).content[0].text == "done"


async def test_reconnecting_renews_every_session() -> None:
    async with pooled(old(connections=2)) as (pool, _):
        before = {lane.connection.pid for lane in pool._lanes}
        await pool.reconnect()
        after = {lane.connection.pid for lane in pool._lanes}
        assert not before & after
        assert pool.state == "connected"


async def test_closing_leaves_nothing_behind() -> None:
    tasks = asyncio.all_tasks()
    async with pooled(old(connections=3)) as (pool, seen):
        await pool.call_tool("first", {})
    assert asyncio.all_tasks() == tasks
    assert pool.state == seen.states()[-1] == "disconnected"
    await pool.close()


def test_one_session_needs_no_pool() -> None:
    options = {"on_change": lambda *_: None, "rng": random.Random(1), "connect_timeout": 1.0}
    assert isinstance(connection_for(old(), **options), Connection)
    assert isinstance(connection_for(old(connections=2), **options), ConnectionPool)


def test_a_pool_has_the_face_of_a_connection() -> None:
    face = {name for name in dir(Connection) if not name.startswith(("_", "on_", "subscribed"))}
    assert face <= set(dir(ConnectionPool))
    attributes = vars(Connection(old(), on_change=lambda *_: None, rng=random.Random(1)))
    pool = ConnectionPool(old(), on_change=lambda *_: None, rng=random.Random(1))
    assert all(hasattr(pool, name) for name in attributes if not name.startswith("_"))
