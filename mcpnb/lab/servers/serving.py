"""How a lab server is run: its command line, its transports, its last hour.

It owns what all lab servers share and knows nothing of their tools. A server prints
`ready http://127.0.0.1:PORT/mcp` once it answers.

Nothing may be left behind, so a server started with `--tied` ends with the process that started it, whatever
that one died of. Threads watch for it: standard input is a pipe that only the parent holds (its end is seen
at once), and the parent's id must stay what it was (seen within half a second, even when a forked sibling
keeps the pipe open). `PR_SET_PDEATHSIG` would be shorter, but it is Linux's alone and fires when the *thread*
that started the server ends, which in a notebook may be a widget's. And a lab server is hung by blocking its
event loop from a signal (`HANG`), not by SIGSTOP, because a stopped process could not watch for its parent.
Seen from a client both are the same: connections open, nothing is answered.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mcpnb.errors import McpnbError
from mcpnb.lab.profile import Behaviour, ProfileFile
from mcpnb.lab.servers.dripping import Dripping

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

__all__ = [
    "HANG",
    "Identity",
    "arguments",
    "behaviour",
    "identity",
    "new_server",
    "run",
    "serve",
    "serve_http",
]

HANG: int | None = getattr(signal, "SIGUSR1", None)
"""The signal that makes a lab server stop answering for good; None where the system has no such thing."""

READY = "ready "
"""What the line begins with that announces the address of a server that answers."""

_PARENT_CHECK = 0.5
"""Seconds between two looks at the parent's id."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a server says it is."""

    name: str
    version: str = "1.0.0"
    region: str | None = None


class Served(Protocol):
    """What can be served over HTTP: an MCP server, or something around several."""

    def streamable_http_app(self, *, host: str) -> Any:
        """The application for a web server."""
        ...


def arguments(kind: str, about: str) -> argparse.ArgumentParser:
    """The command line that every lab server understands; a server adds its own options."""
    parser = argparse.ArgumentParser(prog=f"python -m mcpnb.lab.servers.{kind}", description=about)
    add = parser.add_argument
    add("--transport", choices=["stdio", "http"], default="stdio", help="default: stdio")
    add("--host", default="127.0.0.1", help="address to listen on (http)")
    add("--port", type=_port, default=0, help="port to listen on (http); 0 takes a free one")
    add("--name", default=kind, help=f"name of the server (default: {kind})")
    add("--version", default="1.0.0", help="version that the server announces")
    add("--region", default=None, help="region that the server announces")
    add("--profile", type=Path, default=None, metavar="FILE", help="JSON: latency_ms, error_rate, ...")
    add("--pid-file", type=Path, default=None, metavar="FILE", help="write the process id here at start")
    add("--tied", action="store_true", help="end when the process that started this server ends")
    return parser


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else -1
    if not 0 <= port < 1 << 16:
        raise argparse.ArgumentTypeError(f"a port is a whole number from 0 to 65535, not {text!r}")
    return port


def identity(options: argparse.Namespace) -> Identity:
    """Who the command line says the server is."""
    return Identity(name=options.name, version=options.version, region=options.region)


def new_server(who: Identity, *, about: str, behaviour: Behaviour | None = None) -> MCPServer[Any]:
    """An MCP server without tools that keeps quiet and behaves as its profile says."""
    from mcp.server.mcpserver import MCPServer  # noqa: PLC0415 - takes a second

    where = f" Region: {who.region}." if who.region else ""
    return MCPServer(
        who.name,
        version=who.version,
        instructions=about + where,
        log_level="ERROR",  # the SDK's default would put a handler at INFO on the root logger
        middleware=[behaviour] if behaviour else [],
    )


def behaviour(options: argparse.Namespace) -> Behaviour | None:
    """What `--profile` asks for."""
    return Behaviour(ProfileFile(options.profile), name=options.name) if options.profile else None


def run(options: argparse.Namespace, make: Callable[[argparse.Namespace], MCPServer[Any]]) -> int:
    """Serve what `make` makes of the options. Returns the exit status: 2 for settings that make no sense."""
    try:
        return serve(options, lambda: make(options))
    except McpnbError as error:
        print(f"{options.name}: {error}", file=sys.stderr)  # noqa: T201 - the last words
        return 2


def serve(options: argparse.Namespace, build: Callable[[], MCPServer[Any]]) -> int:
    """Serve until told to stop. Returns the exit status.

    The safeguards stand before `build` is called, because importing the SDK takes a second.
    """
    if options.transport == "http":
        return serve_http(options, build)
    _stand_by(options, watch_stdin=False)
    build().run("stdio")
    return 0


def serve_http(options: argparse.Namespace, build: Callable[[], Served]) -> int:
    """Serve over HTTP until told to stop. Returns the exit status."""
    _stand_by(options, watch_stdin=True)
    return _serve_http(options, build)


def _stand_by(options: argparse.Namespace, *, watch_stdin: bool) -> None:
    _leave_a_pid(options.pid_file)
    if options.tied:
        _end_with_parent(watch_stdin=watch_stdin)
    if HANG is not None:
        signal.signal(HANG, _hang)


def _leave_a_pid(path: Path | None) -> None:
    if path is not None:
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.write_text(str(os.getpid()))
        fresh.replace(path)


def _serve_http(options: argparse.Namespace, build: Callable[[], Served]) -> int:
    try:
        listener = _listen(options.host, options.port)
    except OSError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    import uvicorn  # noqa: PLC0415 - the SDK brings it along
    from anyio import run  # noqa: PLC0415

    port: int = listener.getsockname()[1]

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            _announce(f"http://{options.host}:{port}/mcp", quiet_afterwards=options.tied)

    app: Any = build().streamable_http_app(host=options.host)
    if options.profile:
        profile = ProfileFile(options.profile)
        app = Dripping(app, lambda: profile.current().drip)
    # A client that keeps a stream open must not delay the end.
    config = uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=1)
    run(Announcing(config).serve, [listener])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns off Nagle's delay only where the protocol is named; it would cost 40 ms per call.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # A restart takes the port of the server that died, whose connections linger in TIME_WAIT.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener


def _announce(url: str, *, quiet_afterwards: bool) -> None:
    print(f"{READY}{url}", flush=True)  # noqa: T201 - the handshake
    if quiet_afterwards:
        # The fleet has read what it waited for and closes the pipe; a stray print must not end the server.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def _end_with_parent(*, watch_stdin: bool) -> None:
    threading.Thread(target=_watch_parent, args=(os.getppid(),), name="parent watch", daemon=True).start()
    if watch_stdin:
        threading.Thread(target=_watch_stdin, name="stdin watch", daemon=True).start()


def _watch_parent(parent: int) -> None:
    never = threading.Event()
    while os.getppid() == parent:
        never.wait(_PARENT_CHECK)
    os._exit(0)  # not sys.exit: the main thread may hang, which is what a lab server is for


def _watch_stdin() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


def _hang(_signal: int, _frame: object) -> None:
    threading.Event().wait()
