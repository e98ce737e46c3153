"""What is written without the secrets in it, however deep they stand.

It owns where in a JSON value a secret may hide. What is secret it is told.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any, cast

from mcpnb.config import MASK, redact

__all__ = ["discreet"]

_BINARY = ("blob", "data")
"""Keys under which MCP has base64 text."""


def discreet(value: Any, secrets: frozenset[str]) -> Any:
    """The JSON value with every known secret in it as •••: in texts, keys, numbers and base64 parts."""
    return _hidden(value, secrets) if secrets else value


def _hidden(value: Any, secrets: frozenset[str]) -> Any:
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, list | tuple):
        return [_hidden(item, secrets) for item in cast("Iterable[Any]", value)]
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {redact(str(key), secrets): _field(key, item, secrets) for key, item in items}
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and redact(str(value), secrets) != str(value)
    ):
        return MASK
    return value


def _field(key: str, value: Any, secrets: frozenset[str]) -> Any:
    if key in _BINARY and isinstance(value, str) and _holds(value, secrets):
        return base64.b64encode(MASK.encode()).decode()
    return _hidden(value, secrets)


def _holds(text: str, secrets: frozenset[str]) -> bool:
    """Whether there is a secret inside base64 text."""
    try:
        inside = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return any(secret.encode("utf-8", "surrogatepass") in inside for secret in secrets)
