"""The sentences of the catalog: why a group was chosen, how declared replicas differ, what an event says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mcpnb.catalog.changes import Changes, schema_difference
from mcpnb.catalog.entry import ToolEntry
from mcpnb.catalog.replicas import Group, listed
from mcpnb.catalog.resolution import Conflict, Kind
from mcpnb.errors import suggest
from mcpnb.model import Event

# A list of more names is no longer worth copying.
_MAX_QUOTED = 8


def why(reason: str, groups: Sequence[Group]) -> str:
    """Why a policy chose, and what else a person should know of the groups."""
    return ". ".join([reason, *_splits(groups), *_look_alikes(groups)])


def _splits(groups: Sequence[Group]) -> list[str]:
    """One sentence per declared family that its schemas split."""
    families: dict[str, list[Group]] = {}
    for group in groups:
        families.setdefault(group.family, []).append(group)
    return [_split(parts) for parts in families.values() if len(parts) > 1]


def _split(parts: Sequence[Group]) -> str:
    names = listed(parts)
    how = schema_difference(parts[0].entries[0], parts[1].entries[0])
    return f"{names} were declared replicas but are not alike ({how}), so they are kept apart"


def _look_alikes(groups: Sequence[Group]) -> list[str]:
    """One sentence per set of groups that have the same schemas but were not declared."""
    alike: dict[str, list[Group]] = {}
    for group in groups:
        alike.setdefault(group.fingerprint, []).append(group)
    return [
        _hint([server for part in parts for server in part.servers]) for parts in alike.values() if parts[1:]
    ]


def _hint(servers: list[str]) -> str:
    quoted = ", ".join(f'"{server}"' for server in servers)
    way = f"replicas=[[{quoted}]]" if len(servers) <= _MAX_QUOTED else "replicas=True"
    return (
        f"{listed(servers)} look alike; if they give the same answers, declare them with {way}, "
        'or with "mcpnb": {"replicas": "a name"} in the config of each'
    )


def changed(kind: Kind, server: str, change: Changes, doubled: Sequence[str], *, at: float) -> Event:
    """A listing that is not what it was. `data` has the names, and for each changed one how it changed."""
    twice = listed(doubled)
    detail = f"{server} {change}" + (f"; lists {twice} more than once, the first one counts" if twice else "")
    data = {"added": change.added, "removed": change.removed, "changed": dict(change.changed)}
    return Event(at, f"{kind}s_changed", server, detail, data)


def conflict(now: Conflict) -> Event:
    """A name that different servers offer differently, and which of them it means from now on."""
    over = listed(now.rejected)
    if now.chosen:
        choice = f"{now.chosen}, not {over}" if over else f"{now.chosen} and the others together"
    else:
        choice = f"none of {over}"
    data = {name: getattr(now, name) for name in ("kind", "tool", "policy", "chosen", "rejected", "why")}
    what = now.tool if now.kind == "tool" else f"{now.kind} {now.tool}"
    detail = f"{what} is offered by different servers and means {choice} ({now.policy}): {now.why}"
    return Event(now.at, "conflict", now.chosen or None, detail, data)


def conflict_gone(was: Conflict, *, at: float) -> Event:
    """A name that means one thing again."""
    data = {
        "kind": was.kind,
        "tool": was.tool,
        "policy": was.policy,
        "chosen": "",
        "rejected": (),
        "resolved": True,
    }
    return Event(at, "conflict", None, f"{was.tool} is no longer offered by different servers", data)


def held(entry: ToolEntry, what: str, *, at: float) -> Event:
    """A tool that is refused because it is not what it was when it was approved."""
    detail = f"{entry.ref} is refused until it is approved: {what}"
    return Event(at, "tool_held", entry.server, detail, {"tool": entry.name, "changed": what})


def unchecked(entry: ToolEntry, reason: str, *, at: float) -> Event:
    """Arguments of this tool go out unchecked."""
    detail = f"arguments of {entry.ref} are not checked before sending, because {reason}"
    return Event(at, "schema_ignored", entry.server, detail, {"tool": entry.name, "why": reason})


def silent(servers: Sequence[str]) -> str:
    """That some servers have not said yet what they offer."""
    return f" No listing has come yet from {listed(servers)}." if servers else ""


def offered_by(servers: Iterable[str]) -> str:
    """Who else has it."""
    names = list(servers)
    return f" Offered by {listed(names)}." if names else ""


def no_such_server(server: str, known: Iterable[str]) -> str:
    """That the server itself is unknown."""
    near = "".join(f" Did you mean {name}?" for name in suggest(server, known, n=1))
    return f" There is no server {server!r}.{near}"
