"""What a lab server says when it does not do what it was asked.

It owns the one error that means "no, and this is why", and how that reaches a client. It knows no server.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from mcpnb.errors import McpnbError

__all__ = ["Refused", "as_tool_errors"]


class Refused(McpnbError):
    """A request that a server turns down. The text is for whoever asked."""


@contextmanager
def as_tool_errors() -> Generator[None]:
    """Inside, a refusal becomes a tool error that carries its text; all else stays a crash."""
    from mcp.server.mcpserver.exceptions import ToolError  # noqa: PLC0415 - takes a second

    try:
        yield
    except Refused as refusal:
        raise ToolError(str(refusal)) from refusal
