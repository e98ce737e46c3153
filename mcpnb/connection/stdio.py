"""A server as a child process: JSON lines over its stdin and stdout.

Instead of the SDK's `stdio_client`, because a notebook needs what that keeps to itself: the process id, an
end within a kernel's shutdown (the SDK takes 2 + 2 s), the moment of death, and noise on stdout that costs
one event instead of a traceback a line. The messages are parsed by the SDK's own adapter.

It knows the process and its pipes. What an end means is the session's business.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, cast

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from mcpnb.config import ServerConfig, child_environment

from . import watchdog
from .pace import Pace
from .stderr import StderrTail

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

__all__ = ["StdioProcess"]

_MAX_LINE = 256 * 1024 * 1024
"""Bytes without a newline after which this is no message any more; images travel as lines of megabytes."""

_OPENING = (b"{", b"[")
"""How a message begins."""

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
        self.noise = 0
        """Lines on stdout that were no message."""

    @asynccontextmanager
    async def transport(self) -> AsyncGenerator[TransportStreams]:
        """Start the command; leaving ends its whole process group.

        Raises:
            OSError: The command or its working directory cannot be used.
        """
        process = await anyio.open_process(
            [self._config.command or "", *self._config.args],
            env=child_environment(self._config, os.environ),
            cwd=self._config.cwd,
            stderr=self._stderr.fileno(),
            start_new_session=True,
        )
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
        held: list[bytes] = []
        size = 0
        with suppress(
            anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError
        ):
            while size <= _MAX_LINE:
                chunk = await stdout.receive()
                first, *rest = chunk.split(b"\n")
                held.append(first)
                size += len(first)
                if rest:
                    for line in (b"".join(held), *rest[:-1]):
                        text = line.strip()
                        # A flood of plain lines costs other servers' callers the loop: no await, no parser.
                        if text.startswith(_OPENING):
                            await self._deliver(text, incoming)
                        elif text:
                            self._noisy(text)
                    held, size = [rest[-1]], len(rest[-1])
        self._ended = True
        incoming.close()
        self._on_end()

    async def _deliver(
        self, text: bytes, incoming: MemoryObjectSendStream[SessionMessage | Exception]
    ) -> None:
        try:
            message = jsonrpc_message_adapter.validate_json(text, by_name=False)
        except ValueError:
            self._noisy(text)
            return
        await incoming.send(SessionMessage(message))

    def _noisy(self, text: bytes) -> None:
        self.noise += 1
        if self.noise == 1:
            self._on_noise(text[:200].decode("utf-8", "replace"))

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


def _release(process: Process) -> None:
    """Close asyncio's transport, which otherwise waits for pipes that an orphan may hold, and warns."""
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None:
        transport.close()
