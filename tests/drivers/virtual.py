"""An asyncio loop that keeps virtual time: when nobody can go on, it is the time of the next timer.

So `asyncio.sleep(60)` costs nothing, a timer rings exactly when it was set for, and timers of one time ring
in the order in which they were set. Nothing may wait for another thread or for the network.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import selectors


class _Timer(asyncio.TimerHandle):
    """A timer that comes after those that were set before it for the same time."""

    __slots__ = ("order",)

    def __lt__(self, other) -> bool:
        return (self._when, self.order) < (other._when, other.order)


class _Selector(selectors.DefaultSelector):
    """Instead of waiting, it lets the loop's time jump."""

    loop: VirtualLoop

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("everybody waits, and no timer is set")
        events = super().select(0)
        if timeout > 0 and not events:
            self.loop.jump()
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time starts at 0."""

    def __init__(self) -> None:
        self._now = 0.0
        self._timers = 0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self._clock_resolution = math.ulp(0.0)

    def time(self) -> float:
        return self._now

    def jump(self) -> None:
        self._now = self._scheduled[0]._when
        # The loop rings what is due before now + resolution: just what is due now.
        self._clock_resolution = math.ulp(self._now)

    def call_at(self, when, callback, *args, context=None):
        self._check_closed()
        timer = _Timer(when, callback, args, self, context)
        self._timers += 1
        timer.order = self._timers
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer
