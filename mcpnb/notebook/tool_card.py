"""What a tool looks like: a card with what it does, its arguments in a table, and who offers it.

It owns that picture, and nothing that lives. Every word of a server's is escaped here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from mcpnb.notebook import servers as table
from mcpnb.notebook.cards import card, head
from mcpnb.notebook.markup import Column, bundle, compact, cut, escape, join, name, shorten, visible
from mcpnb.notebook.markup import table as html_table

if TYPE_CHECKING:
    from mcpnb.catalog import Parameter, ToolEntry

__all__ = ["tool_bundle", "tool_head"]

_ROWS: Final = 60
"""Arguments that have a row."""
_PILLS: Final = 8
"""Servers that have a pill."""
_DESCRIPTION: Final = 1_000
_COLUMNS: Final = (Column("Argument"), Column("Type"), Column("Default"), Column("Description"))


def tool_bundle(tool: str, entries: Sequence[ToolEntry], note: str = "") -> dict[str, str]:
    """The MIME bundle of a tool that these servers offer; `note` is a sentence of ours below it."""
    entry = entries[0]
    rows = [_row(each) for each in entry.parameters[:_ROWS]]
    arguments = (
        html_table(_COLUMNS, rows, row_heads=True) if rows else '<p class="mcpnb-dim">no arguments</p>'
    )
    more = len(entry.parameters) - _ROWS
    left = f'<p class="mcpnb-dim">… {more} more: see .schema</p>' if more > 0 else ""
    foot = f'<p class="mcpnb-small">{escape(note)}</p>' if note else ""
    return bundle(card(tool_head(tool, entries), arguments, left, foot), _text(tool, entries, note))


def tool_head(tool: str, entries: Sequence[ToolEntry]) -> str:
    """Name, nature, servers and description."""
    entry = entries[0]
    pills = (_nature(entry), escape(f"version {shorten(entry.version, 40)}") if entry.version else "")
    said = cut(entry.description, _DESCRIPTION, lines=6) if entry.description else ""
    title = f'<p class="mcpnb-dim">{escape(shorten(entry.title, 200))}</p>' if entry.title else ""
    top = head(name(shorten(tool, 120)), (*pills, *_servers(each.server for each in entries)))
    return f"{top}{title}<p>{said}</p>" if said else f"{top}{title}"


def _nature(entry: ToolEntry) -> str:
    if entry.read_only:
        return "✓ only reads"
    if entry.destructive:
        return '<span class="mcpnb-warn">⚠ may change or delete things</span>'
    return "changes things, deletes none"


def _servers(names: Iterable[str]) -> list[str]:
    known = list(names)
    more = [f"{len(known) - _PILLS} more servers"] if len(known) > _PILLS else []
    return [*map(table.swatch, known[:_PILLS]), *more]


def _row(parameter: Parameter) -> list[str]:
    needed = (
        '<span class="mcpnb-dim">needed</span>' if parameter.required else '<span class="mcpnb-dim">—</span>'
    )
    default = f"<code>{escape(shorten(compact(parameter.default), 60))}</code>"
    return [
        f'<span class="mcpnb-str">{name(shorten(parameter.name, 80))}</span>',
        f"<code>{escape(shorten(parameter.annotation, 80))}</code>",
        default if parameter.has_default else needed,
        cut(parameter.description, 300) if parameter.description else "",
    ]


def _text(tool: str, entries: Sequence[ToolEntry], note: str) -> str:
    """The same for viewers without HTML."""
    entry = entries[0]
    nature = "only reads" if entry.read_only else "may change or delete things" if entry.destructive else ""
    top = join(
        [visible(shorten(tool, 120)), nature, "on " + ", ".join(each.server for each in entries[:_PILLS])]
    )
    rows = [
        (
            shorten(each.name, 40),
            shorten(each.annotation, 40),
            shorten(compact(each.default), 30) if each.has_default else "needed" if each.required else "",
            shorten(each.description, 80),
        )
        for each in entry.parameters[:_ROWS]
    ]
    arguments = (
        table.text_table([column.head.lower() for column in _COLUMNS], rows) if rows else "no arguments"
    )
    said = shorten(entry.description, _DESCRIPTION)
    return "\n".join(part for part in (top, said, arguments, note) if part)
