"""`load`: every form a source of servers can take → a list of `ServerConfig`.

Owns the forms. What stands in a file is the business of `documents`, what an entry means that of `dialects`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

from mcpnb.errors import ConfigError, suggest

from . import checks
from .credentials import chosen, filled, written
from .dialects import Context, is_entry, read_entry
from .documents import credentials, inputs, is_document, read_document, shown_path, tables, workspace
from .names import name_of_entry, name_of_object, name_of_url, named, refuse_doubles, refuse_repeated, unique
from .place import Findings
from .servers import OWN_KEYS, ServerConfig
from .variables import Ask, Variables, ask_in_terminal

__all__ = ["load"]

_URL = re.compile(r"(?i)https?://")
_OPTIONS = ("timeout", "token", "headers", "auth", "env", "cwd", "disabled", *OWN_KEYS)


def load(
    source: object, *, environ: Mapping[str, str] | None = None, ask: Ask | None = None, **defaults: object
) -> list[ServerConfig]:
    """Read the servers of any kind of source; no server is contacted.

    Args:
        source: A path of a configuration file (every dialect; comments allowed); a URL (http or https; SSE
            when its path ends in /sse); a command as a list of strings; an in-process server object; a
            `ServerConfig`; a dict of names to any of these or to entries as in a file; a whole
            `{"mcpServers": ...}`; or a list of any of these. A list of strings is a command, unless its first
            string is a URL or names a .json file.
        environ: Where `${NAME}` looks; the process environment by default.
        ask: Answers `${input:id}`; by default a prompt in the terminal or below the cell.
        **defaults: `timeout` (seconds), `token` (sent as a bearer token), `headers`, `auth` ("oauth", an
            `OAuth` or a dict of its arguments), `env`, `cwd`,
            `disabled`, `region`, `tags`, `weight`, `priority`, `max_in_flight`, `max_queue`, `rate_limit`,
            `connections`, `idle_timeout`, `health_interval`, `replicas`, for servers that do not say
            otherwise themselves. `token`, `headers` and `auth` go to HTTP servers only, `env` and `cwd` to
            programs.

    Returns:
        Servers in the order of the source. Their names differ: a second `a` in a list becomes `a-2`.

    Raises:
        ConfigError: Naming file, server, key and the fix. No secret is in its text. Where there are
            several problems it is a `ConfigErrors`, which tells all of them.
    """
    _check_options(defaults)
    loader = _Loader(os.environ if environ is None else environ, ask or ask_in_terminal, filled(defaults))
    return unique(loader.read(source))


def _check_options(defaults: Mapping[str, object]) -> None:
    for name in defaults:
        if name not in _OPTIONS:
            near = ", ".join(suggest(name, _OPTIONS)) or ", ".join(_OPTIONS)
            raise ConfigError("is no option of a server.", key=name, fix=f"Did you mean {near}?")
    for name in ("headers", "env"):
        checks.mapping(defaults.get(name, {}), name, f'{name}={{"NAME": "value"}}')


@dataclass(frozen=True, slots=True)
class _Loader:
    """What every form needs: where variables come from, and what fills the gaps."""

    environ: Mapping[str, str]
    ask: Ask
    defaults: Mapping[str, object]

    def read(self, source: object, name: str | None = None) -> list[ServerConfig]:
        """The servers of one source, called `name` where that is given."""
        if isinstance(source, ServerConfig):
            return [_filled(source, name, self.defaults)]
        if isinstance(source, str):
            return self._string(source, name)
        if isinstance(source, os.PathLike):
            return self._file(cast("os.PathLike[str]", source), name)
        if checks.is_mapping(source):
            return self._mapping(checks.mapping(source, None, '{"weather": ...}'), name)
        if checks.is_sequence(source):
            return self._sequence(source, name)
        return [_in_process(source, name, self.defaults)]

    def _context(self, file: str | None = None, folder: Path | None = None) -> Context:
        variables = Variables(self.environ, folder or Path.cwd(), self.ask)
        return Context(file, variables, defaults=self.defaults)

    def _entry(self, entry: Mapping[str, object], name: str | None) -> list[ServerConfig]:
        return [read_entry(name or name_of_entry(entry), entry, self._context())]

    def _string(self, text: str, name: str | None) -> list[ServerConfig]:
        if _URL.match(text):
            return [read_entry(name or name_of_url(text), {"url": text}, self._context())]
        if scheme := re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text):
            problem = f"a {scheme[1]} URL is no address of a server."
            raise ConfigError(problem, server=name, fix="Use http:// or https://.")
        if text.lstrip().startswith(("{", "[")):
            raise ConfigError("is JSON text, not a path.", server=name, fix="Pass json.loads(text).")
        return self._file(text, name)

    def _file(self, path: str | os.PathLike[str], name: str | None) -> list[ServerConfig]:
        here = Path.cwd()
        given = Variables(self.environ, here).expand_home(checks.non_empty(path, "source", '"mcp.json"'))
        whole = Path(os.path.normpath(here / given))
        context = self._context(shown_path(whole), workspace(whole))
        with context.place(name).located():
            return named(self._document(read_document(whole), context), name)

    def _mapping(self, value: Mapping[str, object], name: str | None) -> list[ServerConfig]:
        if is_document(value):
            return named(self._document(value, self._context()), name)
        if is_entry(value) or name is not None:
            return self._entry(value, name)
        return self._table(value, self._context())

    def _document(self, document: Mapping[str, object], context: Context) -> list[ServerConfig]:
        """A whole configuration: the servers under whichever key its dialect uses."""
        whole = replace(
            context,
            variables=replace(context.variables, inputs=inputs(document)),
            credentials=credentials(document, context.place()),
        )
        configs: list[ServerConfig] = []
        findings = Findings()
        for table in tables(document, Path.cwd()):
            folder = table.folder or whole.variables.folder
            theirs = replace(
                whole, loose_env=table.loose_env, variables=replace(whole.variables, folder=folder)
            )
            try:
                configs += self._table(table.entries, theirs)
            except ConfigError as error:
                findings.note(error)
        findings.settle()
        refuse_doubles(configs)
        return configs

    def _table(self, entries: Mapping[str, object], context: Context) -> list[ServerConfig]:
        """Names to entries; outside of files also to anything else that is a source."""
        refuse_repeated(entries)
        configs: list[ServerConfig] = []
        findings = Findings()
        for name, entry in entries.items():
            try:
                with context.place(name).located():
                    configs += self._named(name, entry, context)
            except ConfigError as error:
                findings.note(error)
        findings.settle()
        return configs

    def _named(self, name: str, entry: object, context: Context) -> list[ServerConfig]:
        checks.non_empty(name, "name", '"weather"')
        if context.file is not None or (checks.is_mapping(entry) and not is_document(entry)):
            key = "url" if isinstance(entry, str) and _URL.match(entry) else "command"
            example = f'"{name}": {{"{key}": "..."}}'
            return [read_entry(name, checks.mapping(entry, None, example), context)]
        return self.read(entry, name)

    def _sequence(self, items: Sequence[object], name: str | None) -> list[ServerConfig]:
        if not items:
            fix = 'Write a command such as ["python", "server.py"], or pass {} for a fleet without servers.'
            raise ConfigError("is an empty list.", server=name, key="command", fix=fix)
        if _is_command(items):
            words = [
                os.fspath(cast("os.PathLike[str]", i)) if isinstance(i, os.PathLike) else i for i in items
            ]
            return self._entry({"command": words}, name)
        return named(unique(config for item in items for config in self.read(item)), name)


def _is_command(items: Sequence[object]) -> bool:
    first = items[0]
    if not isinstance(first, str | os.PathLike):
        return False
    program = os.fspath(cast("str | os.PathLike[str]", first)).lower()
    return not program.startswith(("http://", "https://")) and not program.endswith((".json", ".jsonc"))


def _is_server(source: object) -> bool:
    """Whether this is an instance of an MCP server class, told by name so that nothing is imported."""
    return any(
        kind.__module__.partition(".")[0] in {"mcp", "fastmcp"}
        and kind.__name__ in {"Server", "MCPServer", "FastMCP"}
        for kind in type(source).__mro__
    )


def _in_process(target: object, name: str | None, defaults: Mapping[str, object]) -> ServerConfig:
    if isinstance(target, type):
        fix = f"Pass an instance: {target.__name__}(...)."
        raise ConfigError("a class is no source of servers.", server=name, fix=fix)
    if not _is_server(target):
        fix = (
            "Pass a path, a URL, a command (a list of strings), a server object, or a dict of names to these."
        )
        raise ConfigError(f"{checks.kind_of(target)} is no source of servers.", server=name, fix=fix)
    own: dict[str, Any] = {
        key: value for key, value in defaults.items() if key in {*OWN_KEYS, "timeout", "disabled"}
    }
    return ServerConfig(name=name or name_of_object(target), transport="in-process", target=target, **own)


def _filled(config: ServerConfig, name: str | None, defaults: Mapping[str, object]) -> ServerConfig:
    """A config under another name, options filling in only what it leaves at its default."""
    standard = {field.name: field.default for field in fields(config)}
    changes: dict[str, Any] = {
        key: value
        for key, value in defaults.items()
        if getattr(config, key) == standard[key] and _fits(config, key)
    }
    if config.headers and "headers" in defaults:
        layers = (written(headers, "headers") for headers in (defaults["headers"], config.headers))
        changes["headers"] = {header.name: header.text for header in chosen(*layers)}
    return replace(config, **{**changes, "name": name or config.name})


def _fits(config: ServerConfig, key: str) -> bool:
    if key in {"env", "cwd"}:
        return config.transport == "stdio"
    if key == "auth" and any(name.lower() == "authorization" for name in config.headers):
        return False
    return key not in {"headers", "auth"} or config.transport in {"http", "sse"}
