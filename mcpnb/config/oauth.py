"""How a server's tokens are got: OAuth 2.1 settings as a value. Owns their validity and their repr.

It asks no authorization server and keeps no tokens; see `mcpnb.auth`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, cast, get_args
from urllib.parse import urlsplit

from mcpnb.errors import ConfigError, suggest

from . import checks
from .redact import MASK

__all__ = ["KEYS", "LOOPBACK", "Grant", "OAuth", "is_private", "oauth_of"]

Grant = Literal["authorization_code", "client_credentials"]
"""A person logs in with a browser; a program has credentials of its own."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Hosts that a browser on this computer finds us under."""

_SECRET = frozenset({"client_secret", "private_key"})


def is_private(url: str) -> bool:
    """Whether nobody on the way reads what is sent there: by TLS, or because it stays on this computer."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        here = host == "localhost" or host.endswith(".localhost")
        return parts.scheme == "https" or here or ip_address(host).is_loopback
    except ValueError:  # no URL, or a name
        return False


@dataclass(frozen=True, slots=True, repr=False)
class OAuth:
    """OAuth 2.1 for HTTP servers: who we are to the authorization server that they trust.

        mcpnb.connect(url, auth="oauth")                                    a person logs in
        mcpnb.connect(url, auth=mcpnb.OAuth(client_id="notebook"))          ... as a registered client
        mcpnb.connect(url, auth=mcpnb.OAuth(
            grant="client_credentials", client_id="job", client_secret="...", issuer="https://login.example"))

    Servers that trust the same issuer share one login. With `issuer` they share its access token, too;
    without, each gets one of its own (see `mcpnb.auth`), because then only the server said whom it trusts.

    Raises:
        ConfigError: Where the settings do not fit each other.
    """

    grant: Grant = "authorization_code"
    client_id: str | None = None
    """As registered beforehand; None registers dynamically (RFC 7591)."""
    client_metadata_url: str | None = None
    """The https address of a document of yours that describes the client (a client ID metadata document).
    It is the client's ID at issuers that read such; at others the client is registered dynamically."""
    client_secret: str | None = None
    private_key: str | None = None
    """Instead of a secret: a private key in PEM form, or the path of a file with one (private_key_jwt)."""
    scopes: tuple[str, ...] | None = None
    """What to ask for; None asks for what the server says that it needs. A text is split at blanks."""
    issuer: str | None = None
    """The authorization server's URL: the client's secret goes nowhere else. None: what servers say."""
    client_name: str = "mcpnb"
    """What a login page calls us, where we register dynamically."""
    redirect_port: int | None = None
    """The port at which 127.0.0.1 waits for the browser to come back, at /callback; None takes a free one."""
    redirect_uri: str | None = None
    """The whole address to come back to, where one was registered: http, on this computer, with a port."""

    def __post_init__(self) -> None:
        _normalise(self)
        _check_client(self)
        _check_redirect(self)

    def __repr__(self) -> str:
        said = ((f.name, cast("object", getattr(self, f.name)), f.default) for f in fields(self))
        shown = (
            f"{name}={MASK if name in _SECRET else repr(value)}"
            for name, value, default in said
            if value != default or name == "grant"
        )
        return f"OAuth({', '.join(shown)})"

    @property
    def secrets(self) -> frozenset[str]:
        """What must not be shown."""
        key = self.private_key or ""
        lines = [line for line in key.splitlines() if len(line) >= 8 and not line.startswith("-----")]
        return frozenset(text for text in (self.client_secret, *(lines if "-----" in key else ())) if text)


KEYS = frozenset(each.name for each in fields(OAuth))
"""What a configuration file may say."""

_FIX = 'Write "oauth", or for example {"client_id": "notebook"}.'


def oauth_of(value: object, key: str = "auth") -> OAuth | None:
    """Settings in any form that a user may give them: `OAuth`, a dict of its arguments, or "oauth".

    Raises:
        ConfigError: It is none of these, or its parts do not fit each other.
    """
    if value is None or isinstance(value, OAuth):
        return value
    if isinstance(value, str) and value.strip().lower() == "oauth":
        return OAuth()
    if not checks.is_mapping(value):
        raise ConfigError(f"is {checks.kind_of(value)} that says no way to log in.", key=key, fix=_FIX)
    for name in checks.mapping(value, key, '{"client_id": "notebook"}'):
        if name not in KEYS:
            near = ", ".join(suggest(name, KEYS)) or ", ".join(sorted(KEYS))
            raise ConfigError("is nothing that OAuth has.", key=f"{key}.{name}", fix=f"Did you mean {near}?")
    try:
        return OAuth(**cast("Mapping[str, Any]", value))
    except ConfigError as error:
        raise ConfigError(error.problem, key=f"{key}.{error.key}", fix=error.fix) from None


