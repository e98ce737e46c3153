"""The words for OAuth in configuration files → the settings they mean. Owns the dialects' forms of it.

    "mcpnb": {"auth": {"client_id": ..., ...}}      ours: the arguments of `OAuth`
    "mcpnb": {"auth": "company"}                    ... of a block of that name beside the servers
    "auth": "oauth"                                 FastMCP, and ours
    "auth": {"CLIENT_ID", "CLIENT_SECRET", "scopes"}                        Cursor
    "oauth": {"clientId", "callbackPort", "scopes", "authServerMetadataUrl"}        Claude Code
    "oauth": {"clientId", "clientSecret"}           VS Code
    "oauth": {"enabled", "clientId", "clientSecret", "scopes", "redirectUri"}       Gemini CLI

It expands no variables and checks no values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mcpnb.errors import ConfigError, suggest

from . import checks
from .oauth import KEYS

__all__ = ["Written", "texts_of", "written_oauth"]

_EXAMPLE = '{"client_id": "notebook"}'
_CURSOR = {"CLIENT_ID": "client_id", "CLIENT_SECRET": "client_secret", "scopes": "scopes"}
_OTHERS = {
    "clientId": "client_id", "clientSecret": "client_secret", "scopes": "scopes", "issuer": "issuer",
    "redirectUri": "redirect_uri",
}  # fmt: skip
_PORT, _METADATA = "callbackPort", "authServerMetadataUrl"
_LEFT_OUT = {
    "authorizationUrl": "not used; it is what the issuer says.",
    "tokenUrl": "not used; it is what the issuer says.",
    "audiences": "not used; a token is asked for with its server as the resource.",
}
_WELL_KNOWN = "/.well-known/"


@dataclass(frozen=True, slots=True)
class Written:
    """OAuth as an entry says it, its texts not expanded yet."""

    key: str
    """Where it stands."""
    table: Mapping[str, object] = field(default_factory=dict[str, object])
    """Arguments of `OAuth`."""
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    """Argument → what it is called in the file, where that is something else."""
    remarks: tuple[tuple[str, str], ...] = ()
    """Key → what to warn of."""


def written_oauth(
    entry: Mapping[str, object], own: Mapping[str, object], blocks: Mapping[str, object]
) -> Written | None:
    """What an entry says; `own` is its `"mcpnb"`, `blocks` are the shared credentials. None: nothing.

    Raises:
        ConfigError: It makes no sense.
    """
    ours = own.get("auth")
    if checks.is_mapping(ours):
        return Written("mcpnb.auth", ours)
    if isinstance(ours, str) and ours in blocks:
        return _block(ours, blocks[ours])
    if _says_oauth(ours):
        return Written("mcpnb.auth")
    auth, oauth = entry.get("auth"), entry.get("oauth")
    if checks.is_mapping(auth):
        return _cursors(auth)
    if checks.is_mapping(oauth):
        return _others(oauth) if oauth and oauth.get("enabled", True) is not False else None
    return Written("auth") if _says_oauth(auth) else None


def _says_oauth(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() == "oauth"


def _block(name: str, value: object) -> Written | None:
    """A shared block with keys of `OAuth` in it; what else it may hold is the business of `credentials`."""
    key = f"mcpnb.auth.{name}"
    block = checks.mapping(value, key, '{"token": "${TOKEN}"}')
    said = {each: block[each] for each in block if each in KEYS}
    return Written(key, said) if said else None


def _cursors(auth: Mapping[str, object]) -> Written:
    """Cursor's words; ours are taken in that place, too."""
    if KEYS.isdisjoint(auth.keys() - {"scopes"}) and not _CURSOR.keys().isdisjoint(auth):
        return Written("auth", *_translated(auth, _CURSOR, "auth"))
    return Written("auth", auth)


def _others(oauth: Mapping[str, object]) -> Written:
    left_out = [(f"oauth.{key}", _LEFT_OUT[key]) for key in oauth if key in _LEFT_OUT]
    rest = {key: value for key, value in oauth.items() if key not in _LEFT_OUT and key != "enabled"}
    port, metadata = rest.pop(_PORT, None), rest.pop(_METADATA, None)
    table, names = _translated(rest, _OTHERS, "oauth")
    if port is not None:  # what is registered with such an address has this host in it
        table["redirect_uri"] = f"http://localhost:{checks.count(port, f'oauth.{_PORT}')}/callback"
        names["redirect_uri"] = _PORT
    if metadata is not None:
        table["issuer"] = _issuer_of(checks.text(metadata, f"oauth.{_METADATA}"))
        names["issuer"] = _METADATA
    return Written("oauth", table, names, tuple(left_out))


def _translated(
    table: Mapping[str, object], words: Mapping[str, str], key: str
) -> tuple[dict[str, object], dict[str, str]]:
    for name in table:
        if name not in words:
            near = ", ".join(suggest(name, words)) or ", ".join(words)
            raise ConfigError(
                "is nothing that is known of OAuth.", key=f"{key}.{name}", fix=f"Did you mean {near}?"
            )
    return {words[name]: value for name, value in table.items()}, {words[name]: name for name in table}


def _issuer_of(metadata_url: str) -> str:
    """The issuer whose metadata are there: the address without the part that all such addresses have."""
    before, known, after = metadata_url.partition(_WELL_KNOWN)
    if not known:
        return metadata_url
    tenant = after.partition("/")[2]  # RFC 8414 has the issuer's path behind that part, OpenID before it
    return f"{before}/{tenant}" if tenant and not urlsplit(before).path else before


def texts_of(written: Written) -> Iterator[tuple[str, str, object]]:
    """(argument, its key in the file, value) of what is written."""
    for name, value in written.table.items():
        yield name, f"{written.key}.{written.names.get(name, name)}", value
