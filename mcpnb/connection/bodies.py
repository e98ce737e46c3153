"""Long answers over HTTP are read a piece at a time, and between two pieces others may get the loop.

It owns what counts as long. Whether anybody wants the loop, and for how long, whoever is awaited between the
pieces decides. It knows no MCP.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

import httpx2

__all__ = ["OnPiece", "unhurried"]

OnPiece = Callable[[int], Awaitable[None]]
"""Awaited after a piece of so many bytes."""

_FULL = 16 * 1024
"""Bytes of a piece after which more is surely waiting. A stream of many short answers has smaller ones."""
_LONG = 256 * 1024
"""Bytes in a row of which reading is felt by others: 2 to 3 ms of work."""
_LONGEST = 32 * 1024 * 1024
"""Bytes after which no more way is given: whoever waits for so much has waited seconds longer already."""


class _Unhurried(httpx2.AsyncByteStream):
    """A body whose long runs of pieces leave room for others."""

    def __init__(self, inner: httpx2.AsyncByteStream, on_piece: OnPiece) -> None:
        self._inner, self._on_piece = inner, on_piece
        self._pieces = aiter(inner)
        self._run = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await anext(self._pieces)
        self._run = self._run + len(piece) if len(piece) >= _FULL else 0
        if _LONG < self._run <= _LONGEST:
            await self._on_piece(len(piece))
        return piece

    async def aclose(self) -> None:
        """Close it."""
        await self._inner.aclose()


def unhurried(response: httpx2.Response, on_piece: OnPiece | None) -> None:
    """Have the body of a response read so."""
    if on_piece is not None:
        response.stream = _Unhurried(cast("httpx2.AsyncByteStream", response.stream), on_piece)
