"""HTTP answers that are no MCP messages: a website's page, another service's JSON.

The SDK says of them what its parser says, forty lines at times, and logs as much at every attempt to connect.
It owns the words that are said instead. It sends nothing and judges no status.
"""

from __future__ import annotations

import json
from typing import Any

import httpx2
from mcp_types import INVALID_REQUEST, PARSE_ERROR

__all__ = ["STRANGE", "understood"]

STRANGE = "it answers with "
"""How what is said of such an answer begins."""

_MARK = b'"jsonrpc"'
"""In every message, and in little else."""


def understood(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    """The answer to a posted request, or an MCP error in its place that says what came.

    A JSON body has been read already; of any other nothing has.
    """
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status_code != 200 or kind == "text/event-stream":
        return response
    if kind.startswith("application/json"):  # as the SDK has it
        return response if _MARK in response.content else _error(request, response, PARSE_ERROR, "JSON")
    return _error(request, response, INVALID_REQUEST, kind[:100] or "a body of no type")


def _error(request: httpx2.Request, response: httpx2.Response, code: int, came: str) -> httpx2.Response:
    asked: dict[str, Any] = json.loads(request.content)
    if "id" not in asked or "method" not in asked:  # nobody waits for an answer to it
        return response
    error = {"code": code, "message": f"{STRANGE}{came} that is no MCP message"}
    return httpx2.Response(200, json={"jsonrpc": "2.0", "id": asked["id"], "error": error}, request=request)
