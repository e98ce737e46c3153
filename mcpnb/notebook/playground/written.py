"""The playground's source: a button that puts it into the next cell, and a place to read and copy it.

It owns these two. How a state is written, `code` knows; how a page makes a cell of it, `next_cell`.
"""

from __future__ import annotations

from typing import Any, Final

from mcpnb.notebook.markup import cut, escape
from mcpnb.notebook.next_cell import next_cell
from mcpnb.notebook.playground import code
from mcpnb.notebook.playground.kit import heard, settle, wide
from mcpnb.notebook.playground.state import State

__all__ = ["SourceControls"]

_TIP: Final = "Write this comparison as Python into a new cell below (JupyterLab, Notebook 7)"


class SourceControls:
    """The button, the toggle, and what the toggle shows; all follow the state."""

    def __init__(self) -> None:
        import ipywidgets as w  # noqa: PLC0415 - the panel has loaded it

        self.button: Any = w.HTML(layout=w.Layout(width="auto", margin="2px 2px 0 0"))
        self.toggle: Any = w.ToggleButton(
            value=False, description="Show code", tooltip="This comparison as Python, to be copied",
            layout=w.Layout(width="auto", margin="2px 2px 0 0"),
        )  # fmt: skip
        self.shown: Any = w.HTML(layout=wide())
        self.shown.layout.display = "none"
        self._state: State | None = None
        self.toggle.observe(heard(self._open), "value")

    def follow(self, state: State) -> None:
        """Write what a state says; text that is out of sight is not sent."""
        self._state = state
        try:
            button = next_cell(code.source(state), "Code in the next cell", _TIP)
        except ValueError as problem:
            button = next_cell("", "Code in the next cell", str(problem))
        settle(self.button, f'<div class="mcpnb">{button}</div>')
        if self.toggle.value:
            settle(self.shown, _shown(state))

    def _open(self, shown: bool) -> None:
        if shown and self._state is not None:
            settle(self.shown, _shown(self._state))
        self.shown.layout.display = None if shown else "none"


def _shown(state: State) -> str:
    try:
        text = escape(code.source(state), lines=True)
    except ValueError as problem:
        return f'<div class="mcpnb"><section class="mcpnb-card">{cut(str(problem))}</section></div>'
    return (
        '<div class="mcpnb"><section class="mcpnb-card"><h4 class="mcpnb-sub">The same as code</h4>'
        '<pre class="mcpnb-whole mcpnb-select" tabindex="0" role="textbox" aria-readonly="true" '
        f'aria-label="The same in Python" title="A click selects all of it">{text}</pre></section></div>'
    )
