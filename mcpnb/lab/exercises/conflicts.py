"""Notebook 04: what a shared name means, which version is newer, and who is a replica of whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from mcpnb.catalog import POLICIES, Catalog, parameters
from mcpnb.errors import AmbiguousTool
from mcpnb.lab.exercises.verdict import Check, Unreadable, Verdict, names, right, text, wrong
from mcpnb.versions import rank

__all__ = ["EXERCISES"]

WANTED = "archive"
_LIMIT = {"query": {"type": "string"}, "limit": {"type": "integer"}}
_PAGED = {"query": {"type": "string"}, "page": {"type": "integer"}}


def _library() -> dict[str, dict[str, Any]]:
    """Server → its version, priority and the arguments of its tool `search`, in the order of declaration."""
    return {
        "web": {"version": "3.1.0", "priority": 2, "arguments": _LIMIT},
        "archive": {"version": "3.10.0", "priority": 0, "arguments": _PAGED},
        "mirror": {"version": "3.1.0", "priority": 5, "arguments": _LIMIT},
        "intranet": {"version": "3.9.2", "priority": 1, "arguments": {"text": {"type": "string"}}},
    }


def _table() -> dict[str, dict[str, Any]]:
    """The library with arguments as `fleet.tools` shows them, short enough for a column."""
    return {server: {**about, "arguments": _signature(about)} for server, about in _library().items()}


def _signature(about: Mapping[str, Any]) -> str:
    arguments = about["arguments"]
    return ", ".join(map(str, parameters.read({"properties": arguments, "required": list(arguments)})))


def _catalog(policy: str) -> Catalog:
    from mcp_types import Tool  # noqa: PLC0415 - takes a second

    catalog = Catalog(policy=policy)
    for server, about in _library().items():
        catalog.declare(server, priority=about["priority"])
        schema = {"type": "object", "properties": about["arguments"]}
        catalog.update(server, [Tool(name="search", input_schema=schema)], version=about["version"], at=0.0)
    return catalog


def _chosen(policy: str) -> str | None:
    try:
        servers = _catalog(policy).resolve("search").servers
    except AmbiguousTool:
        return None
    return servers[0] if len(servers) == 1 else None


def _policy(answer: object) -> Verdict:
    given = text(answer, "the name of a policy")
    if given not in POLICIES:
        return wrong(f"{given!r} is no policy.", f"There are {', '.join(POLICIES)}.")
    chosen = _chosen(given)
    if chosen == WANTED:
        return right(f"Under {given}, `search` means {WANTED}.")
    means = f"`search` means {chosen}" if chosen else "`search` means no single server"
    return wrong(f"Under {given}, {means}.", "What is special about archive in the table?")


def _versions() -> list[str]:
    """Versions in no order."""
    return ["1.9.0", "1.10.0", "2.0.0-rc.1", "1.10.0-beta.2", "2.0.0", "1.9.0.post1"]


def _sorted(answer: object) -> Verdict:
    given, truth = names(answer, "versions"), sorted(_versions(), key=rank, reverse=True)
    if sorted(given) != sorted(truth):
        return wrong(f"These are not the {len(truth)} versions.", "Each of them once, the newest first.")
    if given == truth:
        return right("Numbers are compared as numbers, and what comes before a release is older than it.")
    if given == truth[::-1]:
        return wrong("That is the oldest first.", "Turn it round.")
    first = next(place for place, (one, two) in enumerate(zip(given, truth, strict=True)) if one != two)
    return wrong(
        f"Up to place {first} it is right; then {given[first]} stands too early.",
        "1.10 is newer than 1.9; rc and beta come before their release, post comes after it.",
    )


def _replicas(answer: object) -> Verdict:
    if not isinstance(answer, list | tuple):
        raise Unreadable("The answer is a list of groups, such as [['a', 'b'], ['c', 'd']].")
    groups = [frozenset(names(group, "a group")) for group in cast("list[object]", answer)]
    library = _library()
    for group in groups:
        if strangers := sorted(group - library.keys()):
            return wrong(f"{strangers[0]!r} is no server here.", f"There are {', '.join(library)}.")
        if len(group) > 1 and len({_alike(library[server]) for server in group}) > 1:
            return wrong(
                f"{' and '.join(sorted(group))} cannot stand in for each other.",
                "A call that fits one replica has to fit each other one.",
            )
    kinds: dict[str, set[str]] = {}
    for server, about in library.items():
        kinds.setdefault(_alike(about), set()).add(server)
    truth = {frozenset(group) for group in kinds.values() if len(group) > 1}
    if {group for group in groups if len(group) > 1} == truth:
        return right("They take the same arguments, so that a balanced call may go to either.")
    return wrong("Some could stand in for each other that you did not name.", "Compare the arguments.")


def _alike(about: Mapping[str, Any]) -> str:
    return repr(sorted(about["arguments"].items()))


EXERCISES = {
    "a": Check(_policy, _table),
    "b": Check(_sorted, _versions),
    "c": Check(_replicas, _table),
}
