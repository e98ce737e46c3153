"""HTTP statuses, broken bodies and lost sessions: each call hears what happened to itself, and only that."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import pytest

from mcpnb.connection import Pace
from mcpnb.connection.faults import Fault
from mcpnb.errors import AuthError, ConnectError, ServerDisconnected, ToolError

from .conftest import QUICK, Clock, connected
from .gate import gated

pytestmark = pytest.mark.anyio

PATIENT = dataclasses.replace(QUICK, backoff_base=100.0, backoff_cap=100.0)


async def test_429_and_503_were_not_executed_and_say_when_to_come_back() -> None:
    async with gated() as (gate, config), connected(config) as (connection, _):
        gate.verdicts = {"a": (429, {"retry-after": "7"}), "b": (503, {"retry-after": "2"})}
        with pytest.raises(ConnectError, match="HTTP 429 Too Many Requests") as caught:
            await connection.call_tool("echo", {"text": "a"})
        assert caught.value.retry_after == 7.0
        with pytest.raises(ConnectError, match="HTTP 503 Service Unavailable") as caught:
            await connection.call_tool("echo", {"text": "b"})
        assert caught.value.retry_after == 2.0


async def test_a_server_that_has_had_enough_of_us_is_sent_nothing_on_top_of_the_calls() -> None:
    clock = Clock()
    async with gated() as (gate, config), connected(config, clock=clock) as (connection, seen):
        gate.verdicts = {"tools/call": (429,)}
        gate.sent.clear()
        for _ in range(5):
            clock.now += 1000.0
            with pytest.raises(ConnectError):
                await connection.call_tool("echo", {"text": "x"})
        gate.verdicts = {}
        await connection.call_tool("echo", {"text": "fine"})
        assert [method for method, _ in gate.sent] == ["tools/call"] * 6  # no question, no cancellation
        assert seen.states() == ["connecting", "connected"]


async def test_one_503_costs_only_its_own_call() -> None:
    async with gated() as (gate, config), connected(config) as (connection, seen):
        gate.verdicts = {"shed": (503,)}
        held = asyncio.create_task(connection.call_tool("held", {"text": "kept"}))
        await gate.running.wait()
        with pytest.raises(ConnectError):
            await connection.call_tool("echo", {"text": "shed"})
        gate.go_on.set()
        assert (await held).content[0].text == "kept"
        assert seen.states() == ["connecting", "connected"]


async def test_503_to_everything_is_a_server_that_is_down_until_it_is_back() -> None:
    async with gated() as (gate, config), connected(config) as (connection, seen):
        gate.verdicts = {"*": (503,)}
        with pytest.raises(ConnectError):
            await connection.call_tool("echo", {"text": "x"})
        await seen.until(lambda: connection.state == "reconnecting")
        assert "HTTP 503" in connection.last_error
        gate.verdicts = {}
        await seen.until(lambda: connection.state == "connected")


async def test_a_server_that_says_when_to_come_back_is_believed() -> None:
    async with gated() as (gate, config), connected(config) as (connection, _):
        gate.verdicts = {"*": (503, {"retry-after": "40"})}
        await connection.reconnect()
        assert connection.state == "reconnecting"
        assert 30 < connection.retry_in <= 40


async def test_concurrent_calls_are_told_apart() -> None:
    async with gated() as (gate, config), connected(config) as (connection, _):
        gate.verdicts = {f"{n}": (429, {"retry-after": f"{n}"}) for n in range(1, 20, 2)}
        calls = [connection.call_tool("echo", {"text": f"{n}"}) for n in range(20)]
        ends = await asyncio.gather(*calls, return_exceptions=True)
        for n, end in enumerate(ends):
            if n % 2:
                assert (type(end), end.retry_after) == (ConnectError, n)
            else:
                assert end.content[0].text == f"{n}"


async def test_a_body_that_breaks_off_is_a_disconnection_of_that_call_alone() -> None:
    async with gated() as (gate, config), connected(config) as (connection, seen):
        gate.verdicts = {"torn": "half"}
        held = asyncio.create_task(connection.call_tool("held", {"text": "kept"}))
        await gate.running.wait()
        with pytest.raises(ServerDisconnected, match="broke"):
            await connection.call_tool("echo", {"text": "torn"})
        gate.go_on.set()
        assert (await held).content[0].text == "kept"
        assert seen.states() == ["connecting", "connected"]


async def test_a_500_may_have_been_executed() -> None:
    async with gated() as (gate, config), connected(config) as (connection, _):
        gate.verdicts = {"boom": (500,)}
        with pytest.raises(ServerDisconnected, match="HTTP 500"):
            await connection.call_tool("echo", {"text": "boom"})
        assert (await connection.call_tool("echo", {"text": "fine"})).content[0].text == "fine"


async def test_404_is_a_lost_session_not_executed_and_followed_by_a_new_one() -> None:
    async with gated() as (gate, config), connected(config) as (connection, seen):
        gate.verdicts = {"lost": (404,)}
        with pytest.raises(ConnectError, match="no longer knows this session"):
            await connection.call_tool("echo", {"text": "lost"})
        await seen.until(lambda: seen.states().count("connected") == 2)


async def test_a_protocol_error_inside_an_http_error_is_the_tools_error() -> None:
    async with gated() as (gate, config), connected(config) as (connection, seen):
        error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32602, "message": "no such tool"}}
        gate.verdicts = {"bad": (400, {}, json.dumps(error).encode())}
        with pytest.raises(ToolError, match="no such tool") as caught:
            await connection.call_tool("echo", {"text": "bad"})
        assert caught.value.code == -32602
        assert seen.states() == ["connecting", "connected"]


async def test_401_at_the_start_is_final_until_asked_again() -> None:
    async with gated() as (gate, config):
        gate.verdicts = {"*": (401,)}
        async with connected(config) as (connection, _):
            assert connection.state == "failed"
            assert "HTTP 401" in connection.last_error
            gate.verdicts = {}
            await connection.reconnect()
            assert connection.state == "connected"


async def test_401_in_a_session_is_an_auth_error_and_ends_it() -> None:
    async with gated() as (gate, config), connected(config) as (connection, seen):
        gate.verdicts = {"*": (401,)}
        with pytest.raises(AuthError):
            await connection.call_tool("echo", {"text": "x"})
        await seen.until(lambda: connection.state == "failed")


async def test_403_concerns_the_one_call() -> None:
    async with gated() as (gate, config), connected(config) as (connection, seen):
        gate.verdicts = {"secret": (403,)}
        with pytest.raises(AuthError):
            await connection.call_tool("echo", {"text": "secret"})
        assert (await connection.call_tool("echo", {"text": "open"})).content[0].text == "open"
        assert seen.states() == ["connecting", "connected"]


@pytest.mark.parametrize(
    ("status", "words"), [(404, "no MCP endpoint"), (405, "older server"), (418, "HTTP 418")]
)
async def test_an_address_without_mcp_says_so(status, words) -> None:
    async with gated() as (gate, config):
        gate.verdicts = {"*": (status,)}
        async with connected(config, pace=PATIENT) as (connection, _):
            assert connection.state == "reconnecting"
            assert words in connection.last_error


@pytest.mark.parametrize(
    ("headers", "body", "says"),
    [
        ({"content-type": "text/html; charset=utf-8"}, b"<html>hello</html>", "text/html"),
        ({}, b'{"error": "not here"}', "JSON"),
        ({}, b"", "JSON"),
    ],
)
async def test_what_answers_and_is_no_mcp_server_is_said_in_one_line(headers, body, says, caplog) -> None:
    async with gated() as (gate, config):
        gate.verdicts = {"*": (200, headers, body)}
        async with connected(config, pace=PATIENT) as (connection, _):
            assert connection.last_error == f"{config.url}: it answers with {says} that is no MCP message"
            gate.verdicts = {}
            await connection.reconnect()
            gate.verdicts = {"x": (200, headers, body)}
            with pytest.raises(ToolError, match=f"echo on web says: it answers with {says} that is no MCP"):
                await connection.call_tool("echo", {"text": "x"})
            assert (await connection.call_tool("echo", {"text": "y"})).content[0].text == "y"
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_calls_on_a_server_that_stopped_listening_may_finish() -> None:
    patient = Pace(backoff_base=100.0, backoff_cap=100.0)
    async with gated() as (gate, config), connected(config, pace=patient) as (connection, seen):
        held = asyncio.create_task(connection.call_tool("held", {"text": "kept"}))
        await gate.running.wait()
        connection._session.lose(Fault("refused", "it stopped listening"))
        await seen.until(lambda: connection.state == "reconnecting")
        with pytest.raises(ConnectError):
            await connection.call_tool("echo", {"text": "new"})
        gate.go_on.set()
        assert (await held).content[0].text == "kept"


async def test_cancelling_a_call_tells_the_server() -> None:
    async with gated() as (gate, config), connected(config) as (connection, _):
        held = asyncio.create_task(connection.call_tool("held", {"text": "unwanted"}))
        await gate.running.wait()
        held.cancel()
        with pytest.raises(asyncio.CancelledError):
            await held
        assert (await connection.call_tool("echo", {"text": "fine"})).content[0].text == "fine"


async def test_a_draining_server_finishes_its_calls_and_takes_no_new_ones() -> None:
    async with gated() as (gate, config), connected(config) as (connection, seen):
        held = asyncio.create_task(connection.call_tool("held", {"text": "kept"}))
        await gate.running.wait()
        connection.drain()
        with pytest.raises(ConnectError, match="it is draining"):
            await connection.call_tool("echo", {"text": "new"})
        gate.go_on.set()
        assert (await held).content[0].text == "kept"
        assert seen.states()[-1] == "draining"


async def test_a_slow_server_is_degraded_then_well_again() -> None:
    pace = dataclasses.replace(QUICK, health_timeout=0.2, health_pause=0.01)
    async with (
        gated(health_interval=0.02) as (gate, config),
        connected(config, pace=pace) as (connection, seen),
    ):
        held = asyncio.create_task(connection.call_tool("held", {"text": "kept"}))
        await gate.running.wait()  # while it works for us it is not given up
        gate.verdicts = {"server/discover": "hang"}
        connection._session.suspect()
        await seen.until(lambda: connection.state == "degraded")
        assert connection.last_error == "no answer to a health check within 0.2 s"
        assert (await connection.call_tool("echo", {"text": "still"})).content[0].text == "still"
        gate.verdicts = {}
        await seen.until(lambda: connection.state == "connected")
        assert connection.last_error is None
        gate.go_on.set()
        await held
        assert seen.states() == ["connecting", "connected", "degraded", "connected"]


async def test_an_idle_server_that_is_silent_twice_is_connected_anew() -> None:
    pace = dataclasses.replace(QUICK, health_timeout=0.1, health_pause=0.01)
    async with (
        gated(health_interval=0.02) as (gate, config),
        connected(config, pace=pace) as (connection, seen),
    ):
        gate.verdicts = {"server/discover": "hang"}
        await seen.until(lambda: "reconnecting" in seen.states())
        assert seen.states()[-2] == "degraded"
        gate.go_on.set()
        await seen.until(lambda: connection.state == "connected")


async def test_a_server_replaced_by_another_version_is_noticed_and_learned_anew() -> None:
    async with gated(health_interval=0.02) as (gate, config), connected(config) as (connection, seen):
        assert connection.server_version == "1.0"
        gate.mcp._lowlevel_server.__dict__["_server_info_stamp_source"] = {"name": "gated", "version": "2.0"}
        await seen.until(lambda: seen.states().count("connected") == 2)
        assert connection.server_version == "2.0"
