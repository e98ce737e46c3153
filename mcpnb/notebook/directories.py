"""What discovery looks like: the backends of a fleet as a table, as text, and as a panel of the dashboard.

It owns the words and symbols of their states. It asks no backend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mcpnb.discovery import BackendStatus
from mcpnb.notebook.face import Panel, widgets
from mcpnb.notebook.markup import Column, count, cut, style, table
from mcpnb.notebook.servers import Look, look, text_table

__all__ = ["backends_html", "backends_text", "directories_panel"]

_STATES: Final[Mapping[str, Look]] = {
    "starting": Look("◌", "asked", "dim"),
    "watching": Look("●", "followed", "good"),
    "away": Look("◐", "cannot be asked", "warn"),
    "done": Look("✓", "complete", "good"),
}
_COLUMNS: Final = (
    Column("Directory"),
    Column("State"),
    Column("Servers", numeric=True, title="Its servers in the fleet"),
    Column("What is wrong", title="Why it cannot be asked, and what it lists that cannot be used"),
)


def backends_html(statuses: Sequence[BackendStatus]) -> str:
    """The backends' table; empty where there are none."""
    if not statuses:
        return ""
    rows = [
        [
            f"{cut(status.backend)} <code>{cut(status.address)}</code>",
            look(_STATES, status.state).html,
            count(status.servers),
            "<br>".join(cut(line) for line in _wrong(status)),
        ]
        for status in statuses
    ]
    return table(_COLUMNS, rows, caption="Directories that servers are discovered in", row_heads=True)


def backends_text(statuses: Sequence[BackendStatus]) -> str:
    """The same for viewers without HTML."""
    if not statuses:
        return ""
    rows = [
        (f"{s.backend} {s.address}", str(look(_STATES, s.state)), str(s.servers), "; ".join(_wrong(s)))
        for s in statuses
    ]
    heads = tuple(column.head.lower() for column in _COLUMNS)
    return "\n" + text_table(heads, rows, right=frozenset({2}))


def _wrong(status: BackendStatus) -> list[str]:
    kept = "its last known servers stay" if status.state == "away" and status.servers else ""
    away = "; ".join(part for part in (status.last_error, kept) if part)
    held = f"kept out, because they come and go: {', '.join(status.held)}" if status.held else ""
    problems = [f"{name}: {why}" for name, why in status.problems.items()]
    return [line for line in (away, held, *problems) if line]


def directories_panel(statuses: Callable[[], Sequence[BackendStatus]]) -> Panel:
    """The panel for a dashboard. It is there while there are backends."""

    def shown() -> str:
        body = backends_html(statuses())
        return f'<div class="mcpnb">{style()}{body}</div>' if body else ""

    def build() -> Any:
        return widgets().HTML(shown())

    def refresh(widget: Any) -> bool:
        html = shown()
        if html != widget.value:  # nothing is sent when nothing changed
            widget.value = html
        return bool(html)

    return Panel("Discovery", build, refresh)
