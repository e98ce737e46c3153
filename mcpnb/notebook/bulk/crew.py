"""The calls of a bulk call that are out at once, on the portal's loop.

It owns how many there are and that nothing of them is lost: each row that was handed over ends up in `ended`,
once. It knows no rows, no frames and no files; what a call is it is handed.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import anyio

from mcpnb.notebook.bulk.answers import Ended
from mcpnb.notebook.bulk.rows import Row

__all__ = ["Crew"]

TICK: Final = 0.1
"""Seconds after which a step returns whatever has ended: so often a bar may move."""
_AHEAD: Final = 64
MAY_HAVE_RUN: Final = "interrupted while it was out: it may have run"


class Crew:
    """Workers that take rows in their order, each one call at a time.

    All methods run on one event loop; `ended` may be emptied from another thread.

    Args:
        ask: Makes one row's call and says how it ended, whatever happens.
        size: Calls at once.
        tick: Seconds, at most, that a step waits.
    """

    def __init__(self, ask: Callable[[Row], Awaitable[Ended]], size: int, *, tick: float = TICK) -> None:
        self._ask, self._size, self._tick = ask, size, tick
        self.ahead = max(_AHEAD, 4 * size)
        """Rows that may be handed over before they have ended: enough that no worker waits for the next."""
        self._enough = self.ahead // 4
        self.ended: deque[Ended] = deque()
        self._waiting: deque[Row] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    async def step(self, rows: Sequence[Row]) -> None:
        """Take more rows in, and return when there is something to tell."""
        self._waiting.extend(rows)
        for _ in range(min(self._size - len(self._workers), len(self._waiting))):
            worker = asyncio.create_task(self._work(), name="mcpnb bulk call")
            self._workers.add(worker)
            worker.add_done_callback(self._left)
        self._news.clear()
        if self._workers and len(self.ended) < self._enough:
            with anyio.move_on_after(self._tick):
                await self._news.wait()

    async def stop(self) -> None:
        """Cancel what is out. Rows that no worker has taken yet are forgotten."""
        self._waiting.clear()
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        if workers:
            await asyncio.wait(workers)

    def _left(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not self._workers:
            self._news.set()

    async def _work(self) -> None:
        while self._waiting:
            row = self._waiting.popleft()
            try:
                ended = await self._ask(row)
            except BaseException:  # cancelled; or a tool in this process that calls `exit()`
                self.ended.append(
                    Ended(row.place, None, None, math.nan, 1, "cancelled", MAY_HAVE_RUN, row.key)
                )
                raise
            self.ended.append(ended)
            if len(self.ended) >= self._enough:
                self._news.set()
