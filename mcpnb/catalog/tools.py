"""The tools of all servers: what a text in a call means, kept ready because every call asks.

It owns resolutions: of bare names, of `server:tool` pairs, and of names with a demanded version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mcpnb.catalog import justify
from mcpnb.catalog.choosing import Choice
from mcpnb.catalog.entry import Entry, ToolEntry
from mcpnb.catalog.merging import merged
from mcpnb.catalog.pins import Pins
from mcpnb.catalog.resolution import Resolution
from mcpnb.catalog.section import Judge, Section
from mcpnb.errors import AmbiguousTool, ToolChanged, ToolNotFound
from mcpnb.model import Event, ToolRef


class Tools(Section[ToolEntry]):
    """Everything about tools; see `Section`.

    Args:
        judge: Says what a name means.
        position: A server's place in the order of declaration.
        pins: Which tools are held.
    """

    def __init__(self, judge: Judge, position: Callable[[str], int], pins: Pins | None) -> None:
        super().__init__("tool", judge, position)
        self._pins = pins
        self._resolutions: dict[str, Resolution] = {}  # of the names that mean something
        self._demanded: dict[tuple[str, str], Resolution] = {}  # of names with a version
        self._pairs: dict[ToolRef, Resolution] = {}
        self._tuples: dict[tuple[str, ...], tuple[str, ...]] = {}

    def settle(self, name: str, at: float) -> Event | None:
        """See `Section.settle`."""
        event = super().settle(name, at)
        self._resolutions.pop(name, None)
        self._demanded.clear()
        return event

    def resolve(self, name: str, version: str | None) -> Resolution | None:
        """What a text means; None when nobody offers it.

        Raises as `Catalog.resolve` does.
        """
        if ":" in name and (pairs := self.index.written(name)):
            # A pair wins over a tool that calls itself like one: `:` is not legal in a tool's name.
            if pairs[1:]:
                raise AmbiguousTool(name, [entry.server for entry in pairs])
            return self._pair(pairs[0])
        if version is not None and (choice := self.choice(name)):
            return self._demanding(name, choice, version)
        if found := self._resolutions.get(name):
            return found
        if choice := self.choice(name):
            return self._resolved(name, choice)
        return None

    def at(self, name: str, server: str) -> Resolution | None:
        """What a server calls so; None when it has no such tool."""
        written = [entry for entry in self.index.written(name) if entry.server == server]
        entry = self.index.named(name).get(server) or next(iter(written), None)
        return self._pair(entry) if entry else None

    def providers(self, name: str) -> tuple[ToolEntry, ...]:
        """Every entry that a text may mean, in the order of declaration."""
        written = self.index.written(name) if ":" in name else ()
        return tuple(sorted(written, key=lambda entry: self._position(entry.server))) or tuple(
            self.named(name)
        )

    def selected(self, entry: ToolEntry) -> bool:
        """Whether a bare name means (also) this entry."""
        choice = self.choice(entry.name)
        return choice is not None and entry.server in choice.servers

    def fingerprint(self, entry: Entry) -> str:
        """The fingerprint by which an entry is grouped."""
        if self._pins and self._pins.held and isinstance(entry, ToolEntry):
            return self._pins.fingerprint(entry)
        return entry.fingerprint

    def missing(self, name: str, note: str) -> ToolNotFound:
        """That nobody offers it, with near names."""
        known = [*self.index.names, *(self.index.texts if ":" in name else ())]
        return ToolNotFound(name, known, note=note)

    def missing_at(self, name: str, server: str, note: str, *, known: bool) -> ToolNotFound:
        """That a server does not offer it, with what it does offer and who else does."""
        text = str(ToolRef(server, name))
        if not known:
            return ToolNotFound(text, note=note)
        near = [str(entry.ref) for entry in self.offers(server).values()]
        return ToolNotFound(text, near, note=justify.offered_by(self.index.named(name)) + note)

    def _resolution(
        self, name: str, choice: Choice, servers: tuple[str, ...], note: str
    ) -> Resolution | None:
        """A resolution to these servers but the held ones; None when nobody is left."""
        held = self._pins.held if self._pins else {}
        allowed = (
            tuple(server for server in servers if ToolRef(server, name) not in held) if held else servers
        )
        if not allowed:
            return None
        named = self.index.named(name)
        entry = merged([named[server] for server in allowed]) if choice.merged else named[allowed[0]]
        return Resolution(entry, self._tuples.setdefault(allowed, allowed), note)

    def _resolved(self, name: str, choice: Choice) -> Resolution:
        """What the policy chose, kept for the next call."""
        found = self._resolution(name, choice, choice.servers, choice.note())
        if found is None:
            raise self._refused(name, choice.servers)
        self._resolutions[name] = found
        return found

    def _demanding(self, name: str, choice: Choice, version: str) -> Resolution:
        """The best ranked group that has such a version."""
        if found := self._demanded.get((name, version)):
            return found
        group, because = choice.fitting(name, version)
        servers = choice.servers if choice.merged or group is None else group.servers
        found = self._resolution(name, choice, servers, choice.note(group, because))
        if found is None:
            raise self._refused(name, servers)
        self._demanded[name, version] = found
        return found

    def _refused(self, name: str, servers: Sequence[str]) -> AmbiguousTool | ToolChanged:
        """Why a name that is offered means nothing."""
        held = self._pins.held if self._pins else {}
        changed = {server: held[ref] for server in servers if (ref := ToolRef(server, name)) in held}
        if changed:
            return ToolChanged(name, changed)
        return AmbiguousTool(name, [entry.server for entry in self.named(name)])

    def _pair(self, entry: ToolEntry) -> Resolution:
        found = self._pairs.get(entry.ref)
        if found is None or found.entry is not entry:
            servers = found.servers if found else (entry.server,)
            found = self._pairs[entry.ref] = Resolution(entry, servers)
        return found
