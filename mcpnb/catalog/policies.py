"""What a name means that different servers offer: a policy ranks replica groups, and throws none away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from mcpnb.catalog.replicas import Group
from mcpnb.errors import suggest
from mcpnb.versions import Version, rank

PREFERENCE: Final = "user_preference"
MERGE: Final = "merge"
FIRST: Final = "first_server"


class Terms(NamedTuple):
    """What a policy may look at beside the groups."""

    priorities: Mapping[str, int]
    """Of servers; larger is preferred, 0 where there is none."""
    preferred: tuple[str, ...] = ()
    """Servers that a user wants for this name, the first that offers it."""
    otherwise: str = FIRST
    """The policy where no preferred server offers it."""


class Ranking(NamedTuple):
    """Groups in the order in which a policy would have them."""

    groups: Sequence[Group]
    """Best first; none: the policy chooses none."""
    why: str
    """Why the first of them is the one, as a sentence."""
    merged: bool = False
    """All of them together are the one."""


class Policy(NamedTuple):
    """A way to choose among groups of one name."""

    name: str
    rank: Callable[[Sequence[Group], Terms], Ranking]
    """Gets the groups in the order of declaration."""
    help: str


def _first(groups: Sequence[Group], _: Terms) -> Ranking:
    return Ranking(groups, f"{groups[0].servers[0]} was declared first")


def _last(groups: Sequence[Group], _: Terms) -> Ranking:
    ranked = sorted(groups, key=lambda group: group.last, reverse=True)
    return Ranking(ranked, f"{ranked[0].servers[-1]} was declared last")


def _newest(groups: Sequence[Group], _: Terms) -> Ranking:
    ranked = sorted(groups, key=lambda group: max(_versions(group)), reverse=True)
    newest = max(ranked[0].entries, key=lambda entry: rank(entry.version)).version
    return Ranking(ranked, _by_version(ranked, "newest", newest))


def _oldest(groups: Sequence[Group], _: Terms) -> Ranking:
    def age(group: Group) -> tuple[bool, tuple[int, Version | None]]:
        known = [version for version in _versions(group) if version[0]]
        return not known, min(known, default=(0, None))

    ranked = sorted(groups, key=age)
    known = [entry.version for entry in ranked[0].entries if rank(entry.version)[0]]
    return Ranking(ranked, _by_version(ranked, "oldest", min(known, key=rank, default=None)))


def _versions(group: Group) -> list[tuple[int, Version | None]]:
    return [rank(entry.version) for entry in group.entries]


def _by_version(ranked: Sequence[Group], which: str, version: str | None) -> str:
    server = ranked[0].servers[0]
    if rank(version)[0]:
        return f"{server} has the {which} version ({version})"
    return f"no version can be compared, and {server} was declared first"


def _by_priority(groups: Sequence[Group], terms: Terms) -> Ranking:
    def priority(group: Group) -> int:
        return max(terms.priorities.get(server, 0) for server in group.servers)

    ranked = sorted(groups, key=priority, reverse=True)
    why = f"has the highest priority ({priority(ranked[0])}; declared first among equals)"
    return Ranking(ranked, f"{ranked[0].servers[0]} {why}")


def _by_preference(groups: Sequence[Group], terms: Terms) -> Ranking:
    """Falls back on another policy, once: where that would be this one again, on the first server."""
    wanted = {server: group for server in terms.preferred for group in groups if server in group.servers}
    fallback = POLICIES[FIRST if terms.otherwise == PREFERENCE else terms.otherwise]
    ranking = fallback.rank(groups, terms)
    if not wanted:
        why = "no preferred server offers it" if terms.preferred else "no server is preferred"
        return ranking._replace(why=f"{why}; {fallback.name}: {ranking.why}")
    chosen = list(dict.fromkeys(wanted.values()))
    others = [group for group in ranking.groups or groups if group not in chosen]
    return Ranking([*chosen, *others], f"{next(iter(wanted))} is preferred")


def _none(_: Sequence[Group], __: Terms) -> Ranking:
    return Ranking((), "only server:tool names are taken")


def _merged(groups: Sequence[Group], _: Terms) -> Ranking:
    return Ranking(groups, "they are one tool; each server gets the arguments that it knows", merged=True)


POLICIES: Final[Mapping[str, Policy]] = {
    policy.name: policy
    for policy in (
        Policy(FIRST, _first, "the server that was declared first"),
        Policy("last_server", _last, "the server that was declared last"),
        Policy("newest_version", _newest, "the newest version; unknown ones last"),
        Policy("oldest_version", _oldest, "the oldest version; unknown ones last"),
        Policy("server_priority", _by_priority, "the server with the highest priority"),
        Policy(PREFERENCE, _by_preference, "the server that was preferred, else by the default policy"),
        Policy("namespace", _none, "none: only server:tool names are taken"),
        Policy(MERGE, _merged, "all as one tool with the parameters of all"),
    )
}
"""Name → policy."""


def policy_of(name: str) -> Policy:
    """The policy of that name.

    Raises:
        ValueError: When there is none; lists the known ones.
    """
    if name in POLICIES:
        return POLICIES[name]
    near = "".join(f" Did you mean {each}?" for each in suggest(str(name), POLICIES, n=1))
    raise ValueError(f"unknown conflict policy {name!r}.{near} Known policies: {', '.join(POLICIES)}.")
