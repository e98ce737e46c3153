"""The playground's widgets: controls at the left, pictures at the right, tables of servers and faults below.

It owns widgets, their labels and where they stand. It keeps no state of its own: a control hands on what it
wants changed, and `follow` brings all of them in line with a state without telling anybody.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from mcpnb.notebook.face import close_tree
from mcpnb.notebook.markup import cut, escape, style
from mcpnb.notebook.palette import STRATEGIES
from mcpnb.notebook.playground import state as st
from mcpnb.notebook.playground.picture import accent_of
from mcpnb.notebook.playground.rows import Change, Editor, Faults, Servers, Tell
from mcpnb.notebook.playground.state import State
from mcpnb.notebook.svg import nice_ceiling
from mcpnb.routing.strategies import available
from mcpnb.simulation import scenarios

OWN: Final = "your own"
"""The menu's word for a scenario that is none of the ready-made ones."""
_ARRIVALS: Final = (("at random (Poisson)", "poisson"), ("evenly", "constant"), ("in bursts", "bursty"))
_LABELS: Final = {
    "breaker": ("breakers", "A server that keeps failing gets no calls for a while"),
    "retry": ("retries", "A failed call is sent again, within a budget"),
    "hedge": ("hedging", "A slow call is sent a second time, elsewhere"),
    "outlier": ("outliers out", "A server that fails more than the others is taken out"),
    "affinity": ("affinity", f"Calls belong to {st.SESSIONS} sessions, and each sticks to a server"),
}
_IN_SHORT: Final = {
    "uniform": "equal servers, all is well",
    "heterogeneous": "some are four times as fast",
    "one_slow": "a server slows down",
    "black_hole": "a server fails at once",
    "flapping": "servers come and go",
    "brownout": "half get slower bit by bit",
    "regional": "the near region goes away",
    "thundering_herd": "calls come in waves",
    "rolling_restart": "one restart after the other",
}
"""Ready-made scenarios in a few words, for a menu."""
_WRONG: Final = '<span class="mcpnb-bad">✕ that did not work</span>'
_ABOUT: Final = "Change anything: the pictures follow."


