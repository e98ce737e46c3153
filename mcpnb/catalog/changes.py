"""What changed between two listings of a server, and how two entries differ, in one line for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcpnb.catalog.entry import Entry, ToolEntry
from mcpnb.catalog.replicas import listed


@dataclass(frozen=True, slots=True)
class Changes:
    """Names that came, went, or are no longer what they were."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: Mapping[str, str]
    """Name → what is different."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def __str__(self) -> str:
        altered = [f"{name} ({how})" for name, how in self.changed.items()]
        parts = [("offers", self.added), ("no longer offers", self.removed), ("changed", altered)]
        return "; ".join(f"{verb} {listed(names)}" for verb, names in parts if names)


def between(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> Changes:
    """What happened from one listing of a server to the next; both are keyed by the entry's name."""
    return Changes(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        changed={
            name: difference(old[name], new[name]) for name in new if name in old and old[name] != new[name]
        },
    )


def difference(one: Entry, other: Entry) -> str:
    """How two entries of one name differ, server aside."""
    parts, told = _schemas(one, other), ("description", "title", "version")
    if isinstance(one, ToolEntry):
        told = (*told, "read_only", "idempotent", "destructive")
    for what in told:
        before, after = getattr(one, what), getattr(other, what)
        if before != after:
            parts.append(what if what in {"description", "title"} else f"{what} {before} → {after}")
    return ", ".join(parts)


def _schemas(one: Entry, other: Entry) -> list[str]:
    if not (isinstance(one, ToolEntry) and isinstance(other, ToolEntry)):
        return [] if one.fingerprint == other.fingerprint else ["what it takes or gives"]
    parts = [_arguments(one, other)] if one.input_schema != other.input_schema else []
    return parts if one.output_schema == other.output_schema else [*parts, "the output schema differs"]


def schema_difference(one: Entry, other: Entry) -> str:
    """How two declared replicas differ in what they take and give, naming both servers."""
    if not (isinstance(one, ToolEntry) and isinstance(other, ToolEntry)):
        return "what they take or give is not the same"
    left = {parameter.name: parameter for parameter in one.parameters}
    right = {parameter.name: parameter for parameter in other.parameters}
    only = [f"{name} only on {one.server}" for name in left if name not in right]
    only += [f"{name} only on {other.server}" for name in right if name not in left]
    both = [name for name in left if name in right and str(left[name]) != str(right[name])]
    differ = [f"{left[name]} on {one.server}, {right[name]} on {other.server}" for name in both]
    if only or differ:
        return "arguments: " + listed([*only, *differ])
    where = "input" if one.input_schema != other.input_schema else "output"
    return f"their {where} schemas are not the same"


def _arguments(one: ToolEntry, other: ToolEntry) -> str:
    before = {parameter.name: parameter for parameter in one.parameters}
    after = {parameter.name: parameter for parameter in other.parameters}
    parts = [f"+{name}" for name in after if name not in before]
    parts += [f"-{name}" for name in before if name not in after]
    parts += [f"~{name}" for name in after if name in before and before[name] != after[name]]
    return f"arguments {listed(parts)}" if parts else "the input schema differs"
