"""The fault matrix: whatever happens to one server, its callers hear of it, and nobody else does.

For every cell: the affected call ends as documented; calls to another server are not touched; the server's
row tells the truth; it heals without a restart of the client; and nothing is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mcp.server.mcpserver import MCPServer

from mcpnb.client import MultiServerClient
from mcpnb.config import ServerConfig
from mcpnb.errors import McpnbError
from mcpnb.model import Event, ServerStatus

from .behaviour import TOOLS
from .conftest import Holdings, nothing_is_left
from .matrix import ERAS, FAULTS, NO_CELL, UP, Case, Fault, Row
from .stages import LIMIT, USERS_HEALTH_INTERVAL, Forks, NetStage, Stage, StdioStage, do

pytestmark = pytest.mark.anyio

CELLS = [
    pytest.param(
        fault, transport, era, id=f"{transport}-{era}-{fault.name}",
        marks=[pytest.mark.long] if fault.own_pace else [],
    )
    for fault in FAULTS
    for transport in fault.cases
    for era in ERAS[transport]
    if era in fault.eras or len(ERAS[transport]) == 1
]  # fmt: skip


class Watch:
    """The victim's row at every event, and a way to wait for what it says."""

    def __init__(self, client: MultiServerClient) -> None:
        self._client = client
        self.rows: list[ServerStatus] = []
        self.events: list[Event] = []
        self._news = asyncio.Event()
        client.on("*", self._heard)

    def _heard(self, event: Event) -> None:
        if event.server == "victim":
            self.events.append(event)
            self.rows.append(self.row)
            self._news.set()

    @property
    def row(self) -> ServerStatus:
        return next(row for row in self._client.servers() if row.server == "victim")

    def forget(self) -> None:
        """Only what comes from now on counts."""
        self.rows, self.events = [self.row], []

    def told(self, wanted: Row) -> bool:
        """Whether the row, and the event if there is to be one, have said this."""
        if wanted.event and not any(
            event.kind == wanted.event and re.search(wanted.says, event.detail) for event in self.events
        ):
            return False
        said = [_says(row, wanted) for row in (*self.rows, self.row)]
        anew = sum(now and not before for before, now in itertools.pairwise([False, *said]))
        return anew >= wanted.times

    async def until(self, true, what: str) -> None:
        """Wait for events until `true()`."""
        try:
            async with asyncio.timeout(LIMIT):
                while not true():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            told = [f"{event.kind}: {event.detail}" for event in self.events]
            pytest.fail(f"never told: {what}; the row is {self.row}; told were {told}")


def _says(row: ServerStatus, wanted: Row) -> bool:
    words = "" if wanted.event else wanted.says
    return (
        row.state in wanted.states
        and re.search(words, row.last_error or "") is not None
        and wanted.tools in {None, row.tools}
    )


class Others:
    """Calls to another server, all the while."""

    def __init__(self, client: MultiServerClient) -> None:
        self._client, self._peer = client, client.options(server="peer")
        self.done = 0

    async def there(self) -> None:
        """Wait until the other server has connected."""
        row = next(row for row in self._client.servers() if row.server == "peer")
        if row.state != "connected":
            up = asyncio.Event()
            off = self._client.on("server_state", lambda event: _connected(event) and up.set())
            async with asyncio.timeout(LIMIT):
                await up.wait()
            off()

    @contextlib.asynccontextmanager
    async def calling(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._call())
        try:
            yield
        finally:
            if not task.done():
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task  # the first call that failed fails the cell

    async def _call(self) -> None:
        while True:
            result = await self._peer.call("echo", text=str(self.done))
            assert result.text == str(self.done)
            self.done += 1
            await asyncio.sleep(0.02)


def _connected(event: Event) -> bool:
    return (event.server, event.data["state"]) == ("peer", "connected")


def peer() -> ServerConfig:
    server = MCPServer("peer", log_level="CRITICAL")

    @server.tool()
    async def echo(text: str) -> str:
        return text

    return ServerConfig("peer", "in-process", target=server)


def stage_for(transport: str, era: str, case: Case, tmp_path, forks) -> Stage:
    control = tmp_path / "control"
    if transport == "stdio":
        return StdioStage(era, control)
    if transport == "in-process":
        return Stage(era, control)
    return NetStage(era, control, transport, forks(), direct=case.direct)


@pytest.fixture
def forked(request: pytest.FixtureRequest) -> Callable[[], Forks]:
    """Only cells with a network need it."""
    return lambda: request.getfixturevalue("forks")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_cell_is_there_or_has_a_reason_not_to_be(fault) -> None:
    absent = NO_CELL.get(fault.name, {})
    assert fault.cases.keys() | absent.keys() == ERAS.keys()
    assert not fault.cases.keys() & absent.keys()


@pytest.mark.parametrize(("fault", "transport", "era"), CELLS)
async def test_a_fault_of_one_server_is_told_contained_and_healed(
    fault, transport, era, tmp_path, forked, request
) -> None:
    if not fault.own_pace:
        request.getfixturevalue("quick")
    await cell(fault, transport, era, tmp_path, forked)


