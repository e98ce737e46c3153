"""A button that puts text into a new cell below the one it stands in.

A kernel can make a cell only in its reply to a running cell, and a button is none. JupyterLab 4 and Notebook
7 carry out their own commands when an element that names them is pressed: that takes no script and no
extension. Other front ends know nothing of it, and the button does nothing there: give the text to be copied
beside it.
"""

from __future__ import annotations

import html
import json
from typing import Final

from mcpnb.notebook.markup import escape

__all__ = ["next_cell"]

_COMMANDS: Final = ("notebook:insert-cell-below", "notebook:enter-edit-mode", "notebook:replace-selection")
"""One after the other, all with the same arguments: the last takes the text."""


def next_cell(text: str, label: str, tip: str) -> str:
    """The button as HTML; without text it is disabled, and `tip` says why. For widgets only.

    What a page makes of a saved output it checks for such things first, and takes them out.
    """
    look = f'class="jupyter-button widget-button mcpnb-into" title="{escape(tip)}"'
    if not text:
        return f'<button type="button" disabled {look}>{escape(label)}</button>'
    # All but ASCII is escaped: no character of the text means anything to the page.
    arguments = json.dumps({"commands": _COMMANDS, "args": {"text": text}})
    return (
        f'<button type="button" {look} data-commandlinker-command="apputils:run-all-enabled" '
        f'data-commandlinker-args="{html.escape(arguments)}">{escape(label)}</button>'
    )
