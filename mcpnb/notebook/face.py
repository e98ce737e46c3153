"""The dashboard's widgets: controls, the board's place, a button in each server's row, further panels.

It owns widgets and where they stand. It knows no fleet: it is told what to show, and tells what was asked
for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from mcpnb.model import ServerStatus
from mcpnb.notebook import servers
from mcpnb.notebook.knobs import Knobs
from mcpnb.notebook.login.row import control, sharers
from mcpnb.notebook.login.words import OPEN
from mcpnb.notebook.markup import cut, escape, style

if TYPE_CHECKING:
    from mcpnb.auth import LoginRow

_FIRST_ROW: Final = 82
"""Pixels from the top of the dashboard to the first row of the table, as the style sheet lays them out."""
_BUTTON: Final = 26
"""Pixels of a button's height."""


def widgets() -> Any:
    """The module `ipywidgets`: half typed, and slow to import, so only when something is shown."""
    return import_module("ipywidgets")


class Keeper(Protocol):
    """What a panel's widget belongs to."""

    widget: Any

    def refresh(self) -> bool:
        """Bring the widget up to date; whether there is anything to show."""
        ...


@dataclass(frozen=True, slots=True)
class Panel:
    """Something more on a dashboard, such as a lab's controls."""

    title: str
    build: Callable[[], Any]
    """Makes the ipywidgets widget; called once, when the dashboard is first shown."""
    refresh: Callable[[Any], bool] | None = None
    """Brings the widget up to date, with every refresh; False: there is nothing to show now."""

    @classmethod
    def of(cls, title: str, make: Callable[[], Keeper]) -> Panel:
        """A panel that is brought up to date by what its widget belongs to."""

        def build() -> Any:
            keeper = make()
            keeper.widget.keeper = keeper  # the dashboard hands the widget back on every refresh
            return keeper.widget

        return cls(title, build, lambda widget: widget.keeper.refresh())


class Controls(NamedTuple):
    """What the widgets' user may ask for. The first argument is the control, to be disabled meanwhile."""

    choose: Callable[[Any, str], None]
    look_back: Callable[[float], None]
    pause: Callable[[bool], None]
    act: Callable[[Any, str, str], None]
    """What to do (a name in `DEEDS`), and with which server."""
    seen: Callable[[int], None]


