"""What a name means when different tools have it: each policy ranks replica groups, none throws one away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mcpnb.catalog.replicas import Group
from mcpnb.errors import suggest

Rank = Callable[[Sequence[Group], Mapping[str, int]], list[Group]]
"""Groups in the order of declaration and server → priority to the groups, best first; none: no choice."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A way to choose among groups of one name."""

    name: str
    rank: Rank
    why: str
    """Why the first of the ranked groups is the one, in words that follow its name."""


def _first(groups: Sequence[Group], _: Mapping[str, int]) -> list[Group]:
    return list(groups)


def _last(groups: Sequence[Group], _: Mapping[str, int]) -> list[Group]:
    return list(reversed(groups))


def _none(_: Sequence[Group], __: Mapping[str, int]) -> list[Group]:
    return []


def _by_priority(groups: Sequence[Group], priorities: Mapping[str, int]) -> list[Group]:
    def priority(group: Group) -> int:
        return max(priorities.get(server, 0) for server in group.servers)

    return sorted(groups, key=priority, reverse=True)


POLICIES: Mapping[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy("first_server", _first, "was declared first"),
        Policy("last_server", _last, "was declared last"),
        Policy("server_priority", _by_priority, "has the highest priority (declared first among equals)"),
        Policy("namespace", _none, "only server:tool names are taken"),
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
    near = "".join(f" Did you mean {each}?" for each in suggest(name, POLICIES, n=1))
    raise ValueError(f"unknown conflict policy {name!r}.{near} Known policies: {', '.join(POLICIES)}.")
