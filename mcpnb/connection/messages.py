"""A JSON-RPC message from its text, for the transports that are ours. It knows no transport."""

from __future__ import annotations

from mcp_types import JSONRPCMessage, jsonrpc_message_adapter
from pydantic_core import from_json

__all__ = ["MAX_BYTES", "message"]

MAX_BYTES = 256 * 1024 * 1024
"""Bytes of a message after which it is none any more; pictures travel as texts of megabytes."""


def message(text: str | bytes | bytearray) -> JSONRPCMessage:
    """The message that a text is.

    In two steps, because the adapter's own `validate_json` tries one kind of message after the other on the
    text: for an answer of 20 MB that is 60 ms instead of 10, for which nobody else gets the event loop.

    Raises:
        ValueError: It is none.
    """
    return jsonrpc_message_adapter.validate_python(from_json(text), by_name=False)
