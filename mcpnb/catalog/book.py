"""The catalog itself: what each server offers, which replica group a name means, what is in conflict.

Purely a ledger. Listings come in through `update`, and each change gives back the events to show. A server
that is down keeps its last known entries, so that an error can say why it cannot be used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Any, NoReturn

from mcpnb.catalog import changes, justify
from mcpnb.catalog.checking import Checker
from mcpnb.catalog.choices import Choices
from mcpnb.catalog.choosing import Choice, choose
from mcpnb.catalog.documents import Documents, prompts_of, resources_of
from mcpnb.catalog.entry import Entry, ToolEntry, tools_of
from mcpnb.catalog.index import EntryT
from mcpnb.catalog.merging import MergedEntry, takers
from mcpnb.catalog.pins import Pins
from mcpnb.catalog.policies import policy_of
from mcpnb.catalog.replicas import Declarations, Group, Replicas, grouped, listed
from mcpnb.catalog.resolution import Conflict, Kind, Resolution
from mcpnb.catalog.section import Section
from mcpnb.catalog.tools import Tools
from mcpnb.errors import ToolChanged, ToolNotFound
from mcpnb.model import Event, ToolRef

if TYPE_CHECKING:
    from mcp_types import Tool


@dataclass(slots=True)
class _Shelf:
    """What the catalog knows of a server, apart from what it offers."""

    position: int
    group: str | None = None
    priority: int = 0
    """As its config says."""
    heard: bool = False
    """Whether a listing ever came."""


class Catalog:
    """Everything that all servers offer.

    Args:
        replicas: Which servers are replicas of each other: True for all that offer the same capability, or a
            list of lists of names. None takes what each server's config says; False declares none.
        policy: What a name means that different servers offer; one of `POLICIES`.
        choices: What was chosen before: policies of single names, preferences, priorities; `policy` is then
            what they say.
        pins: Refuse tools that changed since they were approved; None takes them as they come.
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
        policy: str | None = None,
        choices: Choices | None = None,
        pins: Pins | None = None,
        on_event: Callable[[Event], None] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        given = choices or Choices()
        self.choices = given if policy is None else given.resolved("tool", "*", policy)
        """Change them with `adopt`."""
        policy_of(self.choices.policy)
        self.pins = pins
        self._declared = Declarations(replicas)
        self._on_event, self._now = on_event, now
        self._checker = Checker(self._unchecked)
        self._shelves: dict[str, _Shelf] = {}
        self._positions = count()
        self._priorities: dict[str, int] = {}
        self._tools = Tools(self._judge, self._position, pins)
        self._resources = Section[Entry]("resource", self._judge, self._position)
        self._prompts = Section[Entry]("prompt", self._judge, self._position)
        self._sections: Mapping[Kind, Section[Any]] = {
            "tool": self._tools, "resource": self._resources, "prompt": self._prompts,
        }  # fmt: skip
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
        elif (shelf.group, shelf.priority) == (replica_group, priority):
            return []
        shelf.group, shelf.priority, self._stale = replica_group, priority, True
        self._priorities[server] = self.choices.priorities.get(server, priority)
        return self._settle(self._names_of(server), at=self._now())

    def update(
        self,
        server: str,
        tools: Sequence[Tool],
        *,
        version: str | None = None,
        replica_group: str | None = None,
        documents: Documents | None = None,
        at: float,
    ) -> list[Event]:
        """Take in a whole listing of a server.

        Args:
            server: Whose listing it is; declared last when it is new.
            tools: All of its tools, every page.
            version: The server's own version, for capabilities that have none.
            replica_group: From the server's config; None leaves what was declared.
            documents: Its resources, templates and prompts.
            at: Unix time, for the events.

        Returns:
            One event for each kind of which anything changed, and the conflicts that came, changed or went.
        """
        regrouped = self._place(server, replica_group)
        self._shelves[server].heard = True
        offered, doubled = tools_of(server, tools, version)
        papers = documents or Documents()
        told, names = self._held(offered.values(), at)
        for events, moved in (
            self._put(self._tools, server, offered, doubled, at),
            self._put(self._resources, server, resources_of(server, papers, version), (), at),
            self._put(self._prompts, server, prompts_of(server, papers, version), (), at),
        ):
            told += events
            names += moved
        return [*regrouped, *told, *self._settle(names, at=at)]

    def remove(self, server: str, *, at: float) -> list[Event]:
        """Forget a server and everything it offers. What was chosen for it stays, should it come back."""
        if self._shelves.pop(server, None) is None:
            return []
        del self._priorities[server]
        self._stale = True
        told: list[Event] = []
        names: list[tuple[Kind, str]] = []
        for kind, section in self._sections.items():
            gone = section.drop(server)
            if change := changes.between(gone, {}):
                told.append(justify.changed(kind, server, change, (), at=at))
            names += self._of(section, gone)
        return [*told, *self._settle(names, at=at)]

    def adopt(self, choices: Choices, *, at: float) -> list[Event]:
        """Resolve names by other choices from now on; the conflicts that came out otherwise."""
        self.choices = choices
        for server, shelf in self._shelves.items():
            self._priorities[server] = choices.priorities.get(server, shelf.priority)
        contested = (self._of(section, section.contested) for section in self._sections.values())
        return self._settle(chain.from_iterable(contested), at=at)

    def approve(self, name: str, *, at: float) -> list[Event]:
        """Take a tool (`tool` at every server, or `server:tool`) as it is now.

        Raises:
            ToolNotFound: Nobody offers it.
        """
        entries = self.providers(name)
        for entry in entries:
            if self.pins:
                self.pins.approve(entry)
        return self._settle(self._of(self._tools, [entry.name for entry in entries]), at=at)

    # ---------------------------------------------------------------- what is asked

    def resolve(self, name: str, *, server: str | None = None, version: str | None = None) -> Resolution:
        """What a name means: `tool`, or `server:tool` when exactly such a pair exists.

        Args:
            name: The text.
            server: Only what this server calls so.
            version: A specifier: among several groups, the best ranked one that has such a version.

        Raises:
            ToolNotFound: When nobody offers it; suggests near names.
            AmbiguousTool: When the policy chooses none of several, or a text names several pairs.
            ToolChanged: When all that it could mean is held.
            NoServerAvailable: No group has such a version; a line per server.
        """
        if server is not None:
            return self._tools.at(name, server) or self._nothing_at(name, server)
        return self._tools.resolve(name, version) or self._nothing(name)

    def resolve_document(
        self, kind: Kind, wanted: str, offers: Mapping[str, str], *, version: str | None = None
    ) -> tuple[str, tuple[str, ...], str]:
        """What a URI or a prompt's name means.

        Args:
            kind: `resource` or `prompt`.
            wanted: The text.
            offers: Server → what the server lists it as: itself, or the template that it fits. A listing
                that names it goes before templates.
            version: As for `resolve`.

        Returns:
            What it is listed as, the candidates in order, and how the choice fell.

        Raises:
            ToolNotFound: None of these servers has said so yet.
            AmbiguousTool: When the policy chooses none of several.
            NoServerAvailable: No group has such a version; a line per server.
        """
        return self._sections[kind].resolve_one(wanted, offers, version, self._now())

    def providers(self, name: str) -> tuple[ToolEntry, ...]:
        """Every server's entry for a name, in the order of declaration, whatever the policy says.

        Raises:
            ToolNotFound: When nobody offers it; suggests near names.
        """
        return self._tools.providers(name) or self._nothing(name)

    def offered(self, kind: Kind, name: str, server: str) -> None:
        """Nothing, when a server offers that or has not said yet what it offers.

        Raises:
            ToolNotFound: It does not.
        """
        section, shelf = self._sections[kind], self._shelves.get(server)
        if name not in section.offers(server) and (shelf is None or shelf.heard):
            note = justify.offered_by(section.index.named(name))
            raise ToolNotFound(str(ToolRef(server, name)), section.offers(server), kind=kind, note=note)

    def priority(self, server: str) -> int:
        """A server's priority: as it was chosen, else as its config says."""
        return self._priorities.get(server, 0)

    def versions(self, server: str, version: str | None) -> dict[str, str]:
        """Versions of what has another than its server, by the names that routing knows it by."""
        return {
            name if kind == "tool" else f"{kind} {name}": entry.version
            for kind, section in self._sections.items()
            for name, entry in section.offers(server).items()
            if entry.version not in {None, version}
        }

    def check(self, entry: ToolEntry, arguments: Mapping[str, object]) -> None:
        """Nothing, when the arguments fit the entry's schema or the schema cannot be used.

        Raises:
            ArgumentError: Names the field and says what is wrong with it.
            ToolChanged: The tool is not what it was when it was approved.
        """
        if self.pins and (what := self.pins.held.get(entry.ref)):
            raise ToolChanged(entry.name, {entry.server: what})
        if isinstance(entry, MergedEntry):
            takers(entry, tuple(entry.parts), dict(arguments), self.check)
        else:
            self._checker.check(entry, arguments)

    def fit(self, resolution: Resolution, arguments: dict[str, Any]) -> Resolution:
        """Check a call's arguments; of a merged tool only the servers that may get it are left.

        Raises as `check` does.
        """
        entry = resolution.entry
        if not isinstance(entry, MergedEntry):
            self.check(entry, arguments)
            return resolution
        servers, dropped = takers(entry, resolution.servers, arguments, self.check)
        note = f"; {listed(dropped)} not told to those that do not know it" if dropped else ""
        return Resolution(entry, servers, resolution.note + note)

    @property
    def names(self) -> tuple[str, ...]:
        """Every tool name, without servers, in the order in which they came."""
        return tuple(self._tools.index.names)

    @property
    def entries(self) -> tuple[ToolEntry, ...]:
        """Every tool's entry, by server in the order of declaration."""
        # Copies: a notebook's thread looks while the loop takes listings in.
        return tuple(
            entry for server in list(self._shelves) for entry in list(self._tools.offers(server).values())
        )

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """The names that now mean one of several different things, the latest last."""
        found = chain.from_iterable(section.conflicts for section in self._sections.values())
        return tuple(sorted(found, key=lambda conflict: conflict.at))

    def groups(self, kind: Kind, name: str) -> tuple[Group, ...]:
        """Everything that a name could mean, best first."""
        choice = self._sections[kind].choices.get(name)
        return choice.groups if choice else ()

    def selected(self, entry: ToolEntry) -> bool:
        """Whether the bare name means the group that this entry is in."""
        return self._tools.selected(entry)

    def replicas_of(self, entry: ToolEntry) -> tuple[str, ...]:
        """The servers of the entry's replica group, itself included."""
        groups = self.groups("tool", entry.name)
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
        return self.declare(server, replica_group=replica_group, priority=shelf.priority)

    def _held(self, entries: Iterable[ToolEntry], at: float) -> tuple[list[Event], list[tuple[Kind, str]]]:
        """Compare tools with their pins; what to tell of those held from now on, and names this moves."""
        if self.pins is None:
            return [], []
        before = set(self.pins.held)
        newly = self.pins.see(entries)
        moved = self._of(self._tools, [ref.tool for ref in before ^ set(self.pins.held)])
        return [justify.held(entry, self.pins.held[entry.ref], at=at) for entry in newly], moved

    def _put(
        self,
        section: Section[EntryT],
        server: str,
        new: Mapping[str, EntryT],
        doubled: Sequence[str],
        at: float,
    ) -> tuple[list[Event], list[tuple[Kind, str]]]:
        """Take in what a server offers of one kind; what to tell of it, and the names that it moves."""
        old = section.offers(server)
        change = section.put(server, new)
        if not change:
            return [], []
        return [justify.changed(section.kind, server, change, doubled, at=at)], self._of(
            section, [*old, *new]
        )

    @staticmethod
    def _of(section: Section[Any], names: Iterable[str]) -> list[tuple[Kind, str]]:
        return [(section.kind, name) for name in names]

    def _names_of(self, server: str) -> list[tuple[Kind, str]]:
        offered = (self._of(section, section.offers(server)) for section in self._sections.values())
        return [*chain.from_iterable(offered)]

    def _settle(self, names: Iterable[tuple[Kind, str]], *, at: float) -> list[Event]:
        """Resolve these names anew; the events are of those whose conflict came, changed or went."""
        names = dict.fromkeys([*names, *self._regrouped()])
        if not names:
            return []
        self.version += 1
        return [event for kind, name in names if (event := self._sections[kind].settle(name, at))]

    def _regrouped(self) -> list[tuple[Kind, str]]:
        """Names that may be grouped otherwise, because declarations came or went."""
        if not self._stale:
            return []
        self._stale = False
        moved = self._declared.learn({server: shelf.group for server, shelf in self._shelves.items()})
        return [name for server in moved if server in self._shelves for name in self._names_of(server)]

    def _judge(self, kind: Kind, name: str, entries: Sequence[Entry], at: float) -> Choice:
        policy, terms = self.choices.of(kind, name, self._priorities)
        groups = grouped(entries, self._declared, self._tools.fingerprint)
        return choose(kind, name, groups, policy, terms, at=at)

    def _position(self, server: str) -> int:
        return self._shelves[server].position

    def _nothing(self, name: str) -> NoReturn:
        silent = [server for server, shelf in self._shelves.items() if not shelf.heard]
        raise self._tools.missing(name, justify.silent(silent))

    def _nothing_at(self, name: str, server: str) -> NoReturn:
        shelf = self._shelves.get(server)
        if shelf is None:
            raise self._tools.missing_at(
                name, server, justify.no_such_server(server, self._shelves), known=False
            )
        silent = justify.silent([] if shelf.heard else [server])
        raise self._tools.missing_at(name, server, silent, known=True)

    def _unchecked(self, entry: ToolEntry, why: str) -> None:
        if self._on_event:
            self._on_event(justify.unchecked(entry, why, at=self._now()))
