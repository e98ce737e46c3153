"""A server as a directory advertises it: an address and a few facts → `ServerConfig`, and back.

It owns the facts' names, the same in DNS TXT records, Consul's metadata and etcd's values:

    url                     the whole address; or, where the directory knows host and port:
    scheme, path            http (default) or https; /mcp by default
    transport               http (Streamable HTTP, default) or sse
    region, version, weight, priority, tags, max_in_flight, max_queue, rate_limit

Other facts are other people's. What comes over the network is taken literally: it starts no program, sends
no header, and its text is not searched for variables, which could carry our environment away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

from mcpnb.config import ServerConfig
from mcpnb.errors import ConfigError

__all__ = ["Advert", "advertised", "facts_of"]

Facts = Mapping[str, object]
"""Texts, or numbers and lists of texts where a directory has them."""

_FACTS: Mapping[str, tuple[Callable[[str], object], str]] = {
    "region": (str, "a text"),
    "version": (str, "a text"),
    "weight": (float, "a number"),
    "priority": (int, "a whole number"),
    "max_in_flight": (int, "a whole number"),
    "max_queue": (int, "a whole number"),
    "rate_limit": (float, "a number"),
}
_TRANSPORTS = {"http": "http", "streamable-http": "http", "streamable_http": "http", "sse": "sse"}
_PROGRAMS = ("command", "args", "env", "cwd")


@dataclass(frozen=True, slots=True)
class Advert:
    """What is published of one server."""

    service: str
    """The name that its replicas share."""
    instance: str
    url: str
    """Without userinfo and query: whoever reads it brings credentials of their own."""
    facts: Mapping[str, str]

    @property
    def host(self) -> str:
        """Without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The one that the URL names, or its scheme's own."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)


def advertised(
    name: str, facts: Facts, *, host: str = "", port: int = 0, replicas: str | None = None, **known: Any
) -> ServerConfig:
    """The server that these facts describe.

    Args:
        name: What to call it.
        facts: See above; names in any case.
        host: Where it is, unless the facts have a `url`.
        port: As `host`.
        replicas: The service that it is an instance of.
        known: Fields of a `ServerConfig` that the directory itself knows; facts come first.

    Raises:
        ConfigError: A fact makes no sense, or there is no address.
    """
    told = {key.lower(): value for key, value in facts.items()}
    if any(key in told for key in _PROGRAMS):
        fix = "Start it yourself and advertise its URL, or write it into a file."
        raise ConfigError("advertises a program; what a directory says is not run.", server=name, fix=fix)
    given = {key: _read(key, told[key], name) for key in _FACTS if _is_said(told.get(key))}
    if _is_said(told.get("tags")):
        given["tags"] = _tags(told["tags"])
    url = _url(told, host, port, name)
    fields: dict[str, Any] = {**known, "replicas": replicas, **given}
    return ServerConfig(name=name, transport=_transport(told, url, name), url=url, **fields)  # pyright: ignore[reportArgumentType] - checked by ServerConfig itself


def _is_said(value: object) -> bool:
    return value is not None and value != ""


def _read(key: str, value: object, server: str) -> object:
    read, kind = _FACTS[key]
    try:
        return read(str(value))
    except ValueError:
        raise ConfigError(f"is not {kind}.", server=server, key=key) from None


def _tags(value: object) -> list[str]:
    """A list, or a text with commas."""
    words = cast("list[object]", value) if isinstance(value, list) else str(value).split(",")
    return [text for word in words if (text := str(word).strip())]


def _transport(told: Facts, url: str, server: str) -> str:
    by_path = "sse" if urlsplit(url).path.rstrip("/").endswith("/sse") else "http"
    named = str(told.get("transport") or by_path).lower()
    if named not in _TRANSPORTS:
        raise ConfigError(
            "is no transport over a network.", server=server, key="transport", fix="http or sse."
        )
    return _TRANSPORTS[named]


def _url(told: Facts, host: str, port: int, server: str) -> str:
    if _is_said(told.get("url")):
        return str(told["url"])
    if not host:
        raise ConfigError("has no address.", server=server, key="url", fix='Advertise "url".')
    scheme = str(told.get("scheme") or "http").lower()
    if scheme not in {"http", "https"}:
        raise ConfigError("is neither http nor https.", server=server, key="scheme")
    path = str(told.get("path") or "/mcp")
    where = f"[{host}]" if ":" in host else host
    return urlunsplit((scheme, f"{where}:{port}" if port else where, "/" + path.lstrip("/"), "", ""))


def facts_of(config: ServerConfig) -> dict[str, str]:
    """The facts that describe a server, apart from its address, as short texts; what is not said is left out.

    `advertised` reads them back. No header, credential or query is among them.
    """
    values: dict[str, object] = {
        name: value
        for name in _FACTS
        if (value := getattr(config, name)) is not None and (name, value) not in _DEFAULTS
    }
    if config.transport == "sse":
        values["transport"] = "sse"
    if config.tags:
        values["tags"] = ",".join(sorted(config.tags))
    return {name: str(value) for name, value in values.items()}


_DEFAULTS = {("weight", 1.0), ("priority", 0)}
