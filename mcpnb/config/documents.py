"""From a file to its tables of servers. Owns reading, and which top-level keys hold servers and inputs.

What a server's entry means is the business of `dialects`.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mcpnb.errors import ConfigError, suggest

from . import checks
from .dialects import is_entry
from .jsonc import JsonObject, parse
from .names import refuse_repeated
from .place import Place
from .redact import looks_secret, redact, sounds_secret
from .variables import Prompt

__all__ = [
    "Table",
    "credentials",
    "inputs",
    "is_document",
    "read_document",
    "shown_path",
    "tables",
    "workspace",
]

_EXAMPLE = '{"mcpServers": {"weather": {"command": "..."}}}'
_TOP_KEYS = ("mcpServers", "servers", "mcp.servers")
"""Everybody but VS Code; VS Code; VS Code's older settings.json."""
_BESIDE = frozenset({"$schema", "inputs", "mcpnb"})
"""What may stand beside the servers of a document that has no top key."""
_CREDENTIALS = '"mcpnb": {"auth": {"company": {"token": "${TOKEN}"}}}'
_EDITOR_FOLDERS = frozenset({".vscode", ".cursor", ".claude", ".windsurf", ".gemini"})


@dataclass(frozen=True, slots=True)
class Table:
    """Some servers of a document."""

    entries: Mapping[str, object]
    loose_env: bool = False
    """Whether VS Code's looser rules hold for their `env`."""
    folder: Path | None = None
    """What relative paths are relative to, where that is not the document's own."""


def read_document(path: Path) -> Mapping[str, object]:
    """The object in a file. Raises `ConfigError` where there is none."""
    return checks.mapping(parse(_read(path)), None, _EXAMPLE)


