"""One server's configuration as a value. It owns validity and what may be shown; it reads no files.

Whoever makes a `ServerConfig` by hand gets the same checks as a file does.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Literal, cast, get_args
from urllib.parse import unquote, urlsplit

from mcpnb.errors import ConfigError
from mcpnb.model import Endpoint

from . import checks
from .oauth import OAuth, oauth_of
from .redact import MASK, arguments, redact, secret_parts, shown_url, url_secrets, worth_hiding

__all__ = ["OWN_KEYS", "ServerConfig", "TransportName", "Veiled", "secrets_of"]

TransportName = Literal["stdio", "http", "sse", "in-process"]
"""How a server is reached; `http` is Streamable HTTP."""

OWN_KEYS = (
    "region",
    "tags",
    "weight",
    "priority",
    "max_in_flight",
    "max_queue",
    "rate_limit",
    "connections",
    "idle_timeout",
    "health_interval",
    "replicas",
)
"""What a file may say under a server's `"mcpnb"`, besides `timeout` in seconds, `token` and `auth`."""


class Veiled(Mapping[str, str]):
    """A read-only mapping whose repr shows the names and hides the values."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, str]) -> None:
        self._items = dict(items)

    def __getitem__(self, name: str) -> str:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{name!r}: {MASK}" for name in self._items) + "}"


@dataclass(frozen=True, slots=True, repr=False)
class ServerConfig:
    """How to reach one server and how to treat it. Its repr hides every secret as •••.

    Raises:
        ConfigError: naming server and key, where a value is of the wrong type or cannot work.
    """

    name: str
    transport: TransportName
    command: str | None = None
    """stdio: the program."""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = Veiled({})
    """stdio: what is added to the safe default; see `child_environment`."""
    cwd: str | None = None
    url: str | None = None
    headers: Mapping[str, str] = Veiled({})
    auth: OAuth | None = None
    """http, sse: how a token is got; None sends what `headers` say."""
    target: object | None = None
    """in-process: the server object."""
    timeout: float | None = None
    """Seconds for one call; None takes the fleet's."""
    region: str | None = None
    tags: frozenset[str] = frozenset()
    weight: float = 1.0
    priority: int = 0
    """Larger is preferred; may be negative."""
    max_in_flight: int | None = None
    """Calls at once; None is unbounded."""
    max_queue: int | None = None
    """Calls that may wait while it is full; 0 refuses them at once, None is what the fleet says."""
    rate_limit: float | None = None
    """Calls per second; None is unbounded."""
    connections: int = 1
    """Sessions to this server, at most."""
    idle_timeout: float = 60.0
    """Seconds after which a session that no call needs is closed; one always stays."""
    health_interval: float = 5.0
    """Seconds between checks while it is idle."""
    replicas: str | None = None
    """The name of the group of interchangeable servers it declares to belong to."""
    disabled: bool = False
    source: str | None = None
    """The file it came from."""
    unset: frozenset[str] = frozenset()
    """stdio: variables taken out of the child's environment."""
    hidden: frozenset[str] = frozenset()
    """Secrets that variables or inputs put anywhere in it, to hide wherever they appear."""
    version: str | None = None
    """What it is said to be by whoever listed it; None takes what the server says itself."""
    unsupported: str | None = None
    """Why it cannot be connected by this version of mcpnb, although its configuration is valid."""

    def __post_init__(self) -> None:
        try:
            _normalise(self)
            _check_numbers(self)
            _check_transport(self)
        except ConfigError as error:
            raise _named(error, self.name) from None

    def endpoint(self) -> Endpoint:
        """What routing needs to know of it."""
        return Endpoint(
            name=self.name,
            weight=self.weight,
            priority=self.priority,
            region=self.region,
            tags=self.tags,
            max_in_flight=self.max_in_flight,
            rate_limit=self.rate_limit,
            max_queue=self.max_queue,
            version=self.version,
        )

    @property
    def address(self) -> str:
        """Where it is, for display: the URL without userinfo and query, or the command; no secrets."""
        return self._address(mark=False)

    def _address(self, *, mark: bool) -> str:
        if self.url is not None:
            return redact(shown_url(self.url, mark=mark), self.hidden)
        if self.command is not None:
            program = redact(self.command, secret_parts(self.command.split()))
            words = [redact(word, self.hidden) for word in (program, *arguments(self.args))]
            return " ".join(word if MASK in word else shlex.quote(word) for word in words)
        return f"in-process {type(self.target).__name__}"

    def __repr__(self) -> str:
        default = {field.name: field.default for field in fields(self)}
        said = (
            "env",
            "cwd",
            "headers",
            "auth",
            "timeout",
            *OWN_KEYS,
            "version",
            "disabled",
            "source",
            "unsupported",
        )
        extras = [
            redact(f"{name}={value!r}", self.hidden)
            for name in said
            if (value := cast("object", getattr(self, name))) != default[name]
        ]
        return (
            f"ServerConfig({', '.join([repr(self.name), self.transport, self._address(mark=True), *extras])})"
        )


