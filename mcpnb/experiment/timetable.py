"""Calls that came at times of their own: what a workload repeats.

It owns the value and the protocol by which a recording offers one. It knows no recording and draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mcpnb.model import Priority

__all__ = ["HasTimetable", "Timetable"]


@dataclass(frozen=True, slots=True, eq=False)
class Timetable:
    """Calls in the order of their coming.

    Raises:
        ValueError: There are none, or their columns are not as many.
    """

    times: NDArray[np.float64]
    """Seconds, ascending, shape (n,)."""
    tools: Sequence[str]
    """The tool of each call."""
    arguments: Sequence[Mapping[str, object]]
    """The arguments of each call; may be read when they are asked for."""
    priorities: Sequence[Priority]
    source: str = ""
    """Where they come from, for people."""

    def __post_init__(self) -> None:
        counts = {len(column) for column in (self.times, self.tools, self.arguments, self.priorities)}
        if counts == {0} or len(counts) > 1:
            raise ValueError(f"a timetable needs calls, with as many tools as times: {sorted(counts)}")

    def __len__(self) -> int:
        return len(self.times)

    def cut(self, *, requests: int | None, duration: float | None, speed: float) -> Timetable:
        """The first calls: so many, or those of so many seconds; `speed` times as fast."""
        times = self.times / speed
        last = len(times) if duration is None else int(np.searchsorted(times, duration, side="left"))
        last = last if requests is None else min(last, requests)
        if not last:
            raise ValueError(f"no recorded call came within duration={duration} s")
        faster = "" if speed == 1 else f", {speed:g} times as fast"
        return replace(
            self,
            source=self.source + faster,
            times=times[:last],
            tools=self.tools[:last],
            arguments=self.arguments[:last],
            priorities=self.priorities[:last],
        )


@runtime_checkable
class HasTimetable(Protocol):
    """What a workload can repeat."""

    def timetable(self) -> Timetable:
        """Its calls."""
        ...
