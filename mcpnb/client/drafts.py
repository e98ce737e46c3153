"""A long listing, read a little at a time: calls to other servers go on meanwhile.

It owns the slices. What is read of a tool, and what becomes of it, the catalog knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcpnb.catalog import Draft, draft

if TYPE_CHECKING:
    from mcp_types import Tool

_SLICE = 32
"""Tools: a millisecond's work."""
_PAUSE = 0.002
"""Seconds between two slices. Without it every turn of the loop, of which a call takes several, had one."""


async def drafts_of(tools: Sequence[Tool]) -> tuple[Draft, ...]:
    """A draft of each tool, in their order. A short listing is read at once."""
    found: list[Draft] = []
    for start in range(0, len(tools), _SLICE):
        if start:
            await asyncio.sleep(_PAUSE)
        found += [draft(tool) for tool in tools[start : start + _SLICE]]
    return tuple(found)
