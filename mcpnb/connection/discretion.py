"""What a server says when something went wrong, without the secrets it was given.

Servers like to repeat what they were sent: a tool's error quotes the token that it refused, and both the
error and the traceback end up in a notebook. Answers that are no errors are data, and stay as they are.

It owns which texts of an error are looked through; what is secret it is told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from mcp import MCPError

if TYPE_CHECKING:
    import mcp_types

__all__ = ["discreet_cause", "discreet_error"]

Redact = Callable[[str], str]


def discreet_error(result: mcp_types.CallToolResult, redact: Redact) -> mcp_types.CallToolResult:
    """A tool's result; where the tool marked it as an error, its texts are redacted."""
    if not result.is_error:
        return result
    content = [
        block.model_copy(update={"text": redact(block.text)}) if block.type == "text" else block
        for block in result.content
    ]
    structured = _redacted(result.structured_content, redact)
    return result.model_copy(update={"content": content, "structured_content": structured})


def discreet_cause(error: Exception, redact: Redact) -> Exception:
    """What the SDK raised, fit to be shown as a cause: itself, unless its words have to change."""
    said = str(error)
    shown = redact(said)
    if shown == said:
        return error
    told = MCPError(error.code, shown) if isinstance(error, MCPError) else RuntimeError(shown)
    return told.with_traceback(error.__traceback__)


def _redacted(value: Any, redact: Redact) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [_redacted(item, redact) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _redacted(item, redact) for key, item in cast("dict[str, Any]", value).items()}
    return value