def secrets_of(config: ServerConfig) -> frozenset[str]:
    """Every text that must not be shown of this server, for `redact`.

    Values too short or too common to be secrets (`true`, `8080`, `debug`) are left out, unless their names
    say that they are some: a log without such words could not be read.
    """
    found = {*config.hidden, *(unquote(text) for text in config.hidden), *secret_parts(config.args)}
    found |= {*secret_parts((config.command or "").split())}  # some write the whole command line there
    for name, value in (*config.headers.items(), *config.env.items()):
        if worth_hiding(name, value):
            found |= {value, value.strip(), *_lines(value), *(url_secrets(value) if "://" in value else ())}
    for name, value in config.headers.items():
        scheme, _, credentials = value.strip().partition(" ")
        if worth_hiding(name, credentials) and scheme.isalpha():
            found.add(credentials.strip())
    if config.auth is not None:
        found |= config.auth.secrets
    if config.url is not None:
        found |= {*url_secrets(config.url), *_basic_credentials(config.url)}
    return frozenset(text for text in found if len(text) >= 3)


def _lines(value: str) -> list[str]:
    """The lines of a key in PEM form and its like: a log is searched line by line."""
    return [line for line in value.splitlines() if len(line) >= 8]


def _basic_credentials(url: str) -> Iterator[str]:
    """What an HTTP library makes of userinfo in the Authorization header."""
    user, _, password = urlsplit(url).netloc.rpartition("@")[0].partition(":")
    for text in {f"{user}:{password}", f"{unquote(user)}:{unquote(password)}"} - {":"}:
        yield base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")


def _named(error: ConfigError, server: object) -> ConfigError:
    name = server if isinstance(server, str) else None
    return ConfigError(error.problem, file=error.file, server=name, key=error.key, fix=error.fix)


def _normalise(config: ServerConfig) -> None:
    """Put every collection into its immutable form; the frozen dataclass is still being made."""
    checks.non_empty(config.name, "name", '"weather"')
    made: dict[str, object] = {
        "args": checks.strings(config.args, "args"),
        "env": _texts(config.env, "env"),
        "headers": _texts(config.headers, "headers"),
        "auth": oauth_of(config.auth),
        "tags": frozenset(checks.strings(_listed(config.tags), "tags")),
    }
    for name in ("command", "cwd", "url", "region", "replicas", "version"):
        value: object = getattr(config, name)
        made[name] = None if value is None else checks.text(value, name)
    for name, value in made.items():
        object.__setattr__(config, name, value)


def _listed(value: object) -> object:
    return list(cast("frozenset[object]", value)) if isinstance(value, set | frozenset) else value


def _texts(value: object, key: str) -> Veiled:
    items = checks.mapping(value, key, f'"{key}": {{"NAME": "value"}}')
    for name in items:
        if not name.strip() or "=" in name or "\0" in name:
            raise ConfigError(
                f"has a name that cannot be used: {name!r}.", key=key, fix="Use letters, digits, - and _."
            )
    return Veiled({name: checks.text(item, f"{key}.{name}") for name, item in items.items()})


_NUMBERS: Mapping[str, Callable[[object, str], float]] = {
    "timeout": checks.positive,
    "weight": checks.positive,
    "rate_limit": checks.positive,
    "health_interval": checks.positive,
    "idle_timeout": checks.positive,
    "priority": checks.integer,
    "max_in_flight": checks.count,
    "max_queue": checks.whole,
    "connections": checks.count,
}
_MAY_BE_NONE = frozenset({"timeout", "rate_limit", "max_in_flight", "max_queue"})


def _check_numbers(config: ServerConfig) -> None:
    for name, check in _NUMBERS.items():
        value: object = getattr(config, name)
        if value is not None or name not in _MAY_BE_NONE:
            object.__setattr__(config, name, check(value, name))
    checks.boolean(config.disabled, "disabled")


def _check_transport(config: ServerConfig) -> None:
    if config.transport not in get_args(TransportName):
        fix = "Use stdio, http, sse or in-process."
        raise ConfigError("is no transport that mcpnb knows.", key="transport", fix=fix)
    if config.transport == "stdio":
        checks.non_empty(config.command, "command", '"npx"')
    elif config.transport == "in-process":
        if config.target is None:
            raise ConfigError("is missing.", key="target", fix="Pass the server object.")
    else:
        _check_url(checks.non_empty(config.url, "url", '"http://127.0.0.1:8000/mcp"'), config)
    if config.auth is not None and config.transport not in {"http", "sse"}:
        raise ConfigError("goes with a url only.", key="auth", fix="Hand a program its secrets in its env.")
    for name, value in config.headers.items():
        _check_header(name, value)
        if not value.isascii() and config.unsupported is None:
            # HTTP says so, and the library refuses it late. The other servers need not suffer from it.
            why = f"the value of headers.{name} is not ASCII, so HTTP cannot send it."
            object.__setattr__(config, "unsupported", why)


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token, as RFC 9110 defines it."""
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def _check_header(name: str, value: str) -> None:
    """Refuse what an HTTP server would take for something else, or refuse."""
    key = f"headers.{name}"
    if not _HEADER_NAME.fullmatch(name):
        raise ConfigError("is no name of an HTTP header.", key=key, fix="Use letters, digits, - and _.")
    if "\r" in value or "\n" in value:
        fix = "Remove it; a file read into a variable often ends in one."
        raise ConfigError("contains a line break.", key=key, fix=fix)
    if _CONTROL.search(value):
        raise ConfigError("contains a control character.", key=key, fix="Remove it.")


def _check_url(url: str, config: ServerConfig) -> None:
    if config.unsupported is not None or config.disabled:
        return
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ConfigError("is not a valid URL.", key="url", fix="Check its host and port.") from None
    if parts.scheme not in {"http", "https"} or not valid or any(c.isspace() for c in url):
        fix = "Write it whole, for example http://127.0.0.1:8000/mcp."
        raise ConfigError("is not a complete http or https URL.", key="url", fix=fix)
