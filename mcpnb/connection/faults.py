"""What can go wrong between us and a server, in seven kinds and plain words; and the error each one becomes.

    refused   nobody took the connection: not executed, the server is gone
    busy      503: not executed, something is there
    limited   429: not executed, the server is well and has had enough of us
    lost      the server no longer knows our session: not executed, connect again
    denied    401 or 403: not executed, and trying again will not help
    broken    the connection ended in the middle: it may have been executed
    silent    no sign of life for longer than anybody waits: it may have been executed

It owns this classification. It opens no connection and keeps no state.
"""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

import httpx2

from mcpnb.auth.refusal import NoToken
from mcpnb.errors import AuthError, ConnectError, McpnbError, ServerDisconnected

__all__ = ["NOT_EXECUTED", "Fault", "FaultKind", "fault_of_error", "fault_of_response", "retry_after"]

FaultKind = Literal["refused", "busy", "limited", "lost", "denied", "broken", "silent"]

NOT_EXECUTED: frozenset[str] = frozenset({"refused", "busy", "limited", "lost", "denied"})

_BEFORE_SENDING = (httpx2.ConnectError, httpx2.UnsupportedProtocol, httpx2.ProxyError)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that went wrong on the way to a server."""

    kind: FaultKind
    reason: str
    """Plain words, without secrets."""
    retry_after: float | None = None
    """Seconds, when the server said so."""
    final: bool = False
    """Trying again cannot help before somebody changes something."""
    narrow: bool = False
    """It concerns this request, not the server."""

    def error(self, server: str, what: str) -> McpnbError:
        """The error for a call to `what` that met this fault."""
        if self.kind == "denied":
            return AuthError(server, self.reason, narrow=self.narrow)
        if self.kind in NOT_EXECUTED:
            return ConnectError(server, self.reason, retry_after=self.retry_after)
        return ServerDisconnected(server, what, self.reason)


def fault_of_error(error: Exception, where: str) -> Fault:
    """Classify what an HTTP client raised; `where` is the server's address for people."""
    if isinstance(error, NoToken):
        return _without_token(error)
    if isinstance(error, httpx2.ConnectTimeout):
        return Fault("refused", f"no connection to {where} in time")
    if isinstance(error, _BEFORE_SENDING):
        return Fault("refused", _why_no_connection(error, where))
    if isinstance(error, httpx2.TimeoutException):
        return Fault("silent", f"no sign of life from {where} in time")
    return Fault("broken", f"the connection to {where} broke: {_said(error)}")


def _without_token(error: NoToken) -> Fault:
    """An issuer that cannot be reached is a server that cannot: later both may."""
    if error.passing:
        return Fault("refused", f"no token: {error.reason}", retry_after=error.retry_after)
    return Fault("denied", error.reason, final=not error.narrow, narrow=error.narrow)


def fault_of_response(response: httpx2.Response) -> Fault | None:
    """The fault that an HTTP status tells of; None when the answer's body decides (2xx, 400, 404)."""
    status = response.status_code
    if status < 400:
        return None
    said = f"HTTP {status} {response.reason_phrase}".rstrip()
    if status in {401, 403}:
        # 403 may concern the one tool only; with 401 nothing will work.
        return Fault("denied", f"{said}: {_wanted(response)}", final=status == 401)
    if status in {429, 503}:
        return Fault("limited" if status == 429 else "busy", said, retry_after=retry_after(response))
    if status >= 500:
        return Fault("broken", said)
    return None


def _wanted(response: httpx2.Response) -> str:
    """What a server without OAuth in its configuration wants, as far as it says."""
    if "resource_metadata" in response.headers.get("www-authenticate", ""):
        return 'it wants a token by OAuth: connect(..., auth="oauth"), or "auth": "oauth" in its entry'
    return "the server wants other credentials"


def retry_after(response: httpx2.Response) -> float | None:
    """Seconds of a `Retry-After` header, as a number or a date; None without one that makes sense."""
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text) if text[0].isdigit() else _seconds_until(text, response.headers.get("date", ""))
    except (ValueError, TypeError):  # no date, or one without a zone
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _seconds_until(moment: str, now: str) -> float:
    # The server's own clock (its Date header) is the one its Retry-After was reckoned by.
    return (parsedate_to_datetime(moment) - parsedate_to_datetime(now)).total_seconds()


def _why_no_connection(error: Exception, where: str) -> str:
    for cause in _causes(error):
        if isinstance(cause, ConnectionRefusedError):
            return f"connection refused at {where}: nothing listens there"
        if isinstance(cause, socket.gaierror):
            return f"the name in {where} cannot be resolved ({_said(cause)})"
        if isinstance(cause, ssl.SSLError):
            return f"no secure connection to {where}: {_said(cause)}"
    return f"no connection to {where}: {_said(error)}"


def _said(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop()
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__]
        if isinstance(cause, BaseExceptionGroup):
            waiting += cause.exceptions  # pyright: ignore[reportUnknownMemberType] - a bare group's members
