"""What a method makes of the answers, before trust and alternatives are added to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mcpnb.aggregation.values import Disagreement, FusedRow, LeftOut
from mcpnb.aggregation.walk import Walk


@dataclass(frozen=True, slots=True)
class Draft:
    """A fused value with its rows, disagreements and what was left out."""

    value: object
    method: str
    rows: tuple[FusedRow, ...] = ()
    conflicts: tuple[Disagreement, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    agreement: Mapping[str, float] = field(default_factory=dict[str, float])
    """Server → how far the others say the same, 0 to 1; none for a server that could not be compared."""
    taken: str | None = None
    """The server whose answer was taken whole."""
    complete: bool = False
    """Everything that was said is in the value, so that there are no alternatives to it."""

    @classmethod
    def of(
        cls, walk: Walk, value: object, method: str, *, taken: str | None = None, complete: bool = False
    ) -> Draft:
        """What a walk found."""
        return cls(
            value,
            method,
            tuple(walk.rows),
            tuple(walk.conflicts),
            tuple(walk.left_out),
            walk.agreement,
            taken,
            complete,
        )
