"""Progress, log messages and cancellations, on every way to a server and in both eras."""

from __future__ import annotations

import asyncio

import pytest

from mcpnb.config import ServerConfig
from mcpnb.errors import CallTimeout

from .conftest import ASKING, appears, connected, stdio
from .servers.asking import build

pytestmark = pytest.mark.anyio

HANDSHAKE, STATELESS = "2025-11-25", "2026-07-28"
WAYS = [
    ("in-process", HANDSHAKE), ("in-process", STATELESS), ("stdio", HANDSHAKE), ("stdio", STATELESS),
    ("http", HANDSHAKE), ("http", STATELESS), ("sse", HANDSHAKE), ("sse", STATELESS),
]  # fmt: skip


@pytest.fixture(params=WAYS, ids="-".join)
def way(request):
    """A configuration of the asking server, and the era in which it is to be spoken to."""
    transport, era = request.param
    if transport == "stdio":
        config = stdio(str(ASKING), "stdio")
    elif transport == "in-process":
        config = ServerConfig("here", transport, target=build())
    else:
        config = request.getfixturevalue(f"asking_{transport}").config()
    return config, era


async def test_progress_log_messages_and_cancellation_go_all_the_way(way, tmp_path) -> None:
    config, era = way
    heard = []
    async with connected(config, legacy=era == HANDSHAKE) as (connection, seen):
        assert connection.protocol == era
        result = await connection.call_tool("steps", {}, on_progress=lambda *told: heard.append(told))
        assert result.content[0].text == "done"
        assert heard == [(1.0, 2.0, "half"), (2.0, 2.0, "all")]
        await seen.until(lambda: seen.of("server_log"))
        assert seen.of("server_log")[0].detail == "info: steps: two steps taken"

        call = asyncio.create_task(connection.call_tool("sleep", {"mark": str(tmp_path / "given-up")}))
        await appears(tmp_path / "given-up")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await appears(tmp_path / "given-up.cancelled")

        with pytest.raises(CallTimeout):
            await connection.call_tool("sleep", {"mark": str(tmp_path / "late")}, timeout=0.5)
        await appears(tmp_path / "late.cancelled")
        assert connection.state == "connected"


async def test_a_callback_for_progress_that_fails_costs_the_call_nothing() -> None:
    def broken(*told) -> None:
        raise RuntimeError("no bar")

    config = ServerConfig("here", "in-process", target=build())
    async with connected(config) as (connection, _):
        result = await connection.call_tool("steps", {}, on_progress=broken)
        assert result.content[0].text == "done"
