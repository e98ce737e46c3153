"""What goes into a fusion and what comes out of it. Answers are JSON values; nothing here changes one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """What one server said."""

    server: str
    value: object
    latency: float = math.nan
    """Seconds; NaN when unknown."""
    confidence: float = 1.0
    """0 to 1."""


@dataclass(frozen=True, slots=True)
class FusedRow:
    """One item or field of the fused value, and who gave it."""

    key: str
    """Where it stands in the value: `temperature`, `wind.speed`, `[3]`; empty for the value as a whole."""
    value: object
    servers: tuple[str, ...]

    @property
    def server(self) -> str:
        """The sources as one text."""
        return ", ".join(self.servers)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A field on which the sources do not agree."""

    key: str
    values: Mapping[str, object]
    """Server → what it said."""
    spread: float = math.nan
    """Greatest difference relative to the greatest magnitude, 0 to 2; NaN when the values are no numbers."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something a server gave that did not go into the fused value."""

    server: str
    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fused:
    """Many answers made one. Its parts may be the very objects of the answers: read, do not change them."""

    value: object
    method: str
    rows: tuple[FusedRow, ...] = ()
    conflicts: tuple[Disagreement, ...] = ()
    confidence: float = 0.0
    """Of the contributing answers on average, times the share of fields on which the sources agree."""
    left_out: tuple[LeftOut, ...] = ()


def confidence_of(answers: Sequence[Answer], servers: Iterable[str], agreement: float = 1.0) -> float:
    """The mean confidence of the answers from these servers, times `agreement`; 0 when there is none."""
    named = set(servers)
    given = [answer.confidence for answer in answers if answer.server in named]
    # What is no number between 0 and 1 says nothing about the answer.
    sane = [confidence if 0 <= confidence <= 1 else 1.0 for confidence in given]
    return math.fsum(sane) / len(sane) * agreement if sane else 0.0
