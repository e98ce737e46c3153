"""Foreign values as safe HTML and text: escaped, with nothing invisible, cut but never lost.

It owns escaping, cutting, JSON trees, small tables and the frame around every HTML representation. It
knows no servers, no results and no widgets. Whatever a server sent passes through here on its way to a page.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import Final, NamedTuple

from mcpnb.notebook.palette import css_variables
from mcpnb.unseen import visible

LINE_LIMIT: Final = 240
"""Characters of a value that stand on the page before the rest hides in a `<details>`."""
WHOLE_LIMIT: Final = 100_000
"""Characters that one value may put into a notebook file; beyond it only Python has the whole."""
_START: Final = 400
"""Characters of the start of a text that is too long."""
_REPEATED: Final = 160
"""Characters up to which an escaped text is worth remembering."""
_ITEMS: Final = 60
_PAGE: Final = 20
"""Rows of a table of records that stand on the page at once."""
_FOLDED: Final = 100
"""Rows of each further part of it."""
_ROWS: Final = 520
"""Rows of it that go into a notebook file."""
_DEPTH: Final = 8
_CELL: Final = 120
_HEAD: Final = 40
"""Characters of a column's name that stand above it."""
_TIP: Final = 1_000
_DIGITS: Final = 6
"""Digits of a number in a table's cell; all of them are in its tooltip."""


def escape(text: object, *, lines: bool = False) -> str:
    """`text` for HTML, in an element or a quoted attribute; marks for unseen characters."""
    text = str(text)
    return _escaped(text, lines) if len(text) <= _REPEATED else html.escape(visible(text, lines=lines))


@lru_cache(maxsize=4096)
def _escaped(text: str, lines: bool) -> str:
    """The same, remembered: a dashboard escapes the same few names several times a second."""
    return html.escape(visible(text, lines=lines))


def name(text: str) -> str:
    """A name for HTML, isolated so that its writing direction cannot reorder its neighbours."""
    return f"<bdi>{escape(text)}</bdi>"


def shorten(text: str, limit: int) -> str:
    """`text`, cut to `limit` characters with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def cut(text: str, limit: int = LINE_LIMIT, *, lines: int = 12) -> str:
    """Text of any length as HTML: the start, and the whole in a `<details>` when it is long."""
    if len(text) <= limit and text.count("\n") < lines:
        return f'<span class="mcpnb-str">{escape(text, lines=True)}</span>'
    whole = text[:WHOLE_LIMIT]
    rest = len(text) - len(whole)
    more = f'<p class="mcpnb-dim">… {rest:,} more characters; Python has the whole value</p>' if rest else ""
    return (
        f'<details><summary><span class="mcpnb-str">{escape(shorten(text, min(limit, _START)))}</span> '
        f'<span class="mcpnb-dim">{len(text):,} characters</span></summary>'
        f'<pre class="mcpnb-whole">{escape(whole, lines=True)}</pre>{more}</details>'
    )


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return cut(value) if value else '<span class="mcpnb-dim">empty text</span>'
    word = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f'<span class="mcpnb-num">{escape(shorten(word, LINE_LIMIT))}</span>'


def _members(value: object) -> Sequence[tuple[str, object]] | None:
    """The named parts of a container, None for anything else."""
    if isinstance(value, Mapping):
        return [(str(key), part) for key, part in value.items()]
    if isinstance(value, list | tuple):
        return [(str(place), part) for place, part in enumerate(value)]
    return None


def _count(value: object) -> str:
    word, size = ("field", len(value)) if isinstance(value, Mapping) else ("item", len(value))  # type: ignore[arg-type]
    return f"{size:,} {word}{'' if size == 1 else 's'}"


def tree(value: object, *, depth: int = 0) -> str:
    """A JSON value as nested lists: two levels open, deeper ones in `<details>`, records as tables."""
    members = _members(value)
    if members is None:
        return _scalar(value)
    if not members:
        return f'<span class="mcpnb-dim">{_count(value)}</span>'
    if depth >= _DEPTH:
        return f'<span class="mcpnb-dim">{_count(value)}, too deep to show; Python has the whole value</span>'
    columns = record_columns(value)
    body = records(value, columns) if columns else _body(members, depth)  # type: ignore[arg-type]
    if depth == 0 or (depth == 1 and (columns or len(members) <= 12)):
        return body
    return f"<details><summary>{_count(value)}</summary>{body}</details>"


def _body(members: Sequence[tuple[str, object]], depth: int) -> str:
    rows = "".join(
        f"<dt>{name(shorten(key, 80))}</dt><dd>{tree(part, depth=depth + 1)}</dd>"
        for key, part in members[:_ITEMS]
    )
    return f'<dl class="mcpnb-tree">{rows}</dl>{_left_out(len(members) - _ITEMS)}'


def _left_out(count: int) -> str:
    return f'<p class="mcpnb-dim">… {count:,} more; Python has the whole value</p>' if count > 0 else ""


def record_columns(value: object) -> list[str] | None:
    """The columns of a list of records (at least two, at most twelve columns, mostly shared), else None."""
    if not isinstance(value, list | tuple) or len(value) < 2:
        return None
    if not all(isinstance(row, Mapping) and row for row in value):
        return None
    columns = list(dict.fromkeys(str(key) for row in value for key in row))
    filled = sum(len(row) for row in value)
    return columns if len(columns) <= 12 and filled >= 0.5 * len(columns) * len(value) else None


def records(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> str:
    """A list of JSON records as a table in pages; numbers stand right."""
    shown = [[row.get(column, "") for column in columns] for row in rows[:_ROWS]]
    kinds = [_is_numeric([row[place] for row in shown]) for place in range(len(columns))]
    heads = [
        Column(shorten(column, _HEAD), numeric, shorten(column, _TIP) if len(column) > _HEAD else "")
        for column, numeric in zip(columns, kinds, strict=True)
    ]
    cells = [[_cell(value) for value in row] for row in shown]
    return "".join(_pages(heads, cells)) + _left_out(len(rows) - len(shown))


def _pages(heads: Sequence[Column], cells: Sequence[Sequence[str]]) -> Iterable[str]:
    """A long table in parts of which all but the first fold out, without anybody to turn pages."""
    open_ = _PAGE if len(cells) > _PAGE + _PAGE // 2 else len(cells)
    yield table(heads, cells[:open_])
    for start in range(open_, len(cells), _FOLDED):
        part = cells[start : start + _FOLDED]
        summary = f"rows {start + 1:,} to {start + len(part):,}"
        yield f'<details class="mcpnb-page"><summary>{summary}</summary>{table(heads, part)}</details>'


def _is_numeric(values: Iterable[object]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _cell(value: object) -> str:
    if isinstance(value, str):
        return cut(value, _CELL) if len(value) > _CELL else escape(value)
    if isinstance(value, Mapping | list | tuple):
        return cut(compact(value), _CELL)
    if isinstance(value, float) and len(str(value)) > _DIGITS + 3 and math.isfinite(value):
        return f'<span class="mcpnb-num" title="{value!r}">{value:.{_DIGITS}g}</span>'
    return _scalar(value)


def compact(value: object) -> str:
    """A JSON value on one line; what JSON cannot hold shows as Python would print it."""
    try:
        return json.dumps(value, ensure_ascii=False, default=repr)
    except (ValueError, RecursionError, TypeError):  # circular, too deep, or keys that are no strings
        return f"<{type(value).__name__} that JSON cannot write>"


class Column(NamedTuple):
    """A table's column: its head and whether its cells are numbers."""

    head: str
    numeric: bool = False
    title: str = ""
    """What the column means, with its unit: the head's tooltip."""
    accent: str = ""
    """The CSS class of the accent that stands before the head: whose column it is."""


