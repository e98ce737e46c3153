"""What OpenTelemetry is told of a call, as attributes: the semantic conventions' names for MCP, else ours.

Pure. Arguments, answers and the words of a tool are not among them: they may be secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from mcpnb.errors import ToolError
from mcpnb.model import Attempt, AttemptRecord, Outcome

__all__ = [
    "Attributes",
    "attempt_attributes",
    "call_attributes",
    "failure",
    "is_resource",
    "place",
    "reason",
    "sent",
    "span_name",
]

Attributes = dict[str, str | int | float | bool]


_METHODS = {"resource": "resources/read", "prompt": "prompts/get", "completion": "completion/complete"}
"""The first words of the names by which documents are routed. No tool's name has a blank in it."""


def call_attributes(name: str) -> Attributes:
    """What is asked for. Of a resource not which one: parts of its address may be arguments."""
    kind, _, rest = name.partition(" ")
    method = _METHODS.get(kind, "tools/call") if rest else "tools/call"
    told: Attributes = {"mcp.method.name": method}
    if method == "tools/call":
        told |= {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    elif method == "prompts/get":
        told["gen_ai.prompt.name"] = rest
    return told


def is_resource(name: str) -> bool:
    """Whether it is a resource that is asked for."""
    return call_attributes(name)["mcp.method.name"] == "resources/read"


def span_name(told: Attributes) -> str:
    """The method, and the tool or prompt if it is about one."""
    target = told.get("gen_ai.tool.name") or told.get("gen_ai.prompt.name")
    return f"{told['mcp.method.name']} {target}" if target else str(told["mcp.method.name"])


def sent(attempt: Attempt) -> Attributes:
    """Who answered, or was asked last."""
    return {
        "mcpnb.server": attempt.server,
        "mcpnb.strategy": attempt.strategy,
        "mcpnb.attempt": attempt.number,
        "mcpnb.queued": attempt.queued,
    }


def attempt_attributes(record: AttemptRecord) -> Attributes:
    """An attempt and its end; durations are in seconds."""
    return {
        **call_attributes(record.attempt.tool),
        **sent(record.attempt),
        "mcpnb.attempt.reason": reason(record.attempt),
        "mcpnb.attempt.duration": record.latency,
        "mcpnb.outcome": record.outcome,
    }


def reason(attempt: Attempt) -> str:
    """`first`, `retry`, `hedge`, ...: without the words that follow, so that it can be counted by."""
    return attempt.why.partition(":")[0]


def failure(outcome: Outcome) -> Attributes:
    """What went wrong, in the words that the conventions have for it; empty when nothing did."""
    if outcome.kind in {"ok", "cancelled"}:
        return {}
    if isinstance(outcome.error, ToolError) and outcome.error.code is not None:
        code = str(outcome.error.code)
        return {"error.type": code, "rpc.response.status_code": code}
    return {"error.type": outcome.kind}


@lru_cache(maxsize=1024)
def place(transport: str, url: str, protocol: str) -> Mapping[str, str | int]:
    """Where a server is reached, and by which version of MCP (empty when it is not known yet).

    Of an address only host and port are told: the rest of it may hold a token.
    """
    found: dict[str, str | int] = {"mcp.protocol.version": protocol} if protocol else {}
    if transport == "stdio":
        found["network.transport"] = "pipe"
    elif transport != "in-process":
        parts = urlsplit(url)
        found |= {"network.transport": "tcp", "network.protocol.name": "http"}
        found["server.address"] = parts.hostname or ""
        found["server.port"] = parts.port or (443 if parts.scheme == "https" else 80)
    return found
