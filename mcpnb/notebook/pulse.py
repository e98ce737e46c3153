"""When to look again: a beat at a steady rate, sooner on request, never faster than a page can take.

It owns the rhythm and one timer thread for all that beat. It knows nothing of what is done on a beat.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

FASTEST: Final = 10.0
"""Beats per second at most: a notebook server drops what goes beyond 1000 messages a second in all."""

SHARE: Final = 0.03
"""Of a core's time that beats may take: a costly beat is followed by a longer wait."""
SLOWEST: Final = 2.0
"""Seconds between beats, however costly they are."""

Cancel = Callable[[], None]


class Scheduler(Protocol):
    """Something that calls back later, on whatever thread it likes, one callback at a time."""

    def later(self, seconds: float, callback: Callable[[], None]) -> Cancel:
        """Call `callback` once in `seconds`, unless what this returns is called first."""
        ...


class TimerThread:
    """A scheduler on one daemon thread, which lives only while something is scheduled."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def later(self, seconds: float, callback: Callable[[], None]) -> Cancel:
        """See `Scheduler.later`. A callback must not raise."""
        with self._changed:
            number = next(self._numbers)
            heapq.heappush(self._due, (self._clock() + seconds, number, callback))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mcpnb-timer", daemon=True)
                self._thread.start()
            self._changed.notify()
        return lambda: self._cancel(number)

    def _cancel(self, number: int) -> None:
        with self._changed:
            self._due = [entry for entry in self._due if entry[1] != number]
            heapq.heapify(self._due)
            self._changed.notify()

    def _run(self) -> None:
        while (callback := self._next()) is not None:
            callback()

    def _next(self) -> Callable[[], None] | None:
        """The next callback when its time has come, None when nothing is left to wait for."""
        with self._changed:
            while self._due:
                wait = self._due[0][0] - self._clock()
                if wait <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait)
            self._thread = None
            return None


TIMERS: Final = TimerThread()
"""The timer thread of this process."""


class Pulse:
    """Calls `beat` at `rate` a second while running, less often when it is costly, and soon after `hurry`.

    A beat always follows the last `hurry`, so that what is shown in the end is the last state.
    """

    def __init__(
        self,
        beat: Callable[[], None],
        scheduler: Scheduler,
        *,
        rate: float = 4.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 < rate <= FASTEST:
            raise ValueError(f"{rate:g} refreshes a second: choose more than 0 and at most {FASTEST:g}")
        self._beat, self._scheduler, self._clock = beat, scheduler, clock
        self._period = 1 / rate
        self._last = -float("inf")
        self._running = False
        self._cancel: Cancel | None = None
        self._lock = threading.RLock()

    @property
    def running(self) -> bool:
        """Whether beats are to come."""
        return self._running

    def start(self) -> None:
        """Begin to beat, the first time soon. Starting twice is fine."""
        with self._lock:
            if not self._running:
                self._running = True
                self.hurry()

    def stop(self) -> None:
        """No more beats, but one that has begun may still end."""
        with self._lock:
            self._running = False
            self._drop()

    def hurry(self) -> None:
        """Beat as soon as the fastest rate allows, when running."""
        with self._lock:
            if self._running:
                self._drop()
                self._plan(max(0.0, self._last + 1 / FASTEST - self._clock()))

    def _drop(self) -> None:
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    def _plan(self, seconds: float) -> None:
        self._cancel = self._scheduler.later(seconds, self._due)

    def _due(self) -> None:
        with self._lock:
            if not self._running:
                return
            self._cancel = None
            self._last = self._clock()
        self._beat()
        with self._lock:
            if self._running and self._cancel is None:
                self._plan(self._pause(self._clock() - self._last))

    def _pause(self, cost: float) -> float:
        """Seconds to wait after a beat that took `cost` seconds."""
        period = max(self._period, min(cost / SHARE, SLOWEST))
        return max(1 / FASTEST, period - cost)