def table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[str]],
    *,
    caption: str = "",
    row_heads: bool = False,
    kind: str = "",
) -> str:
    """An accessible table of CSS class `kind`. Heads and caption are escaped here; cells are HTML already."""
    heads = "".join(
        f'<th scope="col"{_class(c)}{_title(c)}>{_accent(c)}{escape(c.head)}</th>' for c in columns
    )
    named = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = "".join(_row(columns, row, row_heads=row_heads) for row in rows)
    return (
        f'<div class="mcpnb-scroll"><table class="mcpnb-table {kind}">{named}<thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(columns: Sequence[Column], cells: Sequence[str], *, row_heads: bool) -> str:
    shown = [f"<td{_class(column)}>{cell}</td>" for column, cell in zip(columns, cells, strict=True)]
    if row_heads:
        shown[0] = f'<th scope="row">{cells[0]}</th>'
    return f"<tr>{''.join(shown)}</tr>"


def _class(column: Column) -> str:
    return ' class="mcpnb-r"' if column.numeric else ""


def _title(column: Column) -> str:
    return f' title="{escape(column.title)}"' if column.title else ""


def _accent(column: Column) -> str:
    if not column.accent:
        return ""
    return f'<span class="mcpnb-swatch {column.accent}" aria-hidden="true"></span>'


def number(value: float, digits: int = 3) -> str:
    """A figure for people: `digits` significant digits, thin spaces between thousands, — for none."""
    if not math.isfinite(value):
        return "—"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def duration(seconds: float) -> str:
    """A duration with its unit: ms below a second, s above."""
    if not math.isfinite(seconds):
        return "—"
    return f"{trimmed(seconds * 1000)} ms" if seconds < 0.9995 else f"{trimmed(seconds)} s"


def trimmed(value: float) -> str:
    """A figure of three digits without zeros at its end."""
    shown = number(value)
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def rate(per_second: float) -> str:
    """A rate in figures that line up below each other: a decimal, two below one, none from a hundred on."""
    if not math.isfinite(per_second) or per_second == 0:
        return number(per_second)
    return number(per_second) if per_second >= 100 else f"{per_second:.{2 if per_second < 1 else 1}f}"


def count(value: int) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def percent(share: float) -> str:
    """A share of one as a percentage, with a decimal below ten percent."""
    if not math.isfinite(share):
        return "—"
    return f"{share * 100:.{1 if 0 < share < 0.0995 else 0}f} %"


@cache
def style() -> str:
    """The style element that every representation carries, so that each stands on its own."""
    css = resources.files("mcpnb.notebook").joinpath("static", "style.css").read_text(encoding="utf-8")
    light, dark = css_variables()
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    css = (
        re.sub(r"\s+", " ", css)
        .replace("--mcpnb-accents: light;", light)
        .replace("--mcpnb-accents: dark;", dark)
    )
    return f"<style>{css.strip()}</style>"


def page(body: str, text: str) -> str:
    """A whole representation: style, HTML, and the text for viewers that strip the style.

    An inline style hides the body and our style sheet overrules it: without the sheet only the text shows.
    """
    return (
        f'{style()}<pre class="mcpnb-text">{escape(text, lines=True)}</pre>'
        f'<div class="mcpnb" style="display:none">{body}</div>'
    )


def bundle(body: str, text: str) -> dict[str, str]:
    """The MIME bundle of a value that does not live: HTML and text."""
    return {"text/plain": visible(text, lines=True), "text/html": page(body, text)}


def join(parts: Iterable[str], between: str = " · ") -> str:
    """The parts that are not empty, with a separator."""
    return between.join(part for part in parts if part)
