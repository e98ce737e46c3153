"""The playground's controls of the load: which scenario, how many calls, how long, how regular, which chance.

It owns these widgets and what each changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from mcpnb.notebook.markup import escape
from mcpnb.notebook.playground.kit import heard, narrow, settle, wide
from mcpnb.notebook.playground.rows import Tell
from mcpnb.notebook.playground.state import State
from mcpnb.notebook.svg import nice_ceiling
from mcpnb.simulation import scenarios

OWN: Final = "your own"
"""The menu's word for a scenario that is none of the ready-made ones."""
_ARRIVALS: Final = (("at random (Poisson)", "poisson"), ("evenly", "constant"), ("in bursts", "bursty"))
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
_ABOUT: Final = "Change anything: the pictures follow."


class LoadControls:
    """Scenario, load, seed and repeats."""

    def __init__(self, state: State, tell: Tell, choose: Callable[[str], None]) -> None:
        import ipywidgets as w  # noqa: PLC0415 - the panel has loaded it

        self._tell = tell
        names = [
            (f"{name} · {_IN_SHORT[name]}" if name in _IN_SHORT else name, name) for name in scenarios.PRESETS
        ]
        self.about: Any = w.HTML()
        self.preset: Any = w.Dropdown(
            options=[*names, (OWN, "")],
            value=state.preset,
            description="Scenario",
            tooltip="What goes wrong, ready-made",
            style=narrow(),
            layout=wide(),
        )
        self.preset.add_class("mcpnb-stacked")
        self.preset.observe(heard(lambda new: choose(new) if new else None), "value")
        self.rate: Any = w.FloatSlider(
            value=1.0, min=0.0, max=1.0, description="calls/s", tooltip="Calls per second, on average",
            readout_format=".4", style=narrow(), layout=wide(),
        )  # fmt: skip
        self.seconds: Any = w.IntSlider(
            value=round(state.load.seconds), min=5, max=300, step=5, description="seconds",
            tooltip="How long calls come", style=narrow(), layout=wide(),
        )  # fmt: skip
        self.arrivals: Any = w.Dropdown(
            options=list(_ARRIVALS), value=state.load.arrivals, description="arrivals",
            tooltip="How regularly they come", style=narrow(), layout=wide(),
        )  # fmt: skip
        self.timeout: Any = w.BoundedFloatText(
            value=state.load.timeout or 0.0, min=0, max=3600, step=0.5, description="timeout s",
            tooltip="Seconds for each call; 0: none", style=narrow(), layout=wide(),
        )  # fmt: skip
        self.seed: Any = w.BoundedIntText(
            value=state.seed, min=0, max=2**31 - 1, description="seed",
            tooltip="Draws all that is random: the same seed, the same pictures", style=narrow(),
            layout=wide(),
        )  # fmt: skip
        self.repeats: Any = w.BoundedIntText(
            value=state.repeats, min=1, max=40, description="repeats",
            tooltip="Independent runs of each strategy: the more, the surer", style=narrow(),
            layout=wide(),
        )  # fmt: skip
        self._ranged: str | None = None
        """The preset for which the slider's end was chosen: it may not shrink under a moving hand."""
        self.rate.observe(heard(self._moved_rate), "value")
        self._load_of(self.seconds, "seconds", float)
        self._load_of(self.arrivals, "arrivals")
        self._load_of(self.timeout, "timeout", lambda value: value or None)
        for control, name in ((self.seed, "seed"), (self.repeats, "repeats")):
            control.observe(heard(self._field(name)), "value")

    def _field(self, name: str) -> Callable[[Any], None]:
        return lambda new: self._tell(lambda state: replace(state, **{name: new}))

    def _moved_rate(self, new: float) -> None:
        """A page moves a slider onto its nearest step by itself, and that is nobody's wish."""
        step = self.rate.step

        def change(state: State) -> State:
            near = abs(new - state.load.rate) <= step * 0.501
            return state if near else replace(state, load=replace(state.load, rate=max(new, step)))

        self._tell(change)

    def _load_of(self, control: Any, name: str, cast: Callable[[Any], Any] = lambda value: value) -> None:
        """Have a control set a field of the load."""

        def told(new: Any) -> None:
            self._tell(lambda state: replace(state, load=replace(state.load, **{name: cast(new)})))

        control.observe(heard(told), "value")

    def follow(self, state: State) -> None:
        """Bring every control in line with a state."""
        load = state.load
        settle(self.preset, state.preset)
        about = escape(_described(state.preset)) if state.preset else _ABOUT
        value = f'<div class="mcpnb"><p class="mcpnb-dim mcpnb-about">{about}</p></div>'
        settle(self.about, value)
        top = max(
            self.rate.max if state.preset == self._ranged else 0.0,
            _top(load.rate, state.scenario().capacity),
        )
        self._ranged = state.preset
        settle(self.rate, max(top, self.rate.max), "max")
        settle(self.rate, 10.0 ** math.floor(math.log10(top / 100)), "step")
        if abs(self.rate.value - load.rate) > self.rate.step / 2:
            self.rate.value = load.rate
        settle(self.rate, top, "max")
        if load.seconds > self.seconds.max:
            self.seconds.max = round(load.seconds)
        settle(self.seconds, round(load.seconds))
        settle(self.arrivals, load.arrivals)
        settle(self.timeout, load.timeout or 0.0)
        settle(self.seed, state.seed)
        settle(self.repeats, state.repeats)


def _described(preset: str) -> str:
    """What a ready-made scenario shows, in its own words."""
    lines = (scenarios.PRESETS[preset].__doc__ or "").partition("Args:")[0].split("\n\n")
    return " ".join(" ".join(lines[1:2]).split()).replace("`", "")


def _top(rate: float, capacity: float) -> float:
    """The end of the slider of the rate: beyond what the servers can do, and round."""
    return nice_ceiling(max(1.5 * capacity if math.isfinite(capacity) else 0.0, 1.2 * rate, 5.0))
