"""The fused answer with who gave each part of it: a field, an item or a picture beside its sources.

It owns where attribution stands. Whoever gave what, the aggregate says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from mcpnb.notebook import servers
from mcpnb.notebook.markup import Column, compact, cut, escape, table, tree
from mcpnb.notebook.media import block_html, block_text, text_html
from mcpnb.notebook.palette import SERVERS

if TYPE_CHECKING:
    from mcpnb.aggregation import FusedRow
    from mcpnb.result import Aggregate

_CELL: Final = 240
_ROWS: Final = 60
_MEDIA: Final = 12
"""Pictures and the like that stand beside an answer."""
_NAMED: Final = 3
"""Sources that are named beside a field; of more there are their accents and their number."""
_ACCENTS: Final = 12


def answer_html(aggregate: Aggregate) -> str:
    """The answer: an object of single values as a table with its sources, anything else as it is nested."""
    value = aggregate.value
    if isinstance(value, str) and value:
        return text_html(value)
    if len(aggregate.results) < 2 or aggregate.method == "concat":  # whose records name their sources
        return tree(value)
    if _is_flat(value) and len(aggregate.rows) <= _ROWS:
        return _table(aggregate.rows, len(aggregate.results))
    return tree(value) + _folded(aggregate)


def media_html(aggregate: Aggregate) -> str:
    """Pictures, sounds, links and resources of all answers, each once, with who sent it."""
    sent = _senders(aggregate, block_html)
    more = len(sent) - _MEDIA
    rest = f'<p class="mcpnb-dim">… {more:,} more; <code>.results</code> has all</p>' if more > 0 else ""
    by_senders: dict[tuple[str, ...], list[str]] = {}
    for html, names in sent[:_MEDIA]:
        by_senders.setdefault(tuple(names), []).append(f"<div>{html}</div>")
    of = len(aggregate.results)
    groups = (
        f'<div class="mcpnb-value mcpnb-part"><div>{givers(names, of)}</div>{"".join(blocks)}</div>'
        for names, blocks in by_senders.items()
    )
    return "".join(groups) + rest


def media_text(aggregate: Aggregate) -> list[str]:
    """The same in words."""
    sent = _senders(aggregate, block_text)
    more = [f"… {len(sent) - _MEDIA} more: .results has all"] if len(sent) > _MEDIA else []
    return [f"{words} from {', '.join(names)}" for words, names in sent[:_MEDIA]] + more


def _senders(aggregate: Aggregate, shown: Callable[[Any], str]) -> list[tuple[str, list[str]]]:
    """What of the answers is no text, as it is shown, and which servers sent it."""
    found: dict[str, list[str]] = {}
    for server, result in aggregate.results.items():
        for made in dict.fromkeys(map(shown, getattr(result, "content", ()))):
            if made:
                found.setdefault(made, []).append(server)
    return list(found.items())


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
