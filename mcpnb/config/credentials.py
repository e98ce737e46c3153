"""Static credentials: from tokens and shared `auth` blocks to HTTP headers. Owns which of them wins.

What says how a token is got (`oauth_forms`) may stand in the same blocks.

    "mcpnb": {"token": "${TOKEN}"}           in a server's entry: a bearer token for this server
    "mcpnb": {"auth": "company"}             in a server's entry: the credentials of that name
    "mcpnb": {"auth": {"company": {"token": "${TOKEN}", "headers": {"X-Team": "a"}}}}     beside the servers
    load(..., token=..., headers=...)        for every server that does not say otherwise

What a server says itself wins, header by header: `headers`, then a token, then its shared credentials, then
the options of `load`. Credentials are HTTP headers, so a program (stdio) never gets any; it gets its `env`.
It expands no variables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mcpnb.errors import ConfigError, suggest

from . import checks
from .oauth import KEYS

__all__ = ["Header", "bearer", "chosen", "filled", "shared", "written"]

_EXAMPLE = '"mcpnb": {"auth": {"company": {"token": "${TOKEN}"}}}'


@dataclass(frozen=True, slots=True)
class Header:
    """A header before its variables are expanded, and the key it was written under."""

    name: str
    text: object
    key: str
    scheme: str = ""
    """What goes before the text; a header with a scheme and an empty text is left out."""

    def value(self, expanded: str) -> str | None:
        """What is sent, given the text with its variables expanded; None where nothing is."""
        # Blanks around a value are not part of it in HTTP, and some servers take them for part of a token.
        text = expanded.strip(" \t")
        if not self.scheme:
            return text
        if not text:
            return None
        return text if text.lower().startswith(f"{self.scheme.lower()} ") else f"{self.scheme} {text}"


def bearer(token: object, key: str) -> list[Header]:
    """The one header of a bearer token."""
    return [Header("Authorization", checks.non_empty(token, key, '"${TOKEN}"'), key, "Bearer")]


def shared(name: object, blocks: Mapping[str, object]) -> list[Header]:
    """The headers of the shared credentials of that name; none where `name` says OAuth, in words or settings.

    Raises:
        ConfigError: There are none of that name, or they hold what is neither a token nor headers.
    """
    if checks.is_mapping(name):
        return []
    name = checks.non_empty(name, "mcpnb.auth", '"company"')
    if name not in blocks and name.strip().lower() == "oauth":
        return []
    if name not in blocks:
        near = ", ".join(suggest(name, blocks) or blocks)
        fix = f"Known: {near}." if near else f"Add them beside the servers: {_EXAMPLE}."
        raise ConfigError("names credentials that there are not.", key="mcpnb.auth", fix=fix)
    where = f"mcpnb.auth.{name}"
    block = checks.mapping(blocks[name], where, '{"token": "${TOKEN}"}')
    if unknown := [key for key in block if key not in {"token", "headers", *KEYS}]:
        fix = "Write a token, headers, or what OAuth has."
        raise ConfigError("is nothing that credentials have.", key=f"{where}.{unknown[0]}", fix=fix)
    token = bearer(block["token"], f"{where}.token") if "token" in block else []
    return [*token, *written(block.get("headers", {}), f"{where}.headers")]


def filled(options: Mapping[str, object]) -> dict[str, object]:
    """The options of `load`, its `token` turned into a header unless `headers` has that one already."""
    options = dict(options)
    token = options.pop("token", None)
    if token is None:
        return options
    headers = checks.mapping(options.get("headers", {}), "headers", 'headers={"NAME": "value"}')
    if not any(name.lower() == "authorization" for name in headers):
        header = bearer(token, "token")[0]
        headers = {**headers, header.name: header.value(checks.text(token, "token"))}
    return {**options, "headers": headers}


def written(table: object, key: str) -> list[Header]:
    """The headers of a table."""
    headers = checks.mapping(table, key, f'"{key}": {{"NAME": "value"}}')
    return [Header(name, value, f"{key}.{name}") for name, value in headers.items()]


def chosen(*layers: Iterable[Header]) -> list[Header]:
    """Of every header the one given last; names are compared as HTTP does."""
    winners: dict[str, Header] = {}
    for header in (header for layer in layers for header in layer):
        winners.pop(header.name.lower(), None)
        winners[header.name.lower()] = header
    return list(winners.values())
