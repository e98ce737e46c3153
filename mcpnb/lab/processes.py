"""The processes of lab servers: start, wait until they answer, kill, hang, end.

It owns pids, ports and pipes. It knows no MCP and no fleet; which server a process is, the caller knows.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from mcpnb.errors import McpnbError
from mcpnb.lab.servers.serving import HANG, READY

__all__ = ["NotStarted", "PidFile", "Port", "ServerProcess", "hang", "kill_group", "python_module"]

_TAIL = 12
"""Lines of standard error that an error message shows."""


def python_module(module: str, *arguments: str) -> list[str]:
    """The command that runs a module with this interpreter, whatever lies in the working folder."""
    return [sys.executable, "-P", "-m", module, *arguments]


def kill_group(pid: int) -> None:
    """End a process and its children at once; nothing happens when they are gone."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGTERM)  # what Windows calls TerminateProcess


def hang(pid: int) -> None:
    """Make a lab server stop answering for good, its connections left open.

    Raises:
        McpnbError: This system has no signal for it.
    """
    if HANG is None:
        raise McpnbError("this system cannot hang a process; use crash() instead")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, HANG)


class NotStarted(McpnbError):
    """A server process that did not come up."""

    def __init__(self, server: str, why: str, last_words: str, *, killed: bool) -> None:
        self.server, self.killed = server, killed
        super().__init__(f"{server} did not start: it {why}.{last_words}")


class Port:
    """A port of this machine that stays ours while its server is dead.

    A bound socket that never listens holds it: connections are refused, as they should be, and neither
    another program nor a client's own outgoing connection can be given the number. Only Linux lets the server
    bind the same port beside it; elsewhere the number is let go, and nearly always is free when it is needed.
    """

    def __init__(self) -> None:
        holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        self.number: int = holder.getsockname()[1]
        self._holder = holder
        if sys.platform != "linux":
            holder.close()

    def release(self) -> None:
        """Let the port go."""
        self._holder.close()


class ServerProcess:
    """One HTTP server's process. It can be launched again after it died.

    Not thread-safe: the owner sees to it that one thing happens at a time.
    """

    def __init__(self, name: str, command: Sequence[str], *, stderr: Path) -> None:
        self.name, self._command, self._stderr = name, tuple(command), stderr
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def launch(self) -> None:
        """Start the process, ending the one that runs, and return at once; `wait_ready` waits for it."""
        self.kill()
        with self._stderr.open("wb") as stderr:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, arguments as a list
                self._command,
                stdin=subprocess.PIPE,  # never written to: its end tells the server that we are gone
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,  # an interrupt of the terminal or notebook is not for the servers
            )

    def wait_ready(self, timeout: float) -> None:
        """Return when the server has said that it answers.

        Raises:
            NotStarted: It ended instead, or stayed silent for `timeout` seconds and was killed.
        """
        process = self._process
        if process is None or process.stdout is None:
            raise NotStarted(self.name, "was not launched", "", killed=False)
        line = _first_line(process.stdout, timeout)
        if line is not None and line.startswith(READY.encode()):
            return
        self.kill()
        if line is None:
            raise NotStarted(self.name, f"stayed silent for {timeout:g} s", self._last_words(), killed=False)
        status = process.returncode
        raise NotStarted(self.name, f"ended with status {status}", self._last_words(), killed=status < 0)

    def kill(self) -> None:
        """End the process and its children at once and wait until they are gone."""
        process, self._process = self._process, None
        if process is None:
            return
        kill_group(process.pid)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def _last_words(self) -> str:
        lines = self._stderr.read_text(errors="replace").splitlines()[-_TAIL:]
        return "".join(f"\n  {line}" for line in lines)


def _first_line(pipe: IO[bytes], timeout: float) -> bytes | None:
    """What arrives first, empty when the writer has ended, None when nothing came in time.

    A thread waits for it, because not every system can wait for a pipe with a time limit.
    """
    lines: list[bytes] = []
    reader = threading.Thread(target=lambda: lines.append(pipe.readline()), daemon=True)
    reader.start()
    reader.join(timeout)
    return lines[0] if lines else None


class PidFile:
    """Where a server that a connection has started left its process id, so that the lab can find it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def pid(self) -> int | None:
        """The process id while that process runs."""
        try:
            pid = int(self.path.read_text())
            os.kill(pid, 0)
        except (FileNotFoundError, ProcessLookupError):
            return None
        return pid if self._is_the_server(pid) else None

    def _is_the_server(self, pid: int) -> bool:
        """Whether the pid still belongs to the server that wrote it; where that cannot be seen, it does."""
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return not Path("/proc/self/cmdline").exists()
        # A process that has died and waits to be collected has no command line any more.
        return os.fsencode(self.path) in command
