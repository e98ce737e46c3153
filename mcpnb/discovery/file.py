"""A configuration file that is watched: what is written into it joins, what is taken out leaves.

It owns when the file is read again. What it means is the business of `mcpnb.config`. A file that cannot be
read, or makes no sense, changes nothing: the last good one stays in force, and its error is told.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import ClassVar

from mcpnb.config import Prompt, load
from mcpnb.errors import ConfigError
from mcpnb.threads import beside

from .asking import Person
from .backend import Backend, Surroundings, required
from .changes import Sighting, Trouble
from .damping import Damping

__all__ = ["File"]

_LOOK_AGAIN = 1000
"""Milliseconds after which it is looked at without having been told to: network drives tell nothing."""
_DEBOUNCE = 200
"""Milliseconds: editors write a file in several steps."""


class File(Backend):
    """The servers of a configuration file, every dialect that `connect` reads, kept in step with it.

    Args:
        path: The file.
        environ: Where `${NAME}` looks; the process environment by default.
        damping: See `Backend`.
        config: See `Backend`.

    What it asks for (`${input:id}`) is asked once, not after every change.
    """

    kind: ClassVar[str] = "file"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        environ: Mapping[str, str] | None = None,
        damping: Damping | None = None,
        **config: object,
    ) -> None:
        super().__init__(damping=damping, config=config)
        self._path = Path(path).expanduser().absolute()
        self._environ = environ
        self._answers: dict[str, str] = {}

    @property
    def address(self) -> str:
        """The file's path."""
        return str(self._path)

    async def sightings(self, around: Surroundings) -> AsyncGenerator[Sighting | Trouble]:
        """What it says now and after each change that makes sense, and a trouble for each that does not."""
        watchfiles = required("watchfiles", self.label)
        before = self._stamp()
        yield await self._read(around.person)
        async for now in self._touched(watchfiles):
            if now != before:
                before = now
                try:
                    report = await self._read(around.person)
                except ConfigError as error:
                    report = Trouble(error)
                yield report

    async def _touched(self, watchfiles: ModuleType) -> AsyncGenerator[object]:
        """The file's stamp whenever something happened in its folder, or nothing has for a while."""
        # The folder and not the file: editors, and Kubernetes' links, put another file in its place.
        watching = watchfiles.awatch(
            self._path.parent, watch_filter=None, recursive=False, debounce=_DEBOUNCE,
            rust_timeout=_LOOK_AGAIN, yield_on_timeout=True,
        )  # fmt: skip
        try:
            async with aclosing(watching) as changes:
                async for _ in changes:
                    yield self._stamp()
        except (OSError, RuntimeError) as error:
            raise self.failed(f"cannot be watched: {error}.") from None

    def _stamp(self) -> object:
        """Another one for another content, as far as a file system tells."""
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)

    async def _read(self, person: Person) -> Sighting:
        loop = asyncio.get_running_loop()

        def ask(prompt: Prompt) -> str:
            """Called in the thread that reads; the person is asked on the loop."""
            if prompt.id not in self._answers:
                answer = asyncio.run_coroutine_threadsafe(person.answers(prompt), loop).result()
                if answer is None:
                    raise EOFError
                self._answers[prompt.id] = answer
            return self._answers[prompt.id]

        configs = await beside(partial(load, self._path, environ=self._environ, ask=ask))
        return Sighting({config.name: config for config in configs})
