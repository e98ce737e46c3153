"""Changes of resources that one recorded server tells of again: each once, in their order, to who subscribes.

It owns when each is told. What a change is and who hears of it, it is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

__all__ = ["News"]


class News:
    """The changes that a server told of while it was recorded.

    Args:
        changes: (seconds from the beginning, URI) of each, in their order.
        tell: Told the URI of a change, on the event loop.
        unchanged: Told the URI of a resource that is followed and never changed, likewise.
    """

    def __init__(
        self,
        changes: Sequence[tuple[float, str]],
        tell: Callable[[str], None],
        *,
        unchanged: Callable[[str], None],
    ) -> None:
        self._changes, self._tell, self._unchanged = changes, tell, unchanged
        self._untold = list(changes)
        self._began = asyncio.get_running_loop().time()
        self._telling: dict[str, asyncio.Task[None]] = {}

    def follow(self, uri: str) -> None:
        """Tell of changes of a resource, or of its parts, from now on; those whose time is over, at once."""
        if uri in self._telling:
            return
        if not any(changed.startswith(uri) for _, changed in self._changes):
            self._unchanged(uri)
        self._telling[uri] = asyncio.create_task(self._play(uri), name=f"mcpnb recorded changes of {uri}")

    async def _play(self, uri: str) -> None:
        loop = asyncio.get_running_loop()
        for change in [change for change in self._untold if change[1].startswith(uri)]:
            await asyncio.sleep(max(0.0, self._began + change[0] - loop.time()))
            if change in self._untold:  # else somebody who follows the whole, or a part, has heard of it
                self._untold.remove(change)
                self._tell(change[1])

    def leave(self, uri: str) -> None:
        """Tell no more of a resource; nothing happens when nobody follows it."""
        telling = self._telling.pop(uri, None)
        if telling is not None:
            telling.cancel()

    async def close(self) -> None:
        """Tell nothing more."""
        tasks = list(self._telling.values())
        for uri in tuple(self._telling):
            self.leave(uri)
        await asyncio.gather(*tasks, return_exceptions=True)
