"""A registry's entries as values: what `server.json` and the registry around it say of a server.

It owns the two shapes in which the API's versions answer, and which of several versions of a server is meant.
What an entry would run is the business of `commands`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from mcpnb.versions import Version, rank, specifier

__all__ = ["EXACT", "Entry", "Page", "chosen", "page_of"]

_OFFICIAL = "io.modelcontextprotocol.registry/official"
EXACT = re.compile(r"[^<>=~!,\s]+")
"""A version by itself; anything else is a specifier."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of one server."""

    name: str
    version: str
    title: str = ""
    description: str = ""
    status: str = "active"
    """active, deprecated or deleted."""
    message: str = ""
    """Why it has that status, in the words of its publisher."""
    latest: bool | None = None
    """Whether the registry calls it so; None where it does not say."""
    packages: tuple[Mapping[str, Any], ...] = ()
    remotes: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing."""

    entries: tuple[Entry, ...]
    cursor: str | None = None
    """Where the next one begins; None at the end."""


def page_of(answer: object) -> Page:
    """A listing, or a single entry as a listing of one.

    Raises:
        ValueError: It is neither.
    """
    value = _camel(answer)
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - foreign JSON, not a caller's type
    table = cast("dict[str, Any]", value)
    if "servers" not in table:
        return Page((_entry(table),))
    meta: Mapping[str, Any] = table.get("metadata") or {}
    cursor = meta.get("nextCursor")
    return Page(tuple([_entry(item) for item in table["servers"] or ()]), str(cursor) if cursor else None)


def _entry(item: Mapping[str, Any]) -> Entry:
    """v0.1 wraps `server.json`; the first v0 had everything in one object."""
    server: Mapping[str, Any] = item.get("server", item)
    meta: Mapping[str, Any] = item.get("_meta") or server.get("_meta") or {}
    official: Mapping[str, Any] = meta.get(_OFFICIAL) or {}
    if not isinstance(server.get("name"), str):
        raise ValueError("a server without a name")  # noqa: TRY004 - foreign JSON, not a caller's type
    details: Mapping[str, Any] = server.get("versionDetail") or {}
    version: object = server.get("version") or details.get("version") or ""
    return Entry(
        name=str(server["name"]),
        version=str(version),
        title=str(server.get("title") or ""),
        description=str(server.get("description") or ""),
        status=str(official.get("status") or server.get("status") or "active"),
        message=str(official.get("statusMessage") or ""),
        latest=official.get("isLatest"),
        packages=tuple(server.get("packages") or ()),
        remotes=tuple(server.get("remotes") or ()),
    )


def _camel(value: Any) -> Any:
    """The first v0 wrote snake_case: the same keys as they are written now. Names that are data stay."""
    if isinstance(value, list):
        return [_camel(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    table = cast("dict[str, Any]", value)
    return {
        _key(key): _variables(item) if key == "variables" else _camel(item) for key, item in table.items()
    }


def _variables(value: Any) -> Any:
    """Their names are data."""
    table = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    return {name: _camel(item) for name, item in table.items()}


def _key(key: str) -> str:
    return key if key.startswith("_") else re.sub(r"_([a-z])", lambda m: m[1].upper(), key)


def chosen(entries: Iterable[Entry], version: str) -> list[Entry]:
    """Of each server the version that is meant, in the order of first appearance.

    Args:
        entries: Any number of versions of any number of servers.
        version: `latest`, an exact version, or a specifier such as `>=1.2,<2`, of which the newest is taken.
    """
    by_name: dict[str, list[Entry]] = {}
    for entry in entries:
        by_name.setdefault(entry.name, []).append(entry)
    picked = (_pick(versions, version) for versions in by_name.values())
    return [entry for entry in picked if entry is not None]


def _pick(entries: Sequence[Entry], version: str) -> Entry | None:
    if version == "latest":
        return max(entries, key=lambda entry: (entry.latest is True, _rank(entry)))
    if EXACT.fullmatch(version):
        return next((entry for entry in entries if entry.version == version), None)
    wanted = specifier(version)
    return max((entry for entry in entries if not wanted.refusal(entry.version)), key=_rank, default=None)


def _rank(entry: Entry) -> tuple[int, Version | None]:
    return rank(entry.version)
