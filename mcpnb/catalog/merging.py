"""Several tools of one name as one: the union of their parameters, and what each server is sent of it.

An argument is left out only where another server lists it and this one does not. Servers that know every
argument of a call come first: leaving one out (`dry_run`) may change what a tool does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from mcpnb.catalog.entry import ToolEntry, fingerprint
from mcpnb.catalog.parameters import Parameter, mapping, read, sequence
from mcpnb.errors import ArgumentError

__all__ = ["MergedEntry", "merged", "takers"]


@dataclass(frozen=True, slots=True)
class MergedEntry(ToolEntry):
    """Tools of one name as one. It goes by the first server's name."""

    parts: Mapping[str, ToolEntry] = field(hash=False, repr=False)
    """Server → its own tool."""
    listed: frozenset[str] = field(repr=False)
    """Every parameter that any of them lists."""

    def at(self, server: str) -> ToolEntry:
        """See `ToolEntry.at`."""
        return self.parts.get(server, self)

    def arguments_for(self, server: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """See `ToolEntry.arguments_for`."""
        part = self.parts.get(server)
        if part is None or part.input_schema.get("additionalProperties") not in {None, False}:
            return arguments
        own = mapping(part.input_schema.get("properties"))
        return {name: value for name, value in arguments.items() if name in own or name not in self.listed}


def merged(entries: Sequence[ToolEntry]) -> ToolEntry:
    """The one tool that these are together, in the order of preference; a single one stays what it is."""
    first = entries[0]
    if len(entries) == 1:
        return first
    schema = _union(entries)
    outputs = {fingerprint(entry.ref, entry.output_schema): entry.output_schema for entry in entries}
    output = first.output_schema if len(outputs) == 1 else None
    versions = {entry.version for entry in entries}
    return MergedEntry(
        ref=first.ref,
        title=first.title,
        description=first.description,
        version=first.version if len(versions) == 1 else None,
        input_schema=schema,
        output_schema=output,
        read_only=all(entry.read_only for entry in entries),
        idempotent=all(entry.idempotent for entry in entries),
        destructive=any(entry.destructive for entry in entries),
        fingerprint=fingerprint(first.ref, schema, output),
        parameters=_parameters(entries, schema),
        parts={entry.server: entry for entry in entries},
        listed=frozenset(mapping(schema["properties"])),
    )


def takers(
    entry: MergedEntry,
    servers: Sequence[str],
    arguments: dict[str, Any],
    check: Callable[[ToolEntry, Mapping[str, object]], None],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The servers that may get a call, and the arguments that are left out for some of them.

    Those that know every argument; where there is none, those that take what they know.

    Raises:
        ArgumentError: The arguments fit nobody's schema; of the server that knows the most of them.
    """
    told = {server: entry.arguments_for(server, arguments) for server in servers}
    problems: dict[str, ArgumentError] = {}
    for server, known in told.items():
        try:
            check(entry.at(server), known)
        except ArgumentError as problem:
            problems[server] = problem
    taking = tuple(server for server in servers if server not in problems)
    if not taking:
        raise problems[max(problems, key=lambda server: len(told[server]))]
    if whole := tuple(server for server in taking if len(told[server]) == len(arguments)):
        return whole, ()
    return taking, tuple(name for name in arguments if any(name not in told[server] for server in taking))


def _union(entries: Sequence[ToolEntry]) -> dict[str, object]:
    """One schema that shows all parameters. Checked are arguments by each server's own."""
    documents: dict[str, object] = {}
    ways: dict[str, dict[str, object]] = {}
    for number, entry in enumerate(entries):
        schema = _rebased(entry.input_schema, f"#/$defs/{number}")
        if schema != entry.input_schema:  # it has references, which now lead to a copy of it
            documents[str(number)] = schema
        for name, part in mapping(mapping(schema).get("properties")).items():
            ways.setdefault(name, {}).setdefault(fingerprint(entry.ref, part), part)
    required = [
        {name for name in sequence(entry.input_schema.get("required")) if isinstance(name, str)}
        for entry in entries
    ]
    return {
        "type": "object",
        "properties": {name: _any_of(list(parts.values())) for name, parts in ways.items()},
        "required": [name for name in ways if all(name in names for names in required)],
        **({"$defs": documents} if documents else {}),
    }


def _any_of(ways: Sequence[object]) -> object:
    if len(ways) == 1:
        return ways[0]
    described = next((mapping(way)["description"] for way in ways if "description" in mapping(way)), None)
    return {"anyOf": list(ways), **({"description": described} if described is not None else {})}


def _parameters(entries: Sequence[ToolEntry], schema: Mapping[str, object]) -> tuple[Parameter, ...]:
    """As each server has them where they agree; else as the union says."""
    stated: dict[str, set[Parameter]] = {}
    for entry in entries:
        for parameter in entry.parameters:
            stated.setdefault(parameter.name, set()).add(parameter)
    everywhere = set(cast("Sequence[str]", schema["required"]))
    return tuple(
        next(iter(stated[found.name]))
        if len(stated.get(found.name, ())) == 1 and found.required == (found.name in everywhere)
        else found
        for found in read(schema)
    )


def _rebased(value: object, root: str) -> object:
    """The same schema with its own references leading to where it is kept; empty when it is too deep."""
    try:
        return _moved(value, root)
    except RecursionError:
        return {}


def _moved(value: object, root: str) -> object:
    if isinstance(value, Mapping):
        parts = cast("Mapping[str, object]", value)
        return {
            key: root + part[1:]
            if key == "$ref" and isinstance(part, str) and part[:1] == "#"
            else _moved(part, root)
            for key, part in parts.items()
        }
    if isinstance(value, (list, tuple)):
        return [_moved(part, root) for part in cast("Sequence[object]", value)]
    return value
