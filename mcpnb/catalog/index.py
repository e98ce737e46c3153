"""Where an entry is found again: by its name, and by the text `server:name`, which is never split."""

from __future__ import annotations

from collections.abc import Iterable, KeysView
from typing import Generic, TypeVar

from mcpnb.catalog.entry import Entry
from mcpnb.model import ToolRef

EntryT = TypeVar("EntryT", bound=Entry)


class Index(Generic[EntryT]):
    """Entries by name and by text. Two pairs may have one text; both are then found."""

    def __init__(self) -> None:
        self._by_name: dict[str, dict[str, EntryT]] = {}
        self._by_text: dict[str, dict[ToolRef, EntryT]] = {}

    @property
    def names(self) -> KeysView[str]:
        """Every name, in the order in which they came."""
        return self._by_name.keys()

    @property
    def texts(self) -> KeysView[str]:
        """Every `server:name`."""
        return self._by_text.keys()

    def swap(self, old: Iterable[EntryT], new: Iterable[EntryT]) -> None:
        """Take some entries out and others in."""
        for entry in old:
            self._drop(entry.ref)
        for entry in new:
            self._by_name.setdefault(entry.name, {})[entry.server] = entry
            self._by_text.setdefault(str(entry.ref), {})[entry.ref] = entry

    def named(self, name: str) -> dict[str, EntryT]:
        """Server → its entry of that name."""
        return self._by_name.get(name, {})

    def written(self, text: str) -> tuple[EntryT, ...]:
        """The entries whose pair reads like this text."""
        return tuple(self._by_text.get(text, {}).values())

    def _drop(self, ref: ToolRef) -> None:
        named, written = self._by_name[ref.tool], self._by_text[str(ref)]
        del named[ref.server], written[ref]
        if not named:
            del self._by_name[ref.tool]
        if not written:
            del self._by_text[str(ref)]
