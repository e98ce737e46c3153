"""What has to happen later, in order of time.

A heap: nothing is ever searched, and entries of finished calls fall out when they are met.
"""

from __future__ import annotations

import heapq
from typing import Literal, NamedTuple

from mcpnb.routing.call import Call

Purpose = Literal["deadline", "retry"]


class _Entry(NamedTuple):
    at: float
    order: int
    purpose: Purpose
    call: Call


class Timers:
    """The dispatcher's alarms. Entries of finished calls stay until their time and are skipped then."""

    __slots__ = ("_announced", "_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[_Entry] = []
        self._order = 0  # equal times ring in the order in which they were set
        self._announced = float("inf")

    def set(self, at: float, purpose: Purpose, call: Call) -> None:
        """Ring for `call` at this time."""
        self._order += 1
        heapq.heappush(self._heap, _Entry(at, self._order, purpose, call))

    def due(self, now: float) -> list[tuple[Purpose, Call]]:
        """Take out what has rung, in order, for calls that are not over."""
        self._announced = float("inf")
        rung: list[tuple[Purpose, Call]] = []
        heap = self._heap
        while heap and (heap[0].at <= now or heap[0].call.finished is not None):
            entry = heapq.heappop(heap)
            if entry.call.finished is None:
                rung.append((entry.purpose, entry.call))
        return rung

    def next(self) -> float | None:
        """When the driver should ring, if that is sooner than what it was told last; else None."""
        if self._heap and self._heap[0].at < self._announced:
            self._announced = self._heap[0].at
            return self._announced
        return None
