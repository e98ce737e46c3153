"""Where an entry is found again: by its tool's name, and by the text `server:tool`, which is never split."""

from __future__ import annotations

from collections.abc import Iterable, KeysView

from mcpnb.catalog.entry import ToolEntry
from mcpnb.model import ToolRef


class Index:
    """Entries by name and by text. Two pairs may have one text; both are then found."""

    def __init__(self) -> None:
        self._by_name: dict[str, dict[str, ToolEntry]] = {}
        self._by_text: dict[str, dict[ToolRef, ToolEntry]] = {}

    @property
    def names(self) -> KeysView[str]:
        """Every tool's name, in the order in which they came."""
        return self._by_name.keys()

    @property
    def texts(self) -> KeysView[str]:
        """Every `server:tool`."""
        return self._by_text.keys()

    def swap(self, old: Iterable[ToolEntry], new: Iterable[ToolEntry]) -> None:
        """Take some entries out and others in."""
        for entry in old:
            self._drop(entry.ref)
        for entry in new:
            self._by_name.setdefault(entry.name, {})[entry.server] = entry
            self._by_text.setdefault(str(entry.ref), {})[entry.ref] = entry

    def named(self, name: str) -> dict[str, ToolEntry]:
        """Server → its entry of that name."""
        return self._by_name.get(name, {})

    def written(self, text: str) -> tuple[ToolEntry, ...]:
        """The entries whose pair reads like this text."""
        return tuple(self._by_text.get(text, {}).values())

    def _drop(self, ref: ToolRef) -> None:
        named, written = self._by_name[ref.tool], self._by_text[str(ref)]
        del named[ref.server], written[ref]
        if not named:
            del self._by_name[ref.tool]
        if not written:
            del self._by_text[str(ref)]
