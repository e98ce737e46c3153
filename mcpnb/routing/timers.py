"""What has to happen later, in order of time.

A heap: nothing is ever searched. Alarms of calls that are over fall out when they are met, and are swept out
when they are most of it: calls usually end long before their deadlines.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from mcpnb.routing.actions import Action
from mcpnb.routing.call import Call

Alarm = Callable[[float, list[Action]], None]
"""What rings: it is called with the time and adds what is to be done to the list."""

_WORTH_SWEEPING = 512


class Timers:
    """The dispatcher's alarms."""

    __slots__ = ("_announced", "_dead", "_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Alarm, Call | None]] = []
        self._order = 0  # equal times ring in the order in which they were set
        self._announced = float("inf")
        self._dead = 0

    def set(self, at: float, alarm: Alarm, call: Call | None = None) -> None:
        """Ring at this time; an alarm for a call is silent once that is over."""
        self._order += 1
        if call is not None:
            call.alarms += 1
        heapq.heappush(self._heap, (at, self._order, alarm, call))

    def over(self, call: Call) -> None:
        """A call ended: its alarms will not ring."""
        self._dead += call.alarms
        if self._dead > _WORTH_SWEEPING and 2 * self._dead > len(self._heap):
            self._heap = [entry for entry in self._heap if not _silent(entry[3])]
            heapq.heapify(self._heap)
            self._dead = 0

    def ring(self, now: float, actions: list[Action]) -> None:
        """Ring what is due, in order."""
        self._announced = float("inf")
        heap = self._heap
        while heap and (heap[0][0] <= now or _silent(heap[0][3])):
            _, _, alarm, call = heapq.heappop(heap)
            if call is None:
                alarm(now, actions)
            elif call.finished is None:
                call.alarms -= 1
                alarm(now, actions)
            else:
                self._dead -= 1
            heap = self._heap  # an alarm may have ended calls, and these have swept

    def next(self) -> float | None:
        """When the driver should ring, if that is sooner than what it was told last; else None."""
        if self._heap and self._heap[0][0] < self._announced:
            self._announced = self._heap[0][0]
            return self._announced
        return None


def _silent(call: Call | None) -> bool:
    return call is not None and call.finished is not None
