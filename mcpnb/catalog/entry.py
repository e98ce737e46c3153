"""One tool of one server, as the catalog keeps it, and the fingerprint that says whether two are alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from mcpnb.catalog.parameters import Parameter, mapping, read
from mcpnb.model import ToolRef

if TYPE_CHECKING:
    from mcp_types import Tool

UNREADABLE = "unreadable:"
"""How the fingerprint of a schema starts that is no JSON (a cycle, an object); it equals no other."""


@dataclass(frozen=True, slots=True)
class ToolEntry:
    """A tool as one server offers it. The schemas are the server's own objects: read, do not change them."""

    ref: ToolRef
    title: str
    """The title to show; empty when the server gave none."""
    description: str
    version: str | None
    """The tool's own version, else its server's."""
    input_schema: Mapping[str, object] = field(hash=False, repr=False)
    output_schema: Mapping[str, object] | None = field(hash=False, repr=False)
    read_only: bool
    idempotent: bool
    """By its server: it only reads, or a second call with the same arguments changes nothing more."""
    destructive: bool
    """May change or delete things; true unless the server says otherwise."""
    fingerprint: str
    """Equal for equal input and output schemas, whatever the order of their keys."""
    parameters: tuple[Parameter, ...] = field(hash=False, repr=False)

    @property
    def name(self) -> str:
        """The tool's name, without its server."""
        return self.ref.tool

    @property
    def server(self) -> str:
        """The server that offers it."""
        return self.ref.server

    @property
    def signature(self) -> str:
        """The arguments as Python text: `location: str, days: int = 3`."""
        return ", ".join(map(str, self.parameters))


def from_tool(server: str, tool: Tool, *, server_version: str | None = None) -> ToolEntry:
    """The catalog's entry for a tool of a listing."""
    hints = tool.annotations
    read_only = bool(hints and hints.read_only_hint)
    ref = ToolRef(server, tool.name)
    return ToolEntry(
        ref=ref,
        title=tool.title or (hints.title if hints else None) or "",
        description=tool.description or "",
        version=_own_version(tool.meta) or server_version,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        read_only=read_only,
        idempotent=read_only or bool(hints and hints.idempotent_hint),
        # The protocol's default: what says nothing may destroy.
        destructive=not read_only and not (hints and hints.destructive_hint is False),
        fingerprint=fingerprint(ref, tool.input_schema, tool.output_schema),
        parameters=read(tool.input_schema),
    )


def fingerprint(ref: ToolRef, inputs: Mapping[str, object], outputs: Mapping[str, object] | None) -> str:
    """A digest of the canonical JSON of both schemas."""
    parts = [inputs] if outputs is None else [inputs, outputs]
    try:
        text = "\n".join(canonical(part) for part in parts)
    except (RecursionError, TypeError, ValueError):
        return f"{UNREADABLE}{ref}"
    # 128 bits: a server must not be able to craft two schemas of one fingerprint.
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def canonical(schema: object) -> str:
    """JSON text that is equal for schemas that mean the same by their JSON: key order, 1 and 1.0."""
    return json.dumps(_normal(schema), sort_keys=True, separators=(",", ":"))


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


def _own_version(meta: Mapping[str, object] | None) -> str | None:
    if not meta:
        return None
    holders = (meta, mapping(meta.get("fastmcp")), mapping(meta.get("_fastmcp")))
    return next((version for holder in holders if isinstance(version := holder.get("version"), str)), None)
