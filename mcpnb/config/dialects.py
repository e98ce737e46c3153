"""One server's entry in a configuration file → `ServerConfig`. Owns what the keys of every dialect mean.

Dialects: Claude Desktop, Claude Code, VS Code, Cursor, Windsurf, FastMCP, and where it costs nothing Cline
and Gemini CLI; `keys` has their vocabulary. It knows neither the layout of files nor the forms of `source`.

`timeout` beside `command` or `url` is milliseconds from 1000 on and seconds below (see `keys.seconds`);
`"mcpnb": {"timeout": ...}` and the keyword `timeout=` of `load` are always seconds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcpnb.errors import ConfigError

from . import checks, keys
from .environment import read_env_file
from .jsonc import JsonObject
from .keys import URL_KEYS
from .place import Place
from .servers import OWN_KEYS, ServerConfig, TransportName
from .variables import Variables

__all__ = ["Context", "is_entry", "read_entry"]

_OWN_KEYS = (*OWN_KEYS, "timeout")


@dataclass(frozen=True, slots=True)
class Context:
    """What all entries of one source share."""

    file: str | None
    variables: Variables
    loose_env: bool = False
    """VS Code: numbers in `env` are written as text, and null takes a variable out."""
    defaults: Mapping[str, object] = field(default_factory=dict[str, object])
    """Options of `load`, for what an entry does not say itself."""

    def place(self, server: str | None = None) -> Place:
        """Where errors say they are."""
        return Place(self.file, server)


def is_entry(value: object) -> bool:
    """Whether this looks like one server's entry rather than like a table of servers."""
    if not checks.is_mapping(value):
        return False
    return any(isinstance(value.get(key), str | list | tuple) for key in ("command", *URL_KEYS))


