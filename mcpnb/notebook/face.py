"""The dashboard's widgets: controls, the board's place, a button per server that is down, further panels.

It owns widgets and where they stand. It knows no fleet: it is told what to show, and tells what was asked
for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from mcpnb.model import ServerStatus
from mcpnb.notebook import servers
from mcpnb.notebook.markup import cut, escape, shorten, style

_FIRST_ROW: Final = 82
"""Pixels from the top of the dashboard to the first row of the table, as the style sheet lays them out."""
_BUTTON: Final = 26
"""Pixels of a button's height."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Something more on a dashboard, such as a lab's controls."""

    title: str
    build: Callable[[], Any]
    """Makes the ipywidgets widget; called once, when the dashboard is first shown."""
    refresh: Callable[[Any], bool] | None = None
    """Brings the widget up to date, with every refresh; False: there is nothing to show now."""


class Controls(NamedTuple):
    """What the widgets' user may ask for. The first argument is the control, to be disabled meanwhile."""

    choose: Callable[[Any, str], None]
    look_back: Callable[[float], None]
    pause: Callable[[bool], None]
    reconnect: Callable[[Any, str], None]
    seen: Callable[[int], None]


class Face:
    """The widgets of one dashboard, in one root."""

    def __init__(
        self,
        controls: Controls,
        strategies: Mapping[str, str],
        strategy: str,
        windows: Sequence[tuple[str, float]],
        window: float,
        panels: Sequence[Panel],
    ) -> None:
        import ipywidgets  # noqa: PLC0415 - a third of a second, spent when a dashboard is first shown

        self._w = ipywidgets
        self._controls = controls
        self._buttons: dict[str, Any] = {}
        self._help = dict(strategies)
        self._body = ipywidgets.HTML(layout=self._layout(width="auto", margin="0"))
        self._trouble = ipywidgets.HTML(layout=self._layout(display="none", margin="0"))
        self._strategy = self._strategy_menu(strategy)
        self._pause = self._pause_button()
        bar = self._box([self._strategy, self._window_menu(windows, window), self._pause], "mcpnb-bar")
        self._acts = self._box([], "mcpnb-act")
        self._style = ipywidgets.HTML(style(), layout=self._layout(display="none"))
        self._panels = [(panel, self._panel(panel)) for panel in panels]
        more = [box for _, box in self._panels]
        parts = [self._style, bar, self._body, self._acts, self._trouble, *more]
        self.root = self._box(parts, "mcpnb-live")
        self._watch_pages()

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

    @property
    def paused(self) -> bool:
        """Whether the user wants it to stand still."""
        return bool(self._pause.value)

    # -- what it shows

    def show(self, html: str) -> None:
        """Put the board onto the page: one message."""
        self._body.value = f'<div class="mcpnb">{html}</div>'

    def complain(self, text: str) -> None:
        """Show an error below the board; empty text takes it away."""
        said = f'<p><span class="mcpnb-bad">✕ that did not work</span> {cut(text)}</p>' if text else ""
        if not text and self._trouble.layout.display == "none":
            return
        self._trouble.value = f'<div class="mcpnb"><section class="mcpnb-card">{said}</section></div>'
        self._trouble.layout.display = None if text else "none"

    def follow(self, strategy: str, statuses: Sequence[ServerStatus]) -> None:
        """Bring the controls in line with the fleet. Sends nothing when they are."""
        if strategy != self._strategy.value and not self._strategy.disabled:
            self._offer(strategy)
            self._strategy.value = strategy
        row = servers.COMPACT_ROW if len(statuses) > servers.LONG else servers.ROW
        tops = {
            status.server: _FIRST_ROW + place * row + (row - _BUTTON) // 2
            for place, status in enumerate(statuses)
            if not servers.usable(status) and status.state != "draining"
        }
        for server in tops.keys() - self._buttons.keys():
            self._buttons[server] = self._button(server)
        for server, top in tops.items():
            self._buttons[server].layout.top = f"{top}px"
        self._follow_panels()
        shown = tuple(self._buttons[server] for server in tops)
        if shown != self._acts.children:
            self._acts.children = shown

    def _follow_panels(self) -> None:
        for panel, box in self._panels:
            if panel.refresh is not None:
                display = None if panel.refresh(box.children[1]) else "none"
                if box.layout.display != display:
                    box.layout.display = display

    def close(self) -> None:
        """Give all widgets up, those of the panels too."""
        close_tree(self.root)

    # -- how it is made

    @staticmethod
    def _told(action: Callable[[Any], None]) -> Callable[[Mapping[str, Any]], None]:
        """An observer that hands the new value on."""
        return lambda change: action(change["new"])

    def _layout(self, **fields: str) -> Any:
        return self._w.Layout(**fields)

    def _box(self, children: Sequence[Any], css: str) -> Any:
        box = self._w.Box(children)
        box.add_class(css)
        return box

    def _strategy_menu(self, strategy: str) -> Any:
        menu = self._w.Dropdown(
            options=self._options(strategy),
            value=strategy,
            description="Strategy",
            tooltip="How the next calls choose their server; takes effect at once",
            style={"description_width": "initial"},
            layout=self._layout(width="240px"),
        )
        menu.observe(self._told(lambda new: self._controls.choose(menu, new)), "value")
        return menu

    def _options(self, strategy: str) -> list[tuple[str, str]]:
        names = dict.fromkeys((*self._help, strategy))
        return [(shorten(f"{n} · {self._help[n]}" if self._help.get(n) else n, 60), n) for n in names]

    def _offer(self, strategy: str) -> None:
        """Make sure that a strategy is on the menu, such as an object that a cell has set."""
        if strategy not in {value for _, value in self._strategy.options}:
            self._strategy.options = self._options(strategy)

    def _window_menu(self, windows: Sequence[tuple[str, float]], window: float) -> Any:
        options = list(windows)
        if window not in {seconds for _, seconds in options}:
            options.append((f"last {window:g} s", window))
        menu = self._w.Dropdown(
            options=options,
            value=window,
            description="Window",
            tooltip="How far back figures and charts look",
            style={"description_width": "initial"},
            layout=self._layout(width="154px"),
        )
        menu.observe(self._told(self._controls.look_back), "value")
        return menu

    def _pause_button(self) -> Any:
        button = self._w.ToggleButton(
            description="Pause",
            tooltip="Stand still, to read or to copy; calls go on",
            layout=self._layout(width="72px"),
        )

        def toggled(change: Mapping[str, Any]) -> None:
            button.description = "Resume" if change["new"] else "Pause"
            self._controls.pause(change["new"])

        button.observe(toggled, "value")
        return button

    def _button(self, server: str) -> Any:
        button = self._w.Button(
            description="Reconnect",
            tooltip=f"Reconnect {server} now instead of waiting for the next attempt",
            layout=self._layout(width="92px", height=f"{_BUTTON}px"),
        )

        def clicked(_: object) -> None:
            self._controls.reconnect(button, server)

        button.on_click(clicked)
        return button

    def _panel(self, panel: Panel) -> Any:
        head = f'<div class="mcpnb"><h4 class="mcpnb-sub">{escape(panel.title)}</h4></div>'
        return self._box([self._w.HTML(head), panel.build()], "mcpnb-panel")

    def _watch_pages(self) -> None:
        """Learn whether any page shows the root: a page that knows how to count counts from here."""
        self.root._view_count = 0  # noqa: SLF001 - ipywidgets' own way to ask for it
        self.root.observe(self._told(lambda new: self._controls.seen(new or 0)), "_view_count")


def close_tree(root: Any) -> None:
    """Give up a widget and all that it holds."""
    for widget in list(_tree(root)):
        widget.close()


def _tree(widget: Any) -> Iterator[Any]:
    """A widget and all that it holds, its layout and style included."""
    yield from (part for part in (widget, widget.layout, getattr(widget, "style", None)) if part is not None)
    for child in getattr(widget, "children", ()):
        yield from _tree(child)
