"""Where sources disagree, as a table: a row per field, what each source says, and how far apart they are.

It owns how a `Disagreement` is shown. Which of them says what stands beside its accent; numbers are also
drawn on a line, on which a source that is far off is seen at once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Final, cast

from mcpnb.aggregation.shapes import is_number
from mcpnb.notebook.attribution import givers
from mcpnb.notebook.markup import Column, compact, cut, escape, number, percent, shorten, table
from mcpnb.notebook.palette import SERVERS

if TYPE_CHECKING:
    from mcpnb.aggregation import Disagreement

FIELDS: Final = 40
"""Disagreements that have a row."""
_COLUMNS: Final = 6
"""Sources that have a column each; of more, those that say the same stand together."""
_TOGETHER: Final = 4
"""Different things that are told of one field."""
_CELL: Final = 120
_WIDTH: Final = 120
_RADIUS: Final = 4.5


def disagreements_html(conflicts: Sequence[Disagreement]) -> str:
    """A table of the first of them; empty without any."""
    if not conflicts:
        return ""
    said = list(dict.fromkeys(server for conflict in conflicts for server in conflict.values))
    apart = len(said) <= _COLUMNS
    columns = [Column("Field"), Column("Chosen")]
    own = [Column(shorten(each, 24), title=each, accent=SERVERS.accent(each).css) for each in said]
    columns += own if apart else [Column("Said by")]
    columns += [
        Column("Apart", title="The sources by what they say; the stroke is what was chosen"),
        Column("Spread", numeric=True, title="Greatest difference relative to the greatest magnitude"),
    ]
    rows = [
        [
            cut(c.key, _CELL) if c.key else "the answer",
            f"<b>{_html(rounded(c.chosen))}</b>",
            *([_said(c, server) for server in said] if apart else [_together(c)]),
            number_line(c.values, c.chosen),
            "" if math.isnan(c.spread) else percent(c.spread),
        ]
        for c in conflicts[:FIELDS]
    ]
    if not any(row[-2] for row in rows):
        columns, rows = columns[:-2], [row[:-2] for row in rows]
    return table(columns, rows, row_heads=True, kind="mcpnb-said")


def rounded(value: object) -> object:
    """What was chosen, for people: a mean has more digits than anybody said."""
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    return float(f"{value:.6g}")


def in_words(value: object) -> str:
    """A value on one line; a text without quotes, unless it would be taken for something else."""
    return value if isinstance(value, str) and value and not _is_json(value) else compact(value)


def _html(value: object) -> str:
    return cut(in_words(value), _CELL)


def _is_json(text: str) -> bool:
    if text != text.strip():
        return True  # white space at its ends would not be seen
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _said(conflict: Disagreement, server: str) -> str:
    if server not in conflict.values:
        return ""
    return _marked(_html(conflict.values[server]), agrees=server in conflict.agreeing)


def _marked(shown: str, *, agrees: bool) -> str:
    return shown if agrees else f'<span class="mcpnb-warn">≠ {shown}</span>'


def _together(conflict: Disagreement) -> str:
    """What is said, each with those who say it, the most first."""
    groups: dict[str, list[str]] = {}
    for server, value in conflict.values.items():
        groups.setdefault(_marked(_html(value), agrees=server in conflict.agreeing), []).append(server)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    of = len(conflict.values)
    lines = [f"{shown} &nbsp;{givers(those, of)}" for shown, those in ordered[:_TOGETHER]]
    if more := sum(len(those) for _, those in ordered[_TOGETHER:]):
        lines.append(f'<span class="mcpnb-dim">… {more} more say something else</span>')
    return "<br>".join(lines)


# -- numbers on a line


def number_line(values: Mapping[str, object], chosen: object) -> str:
    """A dot per source between the least and the greatest number, a stroke for what was chosen.

    Empty where fewer than two numbers are apart.
    """
    numbers = {server: cast("float", value) for server, value in values.items() if is_number(value)}
    if len(set(numbers.values())) < 2:
        return ""
    least, greatest = min(numbers.values()), max(numbers.values())
    places = {server: _place(each, least, greatest) for server, each in numbers.items()}
    dots = [
        f'<circle class="{SERVERS.accent(server).css}" cx="{x}" cy="9" r="{_RADIUS}"/>'
        for server, x in places.items()
    ]
    stroke = ""
    if is_number(chosen) and least <= cast("float", chosen) <= greatest:
        x = _place(cast("float", chosen), least, greatest)
        stroke = f'<line class="mcpnb-chosen" x1="{x}" x2="{x}" y1="1" y2="17"/>'
    told = ", ".join(f"{server} {_figure(each)}" for server, each in numbers.items())
    title = escape(shorten(f"{told}; chosen {compact(chosen)}", 400))
    return (
        f'<span class="mcpnb-meterbox mcpnb-state"><span class="mcpnb-dim">{_figure(least)}</span>'
        f'<svg class="mcpnb-dots" width="{_WIDTH}" height="18" role="img" aria-label="{title}">'
        f'<title>{title}</title><line class="mcpnb-grid" x1="0" x2="{_WIDTH}" y1="9" y2="9"/>'
        f"{''.join(dots)}{stroke}</svg>"
        f'<span class="mcpnb-dim">{_figure(greatest)}</span></span>'
    )


def _place(value: float, least: float, greatest: float) -> str:
    # Fractions: huge whole numbers are beyond the floats.
    share = (Fraction(value) - Fraction(least)) / (Fraction(greatest) - Fraction(least))
    return f"{_RADIUS + 1 + float(share) * (_WIDTH - 2 * _RADIUS - 2):.4g}"


def _figure(value: float) -> str:
    try:
        shown = number(float(value), 4)
        return shown.rstrip("0").rstrip(".") if "." in shown else shown
    except OverflowError:
        return shorten(compact(value), 12)
