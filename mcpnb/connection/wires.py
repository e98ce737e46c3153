"""The ways to a server, behind one small face: what `mcp.Client` is given, and why the way ended.

It owns the choice of transport and the words for a failed one. It keeps no state of the session.
"""

from __future__ import annotations

import json
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import httpx2
from mcp.server import Server
from mcp.server.mcpserver import MCPServer

from mcpnb.config import ServerConfig

from .answers import refusal
from .faults import Fault
from .flight import Flight
from .http import WatchedHttp, http_transport
from .last_words import last_words
from .pace import Pace
from .sse import sse_transport
from .stderr import StderrTail
from .stdio import StdioProcess

__all__ = ["Wire", "WireListener", "open_wire"]


class WireListener(Protocol):
    """What a wire reports to. Called synchronously, on the loop."""

    def on_fault(self, fault: Fault, flight: Flight | None) -> None:
        """Something went wrong on the way, with one request or with none in particular."""
        ...

    def on_end(self) -> None:
        """Nothing will come over this wire any more."""
        ...

    def on_noise(self, line: str) -> None:
        """The server prints what is no message (said once)."""
        ...

    async def on_piece(self, size: int) -> None:
        """So many bytes of a long answer were read; the next ones are after this."""
        ...


class Wire(Protocol):
    """One way to one server, for one session."""

    @property
    def lingers(self) -> bool:
        """Whether requests in flight may still be answered after new ones were refused."""
        ...

    @property
    def pid(self) -> int | None:
        """The server's process, if it is ours."""
        ...

    def target(self) -> Any:
        """What `mcp.Client` connects to.

        Raises:
            TypeError: The configured object is no MCP server.
        """
        ...

    def hang_up(self) -> None:
        """There is nobody to say goodbye to."""
        ...

    def tidy(self) -> None:
        """Give back what piles up in a long session. Called now and then."""
        ...

    def explain(self, errors: list[BaseException], silence: str) -> Fault | None:
        """Why the session ended, as far as this wire knows.

        `errors` are what the SDK raised; `silence` says in words that connecting took too long, if it did.
        """
        ...


def open_wire(
    config: ServerConfig, listener: WireListener, stderr: StderrTail | None, pace: Pace,
    auth: httpx2.Auth | None = None,
) -> Wire:  # fmt: skip
    """The wire for a configuration; `stderr` is there for stdio servers. Nothing is started yet."""
    if config.transport == "stdio":
        return _Stdio(config, listener, stderr or StderrTail(str), pace)
    if config.transport == "in-process":
        return _InProcess(config.target)
    return _Http(config, listener, pace, auth)


class _Stdio:
    """A child process. Its end is the end of every request."""

    lingers = False

    def __init__(self, config: ServerConfig, listener: WireListener, stderr: StderrTail, pace: Pace) -> None:
        self._config, self._stderr = config, stderr
        self._first_noise = ""
        self._listener = listener
        self._process = StdioProcess(config, stderr, on_noise=self._noise, on_end=listener.on_end, pace=pace)

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def target(self) -> Any:
        return self._process.transport()

    def hang_up(self) -> None:
        """Its pipes end with it."""

    def tidy(self) -> None:
        self._stderr.trim()

    def explain(self, errors: list[BaseException], silence: str) -> Fault | None:
        for error in errors:
            if isinstance(error, OSError) and not self._process.started:
                return Fault("refused", self._cannot_start(error), final=True)
        said = "" if silence else refusal(errors)
        if said:
            return Fault("refused", said)
        return Fault("silent" if silence else "broken", self._said(silence or self._fate()))

    def _cannot_start(self, error: OSError) -> str:
        command, cwd = self._config.command, self._config.cwd
        if cwd is not None and error.filename == cwd:
            return f"cannot start in the folder {cwd}: {error.strerror}"
        if isinstance(error, FileNotFoundError):
            return f"command not found: {command}. {_advice(command or '')}"
        return f"cannot run {command}: {error.strerror or error}"

    def _fate(self) -> str:
        code = self._process.exit_code
        if code is None or self._process.ended_by_us:
            return "its process closed the connection"
        if code < 0:
            with suppress(ValueError):
                return f"its process was killed by {signal.Signals(-code).name}"
        return f"its process ended with exit code {code}"

    def _said(self, fate: str) -> str:
        said = last_words(self._stderr.run_lines())
        if said:
            return f"{fate}: {said}"
        if self._first_noise:
            return f"{fate}; it printed {self._first_noise!r}, which is no MCP message"
        return fate

    def _noise(self, line: str) -> None:
        self._first_noise = line
        self._listener.on_noise(line)


