"""What the SDK raised, in our words. It owns the mapping of its errors to ours, and keeps nothing.

    translate   for a request; refusal   for a greeting

The SDK has two errors for most of what may go wrong, so what the transport saw (`flight`) counts first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import anyio
from mcp import MCPError
from mcp_types import CONNECTION_CLOSED, METHOD_NOT_FOUND
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from mcpnb.errors import ServerDisconnected, ToolError

from .faults import Fault
from .flight import Flight
from .replies import STRANGE

__all__ = ["refusal", "translate"]

_CLOSED = frozenset(
    {
        "Connection closed",
        "SSE stream ended without a response",
        "SSE stream ended and reconnection attempts were exhausted",
    }
)
"""What the SDK says of a connection that ended. Servers send the same code with other words."""

_LONGEST = 500
"""Characters of a refusal; some servers answer with a page."""


def translate(
    server: str, what: str, error: Exception, flight: Flight, *, protocol: str | None, why: Fault | None,
    redact: Callable[[str], str],
) -> Exception:  # fmt: skip
    """Our error for what came out of a request.

    A lost session is noted on the flight, where only the answer tells of it. `why` is the reason for which
    the session ended, if it has. What a server says goes through `redact`.
    """
    if isinstance(error, MCPError):
        if flight.fault is None and _session_lost(error, flight.status, protocol):
            flight.fault = Fault("lost", "the server no longer knows this session")
        if flight.fault is not None:
            return flight.fault.error(server, what)
    if _closed(error):
        return ServerDisconnected(server, what, why.reason if why else "the connection ended")
    said = _words(error, protocol)
    if said is None:
        return error
    return ToolError(server, what, redact(said), code=error.code if isinstance(error, MCPError) else None)


def refusal(errors: Iterable[BaseException]) -> str:
    """What a server answered to our greeting, where that was no greeting; in one line, empty where nothing.

    `errors` are what the SDK raised.
    """
    return next((said for error in errors if (said := _no_greeting(error))), "")


def _no_greeting(error: BaseException) -> str:
    if isinstance(error, MCPError):
        said = "" if _closed(error) else _one_line(error.message)
        return said if not said or said.startswith(STRANGE) else f"it refused: {said}"
    if isinstance(error, ValidationError):
        return f"its answer does not fit the protocol: {_first(error)}"
    # The SDK's: a version of the protocol that it does not speak.
    return _one_line(str(error)) if isinstance(error, RuntimeError) else ""


def _one_line(said: str) -> str:
    line = " ".join(said.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _words(error: Exception, protocol: str | None) -> str | None:
    """What a server answered instead of a result; None when it was no answer."""
    if isinstance(error, MCPError):
        return error.message
    if isinstance(error, ValidationError):
        return f"its answer does not fit protocol {protocol}: {_first(error)}"
    # The SDK's: structured content that does not fit the tool's output schema, unexpected questions.
    return str(error) if isinstance(error, RuntimeError) else None


def _closed(error: BaseException) -> bool:
    if isinstance(error, MCPError):
        return error.code == CONNECTION_CLOSED and error.message in _CLOSED
    return isinstance(error, anyio.BrokenResourceError | anyio.ClosedResourceError)


def _session_lost(error: MCPError, status: int | None, protocol: str | None) -> bool:
    """404 is the specification's way to say so; servers of the handshake era also use 400 with words."""
    if status == 404:
        # ... unless the body said that this method does not exist, which the SDK also says of an empty 404.
        return error.code != METHOD_NOT_FOUND or error.message == "Not Found"
    handshake = protocol not in MODERN_PROTOCOL_VERSIONS
    return status == 400 and handshake and "session" in error.message.lower()


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