def _normalise(oauth: OAuth) -> None:
    if oauth.grant not in get_args(Grant):
        raise ConfigError(
            "is no grant that mcpnb knows.", key="grant", fix=f"Use {' or '.join(get_args(Grant))}."
        )
    for name in ("client_id", "client_metadata_url", "client_secret", "issuer", "redirect_uri"):
        value: object = getattr(oauth, name)
        if value is not None:
            object.__setattr__(oauth, name, checks.non_empty(value, name, '"..."').strip())
    if oauth.private_key is not None:
        key = cast("object", oauth.private_key)
        text = str(key) if isinstance(key, Path) else checks.non_empty(key, "private_key", '"key.pem"')
        object.__setattr__(oauth, "private_key", text)
    checks.non_empty(oauth.client_name, "client_name", '"mcpnb"')
    object.__setattr__(oauth, "scopes", _scopes(oauth.scopes))


def _scopes(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        return tuple(value.split())
    given = list(cast("Iterable[object]", value)) if isinstance(value, set | frozenset) else value
    return checks.strings(given, "scopes")


def _check_client(oauth: OAuth) -> None:
    if oauth.issuer is not None:
        parts = urlsplit(oauth.issuer)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            fix = "Write it whole, for example https://login.example.org."
            raise ConfigError("is no http or https URL.", key="issuer", fix=fix)
        if not is_private(oauth.issuer):
            fix = "Use its https address; plain http is for this computer alone."
            raise ConfigError("speaks plain http: tokens could be read on their way.", key="issuer", fix=fix)
    if oauth.grant == "authorization_code":
        _check_persons_client(oauth)
        return
    if oauth.client_id is None or (oauth.client_secret is None) == (oauth.private_key is None):
        fix = "Give client_id, and either client_secret or private_key."
        raise ConfigError("needs credentials of the client.", key="grant", fix=fix)
    if oauth.issuer is None:
        fix = "Add the issuer URL of the authorization server that the client is registered with."
        raise ConfigError(
            "is missing: else the MCP server decided who gets the secret.", key="issuer", fix=fix
        )


def _check_persons_client(oauth: OAuth) -> None:
    """A client that asks for a person, who logs in with a browser."""
    given = [name for name in ("client_secret", "private_key") if getattr(oauth, name) is not None]
    if given and oauth.client_id is None:
        raise ConfigError(f"is missing beside a {given[0]}.", key="client_id", fix="Add it.")
    if len(given) > 1:
        raise ConfigError("stands beside client_secret.", key="private_key", fix="Keep one.")
    url = oauth.client_metadata_url
    if url is not None and oauth.client_id is not None:
        raise ConfigError("stands beside client_id.", key="client_metadata_url", fix="Keep one.")
    if url is not None and not (url.startswith("https://") and urlsplit(url).path.strip("/")):
        fix = "Write for example https://example.org/mcpnb.json."
        raise ConfigError("is no https address of a document.", key="client_metadata_url", fix=fix)


def _check_redirect(oauth: OAuth) -> None:
    if (
        oauth.redirect_port is not None
        and not 1 <= checks.integer(oauth.redirect_port, "redirect_port") <= 65535
    ):
        raise ConfigError("is no port.", key="redirect_port", fix="Use 1 to 65535.")
    if oauth.redirect_uri is None:
        return
    if oauth.redirect_port is not None:
        raise ConfigError(
            "stands beside redirect_uri, which has a port.", key="redirect_port", fix="Keep one."
        )
    try:
        parts = urlsplit(oauth.redirect_uri)
        fits = parts.scheme == "http" and parts.hostname in LOOPBACK and bool(parts.port) and not parts.query
    except ValueError:
        fits = False
    if not fits:
        fix = "Write for example http://127.0.0.1:8765/callback."
        raise ConfigError("is no address on this computer.", key="redirect_uri", fix=fix)
