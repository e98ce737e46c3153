"""Plain tables for terminals: no colours, safe to paste, numbers to the right.

What a server sent is made visible, control characters too: nobody's terminal is taken over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mcpnb.model import USABLE_STATES, ServerStatus
from mcpnb.notebook.markup import shorten, visible
from mcpnb.notebook.servers import text_table

__all__ = ["indented", "table", "troubles"]

_WIDEST = 60
"""Characters of one cell; an error message may be longer than a screen is wide."""


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns under their heads; None and nan are empty, floats have one decimal.

    >>> print(table(["server", "calls"], [["weather-1", 12], ["weather-2", 7]]))
    server     calls
    weather-1     12
    weather-2      7
    """
    right = {place for place, column in enumerate(zip(*rows, strict=True)) if all(map(_is_number, column))}
    return text_table(heads, [[_cell(value) for value in row] for row in rows], right=frozenset(right))


def troubles(statuses: Sequence[ServerStatus]) -> str:
    """A line per server that takes no calls, with the reason; empty when all do."""
    down = [status for status in statuses if status.state not in USABLE_STATES]
    return "\n".join(
        f"{visible(s.server)} is {s.state}: {visible(s.last_error or 'no reason known')}" for s in down
    )


def indented(text: str) -> str:
    """The text, moved two columns to the right."""
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, int | float)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.1f}" if isinstance(value, float) else shorten(str(value), _WIDEST)
