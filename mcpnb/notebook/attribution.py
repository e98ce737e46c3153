"""The fused answer with who gave each part of it: a field or an item beside its sources.

It owns where attribution stands. Whoever gave what, the aggregate says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from mcpnb.notebook import servers
from mcpnb.notebook.markup import Column, compact, cut, escape, table, tree
from mcpnb.notebook.palette import SERVERS

if TYPE_CHECKING:
    from mcpnb.aggregation import FusedRow
    from mcpnb.result import Aggregate

_TEXT: Final = 2_000
_CELL: Final = 240
_ROWS: Final = 60
_NAMED: Final = 3
"""Sources that are named beside a field; of more there are their accents and their number."""
_ACCENTS: Final = 12


def answer_html(aggregate: Aggregate) -> str:
    """The answer: an object of single values as a table with its sources, anything else as it is nested."""
    value = aggregate.value
    if isinstance(value, str) and value:
        return cut(value, _TEXT, lines=40)
    if len(aggregate.results) < 2 or aggregate.method == "concat":  # whose records name their sources
        return tree(value)
    if _is_flat(value) and len(aggregate.rows) <= _ROWS:
        return _table(aggregate.rows, len(aggregate.results))
    return tree(value) + _folded(aggregate)


def _is_flat(value: object) -> bool:
    if not isinstance(value, Mapping) or not value:
        return False
    return not any(isinstance(part, Mapping | list) for part in cast("Mapping[str, object]", value).values())


def _folded(aggregate: Aggregate) -> str:
    rows = [row for row in aggregate.rows if row.key]
    if not rows:
        return ""
    more = len(rows) - _ROWS
    rest = f'<p class="mcpnb-dim">… {more:,} more; <code>.df</code> has all</p>' if more > 0 else ""
    drawn = _table(rows[:_ROWS], len(aggregate.results))
    return f"<details><summary>who gave what</summary>{drawn}{rest}</details>"


def _table(rows: Sequence[FusedRow], of: int) -> str:
    heads = (Column("Field"), Column("Value"), Column("From", title="Who gave it, or agrees with it"))
    cells = [[cut(row.key, _CELL), _value(row.value), givers(row.servers, of)] for row in rows]
    return table(heads, cells, row_heads=True)


def _value(value: Any) -> str:
    if isinstance(value, float) and math.isfinite(value):
        # What was averaged has digits that nobody measured; Python has them all.
        return f'<span class="mcpnb-num" title="{escape(value)}">{value:.6g}</span>'
    return tree(value) if not isinstance(value, Mapping | list) else cut(compact(value), _CELL)


def givers(given: Sequence[str], of: int) -> str:
    """Servers by their accents, `of` so many that answered; a few by name."""
    if len(given) <= _NAMED:
        return f'<span class="mcpnb-state">{" &nbsp;".join(map(servers.swatch, given))}</span>'
    squares = "".join(
        f'<span class="mcpnb-swatch {SERVERS.accent(each).css}" aria-hidden="true"></span>'
        for each in given[:_ACCENTS]
    )
    words = f"all {of}" if len(given) == of else f"{len(given)} of {of}"
    names = escape(", ".join(given[:_ROWS]))
    return f'<span class="mcpnb-state" title="{names}">{squares}{words}</span>'
