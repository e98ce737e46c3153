"""The playground's widgets: controls at the left, pictures at the right, tables of servers and faults below.

It owns where they stand, the pictures and the buttons. It keeps no state of its own: a control hands on what
it wants changed, and `follow` brings all of them in line with a state without telling anybody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from mcpnb.notebook.face import close_tree
from mcpnb.notebook.markup import cut, escape, style
from mcpnb.notebook.playground.chosen import StrategyControls
from mcpnb.notebook.playground.kit import heard, wide
from mcpnb.notebook.playground.load import LoadControls
from mcpnb.notebook.playground.rows import Change, Editor, Faults, Servers, Tell
from mcpnb.notebook.playground.state import State
from mcpnb.notebook.playground.written import SourceControls
from mcpnb.notebook.slider_names import slider_names

_WRONG: Final = '<span class="mcpnb-bad">✕ that did not work</span>'


class Actions(NamedTuple):
    """What the panel's user may ask for besides another state."""

    preset: Callable[[str], None]
    live: Callable[[], None] | None
    """None where nobody offers real servers."""
    stop: Callable[[], None]


class View:
    """The widgets of one playground, in one root."""

    def __init__(self, state: State, tell: Tell, actions: Actions) -> None:
        import ipywidgets  # noqa: PLC0415 - a third of a second, spent when a playground is first shown

        self._w: Any = ipywidgets
        self._actions, self._said = actions, tell
        self._quiet = threading.local()
        self._body: Any = ipywidgets.HTML(layout=wide())
        self._status: Any = ipywidgets.HTML(layout=wide())
        self._trouble: Any = ipywidgets.HTML(layout=ipywidgets.Layout(display="none"))
        self.load = LoadControls(state, self._tell, actions.preset)
        self.compared = StrategyControls(self._tell)
        self.source = SourceControls()
        self._build_actions()
        self.servers, self.faults = Editor(Servers(), self._tell), Editor(Faults(), self._tell)
        self.root: Any = self._root()
        self.follow(state)

    # -- what it is

    @property
    def model_id(self) -> str:
        """What the page calls the root."""
        return self.root.model_id

    @property
    def connected(self) -> bool:
        """Whether there is a kernel that carries the widgets' messages to a page."""
        from comm import DummyComm  # noqa: PLC0415 - comes with ipywidgets

        return self.root.comm is not None and not isinstance(self.root.comm, DummyComm)

    def close(self) -> None:
        """Give all widgets up, those that stand in nothing just now too."""
        for widget in (
            *self.servers.parts(),
            *self.faults.parts(),
            *(w for b in self.compared.knobs.values() for w in b),
        ):
            close_tree(widget)
        close_tree(self.root)

    # -- what it shows

    def show(self, html: str) -> None:
        """Put the pictures onto the page: one message, and none when they are there already."""
        value = f'<div class="mcpnb"><section class="mcpnb-card">{html}</section></div>'
        if value != self._body.value:
            self._body.value = value

    def say(self, html: str) -> None:
        """What goes on, in a line below the buttons."""
        value = f'<div class="mcpnb"><p class="mcpnb-dim" role="status">{html}</p></div>'
        if value != self._status.value:
            self._status.value = value

    def complain(self, text: str) -> None:
        """Show what went wrong in a line above the pictures; empty text takes it away."""
        said = f'<section class="mcpnb-card">{_WRONG} {cut(text)}</section>'
        self._fold(self._trouble, said if text else "")

    @staticmethod
    def _fold(widget: Any, html: str) -> None:
        display = None if html else "none"
        if html:
            widget.value = f'<div class="mcpnb">{html}</div>'
        if widget.layout.display != display:
            widget.layout.display = display

    def running(self, live: bool) -> None:
        """Whether a live comparison runs: its button rests, and Cancel is there."""
        if self._actions.live is not None:
            self._live.disabled = live
            self._stop.layout.display = None if live else "none"

    def follow(self, state: State) -> None:
        """Bring every control in line with a state; nothing is told, and sent only where it differs."""
        self._quiet.on = True
        try:
            self.load.follow(state)
            self.compared.follow(state)
            self.source.follow(state)
            self.servers.follow(state)
            self.faults.follow(state)
        finally:
            self._quiet.on = False

    def _tell(self, change: Change) -> None:
        if not getattr(self._quiet, "on", False):
            self._said(change)

    # -- buttons

    def _build_actions(self) -> None:
        self._fold_servers: Any = self._toggle("Edit servers", "The table of servers, below the pictures")
        self._fold_faults: Any = self._toggle(
            "Edit faults", "What happens to the servers, below the pictures"
        )
        self._fold_servers.observe(heard(lambda new: self._unfold(self.servers, new)), "value")
        self._fold_faults.observe(heard(lambda new: self._unfold(self.faults, new)), "value")
        live, stop = self._actions.live, self._actions.stop
        self._live = self._button(
            "Run live on a lab fleet", "The same comparison on real MCP servers of this machine", live or stop
        )
        self._stop = self._button("Cancel", "End the live comparison", stop)
        self._stop.layout.display = "none"
        if live is None:
            self._live.layout.display = "none"

    def _unfold(self, editor: Editor, shown: bool) -> None:
        self._quiet.on = True  # what the rows are filled with is no wish
        try:
            editor.open(shown)
        finally:
            self._quiet.on = False

    def _button(self, label: str, tip: str, act: Callable[[], None]) -> Any:
        button = self._w.Button(
            description=label, tooltip=tip, layout=self._w.Layout(width="auto", margin="2px 2px 0 0")
        )
        button.on_click(_pressed(act))
        return button

    def _toggle(self, label: str, tip: str) -> Any:
        return self._w.ToggleButton(
            value=False,
            description=label,
            tooltip=tip,
            layout=self._w.Layout(width="auto", margin="2px 2px 0 0"),
        )

    # -- where things stand

    def _root(self) -> Any:
        load, compared = self.load, self.compared
        left = self._box(
            [
                self._head("Playground", "mcpnb-title"), load.preset, load.about,
                self._head("Load"), load.rate, load.seconds, load.arrivals, load.timeout,
                self._head("Strategies"), self._box(list(compared.ticks.values()), "mcpnb-checks"),
                compared.settings,
                self._head("Resilience"), self._box(list(compared.protections.values()), "mcpnb-checks"),
                self._head("Chance"), load.seed, load.repeats,
                self._box([self._fold_servers, self._fold_faults], "mcpnb-buttons"),
                self._box([self.source.button, self.source.toggle], "mcpnb-buttons"),
                self._box([self._live, self._stop], "mcpnb-buttons"), self._status,
            ],
            "mcpnb-panel mcpnb-side",
        )  # fmt: skip
        right = self._box([self._trouble, self._body, self.source.shown], "mcpnb-stage")
        grid = self._box([left, right, self.servers.box, self.faults.box], "mcpnb-ground")
        sheet = self._w.HTML(style(), layout=self._w.Layout(display="none"))
        return self._box([sheet, grid, slider_names()], "mcpnb-live mcpnb-play")

    def _head(self, text: str, css: str = "mcpnb-sub") -> Any:
        tag = "h3" if css == "mcpnb-title" else "h4"
        return self._w.HTML(f'<div class="mcpnb"><{tag} class="{css}">{escape(text)}</{tag}></div>')

    def _box(self, children: Sequence[Any], classes: str) -> Any:
        box = self._w.Box(children)
        for css in classes.split():
            box.add_class(css)
        return box


def _pressed(act: Callable[[], None]) -> Callable[[object], None]:
    return lambda _: act()
