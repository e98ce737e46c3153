"""The queue of calls that wait because every server they could go to is full.

    key = arrival + aging · class          class: high 0, normal 1, low 2

The smallest key goes first, and a key never changes. So a class is first come, first served; a later call of
a higher class overtakes only if it comes less than `aging` seconds per class later, and nobody starves.

It owns the order and the bound. It knows no servers, no deadlines and no clock: who waits too long is removed
by whoever keeps the time, and what a full queue refuses is shed by whoever asked.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mcpnb.model import PRIORITIES, Priority

T = TypeVar("T", bound=Hashable)

_CLASSES: dict[str, int] = {priority: number for number, priority in enumerate(PRIORITIES)}
_SPARE = 16
"""Removed entries that are not worth a clean-up, so that short queues are not rebuilt all the time."""


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How many calls may wait, and how far a class is ahead of the next."""

    length: int = 1000
    """Calls that wait at most; 0 lets none wait."""
    aging: float = 5.0
    """Seconds of waiting that make up for one class: `high` overtakes `low` for twice as long."""

    def __post_init__(self) -> None:
        if self.length < 0 or not 0 <= self.aging < math.inf:
            raise ValueError(f"a queue needs length >= 0 and a finite aging >= 0: {self}")


class AdmissionQueue(Generic[T]):
    """Calls in the order in which they get a free place. An item waits at most once at a time.

    Attributes:
        length: Items that wait at most. It may be changed: who waits already is not thrown out.
    """

    __slots__ = ("_aging", "_heap", "_pushed", "_waiting", "length")

    def __init__(self, policy: QueuePolicy) -> None:
        self.length, self._aging = policy.length, policy.aging
        self._heap: list[tuple[float, int, T]] = []
        self._waiting: dict[
            T, int
        ] = {}  # the entry of the heap that stands for an item; others are leftovers
        self._pushed = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, item: object) -> bool:
        return item in self._waiting

    def push(self, item: T, priority: Priority, now: float) -> bool:
        """Let an item wait since `now`. False when the queue is full.

        Raises:
            ValueError: The priority is unknown, or the item waits already.
        """
        if priority not in _CLASSES:
            raise ValueError(f"a priority is one of {', '.join(_CLASSES)}, not {priority!r}")
        if item in self._waiting:
            raise ValueError(f"waits already: {item!r}")
        if len(self._waiting) >= self.length:
            return False
        self._pushed += 1
        self._waiting[item] = self._pushed
        heapq.heappush(self._heap, (now + self._aging * _CLASSES[priority], self._pushed, item))
        return True

    def remove(self, item: T) -> bool:
        """An item waits no longer. False when it did not wait."""
        if self._waiting.pop(item, None) is None:
            return False
        self._tidy()
        return True

    def peek(self) -> tuple[float, int, T] | None:
        """Who is next: (key, sequence number, item), comparable with another queue's of the same clock."""
        heap, waiting = self._heap, self._waiting
        while heap and waiting.get(heap[0][2]) != heap[0][1]:
            heapq.heappop(heap)
        return heap[0] if heap else None

    def pop(self) -> T | None:
        """Take out who is next; None when nobody waits."""
        head = self.peek()
        if head is None:
            return None
        heapq.heappop(self._heap)
        del self._waiting[head[2]]
        self._tidy()
        return head[2]

    def _tidy(self) -> None:
        """Drop leftovers once they are the larger part: each is paid for by its own removal."""
        if len(self._heap) > 2 * len(self._waiting) + _SPARE:
            waiting = self._waiting
            self._heap = [entry for entry in self._heap if waiting.get(entry[2]) == entry[1]]
            heapq.heapify(self._heap)
