"""Servers that are listed once and never change: any source that `connect` takes, as a backend.

For mixing with others under one name, and for tests.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import ClassVar

from mcpnb.config import load

from .backend import Backend, Surroundings
from .changes import Sighting, Trouble

__all__ = ["Static"]


class Static(Backend):
    """The servers of a source, as they are now.

    Args:
        source: Whatever `mcpnb.connect` takes, apart from discovery.
        config: See `Backend`.

    Raises:
        ConfigError: The source cannot work.
    """

    kind: ClassVar[str] = "static"

    def __init__(self, source: object, **config: object) -> None:
        super().__init__(config=config)
        self._configs = load(source)

    @property
    def address(self) -> str:
        """Their names."""
        return ", ".join(config.name for config in self._configs)

    async def sightings(self, around: Surroundings) -> AsyncGenerator[Sighting | Trouble]:  # noqa: ARG002 - nothing to wait for
        """All of them, once."""
        yield Sighting({config.name: config for config in self._configs})
