"""The lab's controls on a dashboard: a row per server, to slow it down or to break it.

It owns the widgets and their handlers. What a crash is, the fleet knows. Handlers may run on any thread, so
they touch nothing but widgets and the fleet, never raise, and leave what takes time to a thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from mcpnb.errors import McpnbError
from mcpnb.lab.profile import Profile
from mcpnb.notebook.background import in_background
from mcpnb.notebook.face import Panel, widgets
from mcpnb.notebook.markup import escape
from mcpnb.notebook.slider_names import slider_names

__all__ = ["Breakable", "panel"]


class Breakable(Protocol):
    """A fleet, as far as the controls need it."""

    def profile(self, server: str, **changes: float | None) -> Profile:
        """How a server behaves; with changes, how it behaves from now on."""
        ...

    def crash(self, server: str) -> None:
        """Kill a server."""
        ...

    def hang(self, server: str) -> None:
        """Make a server answer nothing any more."""
        ...

    def restart(self, server: str) -> None:
        """Bring a server back."""
        ...


def panel(fleet: Breakable, servers: Sequence[str]) -> Panel:
    """The panel for a dashboard."""
    return Panel("Lab: break it on purpose", lambda: _build(fleet, servers), _follow)


def _build(fleet: Breakable, servers: Sequence[str]) -> Any:
    rows = [_Row(fleet, server) for server in servers]
    box = widgets().VBox([*(row.widget for row in rows), slider_names()])
    box.rows = rows  # the dashboard hands the widget back on every refresh
    return box


def _follow(box: Any) -> bool:
    for row in box.rows:
        row.follow()
    return True


class _Scale(NamedTuple):
    """What a slider shows of a setting."""

    word: str
    top: float
    step: float
    factor: float
    """From the setting to what is shown: people read percent."""
    css: str
    """The class that puts the unit behind the figure; what is typed there stays a bare number."""
    tip: str


_SCALES: Final = {
    "latency_ms": _Scale("latency", 1000, 5, 1, "mcpnb-ms", "mean time per call, in ms"),
    "jitter": _Scale("jitter", 200, 5, 100, "mcpnb-percent", "spread, in percent of the mean"),
    "error_rate": _Scale("errors", 100, 1, 100, "mcpnb-percent", "percent of calls that fail"),
}
"""Setting of a profile → its slider."""


class _Row:
    """One server's sliders and buttons."""

    def __init__(
        self, fleet: Breakable, server: str, *, run: Callable[[Callable[[], None]], None] = in_background
    ) -> None:
        self._fleet, self._server, self._run = fleet, server, run
        w = widgets()
        now = fleet.profile(server)
        self._said = w.HTML()
        self.sliders = {
            setting: self._slider(scale, getattr(now, setting)) for setting, scale in _SCALES.items()
        }
        self.buttons = {
            "Crash": self._button(
                "Crash", fleet.crash, "kill the process in the middle of its calls", "danger"
            ),
            "Hang": self._button(
                "Hang", fleet.hang, "answer nothing any more, keep connections open", "warning"
            ),
            "Restart": self._button("Restart", fleet.restart, "bring it back at the same address", ""),
        }
        for setting, slider in self.sliders.items():
            slider.observe(partial(self._moved, setting), names="value")
        name = w.HTML(f"<b>{escape(server)}</b>", layout=w.Layout(width="7em"))
        together = w.HBox(list(self.buttons.values()))
        layout = w.Layout(flex_flow="row wrap", align_items="center")
        self.widget: Any = w.HBox([name, *self.sliders.values(), together, self._said], layout=layout)

    def _slider(self, scale: _Scale, value: float) -> Any:
        w, shown = widgets(), value * scale.factor
        slider = w.FloatSlider(
            value=shown,
            min=0,
            max=max(scale.top, shown),
            step=scale.step,
            description=scale.word,
            tooltip=f"{self._server}: {scale.tip}",
            continuous_update=False,  # each value is written to a file
            readout_format=".0f",
            style={"description_width": "6em"},
            layout=w.Layout(width="16.5em"),
        )
        slider.add_class(scale.css)
        return slider

    def _button(self, label: str, act: Callable[[str], None], tip: str, style: str) -> Any:
        w = widgets()
        button = w.Button(
            description=label,
            tooltip=f"{self._server}: {tip}",
            button_style=style,
            layout=w.Layout(width="4.8em", padding="0 4px"),
        )
        button.on_click(partial(self._pressed, label, act))
        return button

    def follow(self) -> None:
        """Show how the server behaves, whoever changed it; nothing is sent where nothing differs."""
        try:
            now = self._fleet.profile(self._server)
        except McpnbError:  # it was removed
            return
        for setting, slider in self.sliders.items():
            value = float(getattr(now, setting)) * _SCALES[setting].factor
            if not _near(slider, value):
                slider.max = max(slider.max, value)
                slider.value = value

    def _moved(self, setting: str, change: Mapping[str, Any]) -> None:
        def changed() -> None:
            # A page moves a slider onto its nearest step by itself, and that is nobody's wish.
            factor = _SCALES[setting].factor
            if not _near(self.sliders[setting], getattr(self._fleet.profile(self._server), setting) * factor):
                self._fleet.profile(self._server, **{setting: change["new"] / factor})

        self._try(changed)

    def _pressed(self, label: str, act: Callable[[str], None], _button: object) -> None:
        self._enable(False)
        self._said.value = escape(f"{label.lower()} ...")
        self._run(lambda: self._act(act))

    def _act(self, act: Callable[[str], None]) -> None:
        try:
            self._try(lambda: act(self._server))
        finally:
            self._enable(True)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - nobody calls a handler; what goes wrong stands in the widget
            self._said.value = escape(str(error))
        else:
            self._said.value = ""

    def _enable(self, enabled: bool) -> None:
        for button in self.buttons.values():
            button.disabled = not enabled


def _near(slider: Any, value: float) -> bool:
    """Whether a slider shows a value, as well as its steps allow."""
    return abs(slider.value - value) <= slider.step * 0.501
