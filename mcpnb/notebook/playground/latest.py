"""The newest of many values, no oftener than a page can take. It knows nothing of what they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from mcpnb.notebook.pulse import TIMERS, Cancel, Scheduler

RATE: Final = 4.0
"""Values per second at most: a page takes more, an eye does not."""


class Latest:
    """Hands on the newest of many values, at most `rate` times a second, the last one always."""

    def __init__(
        self,
        hand_on: Callable[[Any], None],
        scheduler: Scheduler = TIMERS,
        *,
        rate: float = RATE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hand_on, self._scheduler, self._clock = hand_on, scheduler, clock
        self._period, self._last = 1 / rate, -float("inf")
        self._value: Any = None
        self._waiting: Cancel | None = None
        self._lock = threading.Lock()

    def put(self, value: Any) -> None:
        """Hand this on now, or as soon as it may be."""
        with self._lock:
            self._value = value
            if self._waiting is not None:
                return
            wait = self._last + self._period - self._clock()
            if wait > 0:
                self._waiting = self._scheduler.later(wait, self._flush)
                return
        self._flush()

    def close(self) -> None:
        """Hand nothing on any more."""
        with self._lock:
            if self._waiting is not None:
                self._waiting()
            self._waiting = lambda: None

    def _flush(self) -> None:
        with self._lock:
            self._waiting, self._last, value = None, self._clock(), self._value
        self._hand_on(value)
