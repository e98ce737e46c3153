"""An answer as plain text, for consoles and viewers that show no HTML: records as the head of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

from mcpnb.notebook.markup import compact, count, record_columns, shorten, visible
from mcpnb.notebook.servers import text_table

__all__ = ["value_text"]

_LIMIT: Final = 2_000
"""Characters."""
_ROWS: Final = 20
_CELL: Final = 32


def value_text(value: object) -> str:
    """A value in at most some twenty lines; what is left out is said, and where it is."""
    columns = record_columns(value)
    if columns:
        return _table(cast("Sequence[Mapping[str, object]]", value), columns)
    if isinstance(value, Mapping) and (inner := _only_table(cast("Mapping[str, object]", value))):
        rest = {name: part for name, part in cast("Mapping[str, object]", value).items() if name != inner}
        above = [visible(shorten(compact(rest), _LIMIT))] if rest else []
        return "\n".join([*above, f"{shorten(visible(inner), _CELL)}:", value_text(value[inner])])
    shown = value if isinstance(value, str) else compact(value)
    return visible(shorten(shown, _LIMIT), lines=True)


def _only_table(value: Mapping[str, object]) -> str | None:
    """The one field that is a list of records; None when there is none, or more of them."""
    tables = [name for name, part in value.items() if record_columns(part)]
    return tables[0] if len(tables) == 1 else None


def _table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> str:
    cells = [[row.get(column) for column in columns] for row in rows[:_ROWS]]
    numeric = {place for place, each in enumerate(zip(*cells, strict=True)) if all(map(_is_number, each))}
    heads = [shorten(visible(column), _CELL) for column in columns]
    drawn = text_table(heads, [list(map(_cell, row)) for row in cells], right=frozenset(numeric))
    more = len(rows) - _ROWS
    return f"{drawn}\n… {count(more)} more row{'s' * (more != 1)}: .df has all of them" if more > 0 else drawn


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return shorten(value if isinstance(value, str) else compact(value), _CELL)
