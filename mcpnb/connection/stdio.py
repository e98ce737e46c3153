"""A server as a child process: JSON lines over its stdin and stdout.

Instead of the SDK's `stdio_client`, because a notebook needs what that keeps to itself: the process id, an
end within a kernel's shutdown (the SDK takes 2 + 2 s), the moment of death, and noise on stdout that costs
one event instead of a traceback a line.

It knows the process and its pipes. What an end means is the session's business.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, cast

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

from mcpnb.config import ServerConfig, child_environment

from . import watchdog
from .messages import MAX_BYTES, message
from .pace import Pace
from .stderr import StderrTail

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

__all__ = ["StdioProcess"]

_OPENING = re.compile(rb"\n[ \t\r]*[\[{]")
"""How a line begins that may be a message."""

_QUOTED = 200
"""Bytes of a line that is no message, for people."""

_POLL = 0.01
"""Seconds between looks at a dying process: asyncio's own `wait()` also waits for pipes that others hold."""


class StdioProcess:
    """One run of a server's command. `on_noise` gets the first line of stdout that is no message."""

    def __init__(
        self,
        config: ServerConfig,
        stderr: StderrTail,
        *,
        on_noise: Callable[[str], None],
        on_end: Callable[[], None],
        pace: Pace,
    ) -> None:
        self._config, self._stderr, self._pace = config, stderr, pace
        self._on_noise, self._on_end = on_noise, on_end
        self.started = False
        self.pid: int | None = None
        """While it runs."""
        self.exit_code: int | None = None
        """Negative: ended by that signal. Known once the transport has been left."""
        self.ended_by_us = False
        self._ended = False
        self._noise_told = False

    @asynccontextmanager
    async def transport(self) -> AsyncGenerator[TransportStreams]:
        """Start the command; leaving ends its whole process group.

        Raises:
            OSError: The command or its working directory cannot be used.
        """
        self._stderr.begin_run()
        process = await anyio.open_process(
            [self._config.command or "", *self._config.args],
            env=child_environment(self._config, os.environ),
            cwd=self._config.cwd,
            stderr=self._stderr.fileno(),
            start_new_session=True,
        )
        _let_stdin_end_as_it_will(process)
        self.started, self.pid = True, process.pid
        watchdog.guard(process.pid)
        incoming, read_stream = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        # Without a bound: a server that stops reading must block nobody's cancellation.
        write_stream, outgoing = anyio.create_memory_object_stream[SessionMessage](math.inf)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read, process, incoming)
                tasks.start_soon(self._write, process, outgoing, incoming)
                try:
                    yield read_stream, write_stream
                finally:
                    with anyio.CancelScope(shield=True):
                        await self._end(process)
                    tasks.cancel_scope.cancel()
        finally:
            for stream in (incoming, read_stream, write_stream, outgoing):
                stream.close()
            # Without waiting, and so even if the waiting above was itself cancelled.
            _signal_group(process.pid, signal.SIGKILL)
            watchdog.release(process.pid)
            _release(process)
            self.pid = None

    async def _read(
        self, process: Process, incoming: MemoryObjectSendStream[SessionMessage | Exception]
    ) -> None:
        stdout = cast("ByteReceiveStream", process.stdout)
        held = bytearray(b"\n")
        with suppress(
            anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError
        ):
            while len(held) <= MAX_BYTES:
                whole, end, rest = (await stdout.receive()).rpartition(b"\n")
                if end:
                    held += whole + end
                    await self._take(held, incoming)
                    held = bytearray(b"\n")
                held += rest
        self._ended = True
        incoming.close()
        self._on_end()

    async def _take(
        self, lines: bytearray, incoming: MemoryObjectSendStream[SessionMessage | Exception]
    ) -> None:
        """Deliver the messages among lines, of which each stands between two line feeds."""
        at = 0
        # A flood of other lines costs the callers of other servers the loop: they are skipped, not looked at.
        while found := _OPENING.search(lines, at):
            self._skip(lines, at, found.start())
            start = found.end() - 1
            at = lines.index(b"\n", start)
            try:
                received = SessionMessage(message(lines[start:at]))
            except ValueError:
                self._skip(lines, start, at)
            else:
                await incoming.send(received)
        self._skip(lines, at, len(lines))

    def _skip(self, lines: bytearray, start: int, end: int) -> None:
        """Pass over what is no message; the first line of it is told."""
        if not self._noise_told and (noise := lines[start:end].strip()):
            self._noise_told = True
            self._on_noise(noise.partition(b"\n")[0][:_QUOTED].decode("utf-8", "replace"))

    async def _write(
        self,
        process: Process,
        outgoing: MemoryObjectReceiveStream[SessionMessage],
        incoming: MemoryObjectSendStream[SessionMessage | Exception],
    ) -> None:
        stdin = cast("ByteSendStream", process.stdin)
        try:
            async for item in outgoing:
                line = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                await stdin.send(line.encode() + b"\n")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            # Nothing can be asked any more: let the session end rather than its callers wait.
            incoming.close()
            self._on_end()

    async def _end(self, process: Process) -> None:
        """EOF, SIGTERM, SIGKILL, each with its grace; then whatever is left of the group."""
        self.ended_by_us = not self._ended
        with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            await cast("ByteSendStream", process.stdin).aclose()
        if not await _gone(process, self._pace.eof_grace):
            self.ended_by_us = True
            _signal_group(process.pid, signal.SIGTERM)
            if not await _gone(process, self._pace.term_grace):
                _signal_group(process.pid, signal.SIGKILL)
                await _gone(process, self._pace.reap_timeout)
        self.exit_code = process.returncode


async def _gone(process: Process, within: float) -> bool:
    deadline = anyio.current_time() + within
    while process.returncode is None:
        if anyio.current_time() >= deadline:
            return False
        await asyncio.sleep(_POLL)
    return True


def _signal_group(group: int, number: signal.Signals) -> None:
    # No such process: all gone. No permission: macOS says so of zombies.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _let_stdin_end_as_it_will(process: Process) -> None:
    """Look at why stdin was closed, as nobody else does: asyncio complains of that before Python 3.11.3."""
    transport = _transport(process)
    closed = getattr(transport and transport.get_protocol(), "_stdin_closed", None)
    if closed is not None:
        closed.add_done_callback(_look_at)


def _look_at(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()


def _release(process: Process) -> None:
    """Close asyncio's transport, which otherwise waits for pipes that an orphan may hold, and warns."""
    transport = _transport(process)
    if transport is not None:
        transport.close()


def _transport(process: Process) -> asyncio.SubprocessTransport | None:
    return getattr(getattr(process, "_process", None), "_transport", None)