def read_entry(name: str, entry: Mapping[str, object], context: Context) -> ServerConfig:
    """One entry as a checked value. What other programs know and we do not is a `ConfigWarning`.

    Raises:
        ConfigError: naming file, server, key and the fix.
    """
    place = context.place(name)
    for key in entry.repeated if isinstance(entry, JsonObject) else ():
        place.warn("stands there twice; the last one counts.", key=key)
    with place.located():
        return _Entry.of(name, entry, context).read()


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry while it is read: null values are gone, secret variables are collected."""

    name: str
    values: Mapping[str, object]
    context: Context
    variables: Variables
    disabled: bool
    hidden: set[str]

    @classmethod
    def of(cls, name: str, entry: Mapping[str, object], context: Context) -> _Entry:
        values = {key: value for key, value in entry.items() if value is not None}
        disabled = checks.boolean(values.get("disabled", context.defaults.get("disabled", False)), "disabled")
        disabled = disabled or not checks.boolean(values.get("enabled", True), "enabled")
        variables = context.variables.forgive() if disabled else context.variables
        return cls(name, values, context, variables, disabled, set())

    def read(self) -> ServerConfig:
        for key in self.values:
            self._warn(keys.remark(key), key)
        specific = self._stdio() if self._is_stdio() else self._remote()
        own = self._own()
        try:
            return ServerConfig(
                name=self.name, source=self.context.file, disabled=self.disabled,
                hidden=frozenset(self.hidden), **own, **specific,
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

    def _text(self, value: object, key: str) -> str:
        return self.variables.expand(checks.text(value, key), key, self.hidden)

    def _argument(self, value: object, key: str) -> str:
        return self.variables.expand_home(self._text(value, key))

    def _path(self, value: object, key: str, folder: Path) -> str:
        """A path that, where it is relative, is so to `folder`."""
        return str(folder / self._argument(value, key))

    def _table(self, key: str) -> Mapping[str, object]:
        return checks.mapping(self.values.get(key, {}), key, f'"{key}": {{"NAME": "value"}}')

    def _default_table(self, key: str) -> Mapping[str, object]:
        return checks.mapping(self.context.defaults.get(key, {}), key, f'{key}={{"NAME": "value"}}')

    # what all transports share

    def _own(self) -> dict[str, Any]:
        """Our own keys, the options of `load` filling in, and the timeout in seconds."""
        written = checks.mapping(self.values.get("mcpnb", {}), "mcpnb", '"mcpnb": {"region": "eu"}')
        for key in written:
            self._warn(None if key in _OWN_KEYS else keys.unknown(key, _OWN_KEYS), f"mcpnb.{key}")
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
        named = keys.transport_named(value, key, command="command" in self.values)
        return named, keys.unsupported("ws:") if named is None else None

    # stdio

    def _stdio(self) -> dict[str, Any]:
        _, problem = self._named_transport()
        command, *before = self._command()
        args = checks.strings(self.values.get("args", ()), "args")
        after = [self._argument(word, f"args[{index}]") for index, word in enumerate(args)]
        env, unset = self._env()
        return {
            "transport": "stdio", "command": command, "args": (*before, *after), "env": env, "unset": unset,
            "cwd": self._cwd(), "unsupported": problem,
        }  # fmt: skip

    def _command(self) -> list[str]:
        """The program, and the arguments where `command` is a list that holds them too."""
        value = self.values["command"]
        words = value if checks.is_sequence(value) else [value]
        if not words:
            raise ConfigError("is empty.", key="command", fix='Write for example "command": "npx".')
        program, *args = [self._argument(word, "command") for word in words]
        if os.sep in program or "/" in program:
            program = str(self.variables.folder / program)
        return [program, *args]

    def _cwd(self) -> str | None:
        if "cwd" in self.values:
            return self._path(self.values["cwd"], "cwd", self.variables.folder)
        given = self.context.defaults.get("cwd")
        return None if given is None else self._path(given, "cwd", Path.cwd())

    def _env(self) -> tuple[dict[str, str], frozenset[str]]:
        """The variables to set, and those to take out."""
        written = {**self._default_table("env"), **self._table("env")}
        loose = self.context.loose_env or not keys.FASTMCP.isdisjoint(self.values)
        if not loose:
            _refuse_non_strings(written)
        kept = {name: _as_text(value) for name, value in written.items() if value is not None}
        env = {name: self._text(value, f"env.{name}") for name, value in kept.items()}
        return {**self._env_file(), **env}, frozenset(written.keys() - kept.keys())

    def _env_file(self) -> dict[str, str]:
        if "envFile" not in self.values or self.disabled:
            return {}
        path = Path(self._path(self.values["envFile"], "envFile", self.variables.folder))
        try:
            return read_env_file(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
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
        return {"transport": transport, "url": url, "headers": self._headers(), "unsupported": problem}

    def _headers(self) -> dict[str, str]:
        written = {**self._authorization(), **self._table("headers")}
        names = {name.lower() for name in written}
        filling = {n: value for n, value in self._default_table("headers").items() if n.lower() not in names}
        merged = {**filling, **written}
        # Blanks around a value are not part of it in HTTP, and some servers take them for part of a token.
        return {name: self._text(value, f"headers.{name}").strip(" \t") for name, value in merged.items()}

    def _authorization(self) -> dict[str, str]:
        """FastMCP's `auth`: a bearer token, or a way to get one that we do not know yet."""
        auth = self.values.get("auth")
        if auth is None or any(name.lower() == "authorization" for name in self._table("headers")):
            return {}
        if auth == "oauth" or checks.is_mapping(auth):
            self._warn(keys.NO_OAUTH, "auth")
            return {}
        return {"Authorization": f"Bearer {self._text(auth, 'auth')}"}


def _refuse_non_strings(env: Mapping[str, object]) -> None:
    """Name all wrong values at once, without quoting them."""
    wrong = {name: checks.kind_of(value) for name, value in env.items() if not isinstance(value, str)}
    if wrong:
        which = ", ".join(f"{name} is {kind}" for name, kind in wrong.items())
        fix = 'Put values in double quotes, as in "PORT": "8080", and leave out what is null.'
        raise ConfigError(f"is not a string ({which}).", key=f"env.{next(iter(wrong))}", fix=fix)


def _as_text(value: object) -> object:
    """A JSON scalar as it was written; anything else is left for the check that follows to refuse."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else value
