"""Makes the widgets of one form: each is watched, counted, and given up in the end.

It owns how widgets are made alike, and the order in which what they take arrives. It knows no fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from mcpnb.notebook.face import close_tree
from mcpnb.notebook.markup import visible

__all__ = ["Kit", "Suggest", "framed", "keep_order"]

Suggest = Callable[[str, str, Callable[[Sequence[str]], None]], None]
"""Takes a field's name, what was typed, and who is told, on whatever thread, what that may become."""

_INPUTS: Final = 200
"""Inputs on one page: each is a few messages to it."""


class Kit:
    """Makes the widgets of one form, watches those that take something, and counts them.

    Args:
        changed: Called when any of them has taken something.
        suggest: Finds what a text may become while it is typed; None where nobody knows.
    """

    def __init__(self, changed: Callable[[], None], suggest: Suggest | None = None) -> None:
        self.w: Any = import_module("ipywidgets")  # a third of a second, spent when a form is first shown
        self.changed, self.suggest = changed, suggest
        self.left = _INPUTS
        self._made: list[Any] = []

    def watched(self, widget: Any, act: Callable[[], None] | None = None) -> Any:
        """The widget itself, whose changes are told from now on, to `act` instead where it is given."""
        self._made.append(widget)
        keep_order(widget.comm)
        self.observe(widget, act or self.changed)
        return widget

    def observe(self, widget: Any, act: Callable[[], None]) -> None:
        """Have `act` called whenever the widget has taken something."""

        def hear(_change: Mapping[str, Any]) -> None:
            act()

        widget.observe(hear, "value")

    def html(self, html: str = "") -> Any:
        """A piece of the page; everything in it is HTML already."""
        return self._kept(self.w.HTML(framed(html)))

    def say(self, piece: Any, html: str) -> None:
        """Have a piece of the page show something else. Sends nothing when it shows that already."""
        if piece.value != (wanted := framed(html)):
            piece.value = wanted

    def sheet(self, css: str) -> Any:
        """The style sheet of a form."""
        return self._kept(self.w.HTML(css, layout={"display": "none"}))

    def button(self, description: str, tooltip: str, act: Callable[[], None]) -> Any:
        """A button as wide as its word."""
        made = self.w.Button(
            description=description, tooltip=visible(tooltip), layout={"width": "auto", "margin": "2px"}
        )
        keep_order(made.comm)

        def clicked(_button: object) -> None:
            act()

        made.on_click(clicked)
        return self._kept(made)

    def box(self, children: tuple[Any, ...] = (), css: str = "") -> Any:
        """Widgets below each other."""
        made = (
            self.w.Box(children)
            if css == "mcpnb-live"
            else self.w.VBox(children, layout={"overflow": "visible"})
        )
        if css:
            made.add_class(css)
        return self._kept(made)

    def row(self, children: tuple[Any, ...]) -> Any:
        """Widgets beside each other, in more lines where there is no room."""
        return self._kept(self.w.HBox(children, layout={"flex_flow": "row wrap", "align_items": "center"}))

    def close(self) -> None:
        """Give up all that was made, what stands on no page, too."""
        for made in self._made:
            close_tree(made)

    def _kept(self, made: Any) -> Any:
        self._made.append(made)
        return made


def framed(html: str) -> str:
    """HTML in the frame that the style sheet knows."""
    return f'<div class="mcpnb">{html}</div>' if html else ""


def keep_order(comm: Any) -> None:
    """Have a widget's messages taken on the main thread, one after the other.

    ipykernel 7.4 takes them on whichever thread the widget last wrote from, so that a click could overtake
    what was typed before it: a server would get another answer than the one on the page.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = _main_thread  # noqa: SLF001 - there is no public way to say so


def _main_thread(_data: object, _default: object) -> None:
    """The subshell that takes a message: none."""
