"""What has to happen later, in order of time.

A heap: nothing is ever searched, and entries of finished calls fall out when they are met.
"""

from __future__ import annotations

import heapq
from typing import Literal, NamedTuple

from mcpnb.routing.call import Call
from mcpnb.routing.node import Node

Purpose = Literal["deadline", "retry", "breaker"]


class _Entry(NamedTuple):
    at: float
    order: int
    purpose: Purpose
    subject: Call | Node


class Timers:
    """The dispatcher's alarms. Entries of finished calls stay until their time and are skipped then."""

    __slots__ = ("_announced", "_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[_Entry] = []
        self._order = 0  # equal times ring in the order in which they were set
        self._announced = float("inf")

    def set(self, at: float, purpose: Purpose, subject: Call | Node) -> None:
        """Ring for a call or a server at this time."""
        self._order += 1
        heapq.heappush(self._heap, _Entry(at, self._order, purpose, subject))

    def due(self, now: float) -> list[tuple[Purpose, Call | Node]]:
        """Take out what has rung, in order, without calls that are over."""
        self._announced = float("inf")
        rung: list[tuple[Purpose, Call | Node]] = []
        heap = self._heap
        while heap and (heap[0].at <= now or _over(heap[0].subject)):
            entry = heapq.heappop(heap)
            if not _over(entry.subject):
                rung.append((entry.purpose, entry.subject))
        return rung

    def next(self) -> float | None:
        """When the driver should ring, if that is sooner than what it was told last; else None."""
        if self._heap and self._heap[0].at < self._announced:
            self._announced = self._heap[0].at
            return self._announced
        return None


def _over(subject: Call | Node) -> bool:
    return isinstance(subject, Call) and subject.finished is not None
