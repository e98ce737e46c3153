"""Tools that stand in for another one when nobody answers for it.

It owns who stands in for whom and with which arguments. When that is needed is the dispatcher's to decide.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from mcpnb.catalog import Catalog, Resolution, ToolEntry
from mcpnb.errors import AmbiguousTool, ArgumentError, ToolChanged, ToolNotFound
from mcpnb.model import Alternative, Event


class StandIn(NamedTuple):
    """An alternative that fits a call."""

    entry: ToolEntry
    servers: tuple[str, ...]
    arguments: dict[str, Any]

    @property
    def alternative(self) -> Alternative:
        """What routing has to know of it."""
        return Alternative(self.entry.name, self.servers, self.entry.read_only or self.entry.idempotent)


class Fallbacks:
    """Declared alternatives by tool."""

    def __init__(self, catalog: Catalog, tell: Callable[[Event], None]) -> None:
        self._catalog, self._tell = catalog, tell
        self._declared: dict[str, tuple[str, ...]] = {}
        self._told: set[tuple[str, str, str]] = set()

    def declare(self, tool: str, alternatives: Sequence[str]) -> None:
        """Try these, in this order, when nobody answers for `tool`; an empty list takes that back.

        Raises:
            ValueError: The tool would stand in for itself.
        """
        if not isinstance(alternatives, str | Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"alternatives are a list of tools' names, not {alternatives!r}")
        names = (alternatives,) if isinstance(alternatives, str) else tuple(alternatives)
        if not all(isinstance(name, str) for name in (tool, *names)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"tools are named by texts, not {(tool, *names)!r}")
        if tool in names:
            raise ValueError(f"{tool!r} cannot stand in for itself")
        if names:
            self._declared[tool] = names
        else:
            self._declared.pop(tool, None)

    def __contains__(self, tool: object) -> bool:
        return tool in self._declared

    def first(self, tool: str) -> ToolEntry | None:
        """The first alternative that somebody has; None when nobody has any."""
        for name in self._declared.get(tool, ()):
            with suppress(ToolNotFound, AmbiguousTool, ToolChanged):
                return self._catalog.resolve(name).entry
        return None

    def of(self, tool: str, arguments: Mapping[str, Any]) -> list[StandIn]:
        """The alternatives that are there and take these arguments; the others are told of, once each."""
        found: list[StandIn] = []
        for name in self._declared.get(tool, ()):
            try:
                found.append(self._fit(tool, self._catalog.resolve(name), arguments))
            except (ToolNotFound, AmbiguousTool, ToolChanged, ArgumentError) as problem:
                self._unfit(tool, name, str(problem))
        return found

    def _fit(self, tool: str, resolution: Resolution, arguments: Mapping[str, Any]) -> StandIn:
        """Hand over the arguments that the other tool knows; it must be able to do without the rest."""
        entry = resolution.entry
        if entry.name == tool:
            raise ArgumentError(
                tool, "", "a stand-in has another name; prefer() says who is meant by this one"
            )
        known = {parameter.name for parameter in entry.parameters}
        fitting = {name: value for name, value in arguments.items() if name in known}
        return StandIn(entry, self._catalog.fit(resolution, fitting).servers, fitting)

    def _unfit(self, tool: str, name: str, why: str) -> None:
        if (tool, name, why) not in self._told:
            self._told.add((tool, name, why))
            self._tell(Event(time.time(), "fallback", None, f"{name} cannot stand in for {tool}: {why}"))