def _read(path: Path) -> str:
    try:
        return _decoded(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError("does not exist.", fix=_fix_for_missing(path)) from None
    except IsADirectoryError:
        raise ConfigError("is a folder.", fix="Name the file in it, for example mcp.json.") from None
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ConfigError(f"cannot be read: {why}.", fix="Check its rights.") from None
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8 text.", fix="Save it as UTF-8.") from None


def _decoded(raw: bytes) -> str:
    """UTF-8, or UTF-16 where its byte order mark says so, as older Windows shells write it."""
    utf_16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return raw.decode("utf-16" if utf_16 else "utf-8-sig")


def _fix_for_missing(path: Path) -> str:
    if " " in path.name:
        return 'A command is written as a list: ["python", "server.py"].'
    found = sorted(p.name for p in path.parent.glob("*.json")) if path.parent.is_dir() else []
    names = ", ".join(suggest(path.name, found) or found[:3])
    return f"Beside it there is: {names}." if names else "Check the path."


def shown_path(path: Path) -> str:
    """A path for errors; somebody may have passed a token where a path belongs."""
    suspects = [part for part in path.parts if looks_secret(part)]
    return redact(str(path), suspects) if suspects and not _exists(path) else str(path)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # too long a name, which pathlib does not count as absent
        return False


def workspace(path: Path) -> Path:
    """The folder a file speaks of: its own, or the one above for .vscode/mcp.json and its like."""
    return path.parent.parent if path.parent.name in _EDITOR_FOLDERS else path.parent


def is_document(value: object) -> bool:
    """Whether this is a whole configuration rather than a server or a table of servers."""
    return checks.is_mapping(value) and any(key in value and not is_entry(value[key]) for key in _TOP_KEYS)


def tables(document: Mapping[str, object], here: Path) -> list[Table]:
    """Every table of servers in a document; the document itself where it is a bare one.

    Claude Code's own file, `~/.claude.json`, has servers by project, too: those of the project that the
    folder `here` is in are added, and go before the user's of the same names.

    Raises:
        ConfigError: naming the key where there is none, or where it is no object.
    """
    _refuse_repeated(document)
    found = [(key, document[key]) for key in _TOP_KEYS if key in document]
    older = document.get("mcp")
    if checks.is_mapping(older) and "servers" in older:
        found.append(("mcp.servers", older["servers"]))
    projects = _projects(document)
    local = next((projects[folder] for folder in (here, *here.parents) if folder in projects), None)
    if local is None and projects and not any(table for _, table in found):
        fix = f"It has some for: {', '.join(map(str, [*projects][:3]))}."
        raise ConfigError("names no servers for this folder.", key="projects", fix=fix)
    if local is None and not found:
        return [Table(_bare(document))]
    example = '{"weather": {"command": "..."}}'
    whole = [
        Table(checks.mapping(table, key, f'"{key}": {example}'), loose_env=key != "mcpServers")
        for key, table in found
    ]
    if local is None:
        return whole
    return [*(replace(table, entries=_without(table.entries, local.entries)) for table in whole), local]


def _projects(document: Mapping[str, object]) -> dict[Path, Table]:
    """The servers of each project of Claude Code's that has some."""
    projects = document.get("projects")
    found: dict[Path, Table] = {}
    for path, project in projects.items() if checks.is_mapping(projects) else ():
        servers = project.get("mcpServers") if checks.is_mapping(project) else None
        if servers:
            entries = checks.mapping(servers, f"projects.{path}.mcpServers", _EXAMPLE)
            found[Path(path)] = Table(entries, folder=Path(path))
    return found


def _without(entries: Mapping[str, object], others: Mapping[str, object]) -> Mapping[str, object]:
    refuse_repeated(entries)
    return {name: entry for name, entry in entries.items() if name not in others}


def _bare(document: Mapping[str, object]) -> Mapping[str, object]:
    """A document without a top key: every value must be an entry, or nobody can know what is meant."""
    others = [key for key in document if key not in _BESIDE or is_entry(document[key])]
    if others and all(is_entry(document[key]) for key in others):
        refuse_repeated(document)
        return {key: document[key] for key in others}
    near = ", ".join(suggest("mcpServers", document, n=1))
    fix = f'Rename "{near}" to "mcpServers".' if near else f"Write for example {_EXAMPLE}."
    raise ConfigError("names no servers.", key="mcpServers", fix=fix)


def _refuse_repeated(document: Mapping[str, object]) -> None:
    """JSON keeps the last of two tables, and the servers of the first would be gone without a word."""
    for key in document.repeated if isinstance(document, JsonObject) else ():
        if key in {*_TOP_KEYS, *_BESIDE} and not is_entry(document[key]):
            raise ConfigError("stands there twice.", key=key, fix="Make one of the two.")


def credentials(document: Mapping[str, object], place: Place) -> Mapping[str, object]:
    """The shared credentials of a document by name: `"mcpnb": {"auth": ...}` beside the servers."""
    own = document.get("mcpnb")
    if own is None or is_entry(own):
        return {}
    own = checks.mapping(own, "mcpnb", _CREDENTIALS)
    for key in own:
        if key != "auth":
            place.warn('not used here. Write it into "mcpnb" inside of a server.', key=f"mcpnb.{key}")
    return checks.mapping(own.get("auth", {}), "mcpnb.auth", _CREDENTIALS)


def inputs(document: Mapping[str, object]) -> dict[str, Prompt]:
    """VS Code's `inputs`, by id."""
    declared = document.get("inputs", [])
    if not checks.is_sequence(declared):
        kind = checks.kind_of(declared)
        raise ConfigError(f"is {kind}, not a list.", key="inputs", fix='Write "inputs": [{...}].')
    prompts = [_prompt(item, f"inputs[{index}]") for index, item in enumerate(declared)]
    return {prompt.id: prompt for prompt in prompts}


def _prompt(item: object, key: str) -> Prompt:
    values = checks.mapping(item, key, '{"type": "promptString", "id": "api-key", "password": true}')
    default = values.get("default")
    id_ = checks.non_empty(values.get("id"), f"{key}.id", '"api-key"')
    return Prompt(
        id=id_,
        description=checks.text(values.get("description", ""), f"{key}.description"),
        password=checks.boolean(values.get("password", sounds_secret(id_)), f"{key}.password"),
        default=None if default is None else checks.text(default, f"{key}.default"),
        options=_choices(values.get("options", []), f"{key}.options"),
    )


def _choices(value: object, key: str) -> tuple[str, ...]:
    """A list of strings, or of {"label", "value"} as VS Code writes them too."""
    if checks.is_sequence(value):
        value = [item.get("value") if checks.is_mapping(item) else item for item in value]
    return checks.strings(value, key)
