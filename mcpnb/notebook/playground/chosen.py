"""The playground's controls of what is compared: strategies with their parameters, and protections.

It owns these widgets and what each changes. Which there are, the registry of strategies says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mcpnb.notebook.palette import STRATEGIES
from mcpnb.notebook.playground import state as st
from mcpnb.notebook.playground.kit import heard, settle, wide
from mcpnb.notebook.playground.picture import accent_of
from mcpnb.notebook.playground.rows import Tell
from mcpnb.notebook.playground.state import State
from mcpnb.routing.strategies import available

_LABELS: Final = {
    "breaker": ("breakers", "A server that keeps failing gets no calls for a while"),
    "retry": ("retries", "A failed call is sent again, within a budget"),
    "hedge": ("hedging", "A slow call is sent a second time, elsewhere"),
    "outlier": ("outliers out", "A server that fails more than the others is taken out"),
    "affinity": ("affinity", f"Calls belong to {st.SESSIONS} sessions, and each sticks to a server"),
}


class StrategyControls:
    """A tick per strategy, a number per parameter of those that take part, a tick per protection."""

    def __init__(self, tell: Tell) -> None:
        import ipywidgets  # noqa: PLC0415 - the panel has loaded it

        self._w: Any = ipywidgets
        self._tell = tell
        self.ticks: dict[str, Any] = {}
        self.knobs: dict[str, list[Any]] = {}
        for name in sorted(available(), key=STRATEGIES.place):
            entry = available()[name]
            box = self._checkbox(name, f"{name}: {entry.help}")
            box.add_class(STRATEGIES.accent(name).css)
            box.observe(heard(self._toggled(name)), "value")
            self.ticks[name] = box
        self.settings: Any = self._w.Box([], layout=wide())
        self.settings.add_class("mcpnb-knobs")
        self.protections: dict[str, Any] = {}
        for name, (label, tip) in _LABELS.items():
            box = self._checkbox(label, tip)
            box.observe(heard(self._protected(name)), "value")
            self.protections[name] = box

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

    def follow(self, state: State) -> None:
        """Bring every control in line with a state."""
        for name, box in self.protections.items():
            settle(box, getattr(state.resilience, name) is not None)
        chosen = {choice.name: dict(choice.values) for choice in state.strategies}
        for name, box in self.ticks.items():
            settle(box, name in chosen)
        shown: list[Any] = []
        for choice in state.strategies:
            shown += self._knobs_of(choice.name, accent_of(choice).css)
            for knob, parameter in zip(
                self.knobs[choice.name], available()[choice.name].parameters, strict=True
            ):
                settle(knob, chosen[choice.name].get(parameter.name, parameter.default))
        if tuple(shown) != self.settings.children:
            self.settings.children = tuple(shown)

    def _knobs_of(self, name: str, css: str) -> list[Any]:
        """A control per parameter of a strategy, made when it first takes part."""
        if name not in self.knobs:
            self.knobs[name] = [
                self._knob(name, parameter, css) for parameter in available()[name].parameters
            ]
        return self.knobs[name]

    def _knob(self, name: str, parameter: Any, css: str) -> Any:
        kind = self._w.BoundedIntText if parameter.whole else self._w.BoundedFloatText
        knob = kind(
            value=parameter.default,
            min=parameter.minimum,
            max=parameter.maximum,
            step=1 if parameter.whole else _step(parameter.minimum, parameter.maximum),
            description=f"{name} {parameter.label}",
            tooltip=f"{parameter.help} ({parameter.minimum:g} to {parameter.maximum:g})",
            style={"description_width": "150px"},
            layout=wide(),
        )
        knob.add_class(css)

        def told(new: Any) -> None:
            self._tell(lambda state: st.set_parameter(state, name, parameter.name, new))

        knob.observe(heard(told), "value")
        return knob


def _step(low: float, high: float) -> float:
    """A step of a hundredth of the range or finer, as people count."""
    return 0.01 if high - low <= 2 else 0.1 if high - low <= 100 else 1.0
