"""Questions, answers and errors as JSON, and back.

It owns what each looks like in a file. It reads and writes none, and trusts nothing that stands in one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mcpnb.client.documents import Question
from mcpnb.errors import (
    AuthError,
    CallTimeout,
    ConnectError,
    McpnbError,
    NoServerAvailable,
    Overloaded,
    ServerDisconnected,
    ToolError,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = [
    "arguments_of",
    "canonical",
    "digest",
    "dump_answer",
    "dump_error",
    "load_answer",
    "load_error",
    "plain",
]


def plain(value: Any) -> Any:
    """Any value as JSON has it: as the SDK would send it; its repr where it has no form there."""
    from pydantic_core import to_jsonable_python  # noqa: PLC0415 - the SDK is loaded by now

    return to_jsonable_python(
        value, by_alias=True, fallback=repr, inf_nan_mode="constants", bytes_mode="base64"
    )


def arguments_of(question: Question) -> str:
    """The arguments as canonical JSON: the same text for the same arguments in any order.

    1, 1.0 and true are three different arguments, because a server can tell them apart.
    """
    return canonical(plain(question.arguments))


def canonical(arguments: Mapping[str, Any]) -> str:
    """The same of arguments that are JSON already."""
    return json.dumps(arguments, sort_keys=True, separators=(",", ":"))


def digest(kind: str, name: str, arguments: str) -> bytes:
    """16 bytes that are the same for the same question."""
    text = json.dumps([kind, name]) + arguments
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def dump_answer(raw: BaseModel) -> Any:
    """An MCP result as it goes over the wire."""
    # Not in pydantic's JSON mode, which makes null of a number that is not finite.
    return raw.model_dump(by_alias=True, exclude_none=True)


def load_answer(kind: str, value: Any) -> BaseModel:
    """The MCP result of a question of that kind.

    Raises:
        ValueError: It is none.
    """
    import mcp_types  # noqa: PLC0415 - a second, and only a replay needs it

    models: dict[str, type[BaseModel]] = {
        "tool": mcp_types.CallToolResult,
        "resource": mcp_types.ReadResourceResult,
        "prompt": mcp_types.GetPromptResult,
        "completion": mcp_types.Completion,
    }
    return models[kind].model_validate(value)


_FIELDS: dict[type[McpnbError], tuple[str, ...]] = {
    ToolError: ("server", "tool", "message", "code"),
    CallTimeout: ("tool", "timeout", "server"),
    ServerDisconnected: ("server", "tool", "reason"),
    AuthError: ("server", "reason", "retry_after"),
    ConnectError: ("server", "reason", "retry_after"),
    NoServerAvailable: ("tool", "reasons", "retry_after"),
    Overloaded: ("tool", "reason"),
}

_MAKERS: dict[str, Callable[[Mapping[str, Any]], McpnbError]] = {
    "ToolError": lambda f: ToolError(
        _text(f, "server"), _text(f, "tool"), _text(f, "message"), code=f.get("code")
    ),
    "CallTimeout": lambda f: CallTimeout(_text(f, "tool"), f.get("timeout"), server=f.get("server")),
    "ServerDisconnected": lambda f: ServerDisconnected(
        _text(f, "server"), _text(f, "tool"), _text(f, "reason")
    ),
    "AuthError": lambda f: AuthError(
        _text(f, "server"), _text(f, "reason"), retry_after=f.get("retry_after")
    ),
    "ConnectError": lambda f: ConnectError(
        _text(f, "server"), _text(f, "reason"), retry_after=f.get("retry_after")
    ),
    "NoServerAvailable": lambda f: NoServerAvailable(
        _text(f, "tool"), f.get("reasons") or {}, retry_after=f.get("retry_after")
    ),
    "Overloaded": lambda f: Overloaded(_text(f, "tool"), _text(f, "reason")),
}


def _text(fields: Mapping[str, Any], name: str) -> str:
    return str(fields.get(name) or "")


def dump_error(error: BaseException) -> dict[str, Any]:
    """An error by its name and its facts; one of another kind by its words."""
    names = _FIELDS.get(type(error))  # pyright: ignore[reportArgumentType] - whatever it is, it is looked up
    if names is None:
        return {"type": type(error).__name__, "words": str(error)}
    return {"type": type(error).__name__, **{name: getattr(error, name) for name in names}}


def load_error(fields: Mapping[str, Any]) -> McpnbError:
    """The error again; of a kind that is not known here, its words."""
    maker = _MAKERS.get(str(fields.get("type")))
    return McpnbError(_text(fields, "words")) if maker is None else maker(fields)
