"""One kind of capabilities in the catalog: who offers what under which name, and what each name means.

It owns entries and choices. How a name is judged it is told; which call goes where it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Generic

from mcpnb.catalog import justify
from mcpnb.catalog.changes import Changes, between
from mcpnb.catalog.choosing import Choice
from mcpnb.catalog.entry import Entry
from mcpnb.catalog.index import EntryT, Index
from mcpnb.catalog.resolution import Conflict, Kind
from mcpnb.errors import AmbiguousTool, ToolNotFound
from mcpnb.model import Event

Judge = Callable[[Kind, str, Sequence[Entry], float], Choice]
"""Chooses among the entries of a name, in the order of their servers' declaration."""


class Section(Generic[EntryT]):
    """Everything of one kind that all servers offer.

    Args:
        kind: Of what.
        judge: Says what a name means.
        position: A server's place in the order of declaration.
    """

    def __init__(self, kind: Kind, judge: Judge, position: Callable[[str], int]) -> None:
        self.kind: Kind = kind
        self._judge, self._position = judge, position
        self.index = Index[EntryT]()
        self._choices: dict[str, Choice] = {}  # of names that more than one server has, or had
        self._offers: dict[str, dict[str, EntryT]] = {}

    def offers(self, server: str) -> Mapping[str, EntryT]:
        """What a server offers, by name."""
        return self._offers.get(server, {})

    def put(self, server: str, offered: Mapping[str, EntryT]) -> Changes:
        """Take in all that a server offers now; what is as it was keeps its entry."""
        old = self._offers.get(server, {})
        change = between(old, offered)
        if change:
            new = {name: old[name] if old.get(name) == entry else entry for name, entry in offered.items()}
            self.index.swap(old.values(), new.values())
            self._offers[server] = new
        return change

    def drop(self, server: str) -> Mapping[str, EntryT]:
        """Forget a server; what it offered."""
        gone = self._offers.pop(server, {})
        self.index.swap(gone.values(), ())
        return gone

    def named(self, name: str) -> Sequence[EntryT]:
        """The entries of that name, in the order of their servers' declaration."""
        found = self.index.named(name).values()
        return sorted(found, key=lambda entry: self._position(entry.ref.server))

    def resolve_one(
        self, wanted: str, offers: Mapping[str, str], version: str | None, at: float
    ) -> tuple[str, tuple[str, ...], str]:
        """What a text means that servers may list as something else; see `Catalog.resolve_document`."""
        exact = {server: wanted for server, name in offers.items() if name == wanted}
        found = [self.offers(server).get(name) for server, name in (exact or offers).items()]
        entries = sorted((each for each in found if each), key=lambda each: self._position(each.ref.server))
        if not entries:  # a listing that has not been taken in yet
            raise ToolNotFound(wanted, self.index.names, kind=self.kind)
        names = {entry.name for entry in entries}
        choice = self._judge(self.kind, names.pop() if len(names) == 1 else wanted, entries, at)
        group, because = choice.fitting(wanted, version)
        if group is None:
            raise AmbiguousTool(wanted, [entry.server for entry in entries])
        return group.entries[0].name, group.servers, choice.note(group, because)

    @property
    def contested(self) -> list[str]:
        """Names that more than one server has."""
        return [name for name in self.index.names if len(self.index.named(name)) > 1]

    @property
    def conflicts(self) -> list[Conflict]:
        """The names that now mean one of several different things."""
        # A copy: a notebook's thread looks while the loop takes listings in.
        return [choice.conflict for choice in list(self._choices.values()) if choice.conflict]

    def choice(self, name: str) -> Choice | None:
        """What a name means; None when nobody offers it."""
        if found := self._choices.get(name):
            return found
        entries = self.named(name)
        return self._judge(self.kind, name, entries, 0.0) if entries else None

    def settle(self, name: str, at: float) -> Event | None:
        """Judge a name anew; the event tells of a conflict that came, changed or went.

        What only one server has is judged when it is asked for: servers may list ten thousand tools, and
        there is nothing to tell of them.
        """
        before = self._choices.pop(name, None)
        was = before.conflict if before else None
        if was is None and len(self.index.named(name)) == 1:
            return None
        if entries := self.named(name):
            choice = self._judge(self.kind, name, entries, at)
            if was and choice.conflict and replace(choice.conflict, at=was.at) == was:
                choice = replace(choice, conflict=was)
            self._choices[name] = choice
            now = choice.conflict
        else:
            now = None
        if now is was:
            return None
        return justify.conflict(now) if now else justify.conflict_gone(was, at=at) if was else None
