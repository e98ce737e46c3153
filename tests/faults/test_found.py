"""What the matrix found, and its cells would not pin down: each defect by itself, without a client."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator

import httpx2
import pytest

from mcpnb.auth import web
from mcpnb.connection import Connection, http
from mcpnb.errors import ServerDisconnected
from mcpnb.model import Event

from .behaviour import NEW, OLD
from .conftest import QUICK
from .proxy import Line, Rule, Seen
from .stages import LIMIT, NetStage, Stage, StdioStage

pytestmark = pytest.mark.anyio


class Told:
    """The events of one connection, to be waited for."""

    def __init__(self) -> None:
        self._news = asyncio.Event()

    def __call__(self, connection: Connection, event: Event) -> None:
        self._news.set()

    async def until(self, true) -> None:
        async with asyncio.timeout(LIMIT):
            while not true():
                self._news.clear()
                await self._news.wait()


@contextlib.asynccontextmanager
async def connected(stage: Stage) -> AsyncIterator[tuple[Connection, Told]]:
    told = Told()
    connection = Connection(stage.config(), on_change=told, rng=random.Random(1), pace=QUICK)
    connection.start()
    try:
        await connection.settled()
        yield connection, told
    finally:
        await connection.close()


@pytest.mark.parametrize("era", [OLD, NEW])
async def test_a_server_that_hangs_is_replaced_although_calls_keep_coming(era, tmp_path) -> None:
    stage = StdioStage(era, tmp_path / "control")
    async with connected(stage) as (connection, told):
        stage.signal(signal.SIGSTOP)
        await told.until(lambda: connection.state == "degraded")
        with pytest.raises(ServerDisconnected, match="twice"):
            async with asyncio.timeout(LIMIT):
                await connection.call_tool("work", {})  # no deadline of its own: it would wait for ever
        await told.until(lambda: connection.state == "connected")


async def test_a_server_in_this_process_is_listed_again_after_it_failed_to_list(tmp_path) -> None:
    stage = Stage(NEW, tmp_path / "control")
    stage.tell("page_2_fails")
    async with connected(stage) as (connection, told):
        assert connection.listing.tools == ()
        stage.tell("")
        await told.until(lambda: connection.listing.tools)


async def test_the_certificates_are_read_once_however_often_one_connects(monkeypatch, tmp_path) -> None:
    reads = []
    real = httpx2.create_ssl_context
    monkeypatch.setattr(httpx2, "create_ssl_context", lambda: reads.append(1) or real())
    web._tls_of.cache_clear()
    for _ in range(3):
        client = http.WatchedHttp(headers={}, where="here", report=lambda *_: None, pace=QUICK)
        await client.aclose()
    assert len(reads) == 1
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    await http.WatchedHttp(headers={}, where="here", report=lambda *_: None, pace=QUICK).aclose()
    assert len(reads) == 2


async def test_an_outage_during_the_question_for_the_era_does_not_make_an_old_server(tmp_path, forks) -> None:
    stage = NetStage(NEW, tmp_path / "control", "http", forks, direct=False)
    asked = []

    async def not_at_first(seen: Seen, line: Line) -> Seen | None:
        asked.append(seen.rpc)
        return None if asked == ["server/discover"] else seen  # the connection ends without an answer

    await stage.open()
    stage.proxy.rule = Rule(instead=not_at_first)
    try:
        async with connected(stage) as (connection, told):
            await told.until(lambda: connection.state == "connected")
            assert connection.protocol == NEW
    finally:
        await stage.close()
