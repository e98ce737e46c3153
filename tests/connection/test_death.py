"""Servers that die, and what their callers hear of it."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from mcp.server.mcpserver import MCPServer

from mcpnb.config import ServerConfig
from mcpnb.connection import Connection
from mcpnb.errors import CallTimeout, ConnectError, ServerDisconnected, ToolError

from .conftest import LIMIT, HttpServer, appears, connected, old, stdio

pytestmark = pytest.mark.anyio


async def fails_by_itself(call: asyncio.Task, error: type[Exception] = ServerDisconnected) -> None:
    """The call ends with this error: the tool would go on for longer than a test waits, so by the death."""
    with pytest.raises(error):
        async with asyncio.timeout(LIMIT):
            await call


async def in_the_middle(connection: Connection, mark, **arguments) -> asyncio.Task:
    """A call that the server is working on."""
    task = asyncio.create_task(connection.call_tool("wait", {"mark": str(mark), **arguments}))
    await appears(mark)
    return task


@pytest.mark.parametrize("config", [stdio(), old()], ids=["2026-07-28", "2025-06-18"])
async def test_a_killed_stdio_server_fails_the_call_it_works_on_and_is_started_again(
    config, tmp_path
) -> None:
    async with connected(config) as (connection, seen):
        first = connection.pid
        call = await in_the_middle(connection, tmp_path / "running")
        os.kill(connection.pid, signal.SIGKILL)
        await fails_by_itself(call)
        await seen.until(lambda: connection.state == "reconnecting")
        await seen.until(lambda: connection.state == "connected")
        assert connection.pid != first
        assert (
            "SIGKILL" in seen.of("server_state")[2].detail or "SIGKILL" in seen.of("server_state")[3].detail
        )
        assert (await connection.call_tool("echo", {"text": "again"})).content[0].text == "again"


async def test_a_killed_http_server_fails_the_call_and_is_found_again_at_its_address(
    http_server, tmp_path
) -> None:
    async with connected(http_server.config()) as (connection, seen):
        call = await in_the_middle(connection, tmp_path / "running")
        http_server.kill()
        await fails_by_itself(call)
        await seen.until(lambda: connection.state == "reconnecting")
        with pytest.raises(ConnectError):
            await connection.call_tool("echo", {"text": "nobody"})
        http_server.start()
        await seen.until(lambda: connection.state == "connected")
        assert (await connection.call_tool("echo", {"text": "again"})).content[0].text == "again"


async def test_a_killed_sse_server_fails_the_call_and_is_found_again(sse_server, tmp_path) -> None:
    async with connected(sse_server.config()) as (connection, seen):
        call = await in_the_middle(connection, tmp_path / "running")
        sse_server.kill()
        await fails_by_itself(call)
        sse_server.start()
        await seen.until(lambda: seen.states().count("connected") == 2)
        assert (await connection.call_tool("echo", {"text": "again"})).content[0].text == "again"


async def test_an_idle_stdio_server_is_missed_at_once() -> None:
    async with connected(old(health_interval=1000)) as (connection, seen):
        os.kill(connection.pid, signal.SIGKILL)
        await seen.until(lambda: "reconnecting" in seen.states())
        await seen.until(lambda: connection.state == "connected")


async def test_an_idle_http_server_is_missed_by_the_next_call_which_was_not_executed(http_server) -> None:
    async with connected(http_server.config(health_interval=1000)) as (connection, _):
        connection._session.on_fault = lambda fault, flight: None  # deaf to the subscription's break
        http_server.kill()
        with pytest.raises(ConnectError, match="refused"):
            await connection.call_tool("echo", {"text": "nobody"})


async def test_an_idle_http_server_is_missed_without_any_call(http_server) -> None:
    async with connected(http_server.config(health_interval=0.05)) as (connection, seen):
        http_server.kill()
        await seen.until(lambda: connection.state == "reconnecting")


async def test_the_other_servers_do_not_notice(http_server, tmp_path) -> None:
    async with connected(old()) as (victim, _), connected(http_server.config()) as (other, seen):
        doomed = await in_the_middle(victim, tmp_path / "doomed")
        fine = await in_the_middle(other, tmp_path / "fine", seconds=0.3)
        os.kill(victim.pid, signal.SIGKILL)
        with pytest.raises(ServerDisconnected):
            await doomed
        assert (await fine).content[0].text == "done"
        assert seen.states() == ["connecting", "connected"]


async def test_every_call_on_a_dead_server_ends_and_none_is_cancelled(tmp_path) -> None:
    async with connected(old()) as (connection, _):
        calls = [await in_the_middle(connection, tmp_path / str(n)) for n in range(20)]
        os.kill(connection.pid, signal.SIGKILL)
        async with asyncio.timeout(LIMIT):
            ends = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(end) for end in ends} == {ServerDisconnected}
        assert asyncio.current_task().cancelling() == 0


async def test_the_callers_own_cancellation_stays_a_cancellation(tmp_path) -> None:
    async with connected(old()) as (connection, _):
        call = await in_the_middle(connection, tmp_path / "running")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert connection.state == "connected"
        assert (await connection.call_tool("echo", {"text": "fine"})).content[0].text == "fine"


async def test_a_call_that_takes_too_long_is_a_timeout_and_the_server_stays(tmp_path) -> None:
    async with connected(old()) as (connection, _):
        with pytest.raises(CallTimeout, match=r"within 0\.2 s on child"):
            await connection.call_tool("wait", {"mark": str(tmp_path / "running")}, timeout=0.2)
        assert (await connection.call_tool("echo", {"text": "fine"})).content[0].text == "fine"
        assert connection.state == "connected"


async def test_a_stopped_stdio_server_holds_nobody_beyond_the_timeout(tmp_path) -> None:
    async with connected(old(health_interval=1000)) as (connection, _):
        os.kill(connection.pid, signal.SIGSTOP)
        big = "x" * 1_000_000  # more than the pipe takes
        calls = [connection.call_tool("echo", {"text": big}, timeout=0.2) for _ in range(10)]
        async with asyncio.timeout(LIMIT):  # it stays stopped: nothing else would end them
            ends = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(end) for end in ends} == {CallTimeout}


async def test_a_stopped_http_server_holds_nobody_beyond_the_timeout(http_server) -> None:
    async with connected(http_server.config(health_interval=1000)) as (connection, _):
        http_server.process.send_signal(signal.SIGSTOP)
        calls = [connection.call_tool("echo", {"text": "x"}, timeout=0.2) for _ in range(10)]
        async with asyncio.timeout(LIMIT):  # as above
            ends = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(end) for end in ends} == {CallTimeout}
        http_server.process.send_signal(signal.SIGCONT)
        assert (await connection.call_tool("echo", {"text": "back"})).content[0].text == "back"


async def test_the_last_words_of_a_crash_are_the_reason() -> None:
    async with connected(old()) as (connection, seen):
        with pytest.raises(ServerDisconnected):
            await connection.call_tool("crash", {"text": "out of licences"})
        await seen.until(lambda: any("exit code 3: out of licences" in e.detail for e in seen.events))
        assert connection.stderr_tail[-1] == "out of licences"


async def test_an_answer_that_arrives_just_before_the_end_counts() -> None:
    async with connected(old()) as (connection, _):
        assert (await connection.call_tool("first", {"text": "bye", "die": True})).content[0].text == "bye"


async def test_calls_into_this_process_end_with_their_session() -> None:
    server = MCPServer("here", log_level="ERROR")
    running = asyncio.Event()

    @server.tool()
    async def for_ever() -> str:
        running.set()
        await asyncio.Event().wait()
        return "never"

    async with connected(ServerConfig("here", "in-process", target=server)) as (connection, _):
        call = asyncio.create_task(connection.call_tool("for_ever", {}))
        await running.wait()
        await connection.close()
        with pytest.raises(ServerDisconnected):
            await call


async def test_a_cancellation_that_leaks_from_a_server_in_this_process_is_not_the_callers() -> None:
    server = MCPServer("here", log_level="ERROR")

    @server.tool()
    async def leak() -> str:
        raise asyncio.CancelledError

    async with connected(ServerConfig("here", "in-process", target=server)) as (connection, _):
        with pytest.raises((ServerDisconnected, ToolError)):
            await connection.call_tool("leak", {})


async def test_a_restarted_server_of_the_handshake_era_has_lost_the_session_not_executed(http_server) -> None:
    async with connected(http_server.config(health_interval=1000), legacy=True) as (connection, seen):
        assert connection.protocol == "2025-11-25"
        connection._session.suspect = lambda: None  # deaf to the break of the stream of notifications
        http_server.kill()
        http_server.start()
        with pytest.raises(ConnectError, match="no longer knows this session"):
            await connection.call_tool("echo", {"text": "who?"})
        await seen.until(lambda: seen.states().count("connected") == 2)
        assert (await connection.call_tool("echo", {"text": "again"})).content[0].text == "again"


async def test_a_killed_server_that_could_be_resumed_still_fails_its_call_at_once(tmp_path) -> None:
    server = HttpServer("resumable", tmp_path / "log")
    server.start()
    async with connected(server.config(), legacy=True) as (connection, _):
        call = await in_the_middle(connection, tmp_path / "running")
        server.kill()
        await fails_by_itself(call)