DEEDS: Final[Mapping[str, str]] = {
    "Reconnect": "Reconnect {} now instead of waiting for the next attempt",
    "Reset": "Close the circuit breaker of {} and forget what it counted",
    "Trip": "Open the circuit breaker of {}: no calls until it is probed or reset",
    "Log in": "Log in at the authorization server of {}",
    "Log out": "Forget the login of {}, here and at the authorization server",
}
"""What the buttons in a server's row may be for, and their tooltips."""


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
        self._w = widgets()
        self._controls = controls
        self._buttons: dict[_Spot, Any] = {}
        self._body = self._place()
        self._trouble, self._code = self._place(), self._place()
        self._lines: Sequence[str] = ()
        self._knobs = Knobs(strategies, strategy, controls.choose)
        self._pause, self._coded = self._pause_button(), self._code_button()
        bar = [self._knobs.menu, self._window_menu(windows, window), self._pause, self._coded]
        self._acts = self._box([], "mcpnb-act")
        self._style = self._w.HTML(style(), layout=self._layout(display="none"))
        self._panels = [(panel, self._panel(panel)) for panel in panels]
        more = [box for _, box in self._panels]
        above = [self._style, self._box(bar, "mcpnb-controls"), self._body, self._acts]
        parts = [*above, self._trouble, self._code, self._knobs.panel, *more]
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
        self._trouble.value = _card(said) if said else ""

    def tell(self, code: Sequence[str]) -> None:
        """Say which lines would do in a cell what was done here; seen by those who ask for it."""
        self._lines = tuple(code)
        head = '<h4 class="mcpnb-sub">As code, for a cell</h4>'
        lines = "\n".join(map(escape, code))
        self._code.value = _card(f"{head}<pre>{lines}</pre>", "mcpnb-code") if self._coded.value else ""

    def follow(
        self, strategy: str, statuses: Sequence[ServerStatus], logins: Sequence[LoginRow] = ()
    ) -> None:
        """Bring the controls in line with the fleet. Sends nothing when they are."""
        self._knobs.follow(strategy)
        self._follow_panels()
        logged, shared = {row.server: row.state for row in logins}, sharers(logins)
        compact = len(statuses) > servers.LONG
        row = servers.COMPACT_ROW if compact else servers.ROW
        shown: list[Any] = []
        for place, status in enumerate(statuses):
            top = _FIRST_ROW + place * row + (row - _BUTTON) // 2
            for second, deed in enumerate(_deeds(status, logged.get(status.server, ""), compact=compact)):
                if deed:
                    whom = shared.get(status.server, status.server) if second else status.server
                    shown.append(self._placed(_Spot(status.server, bool(second)), deed, whom, top))
        if tuple(shown) != self._acts.children:
            self._acts.children = tuple(shown)

    def _placed(self, spot: _Spot, deed: str, whom: str, top: int) -> Any:
        """A button in a server's row."""
        button = self._buttons.get(spot)
        if button is None:
            button = self._buttons[spot] = self._button(spot)
        tooltip = DEEDS[deed].format(whom)
        if (deed, tooltip) != (button.description, button.tooltip):
            button.description, button.tooltip = deed, tooltip
        button.layout.top = f"{top}px"
        return button

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

    def _place(self) -> Any:
        """Where HTML goes; empty, it takes no room."""
        return self._w.HTML(layout=self._layout(width="auto", margin="0"))

    def _box(self, children: Sequence[Any], css: str) -> Any:
        box = self._w.Box(children)
        box.add_class(css)
        return box

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
            layout=self._layout(width="64px"),
        )

        def toggled(change: Mapping[str, Any]) -> None:
            button.description = "Resume" if change["new"] else "Pause"
            self._controls.pause(change["new"])

        button.observe(toggled, "value")
        return button

    def _code_button(self) -> Any:
        button = self._w.ToggleButton(
            description="As code",
            tooltip="Show the lines that do in a cell what was done here",
            layout=self._layout(width="70px"),
        )

        button.observe(lambda _: self.tell(self._lines), "value")  # pyright: ignore[reportUnknownLambdaType]
        return button

    def _button(self, spot: _Spot) -> Any:
        width = "70px" if spot.second else "84px"
        button = self._w.Button(layout=self._layout(width=width, height=f"{_BUTTON}px"))
        if spot.second:
            button.add_class("mcpnb-second")

        def clicked(_: object) -> None:
            self._controls.act(button, button.description, spot.server)

        button.on_click(clicked)
        return button

    def _panel(self, panel: Panel) -> Any:
        head = f'<div class="mcpnb"><h4 class="mcpnb-sub">{escape(panel.title)}</h4></div>'
        return self._box([self._w.HTML(head), panel.build()], "mcpnb-panel")

    def _watch_pages(self) -> None:
        """Learn whether any page shows the root: a page that knows how to count counts from here."""
        self.root._view_count = 0  # noqa: SLF001 - ipywidgets' own way to ask for it
        self.root.observe(self._told(lambda new: self._controls.seen(new or 0)), "_view_count")


def _card(html: str, kind: str = "") -> str:
    return f'<div class="mcpnb"><section class="mcpnb-card {kind}">{html}</section></div>'


class _Spot(NamedTuple):
    """A button's place: in whose row, and whether left of the other."""

    server: str
    second: bool


def _deeds(status: ServerStatus, login: str, *, compact: bool) -> tuple[str, str]:
    """What the two buttons in a server's row are for; empty where there is none.

    The second one is the login's, unless that is what the server waits for. Long tables have urgent ones.
    """
    if not servers.usable(status) and login == "logging_in":
        return "", ""  # its card stands below
    if not servers.usable(status) and login in OPEN:
        return "Log in", ""
    return _deed(status, compact=compact), "" if compact else control(login)


def _deed(status: ServerStatus, *, compact: bool) -> str:
    if not servers.usable(status):
        return "" if status.state == "draining" else "Reconnect"
    if status.breaker in {"open", "half_open"}:
        return "Reset"
    return "Trip" if status.breaker == "closed" and not compact else ""


def close_tree(root: Any) -> None:
    """Give up a widget and all that it holds."""
    for widget in list(_tree(root)):
        widget.close()


def _tree(widget: Any) -> Iterator[Any]:
    """A widget and all that it holds, its layout and style included."""
    yield from (part for part in (widget, widget.layout, getattr(widget, "style", None)) if part is not None)
    for child in getattr(widget, "children", ()):
        yield from _tree(child)