async def cell(
    fault: Fault, transport: str, era: str, tmp_path: Path, forked: Callable[[], Forks],
    *, to_the_truth: bool = False,
) -> float:  # fmt: skip
    """One cell from its beginning to its end, or only until the row tells the truth: after how many seconds.

    Then its server is asked for its health as seldom as users' are.
    """
    case = fault.cases[transport]
    stage = stage_for(transport, era, case, tmp_path, forked)
    before = Holdings.now()
    await stage.open()
    try:
        victim = stage.config()
        if to_the_truth:
            victim = replace(victim, health_interval=USERS_HEALTH_INTERVAL)
        client = MultiServerClient(
            [victim, peer()], seed=1, timeout=LIMIT, connect_timeout=fault.connect_timeout
        )
        try:
            play = Play(fault, case, stage, client)
            async with play.since.running():
                return await play.run(to_the_truth=to_the_truth)
        finally:
            await client.aclose()
    finally:
        await stage.close()
        await nothing_is_left(before)


class Stopwatch:
    """Seconds in which this process had the processor: a machine with other work may take it away."""

    BEAT = 0.02

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(self.BEAT)
            # A beat that took much longer was none of ours.
            self.seconds += min(time.monotonic() - began, 2 * self.BEAT)


class Play:
    """What happens on a stage."""

    def __init__(self, fault: Fault, case: Case, stage: Stage, client: MultiServerClient) -> None:
        self.fault, self.case, self.stage, self.client = fault, case, stage, client
        self.watch, self.others = Watch(client), Others(client)
        self.victim = client.options(server="victim", timeout=case.timeout, retries=0)
        self.since = Stopwatch()

    async def run(self, *, to_the_truth: bool) -> float:
        on_connect = self.fault.moment == "connect"
        if on_connect:
            await self.inject()
        await self.client.start(wait=not on_connect)
        await self.others.there()
        async with self.others.calling():
            if on_connect:
                end, words = await self.after_connecting()
            elif self.fault.moment == "mid-call":
                end, words = await self.in_the_middle()
            else:
                end, words = await self.while_idle()
            assert end in self.case.ends.split("|"), f"{end}: {words}"
            assert self.stage.executions("affected") <= 1
            await self.watch.until(lambda: self.watch.told(self.case.row), f"{self.case.row}")
            took = self.since.seconds
            if self.case.row.throughout:
                assert {row.state for row in self.watch.rows} <= self.case.row.states
            if to_the_truth:
                return took
            if self.case.lift is not None:
                await do(self.case.lift, self.stage)
            await self.heal()
        assert self.others.done
        return took

    async def inject(self) -> None:
        await do(self.case.inject, self.stage)
        self.since.seconds = 0.0

    async def after_connecting(self) -> tuple[str, str]:
        await self.watch.until(lambda: self.watch.told(self.case.row), f"{self.case.row}")
        return await self.call(self.fault.call)

    async def in_the_middle(self) -> tuple[str, str]:
        self.was_well()
        call = asyncio.create_task(self.call("work"))
        await self.stage.in_the_middle("affected")
        await self.inject()
        return await call

    async def while_idle(self) -> tuple[str, str]:
        self.was_well()
        await self.inject()
        return await self.call(self.fault.call)

    def was_well(self) -> None:
        row = self.watch.row
        assert (row.state, row.protocol, row.tools) == ("connected", self.stage.era, TOOLS)
        self.watch.forget()

    async def call(self, tool: str) -> tuple[str, str]:
        """How the affected call ended, and in which words; one that does not end fails the cell."""
        try:
            async with asyncio.timeout(LIMIT):
                await self.victim.call(tool, {**self.fault.arguments, "id": "affected"})
        except McpnbError as error:
            return type(error).__name__, str(error)
        return "ok", ""

    async def heal(self) -> None:
        """Wait until the victim answers again and its row says so: by itself, or when asked to."""
        if self.fault.heals == "on reconnect":
            await self.client.reconnect("victim")
        victim = self.client.options(server="victim", timeout=2.0)
        async with asyncio.timeout(LIMIT):
            while True:
                await self.watch.until(lambda: self.watch.row.state in UP and self.watch.row.tools, "healing")
                with contextlib.suppress(McpnbError):
                    assert (await victim.call("echo", text="again")).text == "again"
                    break
                await asyncio.sleep(0.01)
        row = self.watch
        await row.until(lambda: row.row.state == "connected" and row.row.last_error is None, "all well again")
        await row.until(lambda: row.row.tools == self.fault.tools_after, f"{self.fault.tools_after} tools")
        assert row.row.protocol == self.stage.era


# -- with the durations that users have --------------------------------------------------------------------

BOUND = 2.0
"""Seconds."""

PROMPT = [
    param
    for param in CELLS
    for fault, transport, era in [param.values]
    if fault.prompt and era == ERAS[transport][-1] and not fault.cases[transport].row.throughout
]
"""Where the row says the same throughout it never lies. Both eras have the same durations."""


@pytest.mark.measured
@pytest.mark.parametrize(("fault", "transport", "era"), PROMPT)
async def test_the_row_tells_the_truth_within_two_seconds(fault, transport, era, tmp_path, forked) -> None:
    took = await cell(fault, transport, era, tmp_path, forked, to_the_truth=True)
    print(f"the row told the truth after {took:.2f} s")
    assert took < BOUND
