"""The vocabulary of the dialects: which keys there are, who writes them, and how values are spelt.

Owns tables and the words of warnings; reads no entry.

    Claude Desktop, Claude Code   mcpServers; type http, streamable-http, sse; headersHelper; timeout in ms;
                                  projects
    VS Code                       servers, inputs; envFile; null and numbers in env; sandbox, dev, oauth
    Copilot                       mcpServers; type local; tools ["*"]
    Cursor, Windsurf              envFile, auth as an object; serverUrl, disabledTools, ${file:path}
    FastMCP                       transport; auth: a bearer token or "oauth"; booleans in env; timeout in ms
    Cline, Gemini CLI             timeout in seconds, streamableHttp; httpUrl
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from mcpnb.errors import ConfigError, suggest

from .servers import OWN_KEYS, TransportName

__all__ = [
    "FASTMCP",
    "NO_HEADERS",
    "URL_KEYS",
    "is_web_socket",
    "remark",
    "seconds",
    "transport_named",
    "transport_of_url",
    "unknown",
    "unsupported",
]

URL_KEYS = ("url", "serverUrl", "httpUrl")

FASTMCP = frozenset({"transport", "keep_alive", "include_tags", "exclude_tags", "sse_read_timeout"})
"""Keys that only FastMCP writes; the `env` beside them may hold numbers and booleans."""

_READ = frozenset({
    "command", "args", "env", "envFile", "cwd", "headers", "type", "transport", "disabled", "enabled",
    "timeout", "auth", "mcpnb", "oauth", *URL_KEYS,
})  # fmt: skip
_HARMLESS = frozenset({
    "alwaysAllow", "alwaysLoad", "autoApprove", "description", "dev", "gallery", "icon", "keep_alive", "name",
    "note", "trust", "version",
})  # fmt: skip
"""Known keys that mean something to another program only."""

NO_HEADERS = "a program gets no HTTP headers; hand it a secret in its env."
_NO_SANDBOX = "sandboxes are not supported; the server is started without one."
_NO_FILTER = "tools are not filtered or renamed; all of them are offered."
_NOT_DONE = {
    "headersHelper": "a command that makes headers is not run; the server is contacted without them.",
    "sandbox": _NO_SANDBOX,
    "sandboxEnabled": _NO_SANDBOX,
    "disabledTools": _NO_FILTER,
    "enabledTools": _NO_FILTER,
    "includeTools": _NO_FILTER,
    "excludeTools": _NO_FILTER,
    "include_tags": _NO_FILTER,
    "exclude_tags": _NO_FILTER,
    "tools": _NO_FILTER,
    "sse_read_timeout": "not used; `timeout` bounds every call.",
}
"""Known keys that change how a server behaves, so that leaving them out has to be said."""
_WITHOUT_EFFECT: tuple[object, ...] = (False, [], {}, ["*"])
"""Values with which such a key changes nothing."""

_TRANSPORTS: Mapping[str, TransportName] = {
    "stdio": "stdio", "local": "stdio", "command": "stdio", "sse": "sse", "http": "http", "https": "http",
    "streamable": "http", "streamablehttp": "http", "httpstream": "http", "httpstreamable": "http",
}  # fmt: skip
_BY_URL = frozenset({"remote", "url"})
"""What says no more than that there is a URL."""
_WEB_SOCKETS = frozenset({"ws", "wss", "websocket"})


def remark(key: str, value: object) -> str | None:
    """What to say about a key of an entry; None where it is read, or harmless to leave."""
    if key in _NOT_DONE:
        return None if value in _WITHOUT_EFFECT else _NOT_DONE[key]
    if key in _READ or key in _HARMLESS:
        return None
    if key in OWN_KEYS:
        return f'unknown here, and not used. Write it as "mcpnb": {{"{key}": ...}}.'
    return unknown(key, _READ)


def unknown(key: str, known: Iterable[str]) -> str:
    """That a key is not known, with the names it may have meant."""
    near = ", ".join(suggest(key, known))
    return f"unknown key, not used{f'; did you mean {near}?' if near else '.'}"


def transport_named(value: str, key: str, *, command: bool) -> TransportName | None:
    """The transport that `type` or `transport` names; None where it leaves that to the URL.

    Raises:
        ConfigError: for an unknown one, and one that does not go with what stands beside it.
    """
    folded = _folded(value)
    if folded not in {*_TRANSPORTS, *_BY_URL, *_WEB_SOCKETS}:
        raise ConfigError(f"is {value[:40]!r}, which is unknown.", key=key, fix="Use stdio, http or sse.")
    kind = _TRANSPORTS.get(folded)
    if (kind == "stdio") != command:
        partner, right = ("command", "stdio") if command else ("url", "http or sse")
        fix = f"Use {right}, or leave it out."
        raise ConfigError(f"is {value!r} beside a {partner}.", key=key, fix=fix)
    return kind


def is_web_socket(value: str) -> bool:
    """Whether `type` or `transport` names web sockets, which other programs speak."""
    return _folded(value) in _WEB_SOCKETS


def _folded(value: str) -> str:
    return re.sub(r"[-_ ]", "", value.strip().lower())


def transport_of_url(url: str) -> TransportName:
    """What a URL without a type is: SSE where its path ends in /sse, else Streamable HTTP."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return "http"
    return "sse" if path.rstrip("/").endswith("/sse") else "http"


def unsupported(url: str) -> str | None:
    """Why a URL that another program can use is none for us."""
    scheme = url.partition(":")[0].lower()
    if scheme in {"unix", "pipe"}:
        return f"{scheme}: addresses are not supported yet."
    return "web sockets are not supported; use http or sse." if scheme in _WEB_SOCKETS else None


def seconds(timeout: float) -> float:
    """A dialect's `timeout`: milliseconds from 1000 on, seconds below.

    The dialects disagree on the unit and do not state it: Claude Code, FastMCP and Gemini CLI write
    milliseconds, Cline seconds. Nobody means less than a second in milliseconds (Claude Code ignores
    that), or 17 minutes in seconds; who does writes `"mcpnb": {"timeout": 1800}`, which is in seconds.
    """
    return timeout / 1000 if timeout >= 1000 else timeout
