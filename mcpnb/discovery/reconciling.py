"""Each discovered server is made what is wanted of it, one step after the other, whatever happens meanwhile.

It owns a task for each server that is joining, changing or leaving, so that a slow one holds up nobody. What
is wanted it is told; how servers join and leave it does not know: it is given a `Members`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Mapping
from functools import partial
from typing import Protocol

from mcpnb.config import ServerConfig
from mcpnb.errors import McpnbError

__all__ = ["Members", "Reconciling", "Tell"]

Tell = Callable[[str | None, str, Mapping[str, object]], None]
"""Told of what happens: the server (or None), words, data."""


class Members(Protocol):
    """Where servers join and leave."""

    @property
    def names(self) -> Container[object]:
        """Of all servers, however they came."""
        ...

    async def join(self, config: ServerConfig) -> None:
        """Begin to connect; returns at once."""
        ...

    async def change(self, before: ServerConfig, config: ServerConfig) -> None:
        """Have it as it is described now, with a new session only where the old one is none for that."""
        ...

    async def leave(self, name: str) -> None:
        """Disconnect once its running calls have ended."""
        ...


class Reconciling:
    """Makes each server what is wanted of it, one step after the other, whatever happens meanwhile.

    What is wanted last is what comes about: a server that was gone for a moment while its calls still drained
    joins again after that.
    """

    def __init__(self, members: Members, tell: Tell) -> None:
        self._members, self._tell = members, tell
        self.wanted: dict[str, ServerConfig] = {}
        self.there: dict[str, ServerConfig] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def want(self, name: str, config: ServerConfig | None) -> None:
        """Have the server so, or not at all."""
        if config is None:
            self.wanted.pop(name, None)
        else:
            self.wanted[name] = config
        if name not in self._tasks and self.there.get(name) != config:
            task = self._tasks[name] = asyncio.create_task(self._settle(name), name=f"mcpnb discovery {name}")
            task.add_done_callback(partial(self._ended, name))

    async def begun(self) -> tuple[str, ...]:
        """Wait until what is wanted has begun everywhere; the servers that are there."""
        await asyncio.gather(*(asyncio.shield(task) for task in self._tasks.values()), return_exceptions=True)
        return tuple(self.there)

    async def close(self) -> None:
        """Stop in the middle."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name]

    async def _settle(self, name: str) -> None:
        while (wanted := self.wanted.get(name)) != self.there.get(name):
            try:
                await self._step(name, self.there.get(name), wanted)
            except McpnbError as error:
                self._tell(name, f"cannot be followed: {error}", {})
            if wanted is None:
                self.there.pop(name, None)
            else:
                self.there[name] = wanted

    async def _step(self, name: str, there: ServerConfig | None, wanted: ServerConfig | None) -> None:
        if wanted is None:
            await self._members.leave(name)
        elif there is None:
            await self._members.join(wanted)
        else:
            await self._members.change(there, wanted)
