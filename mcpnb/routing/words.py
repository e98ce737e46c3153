"""How routing says why a call or an attempt failed. It owns the words, and decides nothing."""

from __future__ import annotations

from mcpnb.errors import ConnectError, McpnbError, NoServerAvailable, ServerDisconnected
from mcpnb.model import Outcome
from mcpnb.routing.call import Call
from mcpnb.routing.pool import Pool


def unavailable(call: Call, pool: Pool) -> Outcome:
    """No server can take the call: say why, per server; what a tried one did comes first."""
    reasons = dict.fromkeys(call.servers, "")
    reasons.update(pool.reasons(None))
    reasons.update(
        {r.attempt.server: f"{r.outcome}: {r.error}" if r.error else r.outcome for r in call.ended}
    )
    error = NoServerAvailable(call.tool, {server: why for server, why in reasons.items() if why})
    if call.failure is not None:
        error.__cause__ = call.failure.error
    return Outcome("rejected", error=error)


def reason(error: BaseException) -> str:
    """An error in a few words: without the server's name where the attempt names it already."""
    if isinstance(error, ConnectError):
        return error.reason
    if isinstance(error, ServerDisconnected):  # without its advice: whether it may be sent again is decided
        return error.reason or "went away"
    return str(error) if isinstance(error, McpnbError) else f"{type(error).__name__}: {error}"