def _advice(command: str) -> str:
    """What to do about a command that is not found."""
    program, *arguments = command.split()
    if arguments and (Path(program).name == program or shutil.which(program)):
        apart = f'"command": {json.dumps(program)}, "args": {json.dumps(arguments)}'
        return f"Arguments are written apart: {apart}."
    if Path(command).is_file():
        return "The file is there, but not what its first line says is to run it."
    return "Is it installed, and on PATH?"


class _Http:
    """Streamable HTTP or SSE. Every request has a connection of its own, so one that breaks breaks alone."""

    lingers = True
    pid = None

    def __init__(
        self, config: ServerConfig, listener: WireListener, pace: Pace, auth: httpx2.Auth | None
    ) -> None:
        self._url, self._where = config.url or "", config.address
        self._listener = listener
        self._last_fault: Fault | None = None
        self._client = WatchedHttp(
            headers=config.headers, where=self._where, report=self._fault, pace=pace,
            answers_elsewhere=config.transport == "sse", auth=auth, on_piece=listener.on_piece,
        )  # fmt: skip

    def target(self) -> Any:
        transport = sse_transport if self._client.answers_elsewhere else http_transport
        return transport(self._url, self._client)

    def hang_up(self) -> None:
        self._client.gone = True

    def tidy(self) -> None:
        """Nothing piles up."""

    def explain(self, errors: list[BaseException], silence: str) -> Fault | None:
        if self._last_fault is not None:
            return self._last_fault
        if silence:
            return Fault("silent", f"{silence} from {self._where}")
        status = self._client.last_status
        if status is not None and status >= 400:
            return Fault("refused", self._no_endpoint(status))
        for error in errors:
            if isinstance(error, httpx2.SSEError):
                # Broken, because calls whose answers cannot be read were executed.
                return Fault("broken", f"{self._where} does not answer with a stream of events: {error}")
        said = refusal(errors)
        return Fault("refused", f"{self._where}: {said}") if said else None

    def _no_endpoint(self, status: int) -> str:
        if status == 404:
            return f"HTTP 404: there is no MCP endpoint at {self._where}"
        if status == 405:
            return f'HTTP 405: {self._where} takes no messages; an older server may need "type": "sse"'
        return f"HTTP {status} from {self._where}"

    def _fault(self, fault: Fault, flight: Flight | None) -> None:
        self._last_fault = fault
        self._listener.on_fault(fault, flight)


class _InProcess:
    """A server object in this process: it ends when we say so."""

    lingers = False
    pid = None

    def __init__(self, target: object) -> None:
        self._target = target
        self._unfit = ""

    def target(self) -> Any:
        """The object itself, or the SDK server inside a framework's object."""
        if isinstance(self._target, MCPServer | Server):
            return self._target  # pyright: ignore[reportUnknownVariableType] - Server is generic in its lifespan
        inside = getattr(self._target, "_mcp_server", None)
        if isinstance(inside, Server):
            return inside  # pyright: ignore[reportUnknownVariableType]
        if hasattr(self._target, "__aenter__"):
            return self._target
        self._unfit = f"an object of type {type(self._target).__name__} is no MCP server that the SDK knows"
        raise TypeError(self._unfit)

    def hang_up(self) -> None:
        """There is no goodbye to say."""

    def tidy(self) -> None:
        """Nothing piles up."""

    def explain(self, errors: list[BaseException], silence: str) -> Fault | None:
        if self._unfit:
            return Fault("refused", self._unfit, final=True)
        if silence:
            return Fault("silent", silence)
        return Fault("broken", f"the server failed: {errors[0]!r}") if errors else None
