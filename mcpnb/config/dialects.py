"""One server's entry in a configuration file → `ServerConfig`. Owns what the keys of every dialect mean.

Dialects: Claude Desktop, Claude Code, VS Code, Cursor, Windsurf, FastMCP, and where it costs nothing Cline
and Gemini CLI; `keys` has their vocabulary. It knows neither the layout of files nor the forms of `source`.

`timeout` beside `command` or `url` is milliseconds from 1000 on and seconds below (see `keys.seconds`);
`"mcpnb": {"timeout": ...}` and the keyword `timeout=` of `load` are always seconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PureWindowsPath
from typing import Any

from mcpnb.errors import ConfigError

from . import checks, keys
from .credentials import Header, bearer, chosen, shared, written
from .environment import read_env_file, texts_of_env
from .jsonc import JsonObject
from .keys import URL_KEYS
from .oauth import OAuth, oauth_of
from .oauth_forms import Written, texts_of, written_oauth
from .place import Findings, Place
from .servers import OWN_KEYS, ServerConfig, TransportName
from .variables import Variables

__all__ = ["Context", "is_entry", "read_entry"]

_OWN_KEYS = (*OWN_KEYS, "timeout")
_CREDENTIAL_KEYS = ("token", "auth")


@dataclass(frozen=True, slots=True)
class Context:
    """What all entries of one source share."""

    file: str | None
    variables: Variables
    loose_env: bool = False
    """VS Code: numbers in `env` are written as text, and null takes a variable out."""
    defaults: Mapping[str, object] = field(default_factory=dict[str, object])
    """Options of `load`, for what an entry does not say itself."""
    credentials: Mapping[str, object] = field(default_factory=dict[str, object])
    """Blocks of credentials that entries may name."""

    def place(self, server: str | None = None) -> Place:
        """Where errors say they are."""
        return Place(self.file, server)


def _default(given: object) -> Written:
    """`auth=` of `load`: "oauth", or the arguments of `OAuth`."""
    if isinstance(given, str) and given.strip().lower() == "oauth":
        return Written("auth")
    return Written(
        "auth", checks.mapping(given, "auth", '"oauth", {"client_id": "notebook"}, mcpnb.OAuth(...)')
    )


def is_entry(value: object) -> bool:
    """Whether this looks like one server's entry rather than like a table of servers."""
    if not checks.is_mapping(value):
        return False
    return any(isinstance(value.get(key), str | list | tuple) for key in ("command", *URL_KEYS))


def read_entry(name: str, entry: Mapping[str, object], context: Context) -> ServerConfig:
    """One entry as a checked value. What other programs know and we do not is a `ConfigWarning`.

    Raises:
        ConfigError: naming file, server, key and the fix; `ConfigErrors` where several variables are unset.
    """
    place = context.place(name)
    for key in _repeated(entry):
        place.warn("stands there twice; the last one counts.", key=key)
    with place.located():
        return _Entry.of(name, entry, context).read()


