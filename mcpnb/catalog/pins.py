"""What tools were when they were approved, and which are no longer that.

A tool is approved by being seen for the first time, and again by a person. It owns the comparison and the
words of a difference; where pins are kept is somebody else's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mcpnb.catalog.entry import ToolEntry
from mcpnb.catalog.words import cut
from mcpnb.model import ToolRef

_MAX_KEPT = 4_000
"""Characters of a description that are kept as they are; of a longer one the rest is kept as a digest."""

_BEFORE = 30
_SHOWN = 300
"""Characters that are shown before the place where two texts begin to differ, and in all."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A tool as it was approved."""

    fingerprint: str
    """Of its schemas."""
    description: str
    arguments: str = ""
    """As Python text, to tell people what is different."""


def pin_of(entry: ToolEntry) -> Pin:
    """What is kept of a tool."""
    return Pin(entry.fingerprint, _kept(entry.description), _kept(entry.signature))


def difference(before: Pin, now: Pin) -> str:
    """What is different, in words; empty when nothing is that matters."""
    parts: list[str] = []
    if before.description != now.description:
        parts.append(_told("its description was {}, is {}", before.description, now.description))
    if before.fingerprint != now.fingerprint and before.arguments != now.arguments:
        parts.append(_told("its arguments were {}, are {}", f"({before.arguments})", f"({now.arguments})"))
    elif before.fingerprint != now.fingerprint:
        parts.append("its schemas are not the same")
    return "; ".join(parts)


class Pins:
    """Pins of tools, and the tools that are held because they changed.

    Args:
        known: What was approved before.
    """

    def __init__(self, known: Mapping[ToolRef, Pin] | None = None) -> None:
        self.known = dict(known or {})
        self.held: dict[ToolRef, str] = {}
        """What is different about each tool that is refused."""
        self.version = 0
        """Grows with each new or newly approved tool."""

    def see(self, entries: Iterable[ToolEntry]) -> list[ToolEntry]:
        """Look at what a server offers now; the tools that are held from now on, or for another reason."""
        newly: list[ToolEntry] = []
        for entry in entries:
            now = pin_of(entry)
            before = self.known.get(entry.ref)
            if before is None:
                self._pin(entry.ref, now)
            elif not (what := difference(before, now)):
                self.held.pop(entry.ref, None)
            elif self.held.get(entry.ref) != what:
                self.held[entry.ref] = what
                newly.append(entry)
        return newly

    def approve(self, entry: ToolEntry) -> None:
        """Take a tool as it is now."""
        self.held.pop(entry.ref, None)
        now = pin_of(entry)
        if self.known.get(entry.ref) != now:
            self._pin(entry.ref, now)

    def fingerprint(self, entry: ToolEntry) -> str:
        """The fingerprint by which a tool is grouped: a changed one keeps its place until it is approved."""
        return self.known[entry.ref].fingerprint if entry.ref in self.held else entry.fingerprint

    def _pin(self, ref: ToolRef, pin: Pin) -> None:
        self.known[ref] = pin
        self.version += 1


def _kept(text: str) -> str:
    if len(text) <= _MAX_KEPT:
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"{text[:_MAX_KEPT]}… sha256:{digest}"


def _told(words: str, before: str, now: str) -> str:
    """Both texts from shortly before the place where they begin to differ."""
    pairs = enumerate(zip(before, now, strict=False))
    differ = next((place for place, (one, other) in pairs if one != other), min(len(before), len(now)))
    begin = max(0, differ - _BEFORE)
    return words.format(_from(before, begin), _from(now, begin))


def _from(text: str, begin: int) -> str:
    return repr(("…" if begin else "") + cut(text[begin:], _SHOWN))
