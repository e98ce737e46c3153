"""What a name means, and that it could have meant something else: the catalog's answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mcpnb.catalog.entry import ToolEntry

Kind = Literal["tool", "resource", "prompt"]
"""What a name is a name of. A template is a resource, called by its text."""

KINDS: tuple[Kind, ...] = ("tool", "resource", "prompt")


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a name means: an entry, and the servers that may answer for it."""

    entry: ToolEntry
    """Of the group's first server; a `MergedEntry` where several tools were made one."""
    servers: tuple[str, ...]
    """The replica group; the same object as long as the catalog is unchanged."""
    note: str = ""
    """How the choice fell; empty when there was nothing to choose."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A name that different servers offer differently, and which of them it means."""

    at: float
    """Unix time since when it is so."""
    tool: str
    """The name: a tool's, a prompt's, a resource's URI or template."""
    policy: str
    chosen: str
    """The first server of the chosen group; empty when the policy chooses none."""
    rejected: tuple[str, ...]
    """Every server of the other groups."""
    why: str
    kind: Kind = "tool"
