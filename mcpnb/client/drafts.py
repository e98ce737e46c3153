"""Long listings and long answers, read a little at a time: calls to other servers go on meanwhile.

It owns how much of the event loop such reading may have. While nobody makes calls that is all of it. What is
read of a tool, and what becomes of it, the catalog knows; what is a long answer, the connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from mcpnb.catalog import Draft, draft

if TYPE_CHECKING:
    from mcp_types import Tool

_SLICE = 0.0005
"""Seconds of work in one turn of the loop: less than a call in this process takes."""
_SHARE = 0.1
"""Of the loop's time, while calls are made."""
_PER_ITEM = 0.0005
"""Seconds of rest for each item of a page. The SDK reads a page in one turn of the loop, however long that is
(5 to 20 ms for 500 tools), and these turns have to be few rather than short: no more than two calls of a
hundred should meet one."""


_PER_BYTE = 1e-7
"""Seconds of rest for each byte of a long answer: some ten times what it takes to read it."""


class Reading:
    """Reads the listings of all servers of a client.

    Args:
        busy: Whether calls are being made, those to the server of that name aside.
        clock: Seconds of work are counted by it.
        sleep: Gives the loop away for so many seconds.
    """

    def __init__(
        self,
        busy: Callable[[str], bool],
        *,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._busy, self._clock, self._sleep = busy, clock, sleep

    async def rest(self, items: int) -> None:
        """Wait before the next page is asked for, after one of so many items."""
        if self._busy(""):
            await self._sleep(items * _PER_ITEM)

    async def give_way(self, server: str, size: int) -> None:
        """Wait before the next piece of a long answer is read, after one of so many bytes."""
        if self._busy(server):
            await self._sleep(size * _PER_BYTE)

    async def draft(self, tools: Sequence[Tool]) -> tuple[Draft, ...]:
        """A draft of each tool, in their order. A short listing is read at once."""
        found: list[Draft] = []
        began = self._clock()
        for tool in tools:
            worked = self._clock() - began
            if worked >= _SLICE:
                await self._sleep(worked * (1 / _SHARE - 1) if self._busy("") else 0)
                began = self._clock()
            found.append(draft(tool))
        return tuple(found)