def _repeated(table: object, within: str = "") -> Iterator[str]:
    """Keys that stand twice in an entry or in a table of it, as a path."""
    if isinstance(table, JsonObject):
        yield from (within + key for key in table.repeated)
        for key, value in table.items():
            yield from _repeated(value, f"{within}{key}.")


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry while it is read: null values are gone, secret variables and problems are collected."""

    name: str
    values: Mapping[str, object]
    context: Context
    variables: Variables
    disabled: bool
    hidden: set[str]
    findings: Findings

    @classmethod
    def of(cls, name: str, entry: Mapping[str, object], context: Context) -> _Entry:
        values = {key: value for key, value in entry.items() if value is not None}
        disabled = checks.boolean(values.get("disabled", context.defaults.get("disabled", False)), "disabled")
        disabled = disabled or not checks.boolean(values.get("enabled", True), "enabled")
        variables = context.variables.forgive() if disabled else context.variables
        return cls(name, values, context, variables, disabled, set(), Findings())

    def read(self) -> ServerConfig:
        for key, value in self.values.items():
            self._warn(keys.remark(key, value), key)
        try:
            said = {**(self._stdio() if self._is_stdio() else self._remote()), **self._own()}
        except ConfigError as error:
            self.findings.note(error)
            said = {}
        self.findings.settle()
        return self._config(said)

    def _config(self, said: Mapping[str, Any]) -> ServerConfig:
        try:
            return ServerConfig(
                name=self.name, source=self.context.file, disabled=self.disabled,
                hidden=frozenset(self.hidden), **said,
            )  # fmt: skip
        except ConfigError as error:
            key = self._as_written(error.key)
            raise ConfigError(error.problem, server=self.name, key=key, fix=error.fix) from None

    def _as_written(self, key: str | None) -> str | None:
        own = self.values.get("mcpnb")
        if checks.is_mapping(own) and key in own:
            return f"mcpnb.{key}"
        return next((k for k in URL_KEYS if k in self.values), key) if key == "url" else key

    def _warn(self, text: str | None, key: str) -> None:
        """Say it, unless there is nothing to say or the server is not used anyway."""
        if text and not self.disabled:
            self.context.place(self.name).warn(text, key=key)

    # texts

    def _text(self, value: object, key: str, variables: Variables | None = None) -> str:
        """A text with its variables expanded; one that cannot be is noted, so that the next is found, too."""
        text = checks.text(value, key)
        try:
            return (variables or self.variables).expand(text, key, self.hidden)
        except ConfigError as error:
            self.findings.note(error)
            return text

    def _argument(self, value: object, key: str, variables: Variables | None = None) -> str:
        return self.variables.expand_home(self._text(value, key, variables))

    def _path(self, value: object, key: str, folder: Path) -> str:
        """A path that, where it is relative, is so to `folder`; one of Windows stays as it is elsewhere."""
        path = self._argument(value, key)
        return path if PureWindowsPath(path).is_absolute() else str(folder / path)

    def _table(self, key: str) -> Mapping[str, object]:
        return checks.mapping(self.values.get(key, {}), key, f'"{key}": {{"NAME": "value"}}')

    def _default_table(self, key: str) -> Mapping[str, object]:
        return checks.mapping(self.context.defaults.get(key, {}), key, f'{key}={{"NAME": "value"}}')

    def _own_table(self) -> Mapping[str, object]:
        return checks.mapping(self.values.get("mcpnb", {}), "mcpnb", '"mcpnb": {"region": "eu"}')

    # what all transports share

    def _own(self) -> dict[str, Any]:
        """Our own keys, the options of `load` filling in, and the timeout in seconds."""
        written = self._own_table()
        for key in written:
            if key not in {*_OWN_KEYS, *_CREDENTIAL_KEYS}:
                self._warn(keys.unknown(key, (*_OWN_KEYS, *_CREDENTIAL_KEYS)), f"mcpnb.{key}")
        own: dict[str, Any] = {key: value for key, value in self.context.defaults.items() if key in _OWN_KEYS}
        if "timeout" in self.values:
            own["timeout"] = keys.seconds(checks.positive(self.values["timeout"], "timeout"))
        own |= {key: value for key, value in written.items() if key in _OWN_KEYS and value is not None}
        for key in {"region", "replicas"} & own.keys():
            own[key] = None if own[key] is None else self._text(own[key], f"mcpnb.{key}")
        if checks.is_sequence(own.get("tags")):
            own["tags"] = [self._text(tag, f"mcpnb.tags[{i}]") for i, tag in enumerate(own["tags"])]
        return own

    def _is_stdio(self) -> bool:
        """Whether it is a program to start. Raises where that cannot be told."""
        given = [key for key in ("command", *URL_KEYS) if key in self.values]
        if not given:
            fix = 'Add "command" for a program to start, or "url" for a server that runs already.'
            raise ConfigError("has neither a command nor a url.", key="command", fix=fix)
        if len(given) > 1:
            fix = f'Keep either "{given[0]}" or "{given[1]}".'
            raise ConfigError(f"stands beside {given[0]!r}; a server has one of them.", key=given[1], fix=fix)
        return given == ["command"]

    def _named_transport(self) -> tuple[TransportName | None, str | None]:
        """The transport that the entry names, if any, and why that one cannot be used."""
        key = "type" if "type" in self.values else "transport"
        if key not in self.values:
            return None, None
        value = checks.text(self.values[key], key)
        if keys.is_web_socket(value):
            return None, keys.unsupported("ws:")
        return keys.transport_named(value, key, command="command" in self.values), None

    # stdio

    def _stdio(self) -> dict[str, Any]:
        _, problem = self._named_transport()
        for key in _CREDENTIAL_KEYS:
            if key in self._own_table():
                self._warn(keys.NO_HEADERS, f"mcpnb.{key}")
        for key in ("auth", "oauth"):
            if self.values.get(key):
                self._warn(keys.NO_HEADERS, key)
        env, unset = self._env()
        command, *args = self._words(replace(self.variables, own=env))
        return {
            "transport": "stdio", "command": command, "args": args, "env": env, "unset": unset,
            "cwd": self._cwd(), "unsupported": problem,
        }  # fmt: skip

    def _words(self, variables: Variables) -> list[str]:
        """The program and its arguments. They may use the entry's own variables, as `mcp-remote` has it."""
        value = self.values["command"]
        command = value if checks.is_sequence(value) else [value]
        if not command:
            raise ConfigError("is empty.", key="command", fix='Write for example "command": "npx".')
        given = checks.strings(self.values.get("args", ()), "args")
        words = [*((word, "command") for word in command), *((w, f"args[{i}]") for i, w in enumerate(given))]
        program, *args = [self._argument(word, key, variables) for word, key in words]
        return [str(self.variables.folder / program) if self._is_relative(program) else program, *args]

    def _is_relative(self, program: str) -> bool:
        """Whether it is a path below the folder, rather than a program that is looked for on PATH."""
        if PureWindowsPath(program).is_absolute() or not (os.sep in program or "/" in program):
            return False
        # Somebody may have written arguments behind the program, and slashes in these make no path of it.
        first = program.partition(" ")[0]
        return os.sep in first or "/" in first or (self.variables.folder / program).exists()

    def _cwd(self) -> str | None:
        if "cwd" in self.values:
            return self._path(self.values["cwd"], "cwd", self.variables.folder)
        given = self.context.defaults.get("cwd")
        if given is not None:
            return self._path(given, "cwd", Path.cwd())
        # Where the programs that write such files start servers, so that "args": ["./server.py"] is found.
        return None if self.context.file is None else str(self.variables.folder)

    def _env(self) -> tuple[dict[str, str], frozenset[str]]:
        """The variables to set, and those to take out."""
        table = {**self._default_table("env"), **self._table("env")}
        loose = self.context.loose_env or not keys.FASTMCP.isdisjoint(self.values)
        kept = texts_of_env(table, loose=loose)
        env = {name: self._text(value, f"env.{name}") for name, value in kept.items()}
        return {**self._env_file(), **env}, frozenset(table.keys() - kept.keys())

    def _env_file(self) -> dict[str, str]:
        if "envFile" not in self.values or self.disabled:
            return {}
        path = Path(self._path(self.values["envFile"], "envFile", self.variables.folder))
        if "${" in str(path):
            return {}  # noted already
        try:
            return read_env_file(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeError) as error:
            missing = isinstance(error, FileNotFoundError)
            why = "does not exist" if missing else f"cannot be read ({type(error).__name__})"
            self._warn(f"{why}; the server is started without it.", "envFile")
            return {}

    # http and sse

    def _remote(self) -> dict[str, Any]:
        key = next(key for key in URL_KEYS if key in self.values)
        url = self._text(self.values[key], key).strip()
        named, problem = self._named_transport()
        problem = keys.unsupported(url) or problem
        self._warn(problem, key)
        transport = named or keys.transport_of_url(url)
        headers = self._headers()
        return {
            "transport": transport, "url": url, "headers": headers, "auth": self._oauth(headers),
            "unsupported": problem,
        }  # fmt: skip

    def _headers(self) -> dict[str, str]:
        """The headers to send: of each the one that stands nearest to the server."""
        defaults = written(self.context.defaults.get("headers", {}), "headers")
        own = written(self.values.get("headers", {}), "headers")
        expanded = (
            (header.name, header.value(self._text(header.text, header.key)))
            for header in chosen(defaults, self._credentials(), self._authorization(), own)
        )
        return {name: value for name, value in expanded if value is not None}

    def _credentials(self) -> list[Header]:
        """Our own `token`, or the shared credentials that `auth` names."""
        own = self._own_table()
        named = shared(own["auth"], self.context.credentials) if own.get("auth") is not None else []
        return [*named, *(bearer(own["token"], "mcpnb.token") if own.get("token") is not None else [])]

    def _authorization(self) -> list[Header]:
        """FastMCP's `auth`: a bearer token, unless it says OAuth."""
        auth = self.values.get("auth")
        says_oauth = checks.is_mapping(auth) or (isinstance(auth, str) and auth.strip().lower() == "oauth")
        return [] if auth is None or says_oauth else bearer(auth, "auth")

    def _oauth(self, headers: Mapping[str, str]) -> OAuth | None:
        """How a token is got: as the entry says, else as for all servers without credentials of their own."""
        found = written_oauth(self.values, self._own_table(), self.context.credentials)
        static = any(name.lower() == "authorization" for name in headers)
        if found is None:
            given = self.context.defaults.get("auth")
            if given is None or static:
                return None
            return given if isinstance(given, OAuth) else self._settings(_default(given))
        for key, text in found.remarks:
            self._warn(text, key)
        if static:
            self._warn("not used; the Authorization header is sent instead.", found.key)
            return None
        return self._settings(found)

    def _settings(self, found: Written) -> OAuth | None:
        """Settings with their variables expanded; None where one is unset, which is noted then."""
        table: dict[str, object] = {}
        for name, key, value in texts_of(found):
            if checks.is_sequence(value):
                table[name] = [self._text(item, f"{key}[{i}]") for i, item in enumerate(value)]
            else:
                table[name] = self._argument(value, key) if isinstance(value, str) else value
        if "${" in repr(table):
            return None
        return oauth_of(table, found.key)
