"""What the connection tests share: a recorder of events, real servers, and short durations."""

from __future__ import annotations

import asyncio
import random
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mcpnb.config import ServerConfig
from mcpnb.connection import Answering, Connection, Pace
from mcpnb.connection.listing import Reader
from mcpnb.model import Event

ASKING = Path(__file__).parent / "servers" / "asking.py"
ECHO = Path(__file__).parent / "servers" / "echo.py"
OLD = Path(__file__).parent / "servers" / "old.py"

QUICK = Pace(backoff_base=0.01, backoff_cap=0.05)
"""Tests wait for events, not for jitter."""

LIMIT = 20.0
"""Seconds after which a test has lost an event."""


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Recorder:
    """Every event of some connections, and a way to wait for what they lead to."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = asyncio.Event()

    def __call__(self, connection: Connection, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]

    def states(self) -> list[str]:
        return [str(event.data["state"]) for event in self.of("server_state")]

    async def until(self, true: Callable[[], object]) -> None:
        """Wait for events until `true()`."""
        async with asyncio.timeout(LIMIT):
            while not true():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def connected(
    config: ServerConfig,
    *,
    pace: Pace = QUICK,
    connect_timeout: float = LIMIT,
    wait: bool = True,
    legacy: bool = False,
    answering: Answering | None = None,
    rng: random.Random | None = None,
    clock: Callable[[], float] = time.monotonic,
    reader: Reader | None = None,
) -> AsyncIterator[tuple[Connection, Recorder]]:
    """A started connection and its recorder; closed at the end."""
    recorder = Recorder()
    connection = Connection(
        config, on_change=recorder, rng=rng or random.Random(1), connect_timeout=connect_timeout, pace=pace,
        answering=answering, clock=clock, reader=reader,
    )  # fmt: skip
    if legacy:
        connection.protocol = "2025-11-25"  # what it spoke last: it is greeted by the handshake
    connection.start()
    try:
        if wait:
            await connection.settled()
        yield connection, recorder
    finally:
        await connection.close()


def stdio(*args: str, name: str = "child", **more: object) -> ServerConfig:
    """A child process of this Python; by default the echo server."""
    return ServerConfig(name, "stdio", command=sys.executable, args=args or (str(ECHO), "stdio"), **more)


def old(*how: str, name: str = "child", **more: object) -> ServerConfig:
    """The hand-written server of the handshake era: it imports nothing, and so starts at once."""
    return stdio(str(OLD), *how, name=name, **more)


class HttpServer:
    """The echo server in a process of its own, at an address that it keeps across restarts."""

    def __init__(self, kind: str, log: Path, script: Path = ECHO) -> None:
        self.kind, self._log, self._script = kind, log, script
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{'sse' if self.kind == 'sse' else 'mcp'}"

    def config(self, name: str = "web", **more: object) -> ServerConfig:
        return ServerConfig(name, "sse" if self.kind == "sse" else "http", url=self.url, **more)

    def start(self) -> None:
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(self._script), self.kind, str(self.port)],
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", self._log.read_text()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


@pytest.fixture
def http_server(tmp_path: Path) -> Iterator[HttpServer]:
    server = HttpServer("http", tmp_path / "http.log")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def sse_server(tmp_path: Path) -> Iterator[HttpServer]:
    server = HttpServer("sse", tmp_path / "sse.log")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def asking_http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """The asking server over Streamable HTTP; nobody ends it, so a module's tests share it."""
    server = HttpServer("http", tmp_path_factory.mktemp("asking") / "log", ASKING)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def asking_sse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """The asking server over SSE."""
    server = HttpServer("sse", tmp_path_factory.mktemp("asking") / "log", ASKING)
    server.start()
    yield server
    server.kill()


async def appears(path: Path) -> None:
    """Wait until a server has made this file: its call is in the middle."""
    async with asyncio.timeout(LIMIT):
        # Another process makes it, so there is nothing to be woken by.
        while not path.exists():  # noqa: ASYNC110, ASYNC240 - see above
            await asyncio.sleep(0.005)
