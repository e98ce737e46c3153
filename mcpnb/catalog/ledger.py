"""What each server offers, kept: listings come in, and each change gives back the events to show.

What a name means is judged anew whenever something about it changed; what is asked stands in `book`. A
server that is down keeps its last known entries, so that an error can say why it cannot be used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from mcpnb.catalog import changes, justify
from mcpnb.catalog.choices import Choices
from mcpnb.catalog.choosing import Choice, choose
from mcpnb.catalog.documents import Documents, prompts_of, resources_of
from mcpnb.catalog.entry import Draft, Entry, ToolEntry, tools_of
from mcpnb.catalog.index import EntryT
from mcpnb.catalog.pins import Pins
from mcpnb.catalog.policies import policy_of
from mcpnb.catalog.replicas import Declarations, Replicas, grouped
from mcpnb.catalog.resolution import Kind
from mcpnb.catalog.section import Section
from mcpnb.catalog.tools import Tools
from mcpnb.model import Event

if TYPE_CHECKING:
    from mcp_types import Tool


@dataclass(slots=True)
class Shelf:
    """What the catalog knows of a server, apart from what it offers."""

    position: int
    group: str | None = None
    priority: int = 0
    """As its config says."""
    heard: bool = False
    """Whether a listing ever came."""


class Ledger:
    """Everything that all servers offer, as they last said; the arguments are those of `Catalog`."""

    def __init__(
        self,
        replicas: Replicas,
        policy: str | None,
        choices: Choices | None,
        pins: Pins | None,
        now: Callable[[], float] = time.time,
    ) -> None:
        given = choices or Choices()
        self.choices = given if policy is None else given.resolved("tool", "*", policy)
        """Change them with `adopt`."""
        policy_of(self.choices.policy)
        self.pins = pins
        self._declared = Declarations(replicas)
        self._now = now
        self._shelves: dict[str, Shelf] = {}
        self._positions = count()
        self._priorities: dict[str, int] = {}
        self._tools = Tools(self._judge, self._position, pins)
        self._sections: Mapping[Kind, Section[Any]] = {
            "tool": self._tools,
            "resource": Section[Entry]("resource", self._judge, self._position),
            "prompt": Section[Entry]("prompt", self._judge, self._position),
        }
        self._stale = False  # declarations came or went since the last grouping
        self.version = 0
        """Grows with each change."""

    def declare(self, server: str, *, replica_group: str | None = None, priority: int = 0) -> list[Event]:
        """Fix the server's place in the order, its replica group and priority, before its listing arrives.

        Returns:
            The conflicts that a late change of group or priority brought.
        """
        shelf = self._shelves.get(server)
        if shelf is None:
            shelf = self._shelves[server] = Shelf(next(self._positions))
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
        drafts: Sequence[Draft] | None = None,
        at: float,
    ) -> list[Event]:
        """Take in a whole listing of a server.

        Args:
            server: Whose listing it is; declared last when it is new.
            tools: All of its tools, every page.
            version: The server's own version, for capabilities that have none.
            replica_group: From the server's config; None leaves what was declared.
            documents: Its resources, templates and prompts.
            drafts: What `draft` gave for each of the tools, where that was done beforehand.
            at: Unix time, for the events.

        Returns:
            One event for each kind of which anything changed, and the conflicts that came, changed or went.
        """
        regrouped = self._place(server, replica_group)
        self._shelves[server].heard = True
        offered, doubled = tools_of(server, tools, version, drafts)
        papers = documents or Documents()
        told, names = self._held(offered.values(), at)
        for events, moved in (
            self._put(self._tools, server, offered, doubled, at),
            self._put(self._sections["resource"], server, resources_of(server, papers, version), (), at),
            self._put(self._sections["prompt"], server, prompts_of(server, papers, version), (), at),
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
