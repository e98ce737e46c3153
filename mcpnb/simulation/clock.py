"""Virtual time: a heap of what happens later. It owns the order of events, not their meaning."""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

Happening = Callable[[int, float], None]
"""What an event does: it is called with the number that it was set with, and the time."""


class Clock:
    """Events in order of time; equal times happen in the order in which they were set."""

    __slots__ = ("_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Happening, int]] = []
        self._order = count()

    def at(self, time: float, happening: Happening, number: int) -> None:
        """Let something happen at `time` seconds. Infinity is never, and costs nothing."""
        if time < math.inf:
            heappush(self._heap, (time, next(self._order), happening, number))

    def run(self, until: float) -> None:
        """Let everything happen that is due up to `until` seconds, and what follows from it."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            time, _, happening, number = heappop(heap)
            happening(number, time)

    def run_while(self, going: Callable[[], bool]) -> None:
        """Let things happen for as long as `going()` is true and there is something left."""
        heap = self._heap
        while heap and going():
            time, _, happening, number = heappop(heap)
            happening(number, time)