class Actions(NamedTuple):
    """What the panel's user may ask for besides another state."""

    preset: Callable[[str], None]
    code: Callable[[], None]
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
        self._about: Any = ipywidgets.HTML()
        self._body: Any = ipywidgets.HTML(layout=self._wide())
        self._status: Any = ipywidgets.HTML(layout=self._wide())
        self._trouble: Any = ipywidgets.HTML(layout=ipywidgets.Layout(display="none"))
        self._source: Any = ipywidgets.HTML(layout=ipywidgets.Layout(display="none"))
        self._build_load(state)
        self._build_strategies()
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
            *(w for b in self._knobs.values() for w in b),
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

    def show_code(self, code: str, where: str) -> None:
        """Show source to be copied; `where` says where else it goes."""
        told = f'<section class="mcpnb-card"><h4 class="mcpnb-sub">The same as code{escape(where)}</h4>'
        self._fold(
            self._source,
            f'{told}<pre class="mcpnb-whole" tabindex="0">{escape(code, lines=True)}</pre></section>',
        )

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
            self._follow_load(state)
            self._follow_strategies(state)
            for name, box in self._protections.items():
                self._set(box, getattr(state.resilience, name) is not None)
            self.servers.follow(state)
            self.faults.follow(state)
        finally:
            self._quiet.on = False

    @staticmethod
    def _set(control: Any, value: Any, trait: str = "value") -> None:
        if getattr(control, trait) != value:
            setattr(control, trait, value)

    def _tell(self, change: Change) -> None:
        if not getattr(self._quiet, "on", False):
            self._said(change)

    # -- scenario and load

    def _build_load(self, state: State) -> None:
        w = self._w
        names = [
            (f"{name} · {_IN_SHORT[name]}" if name in _IN_SHORT else name, name) for name in scenarios.PRESETS
        ]
        self._preset: Any = w.Dropdown(
            options=[*names, (OWN, "")],
            value=state.preset,
            description="Scenario",
            tooltip="What goes wrong, ready-made",
            style=self._narrow(),
            layout=self._wide(),
        )
        self._preset.add_class("mcpnb-stacked")
        self._preset.observe(self._heard(lambda new: self._actions.preset(new) if new else None), "value")
        self._rate: Any = w.FloatSlider(
            value=1.0, min=0.0, max=1.0, description="calls/s", tooltip="Calls per second, on average",
            readout_format=".4", style=self._narrow(), layout=self._wide(),
        )  # fmt: skip
        self._seconds: Any = w.IntSlider(
            value=round(state.load.seconds), min=5, max=300, step=5, description="seconds",
            tooltip="How long calls come", style=self._narrow(), layout=self._wide(),
        )  # fmt: skip
        self._arrivals: Any = w.Dropdown(
            options=list(_ARRIVALS), value=state.load.arrivals, description="arrivals",
            tooltip="How regularly they come", style=self._narrow(), layout=self._wide(),
        )  # fmt: skip
        self._timeout: Any = w.BoundedFloatText(
            value=state.load.timeout or 0.0, min=0, max=3600, step=0.5, description="timeout s",
            tooltip="Seconds for each call; 0: none", style=self._narrow(), layout=self._wide(),
        )  # fmt: skip
        self._seed: Any = w.BoundedIntText(
            value=state.seed, min=0, max=2**31 - 1, description="seed",
            tooltip="Draws all that is random: the same seed, the same pictures", style=self._narrow(),
            layout=self._wide(),
        )  # fmt: skip
        self._repeats: Any = w.BoundedIntText(
            value=state.repeats, min=1, max=40, description="repeats",
            tooltip="Independent runs of each strategy: the more, the surer", style=self._narrow(),
            layout=self._wide(),
        )  # fmt: skip
        self._ranged: str | None = None
        """The preset for which the slider's end was chosen: it may not shrink under a moving hand."""
        self._rate.observe(self._heard(self._moved_rate), "value")
        self._load_of(self._seconds, "seconds", float)
        self._load_of(self._arrivals, "arrivals")
        self._load_of(self._timeout, "timeout", lambda value: value or None)
        for control, name in ((self._seed, "seed"), (self._repeats, "repeats")):
            control.observe(self._heard(self._field(name)), "value")

    def _field(self, name: str) -> Callable[[Any], None]:
        return lambda new: self._tell(lambda state: replace(state, **{name: new}))

    def _moved_rate(self, new: float) -> None:
        """A page moves a slider onto its nearest step by itself, and that is nobody's wish."""
        step = self._rate.step

        def change(state: State) -> State:
            near = abs(new - state.load.rate) <= step * 0.501
            return state if near else replace(state, load=replace(state.load, rate=max(new, step)))

        self._tell(change)

    def _load_of(self, control: Any, name: str, cast: Callable[[Any], Any] = lambda value: value) -> None:
        """Have a control set a field of the load."""

        def told(new: Any) -> None:
            self._tell(lambda state: replace(state, load=replace(state.load, **{name: cast(new)})))

        control.observe(self._heard(told), "value")

    def _follow_load(self, state: State) -> None:
        load = state.load
        self._set(self._preset, state.preset)
        about = escape(_described(state.preset)) if state.preset else _ABOUT
        value = f'<div class="mcpnb"><p class="mcpnb-dim mcpnb-about">{about}</p></div>'
        self._set(self._about, value)
        top = max(
            self._rate.max if state.preset == self._ranged else 0.0,
            _top(load.rate, state.scenario().capacity),
        )
        self._ranged = state.preset
        self._set(self._rate, max(top, self._rate.max), "max")
        self._set(self._rate, 10.0 ** math.floor(math.log10(top / 100)), "step")
        if abs(self._rate.value - load.rate) > self._rate.step / 2:
            self._rate.value = load.rate
        self._set(self._rate, top, "max")
        if load.seconds > self._seconds.max:
            self._seconds.max = round(load.seconds)
        self._set(self._seconds, round(load.seconds))
        self._set(self._arrivals, load.arrivals)
        self._set(self._timeout, load.timeout or 0.0)
        self._set(self._seed, state.seed)
        self._set(self._repeats, state.repeats)

    # -- strategies

    def _build_strategies(self) -> None:
        self._strategies: dict[str, Any] = {}
        self._knobs: dict[str, list[Any]] = {}
        for name in sorted(available(), key=STRATEGIES.place):
            entry = available()[name]
            box = self._checkbox(name, f"{name}: {entry.help}")
            box.add_class(STRATEGIES.accent(name).css)
            box.observe(self._heard(self._toggled(name)), "value")
            self._strategies[name] = box
        self._settings: Any = self._w.Box([], layout=self._wide())
        self._settings.add_class("mcpnb-knobs")
        self._protections: dict[str, Any] = {}
        for name, (label, tip) in _LABELS.items():
            box = self._checkbox(label, tip)
            box.observe(self._heard(self._protected(name)), "value")
            self._protections[name] = box

    def _checkbox(self, label: str, tip: str) -> Any:
        return self._w.Checkbox(
            value=False,
            description=label,
            tooltip=tip,
            indent=False,
            layout=self._w.Layout(width="auto", margin="0"),
        )

    def _toggled(self, name: str) -> Callable[[Any], None]:
        return lambda new: self._tell(lambda state: st.toggle_strategy(state, name, new))

    def _protected(self, name: str) -> Callable[[Any], None]:
        return lambda new: self._tell(lambda state: st.protect(state, name, new))

    def _follow_strategies(self, state: State) -> None:
        chosen = {choice.name: dict(choice.values) for choice in state.strategies}
        for name, box in self._strategies.items():
            self._set(box, name in chosen)
        shown: list[Any] = []
        for choice in state.strategies:
            shown += self._knobs_of(choice.name, accent_of(choice).css)
            for knob, parameter in zip(
                self._knobs[choice.name], available()[choice.name].parameters, strict=True
            ):
                self._set(knob, chosen[choice.name].get(parameter.name, parameter.default))
        if tuple(shown) != self._settings.children:
            self._settings.children = tuple(shown)

    def _knobs_of(self, name: str, css: str) -> list[Any]:
        """A control per parameter of a strategy, made when it first takes part."""
        if name not in self._knobs:
            self._knobs[name] = [
                self._knob(name, parameter, css) for parameter in available()[name].parameters
            ]
        return self._knobs[name]

    def _knob(self, name: str, parameter: Any, css: str) -> Any:
        kind = self._w.BoundedIntText if parameter.whole else self._w.BoundedFloatText
        knob = kind(
            value=parameter.default,
            min=parameter.minimum,
            max=parameter.maximum,
            step=1 if parameter.whole else _step(parameter.minimum, parameter.maximum),
            description=f"{name} {parameter.name}",
            tooltip=f"{parameter.help} ({parameter.minimum:g} to {parameter.maximum:g})",
            style={"description_width": "150px"},
            layout=self._wide(),
        )
        knob.add_class(css)

        def told(new: Any) -> None:
            self._tell(lambda state: st.set_parameter(state, name, parameter.name, new))

        knob.observe(self._heard(told), "value")
        return knob

    # -- buttons

    def _build_actions(self) -> None:
        self._fold_servers: Any = self._toggle("Edit servers", "The table of servers, below the pictures")
        self._fold_faults: Any = self._toggle(
            "Edit faults", "What happens to the servers, below the pictures"
        )
        self._fold_servers.observe(self._heard(lambda new: self._unfold(self.servers, new)), "value")
        self._fold_faults.observe(self._heard(lambda new: self._unfold(self.faults, new)), "value")
        self._code = self._button(
            "Code in the next cell", "Write this comparison as Python", self._actions.code
        )
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
        left = self._box(
            [
                self._head("Playground", "mcpnb-title"), self._preset, self._about,
                self._head("Load"), self._rate, self._seconds, self._arrivals, self._timeout,
                self._head("Strategies"), self._box(list(self._strategies.values()), "mcpnb-checks"),
                self._settings,
                self._head("Resilience"), self._box(list(self._protections.values()), "mcpnb-checks"),
                self._head("Chance"), self._seed, self._repeats,
                self._box([self._fold_servers, self._fold_faults], "mcpnb-buttons"),
                self._box([self._code, self._live, self._stop], "mcpnb-buttons"), self._status,
            ],
            "mcpnb-panel mcpnb-side",
        )  # fmt: skip
        right = self._box([self._trouble, self._body, self._source], "mcpnb-stage")
        grid = self._box([left, right, self.servers.box, self.faults.box], "mcpnb-ground")
        sheet = self._w.HTML(style(), layout=self._w.Layout(display="none"))
        return self._box([sheet, grid], "mcpnb-live mcpnb-play")

    def _head(self, text: str, css: str = "mcpnb-sub") -> Any:
        tag = "h3" if css == "mcpnb-title" else "h4"
        return self._w.HTML(f'<div class="mcpnb"><{tag} class="{css}">{escape(text)}</{tag}></div>')

    def _box(self, children: Sequence[Any], classes: str) -> Any:
        box = self._w.Box(children)
        for css in classes.split():
            box.add_class(css)
        return box

    def _wide(self) -> Any:
        return self._w.Layout(width="auto", margin="0")

    def _narrow(self) -> dict[str, str]:
        return {"description_width": "64px"}

    @staticmethod
    def _heard(action: Callable[[Any], None]) -> Callable[[Mapping[str, Any]], None]:
        """An observer that hands the new value on."""
        return lambda change: action(change["new"])


def _described(preset: str) -> str:
    """What a ready-made scenario shows, in its own words."""
    lines = (scenarios.PRESETS[preset].__doc__ or "").partition("Args:")[0].split("\n\n")
    return " ".join(" ".join(lines[1:2]).split()).replace("`", "")


def _top(rate: float, capacity: float) -> float:
    """The end of the slider of the rate: beyond what the servers can do, and round."""
    return nice_ceiling(max(1.5 * capacity if math.isfinite(capacity) else 0.0, 1.2 * rate, 5.0))


def _pressed(act: Callable[[], None]) -> Callable[[object], None]:
    return lambda _: act()


def _step(low: float, high: float) -> float:
    """A step of a hundredth of the range or finer, as people count."""
    return 0.01 if high - low <= 2 else 0.1 if high - low <= 100 else 1.0
