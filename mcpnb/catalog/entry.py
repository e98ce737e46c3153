"""A capability of one server, as the catalog keeps it, and the fingerprint by which two are alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any, cast

from mcpnb.catalog.parameters import Parameter, mapping, read
from mcpnb.model import ToolRef

if TYPE_CHECKING:
    from mcp_types import Tool

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))

UNREADABLE = "unreadable:"
"""How the fingerprint of a schema starts that is no JSON (a cycle, an object); it equals no other."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A capability as one server offers it."""

    ref: ToolRef
    """The server, and the capability's name: a tool's, a prompt's, a resource's URI or template."""
    title: str
    """The title to show; empty when the server gave none."""
    description: str
    version: str | None
    """Its own version, else its server's."""
    fingerprint: str
    """Equal for capabilities that take and give the same, by what their servers say."""

    @property
    def name(self) -> str:
        """Its name, without its server."""
        return self.ref.tool

    @property
    def server(self) -> str:
        """The server that offers it."""
        return self.ref.server


@dataclass(frozen=True, slots=True)
class ToolEntry(Entry):
    """A tool as one server offers it. The schemas are the server's own objects: read, do not change them.

    Its fingerprint is equal for equal input and output schemas, whatever the order of their keys.
    """

    input_schema: Mapping[str, object] = field(hash=False, repr=False)
    output_schema: Mapping[str, object] | None = field(hash=False, repr=False)
    read_only: bool
    idempotent: bool
    """By its server: it only reads, or a second call with the same arguments changes nothing more."""
    destructive: bool
    """May change or delete things; true unless the server says otherwise."""
    parameters: tuple[Parameter, ...] = field(hash=False, repr=False)

    @property
    def signature(self) -> str:
        """The arguments as Python text: `location: str, days: int = 3`."""
        return ", ".join(map(str, self.parameters))

    def at(self, server: str) -> ToolEntry:
        """What the answering server itself calls this tool: another entry only where several were merged."""
        del server
        return self

    def arguments_for(self, server: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """What that server is sent of a call's arguments: all of them, unless several tools were merged."""
        del server
        return arguments


@dataclass(frozen=True, slots=True)
class Draft:
    """What takes time to find out about a tool, and depends on nothing but its schemas."""

    digest: str | None
    """Of the schemas; None when they are no JSON."""
    parameters: tuple[Parameter, ...]


def draft(tool: Tool) -> Draft:
    """What can be known of a tool before it is known whose it is."""
    return Draft(_digest(tool.input_schema, tool.output_schema), read(tool.input_schema))


def from_tool(
    server: str, tool: Tool, *, server_version: str | None = None, drafted: Draft | None = None
) -> ToolEntry:
    """The catalog's entry for a tool of a listing; `drafted` is what `draft` gave for it, if it was asked."""
    known = drafted or draft(tool)
    hints = tool.annotations
    read_only = bool(hints and hints.read_only_hint)
    ref = ToolRef(server, tool.name)
    return ToolEntry(
        ref=ref,
        title=tool.title or (hints.title if hints else None) or "",
        description=tool.description or "",
        version=own_version(tool.meta) or server_version,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        read_only=read_only,
        idempotent=read_only or bool(hints and hints.idempotent_hint),
        # The protocol's default: what says nothing may destroy.
        destructive=not read_only and not (hints and hints.destructive_hint is False),
        fingerprint=known.digest or f"{UNREADABLE}{ref}",
        parameters=known.parameters,
    )


def tools_of(
    server: str, tools: Sequence[Tool], version: str | None, drafts: Sequence[Draft] | None = None
) -> tuple[dict[str, ToolEntry], list[str]]:
    """The entries of a listing by name, and the names that it has more than once (the first one counts)."""
    found: dict[str, ToolEntry] = {}
    doubled: dict[str, None] = {}
    for tool, drafted in zip(tools, drafts or repeat(None, len(tools)), strict=True):
        if tool.name in found:
            doubled[tool.name] = None
        else:
            found[tool.name] = from_tool(server, tool, server_version=version, drafted=drafted)
    return found, list(doubled)


def fingerprint(ref: ToolRef, inputs: object, outputs: object = None) -> str:
    """A digest of the canonical JSON of both schemas, or of whatever else tells two capabilities apart."""
    return _digest(inputs, outputs) or f"{UNREADABLE}{ref}"


def _digest(inputs: object, outputs: object) -> str | None:
    parts = [inputs] if outputs is None else [inputs, outputs]
    try:
        text = "\n".join(canonical(part) for part in parts)
    except (RecursionError, TypeError, ValueError):
        return None
    # 128 bits: a server must not be able to craft two schemas of one fingerprint.
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def canonical(schema: object) -> str:
    """JSON text that is equal for schemas that mean the same by their JSON: key order, 1 and 1.0."""
    return _ENCODER.encode(_normal(schema))


def _normal(value: object) -> object:
    if isinstance(value, dict):
        parts = cast("dict[str, object]", value)
        return {
            key: _sorted_names(part) if key == "required" else _normal(part) for key, part in parts.items()
        }
    if isinstance(value, (list, tuple)):
        return [_normal(part) for part in cast("Sequence[object]", value)]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _sorted_names(value: object) -> object:
    # `required` is a set that JSON has to write as a list.
    if isinstance(value, list) and all(isinstance(name, str) for name in cast("list[object]", value)):
        return sorted(cast("list[str]", value))
    return _normal(cast("object", value))


def own_version(meta: Mapping[str, object] | None) -> str | None:
    """The version that a capability states of itself."""
    if not meta:
        return None
    holders = (meta, mapping(meta.get("fastmcp")), mapping(meta.get("_fastmcp")))
    return next((version for holder in holders if isinstance(version := holder.get("version"), str)), None)
