"""Marks on a time axis: what stands together, and where their words have room. Pure.

It owns their order and their places in parts of the plot. It knows no pixels and no colours; `svg` draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from mcpnb.notebook.markup import shorten, visible

_WORDS: Final = 34
"""Characters of a mark's words."""
CHARACTER: Final = 0.0235
"""Their width each as a part of the narrowest plot (270 pixels) in a wide font: nothing measures it."""
_APART: Final = 0.02
"""Marks nearer to each other than this part of a plot share a line."""
_GRAVE: Final = ("bad", "warn", "dim", "good")
"""Tones of marks, the gravest first: of several marks on one line, it has the words."""
_GAP: Final = 0.04
"""Between a line and its words, and between words and what follows."""
_LEFT, _RIGHT = -0.12, 1.38
"""Where words must end that run out of the plot: within its card."""


class Mark(NamedTuple):
    """Something that happened at a place of the time axis."""

    at: float
    """0 (left) to 1 (right)."""
    text: str
    tone: Literal["bad", "warn", "good", "dim"] = "dim"


class Spot(NamedTuple):
    """What stands at one place of the time axis."""

    at: float
    words: str
    title: str
    tone: str


def together(marks: Sequence[Mark]) -> list[Spot]:
    """The marks, with those that would stand on one another as one."""
    groups: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda mark: mark.at):
        if groups and mark.at - groups[-1][0].at < _APART:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    return [_spot(group) for group in groups]


def _spot(group: Sequence[Mark]) -> Spot:
    texts = dict.fromkeys(mark.text for mark in group)
    more = f" +{len(texts) - 1}" if len(texts) > 1 else ""
    told = min(group, key=lambda mark: _GRAVE.index(mark.tone))
    return Spot(
        group[0].at, shorten(visible(told.text), _WORDS - len(more)) + more, "; ".join(texts), told.tone
    )


def placed(spots: Sequence[Spot]) -> Iterable[tuple[Spot, Words | None]]:
    """Spots from the newest to the oldest, each with the place in which its words have room, or None."""
    free = [_RIGHT, _RIGHT]
    for spot in reversed(spots):
        width = len(spot.words) * CHARACTER
        room = ((row, side) for side in (1, -1) for row in (0, 1) if _fits(spot.at, width * side, free[row]))
        found = next(room, None)
        if found is not None:
            row, side = found
            free[row] = min(spot.at, spot.at + width * side) - _GAP
        yield spot, None if found is None else Words(*found)


class Words(NamedTuple):
    """Where a spot's words stand: in which row above the plot, and right (1) or left (-1) of their line."""

    row: int
    side: int


def _fits(at: float, width: float, free: float) -> bool:
    """Whether words of that width, to the left if negative, end where there is room."""
    begin, end = min(at, at + width), max(at, at + width)
    return end <= free and begin >= _LEFT
