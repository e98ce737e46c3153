"""The picture of an aggregate: for each field and source, whether it agrees with the fused answer.

It owns the drawing only, in the style of the other pictures. Importing it loads matplotlib.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from matplotlib.axes import Axes

from mcpnb.notebook.disagreements import in_words
from mcpnb.notebook.markup import percent, shorten, visible
from mcpnb.notebook.palette import SERVERS
from mcpnb.notebook.plots import INK, RULE, SOFT, new_axes

if TYPE_CHECKING:
    from mcpnb.aggregation import Disagreement
    from mcpnb.result import Aggregate

_FIELDS: Final = 24
_SOURCES: Final = 16
_AGREES: Final = "#d5e5dc"
_DIFFERS: Final = "#f0c9a8"
_CELL: Final = 14
"""Characters of a value that one cell can hold."""


def agreement(aggregate: Aggregate, ax: Axes | None = None) -> Axes:
    """A row per field (those in dispute first), a column per source: it agrees, it differs, or it is silent.

    A cell that differs shows what its source said. Never told apart by colour alone.

    Args:
        aggregate: The core's aggregate.
        ax: Where to draw; by default on a figure of its own.
    """
    disputed = {conflict.key: conflict for conflict in aggregate.conflicts}
    rows = {row.key: row.servers for row in aggregate.rows}
    fields = [*disputed, *(key for key in rows if key not in disputed)]
    sources = [source.server for source in aggregate.sources][:_SOURCES]
    shown = fields[:_FIELDS]
    ax = ax if ax is not None else new_axes(height=1.3 + 0.34 * max(len(shown), 2))
    for y, key in enumerate(shown):
        for x, server in enumerate(sources):
            _cell(ax, x, y, server, disputed.get(key), rows.get(key, ()))
    _frame(ax, aggregate, [_label(key, disputed.get(key)) for key in shown], sources)
    hidden = len(fields) - len(shown)
    if hidden > 0:
        ax.set_xlabel(f"{hidden} more fields not shown", color=SOFT, fontsize=8.5)
    return ax


def _cell(
    ax: Axes, x: int, y: int, server: str, conflict: Disagreement | None, givers: tuple[str, ...]
) -> None:
    if conflict is not None and server in conflict.values:
        agrees = server in conflict.agreeing
        words = shorten(in_words(conflict.values[server]), _CELL)
    elif server in givers:
        agrees, words = True, "✓"
    else:
        ax.text(x, y, "·", ha="center", va="center", color=SOFT, fontsize=9)
        return
    tone = _AGREES if agrees else _DIFFERS
    ax.barh(y, 0.94, left=x - 0.47, height=0.84, color=tone, edgecolor=RULE, lw=0.6)
    weight = "normal" if agrees else "bold"
    ax.text(
        x,
        y,
        visible(words),
        ha="center",
        va="center",
        color=INK,
        fontsize=8,
        fontweight=weight,
        parse_math=False,
    )


def _label(key: str, conflict: Disagreement | None) -> str:
    name = shorten(visible(key), 40) or "the answer"
    if conflict is None or math.isnan(conflict.spread):
        return name
    return f"{name}  spread {percent(conflict.spread)}"


def _frame(ax: Axes, aggregate: Aggregate, fields: list[str], sources: list[str]) -> None:
    title = f"{visible(aggregate.tool)}: who agrees with the answer"
    ax.set_title(title, loc="left", color=INK, fontsize=11, fontweight="bold", pad=24, parse_math=False)
    ax.set_yticks(range(len(fields)), fields, parse_math=False)
    names = [shorten(visible(source), 18) for source in sources]
    ax.set_xticks(range(len(sources)), names, parse_math=False)
    ax.xaxis.tick_top()
    ax.tick_params(colors=SOFT, labelsize=8.5, length=0)
    for label, source in zip(ax.get_xticklabels(), sources, strict=True):
        label.set_color(SERVERS.accent(source).tone.light)
        label.set_fontweight("bold")
    ax.set_xlim(-0.6, max(len(sources), 1) - 0.4)
    ax.set_ylim(max(len(fields), 1) - 0.4, -0.6)
    ax.grid(visible=False)
    for side in ax.spines.values():
        side.set_visible(False)
