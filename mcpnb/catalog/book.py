"""The catalog itself: what each server offers, which replica group a name means, what is in conflict.

Purely a ledger. Listings come in through `update`, and each change gives back the events to show. A server
that is down keeps its last known entries, so that an error can say why it cannot be used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING

from mcpnb.catalog import changes, justify
from mcpnb.catalog.checking import Checker
from mcpnb.catalog.choosing import Choice, choose
from mcpnb.catalog.entry import ToolEntry, from_tool
from mcpnb.catalog.index import Index
from mcpnb.catalog.policies import Policy, policy_of
from mcpnb.catalog.replicas import Declarations, Replicas, grouped
from mcpnb.catalog.resolution import Conflict, Resolution
from mcpnb.errors import AmbiguousTool, ToolNotFound
from mcpnb.model import Event, ToolRef

if TYPE_CHECKING:
    from mcp_types import Tool


@dataclass(slots=True)
class _Shelf:
    """What the catalog keeps of one server."""

    position: int
    group: str | None = None
    heard: bool = False
    """Whether a listing ever came."""
    tools: dict[str, ToolEntry] = field(default_factory=dict[str, ToolEntry])


class Catalog:
    """Everything that all servers offer.

    Args:
        replicas: Which servers are replicas of each other: True for all that offer the same capability, or a
            list of lists of names. None takes what each server's config says; False declares none.
        policy: What a name means that different tools have; one of `POLICIES`.
        on_event: Told when arguments cannot be checked before sending.
        now: Unix time, for such an event.

    Raises:
        ValueError: For an unknown policy; lists the known ones.
        ConfigError: For replicas of another form.
    """

    def __init__(
        self,
        *,
        replicas: Replicas = None,
        policy: str = "first_server",
        on_event: Callable[[Event], None] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._policy: Policy = policy_of(policy)
        self._declared = Declarations(replicas)
        self._on_event, self._now = on_event, now
        self._checker = Checker(self._unchecked)
        self._shelves: dict[str, _Shelf] = {}
        self._positions = count()
        self._priorities: dict[str, int] = {}
        self._index = Index()
        self._choices: dict[str, Choice] = {}
        self._resolutions: dict[str, Resolution] = {}  # of the names that mean something
        self._pairs: dict[ToolRef, Resolution] = {}
        self._tuples: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._stale = False  # declarations came or went since the last grouping
        self.version = 0
        """Grows with each change."""

    # ---------------------------------------------------------------- what comes in

    def declare(self, server: str, *, replica_group: str | None = None, priority: int = 0) -> list[Event]:
        """Fix the server's place in the order, its replica group and priority, before its listing arrives.

        Returns:
            The conflicts that a late change of group or priority brought.
        """
        shelf = self._shelves.get(server)
        if shelf is None:
            shelf = self._shelves[server] = _Shelf(next(self._positions))
        elif (shelf.group, self._priorities[server]) == (replica_group, priority):
            return []
        shelf.group, self._priorities[server], self._stale = replica_group, priority, True
        return self._settle(shelf.tools, at=self._now())

    def update(
        self,
        server: str,
        tools: Sequence[Tool],
        *,
        version: str | None = None,
        replica_group: str | None = None,
        at: float,
    ) -> list[Event]:
        """Take in a whole listing of a server.

        Args:
            server: Whose listing it is; declared last when it is new.
            tools: All of its tools, every page.
            version: The server's own version, for tools that have none.
            replica_group: From the server's config; None leaves what was declared.
            at: Unix time, for the events.

        Returns:
            One `tools_changed` when anything changed, and the conflicts that came, changed or went.
        """
        regrouped = self._place(server, replica_group)
        shelf = self._shelves[server]
        new, doubled = _entries(server, tools, version)
        change = changes.between(shelf.tools, new)
        shelf.heard = True
        if not change:
            return regrouped
        old = shelf.tools
        shelf.tools = {name: old[name] if old.get(name) == entry else entry for name, entry in new.items()}
        self._index.swap(old.values(), shelf.tools.values())
        told = justify.tools_changed(server, change, doubled, at=at)
        return [*regrouped, told, *self._settle(dict.fromkeys([*old, *new]), at=at)]

    def remove(self, server: str, *, at: float) -> list[Event]:
        """Forget a server and everything it offers."""
        shelf = self._shelves.pop(server, None)
        if shelf is None:
            return []
        del self._priorities[server]
        self._stale = True
        self._index.swap(shelf.tools.values(), ())
        change = changes.between(shelf.tools, {})
        told = [justify.tools_changed(server, change, (), at=at)] if change else []
        return [*told, *self._settle(shelf.tools, at=at)]

    # ---------------------------------------------------------------- what is asked

    def resolve(self, name: str, *, server: str | None = None) -> Resolution:
        """What a name means: `tool`, or `server:tool` when exactly such a pair exists.

        Raises:
            ToolNotFound: When nobody offers it; suggests near names.
            AmbiguousTool: When the policy chooses none of several, or a text names several pairs.
        """
        if server is not None:
            return self._resolve_at(name, server)
        if ":" in name and (pairs := self._index.written(name)):
            # A pair wins over a tool that calls itself like one: `:` is not legal in a tool's name.
            return self._resolve_text(name, *pairs)
        if found := self._resolutions.get(name):
            return found
        if name in self._choices:
            raise AmbiguousTool(name, [entry.server for entry in self.providers(name)])
        raise self._not_found(name)

    def providers(self, name: str) -> tuple[ToolEntry, ...]:
        """Every server's entry for a name, in the order of declaration, whatever the policy says.

        Raises:
            ToolNotFound: When nobody offers it; suggests near names.
        """
        written = self._index.written(name) if ":" in name else ()
        found = written or tuple(self._index.named(name).values())
        if not found:
            raise self._not_found(name)
        return tuple(sorted(found, key=self._position))

    def check(self, entry: ToolEntry, arguments: Mapping[str, object]) -> None:
        """Nothing, when the arguments fit the entry's schema or the schema cannot be used.

        Raises:
            ArgumentError: Names the field and says what is wrong with it.
        """
        self._checker.check(entry, arguments)

    @property
    def names(self) -> tuple[str, ...]:
        """Every tool name, without servers, in the order in which they came."""
        return tuple(self._index.names)

    @property
    def entries(self) -> tuple[ToolEntry, ...]:
        """Every entry, by server in the order of declaration."""
        return tuple(entry for shelf in self._shelves.values() for entry in shelf.tools.values())

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """The names that now mean one of several different tools, the latest last."""
        found = [choice.conflict for choice in self._choices.values() if choice.conflict]
        return tuple(sorted(found, key=lambda conflict: conflict.at))

    def selected(self, entry: ToolEntry) -> bool:
        """Whether the bare name means the group that this entry is in."""
        found = self._resolutions.get(entry.name)
        return found is not None and entry.server in found.servers

    def replicas_of(self, entry: ToolEntry) -> tuple[str, ...]:
        """The servers of the entry's replica group, itself included."""
        choice = self._choices.get(entry.name)
        groups = choice.groups if choice else ()
        return next((group.servers for group in groups if entry.server in group.servers), ())

    @property
    def unknown_replicas(self) -> tuple[str, ...]:
        """Names in `replicas=[[...]]` that no declared server has: most likely misspelt."""
        return tuple(sorted(self._declared.named - self._shelves.keys()))

    # ---------------------------------------------------------------- inside

    def _place(self, server: str, replica_group: str | None) -> list[Event]:
        shelf = self._shelves.get(server)
        if shelf is None:
            return self.declare(server, replica_group=replica_group)
        if replica_group is None:
            return []
        return self.declare(server, replica_group=replica_group, priority=self._priorities[server])

    def _settle(self, names: Iterable[str], *, at: float) -> list[Event]:
        """Resolve these names anew; the events are of those whose conflict came, changed or went."""
        names = dict.fromkeys([*names, *self._regrouped()])
        if not names:
            return []
        self.version += 1
        events = [event for name in names if (event := self._settle_one(name, at))]
        self._tuples = {found.servers: found.servers for found in self._resolutions.values()}
        return events

    def _regrouped(self) -> list[str]:
        """Names that may be grouped otherwise, because declarations came or went."""
        if not self._stale:
            return []
        self._stale = False
        moved = self._declared.learn({server: shelf.group for server, shelf in self._shelves.items()})
        return [name for server in moved if server in self._shelves for name in self._shelves[server].tools]

    def _settle_one(self, name: str, at: float) -> Event | None:
        before = self._choices.pop(name, None)
        self._resolutions.pop(name, None)
        was = before.conflict if before else None
        entries = sorted(self._index.named(name).values(), key=self._position)
        now = self._choose(name, entries, was, at).conflict if entries else None
        if now is was:
            return None
        return justify.conflict(now) if now else justify.conflict_gone(name, self._policy.name, at=at)

    def _choose(self, name: str, entries: Sequence[ToolEntry], was: Conflict | None, at: float) -> Choice:
        choice = choose(name, grouped(entries, self._declared), self._policy, self._priorities, at=at)
        if was and choice.conflict and replace(choice.conflict, at=was.at) == was:
            choice = replace(choice, conflict=was)
        self._choices[name] = choice
        if choice.chosen:
            servers = self._tuples.setdefault(choice.chosen.servers, choice.chosen.servers)
            self._resolutions[name] = Resolution(choice.chosen.entries[0], servers, choice.note)
        return choice

    def _resolve_text(self, text: str, pair: ToolEntry, *others: ToolEntry) -> Resolution:
        if others:
            raise AmbiguousTool(text, [entry.server for entry in (pair, *others)])
        return self._resolve_pair(pair)

    def _resolve_at(self, name: str, server: str) -> Resolution:
        written = [entry for entry in self._index.written(name) if entry.server == server]
        entry = self._index.named(name).get(server) or next(iter(written), None)
        if entry is None:
            raise self._not_at(name, server)
        return self._resolve_pair(entry)

    def _resolve_pair(self, entry: ToolEntry) -> Resolution:
        found = self._pairs.get(entry.ref)
        if found is None or found.entry is not entry:
            servers = found.servers if found else (entry.server,)
            found = self._pairs[entry.ref] = Resolution(entry, servers)
        return found

    def _position(self, entry: ToolEntry) -> int:
        return self._shelves[entry.ref.server].position

    def _not_found(self, name: str) -> ToolNotFound:
        known = [*self._index.names, *(self._index.texts if ":" in name else ())]
        silent = [server for server, shelf in self._shelves.items() if not shelf.heard]
        return ToolNotFound(name, known, note=justify.silent(silent))

    def _not_at(self, name: str, server: str) -> ToolNotFound:
        text, shelf = str(ToolRef(server, name)), self._shelves.get(server)
        if shelf is None:
            return ToolNotFound(text, note=justify.no_such_server(server, self._shelves))
        note = justify.offered_by(self._index.named(name)) + justify.silent([] if shelf.heard else [server])
        return ToolNotFound(text, [str(entry.ref) for entry in shelf.tools.values()], note=note)

    def _unchecked(self, entry: ToolEntry, why: str) -> None:
        if self._on_event:
            self._on_event(justify.unchecked(entry, why, at=self._now()))


def _entries(
    server: str, tools: Iterable[Tool], version: str | None
) -> tuple[dict[str, ToolEntry], list[str]]:
    """The entries by name, and the names that the listing has more than once (the first one counts)."""
    found: dict[str, ToolEntry] = {}
    doubled: dict[str, None] = {}
    for tool in tools:
        if tool.name in found:
            doubled[tool.name] = None
        else:
            found[tool.name] = from_tool(server, tool, server_version=version)
    return found, list(doubled)
