"""One accent per name, kept everywhere: dashboard, explanations and matplotlib agree on it.

It owns the colours and the order in which names get them. It knows nothing of servers, strategies or charts.

The first four tones differ by hue and lightness, so that they stay apart under protanopia, deuteranopia and
tritanopia; the fifth and later names also get a dash pattern, and charts label lines directly, so that
no reading depends on colour alone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final, NamedTuple


class Tone(NamedTuple):
    """One accent on a light and on a dark surface (contrast at least 4.4 to 1 on both)."""

    light: str
    dark: str


TONES: Final = (
    Tone("#1f6fe5", "#5a9bff"),
    Tone("#b9570c", "#e8953a"),
    Tone("#0b665a", "#8ce5d4"),
    Tone("#7b1fa2", "#b78cf0"),
    Tone("#b55a86", "#f2a0c0"),
    Tone("#5f5300", "#eadf6b"),
    Tone("#46627f", "#a9c6dd"),
    Tone("#1f8a3f", "#86b84e"),
)
DASHES: Final = ("", "5 3", "1.5 2.5")
_NAMES_PER_DASH: Final = 4
FAMILIAR: Final = (
    "p2c", "round_robin", "peak_ewma", "random", "least_request", "thompson", "latency", "weighted",
)  # fmt: skip
"""Strategies whose hue is the same as in a comparison's pictures, as far as there are as many."""


class Accent(NamedTuple):
    """What a name looks like: the place of its tone and its dash pattern (SVG lengths, empty is solid)."""

    slot: int
    dash: str

    @property
    def tone(self) -> Tone:
        """The pair of colours."""
        return TONES[self.slot]

    @property
    def css(self) -> str:
        """The class that sets `color` to this accent."""
        return f"mcpnb-a{self.slot}"


class Palette:
    """Accents by order of first appearance. Safe to ask from any thread."""

    def __init__(self, first: Iterable[str] = ()) -> None:
        """`first`: names whose accents are given away already, in this order."""
        self._places: dict[str, int] = {name: place for place, name in enumerate(first)}
        self._lock = threading.Lock()

    def place(self, name: str) -> int:
        """The place of `name` in the order of first appearance, from 0."""
        place = self._places.get(name)
        if place is None:
            with self._lock:
                place = self._places.setdefault(name, len(self._places))
        return place

    def accent(self, name: str) -> Accent:
        """The accent of `name`, from now on always the same."""
        place = self.place(name)
        return Accent(place % len(TONES), DASHES[min(place // _NAMES_PER_DASH, len(DASHES) - 1)])


SERVERS: Final = Palette()
"""The accents of servers in this process."""

STRATEGIES: Final = Palette(FAMILIAR)
"""The accents of strategies in this process; the best known ones have the same in every process."""


def css_variables() -> tuple[str, str]:
    """The declarations of the accents for a light and for a dark surface."""
    light = "".join(f"--mcpnb-a{n}:{tone.light};" for n, tone in enumerate(TONES))
    dark = "".join(f"--mcpnb-a{n}:{tone.dark};" for n, tone in enumerate(TONES))
    return light, dark
