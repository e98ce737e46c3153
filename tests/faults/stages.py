"""One stage for each transport: the server of a cell, how it is reached, and what can be done to it."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mcp.client._memory import InMemoryTransport

from mcpnb.config import ServerConfig

from .behaviour import OLD, Behaviour
from .proxy import Proxy
from .sdk_server import sdk_server

HERE = Path(__file__).parent

LIMIT = 30.0
"""Seconds after which a cell has lost an event."""

HEALTH_INTERVAL = 0.2
"""Seconds; of servers on a stage."""

USERS_HEALTH_INTERVAL = ServerConfig("any", "stdio", command="any").health_interval


class Stage:
    """A server to break. The base is the one in this process; the others are processes."""

    transport = "in-process"

    def __init__(self, era: str, control: Path) -> None:
        self.era, self.control = era, control
        self._undo: list[Callable[[], object]] = []

    async def open(self) -> None:
        """Start what has to be there before a client connects."""

    async def close(self) -> None:
        """End what `open` started, and undo what a fault did."""
        self.undo()

    def undo(self) -> None:
        """Undo what a fault did beside the server."""
        while self._undo:
            self._undo.pop()()

    def on_close(self, undo: Callable[[], object]) -> None:
        """Have something undone at the end, or earlier by `undo`."""
        self._undo.append(undo)

    def config(self) -> ServerConfig:
        """How a client reaches it."""
        server = sdk_server(Behaviour(self.control, self.era))
        # An object is spoken to in the new era; streams carry the handshake, too.
        target = InMemoryTransport(server) if self.era == OLD else server
        return ServerConfig("victim", self.transport, target=target, health_interval=HEALTH_INTERVAL)

    # -- the control file ----------------------------------------------------------------------------------

    def tell(self, fault: str) -> None:
        """Name the present fault to the server; nothing for none."""
        self.control.write_text(fault)

    def executions(self, call: str) -> int:
        """How often the call of that id was executed."""
        log = self.control.with_suffix(".ran")
        return log.read_text().split().count(call) if log.exists() else 0

    async def in_the_middle(self, call: str) -> None:
        """Wait until the server is at work on the call of that id."""
        async with asyncio.timeout(LIMIT):
            # Another process writes it, so there is nothing to be woken by.
            while not self.executions(call):  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.005)

    # -- its process ---------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        return int(self.control.with_suffix(".pid").read_text())

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)


class StdioStage(Stage):
    transport = "stdio"

    def config(self) -> ServerConfig:
        args = (str(HERE / "stdio_server.py"), str(self.control), self.era)
        return ServerConfig(
            "victim", "stdio", command=sys.executable, args=args, health_interval=HEALTH_INTERVAL
        )


class Forks:
    """The process that has imported the SDK and forks servers."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "sdk_server.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True,
        )  # fmt: skip
        self._out = self._process.stdout
        self._waiting: dict[int, asyncio.Event] = {}
        assert self._out.readline() == b"ready\n"

    async def start(self, kind: str, control: Path, era: str, port: int) -> None:
        """Have a server started; returns once it takes connections."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        self._waiting[port] = ready
        loop.add_reader(self._out.fileno(), self._hear)
        self._process.stdin.write(f"{kind} {control} {era} {port}\n".encode())
        try:
            async with asyncio.timeout(LIMIT):
                await ready.wait()
        finally:
            del self._waiting[port]
            if not self._waiting:
                loop.remove_reader(self._out.fileno())

    def _hear(self) -> None:
        """Servers say their ports when they are ready, a short line each, which a pipe keeps whole."""
        for word in os.read(self._out.fileno(), 4096).split():
            if int(word) in self._waiting:
                self._waiting[int(word)].set()

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._out.close()


class NetStage(Stage):
    """A server in a process of its own, behind a proxy, or (`direct`) without one."""

    def __init__(self, era: str, control: Path, transport: str, forks: Forks, *, direct: bool) -> None:
        super().__init__(era, control)
        self.transport, self._forks, self._direct = transport, forks, direct
        self.port = _port_to_keep()
        self.proxy = Proxy(self.port)
        self._starting: asyncio.Task | None = None

    async def open(self) -> None:
        await self.start()
        if not self._direct:
            await self.proxy.open()

    async def start(self) -> None:
        """Start the server, at first or again."""
        await self._forks.start(self.transport, self.control, self.era, self.port)

    def keep_starting(self) -> None:
        """Start it again whenever it has died, until told otherwise."""
        self._starting = asyncio.create_task(self._keep_starting())

    async def _keep_starting(self) -> None:
        while True:
            await self.start()
            # It ends by itself, and it is not our child: there is nothing to be woken by.
            while _alive(self.pid):  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.01)

    async def stop_starting(self) -> None:
        """Leave it to itself, running."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
            self._starting = None
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGKILL)
            await self.start()

    async def close(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
        await self.proxy.close()
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        await super().close()

    def config(self) -> ServerConfig:
        port = self.port if self._direct else self.proxy.port
        url = f"http://127.0.0.1:{port}/{'sse' if self.transport == 'sse' else 'mcp'}"
        return ServerConfig("victim", self.transport, url=url, health_interval=HEALTH_INTERVAL)


def _port_to_keep() -> int:
    """A port that nobody takes while the server is away: none of those that outgoing connections get."""
    while True:
        port = random.randrange(20_000, 32_768)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


async def do(what, stage: Stage) -> None:
    """Have something happen on a stage, be it a coroutine or not."""
    done = what(stage)
    if inspect.isawaitable(done):
        await done


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
