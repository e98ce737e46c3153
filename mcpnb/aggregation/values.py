"""What goes into a fusion and what comes out of it. Answers are JSON values; nothing here changes one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answer:
    """What one server said, and what speaks for it."""

    server: str
    value: object
    latency: float = math.nan
    """Seconds; NaN when unknown."""
    confidence: float = 1.0
    """What the server itself says of its answer, 0 to 1."""
    reliability: float = 1.0
    """The share of its calls that went well lately, 0 to 1."""
    age: float = 0.0
    """Seconds since the answer was made: more than 0 when it was kept in a cache."""
    units: Mapping[str, str] = field(default_factory=dict[str, str])
    """Units that its output schema declares: `days[].high` → `degF`."""


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
    chosen: object = None
    """What the fused value says."""
    agreeing: tuple[str, ...] = ()
    """The servers that say it too, or a number within the tolerance of it."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something a server gave that did not go into the fused value."""

    server: str
    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """How a field of a server was read so that it compares with the others'."""

    server: str
    key: str
    """Where it stood in the server's own answer; `[]` is every item of a list."""
    what: str


@dataclass(frozen=True, slots=True)
class Option:
    """An answer that could have been taken instead."""

    value: object
    servers: tuple[str, ...]
    confidence: float
    """The greatest of its servers'."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How far a source is believed, and why. Every part is 0 to 1."""

    reported: float = 1.0
    """What the server says of its own answer."""
    reliability: float = 1.0
    """The share of its calls that went well lately."""
    freshness: float = 1.0
    """1 for the newest answer, half of it for every half-life that another is older."""
    agreement: float = 1.0
    """Over the fields it gave, the mean share of the sources (itself included) that say the same."""

    @property
    def weight(self) -> float:
        """What is known before the answers are compared: reported, reliability and freshness multiplied."""
        return self.reported * self.reliability * self.freshness

    @property
    def confidence(self) -> float:
        """All four together."""
        return self.weight * self.agreement


@dataclass(frozen=True, slots=True)
class Fused:
    """Many answers made one. Its parts may be the very objects of the answers: read, do not change them."""

    value: object
    method: str
    rows: tuple[FusedRow, ...] = ()
    conflicts: tuple[Disagreement, ...] = ()
    confidence: float = 0.0
    """The mean confidence of the contributing sources."""
    left_out: tuple[LeftOut, ...] = ()
    alternatives: tuple[Option, ...] = ()
    """Other answers as they were given, best first."""
    readings: tuple[Reading, ...] = ()
    trust: Mapping[str, Trust] = field(default_factory=dict[str, Trust])
    """Server → how far it is believed."""
