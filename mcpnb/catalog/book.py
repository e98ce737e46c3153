"""The catalog itself: what a name means, who offers it, whether arguments fit, what is in conflict."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, NoReturn

from mcpnb.catalog import justify
from mcpnb.catalog.checking import Checker
from mcpnb.catalog.choices import Choices
from mcpnb.catalog.entry import ToolEntry
from mcpnb.catalog.ledger import Ledger
from mcpnb.catalog.merging import MergedEntry, takers
from mcpnb.catalog.pins import Pins
from mcpnb.catalog.replicas import Group, Replicas, listed
from mcpnb.catalog.resolution import Conflict, Kind, Resolution
from mcpnb.errors import ToolChanged, ToolNotFound
from mcpnb.model import Event, ToolRef


class Catalog(Ledger):
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
        super().__init__(replicas, policy, choices, pins, now)
        self._on_event = on_event
        self._checker = Checker(self._unchecked)

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
        choice = self._sections[kind].choice(name)
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

    # ---------------------------------------------------------------- inside

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
