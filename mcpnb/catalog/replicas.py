"""Which servers were declared to be replicas of each other, and how their entries fall into groups.

Replicas are declared, never guessed. A declaration is then checked: entries whose fingerprints differ are not
put into one group, whatever was declared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from mcpnb.catalog.entry import Entry
from mcpnb.errors import ConfigError

Replicas = bool | Sequence[Sequence[str]] | None
"""True: all servers with the same capability. Lists of names. None: what each config says. False: none."""


_MAX_NAMED = 8


@dataclass(frozen=True, slots=True)
class Group:
    """Entries of one name that may stand in for each other."""

    entries: tuple[Entry, ...]
    family: str
    """Equal for entries that were declared replicas, also when their schemas then split them."""
    fingerprint: str
    """The one that all its entries share, or shared when they were approved."""
    servers: tuple[str, ...]
    """The entries' servers, in the order of their declaration."""
    last: int
    """The place of its last entry among all of this name."""

    def __str__(self) -> str:
        first = self.servers[0]
        return first if len(self.servers) == 1 else f"{first}'s group ({listed(self.servers)})"


def listed(words: Sequence[object]) -> str:
    """The words in a row; beyond a few the others are counted, because this is read in one line."""
    more = len(words) - _MAX_NAMED
    return ", ".join(map(str, words[:_MAX_NAMED])) + (f" and {more} more" if more > 0 else "")


class Declarations:
    """Who was declared to be whose replica, through `connect` and through each server's config."""

    def __init__(self, replicas: Replicas) -> None:
        self._everyone = replicas is True
        self._nobody = replicas is False
        self._listed = {} if replicas is None or isinstance(replicas, bool) else _families(replicas)
        self._families: dict[str, str] = {}

    @property
    def named(self) -> frozenset[str]:
        """Every server that the list of lists names."""
        return frozenset(self._listed)

    def learn(self, configured: Mapping[str, str | None]) -> frozenset[str]:
        """Take in all servers, each with the replica group that its config names.

        Returns:
            The servers that are in another company than before.
        """
        joined = _Families()
        for server, group in configured.items():
            joined.join(("server", server))
            if server in self._listed:
                joined.join(("server", server), ("list", self._listed[server]))
            if group is not None:
                joined.join(("server", server), ("config", group))
        # A family is called after its first server, so that its key stays when others join.
        first: dict[object, str] = {}
        before, self._families = (
            self._families,
            {server: first.setdefault(joined.root(("server", server)), server) for server in configured},
        )
        return frozenset(server for server in before if self._families.get(server) != before[server])

    def family(self, server: str) -> str:
        """A key that is equal for declared replicas."""
        if self._everyone:
            return ""
        return server if self._nobody else self._families.get(server, server)


def grouped(
    entries: Iterable[Entry], declared: Declarations, fingerprint: Callable[[Entry], str]
) -> list[Group]:
    """Entries of one name, in groups of alike replicas, in the order of their first members."""
    found: dict[tuple[str, str], list[tuple[int, Entry]]] = {}
    for place, entry in enumerate(entries):
        key = (declared.family(entry.ref.server), fingerprint(entry))
        found.setdefault(key, []).append((place, entry))
    return [
        Group(
            entries=tuple([entry for _, entry in members]),
            family=family,
            fingerprint=mark,
            servers=tuple([entry.ref.server for _, entry in members]),
            last=members[-1][0],
        )
        for (family, mark), members in found.items()
    ]


_Name = tuple[str, str]


class _Families:
    """Sets that grow together: declared replicas of a replica are replicas."""

    def __init__(self) -> None:
        self._parent: dict[_Name, _Name] = {}

    def join(self, first: _Name, *others: _Name) -> None:
        for name in (first, *others):
            self._parent.setdefault(name, name)
        for name in others:
            self._parent[self.root(name)] = self.root(first)

    def root(self, name: _Name) -> _Name:
        while (parent := self._parent[name]) != name:
            name = parent
        return name


def _families(replicas: object) -> dict[str, str]:
    """Server → the family that the list of lists puts it into."""
    joined, groups = _Families(), _checked(replicas)
    for group in groups:
        joined.join(*[("name", name) for name in group])
    return {name: joined.root(("name", name))[1] for group in groups for name in group}


def _checked(replicas: object) -> list[list[str]]:
    groups: list[object] = list(cast("Iterable[object]", replicas)) if _is_list(replicas) else [None]
    if groups and all(isinstance(group, str) for group in groups):
        raise ConfigError(
            f"replicas={replicas!r} is a list of names, not a list of groups.", key="replicas",
            fix=f"Write replicas=[{groups!r}].",
        )  # fmt: skip
    for group in groups:
        members: list[object] = list(cast("Iterable[object]", group)) if _is_list(group) else []
        if not members or not all(isinstance(name, str) for name in members):
            raise ConfigError(
                f"replicas={replicas!r} is not a list of groups of server names.", key="replicas",
                fix='Write True, or groups such as replicas=[["a", "b"], ["c", "d"]].',
            )  # fmt: skip
    return cast("list[list[str]]", groups)


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple, set, frozenset))
