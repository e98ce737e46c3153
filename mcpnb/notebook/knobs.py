"""The controls of a routing strategy: a menu of all there are, and a box per parameter of the one in use.

It owns these widgets and keeps them in line with what is in use, whoever chose it. It knows no fleet: it
tells what was asked for, as text that `fleet.strategy` takes (`"peak_ewma(tau=5)"`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mcpnb.errors import StrategyError
from mcpnb.notebook.markup import shorten
from mcpnb.routing.strategies import Parameter, StrategySpec, parameters_of, spec

Choose = Callable[[Any, str], None]
"""Takes the control that was moved, and the strategy wanted."""


class Knobs:
    """The menu, and the boxes below it.

    Args:
        strategies: Name → one line of help.
        strategy: The one in use.
        choose: Told what the user wants.
    """

    def __init__(self, strategies: Mapping[str, str], strategy: str, choose: Choose) -> None:
        import ipywidgets  # noqa: PLC0415 - loaded when first shown

        self._w, self._choose, self._help = ipywidgets, choose, dict(strategies)
        self._following = False
        self._inputs: dict[str, Any] = {}
        self.menu = self._made_menu(_base(strategy))
        head = ipywidgets.HTML(
            '<div class="mcpnb"><h4 class="mcpnb-sub">Parameters of the strategy</h4></div>'
        )
        self._boxes = ipywidgets.Box([], layout=ipywidgets.Layout(flex_flow="row wrap"))
        self.panel: Any = ipywidgets.Box([head, self._boxes], layout=ipywidgets.Layout(display="none"))
        """A box per parameter; hidden where the strategy has none."""
        self.panel.add_class("mcpnb-panel")
        self.panel.add_class("mcpnb-knobs")
        self.menu.observe(self._picked, "value")
        self.follow(strategy)

    def follow(self, strategy: str) -> None:
        """Bring the controls in line with what is in use. Sends nothing when they are."""
        if self.menu.disabled or any(box.disabled for box in self._inputs.values()):
            return  # what was asked for is on its way
        self._following = True
        try:
            chosen = _base(strategy)
            if chosen != self.menu.value:
                self._offer(chosen)
                self.menu.value = chosen
            self._show(_known(strategy))
        finally:
            self._following = False

    def _show(self, chosen: StrategySpec | None) -> None:
        parameters = () if chosen is None else parameters_of(chosen.name)
        if [parameter.name for parameter in parameters] != list(self._inputs):
            self._inputs = {each.name: self._made_box(each) for each in parameters}
            given_up, self._boxes.children = self._boxes.children, tuple(self._inputs.values())
            for box in given_up:
                box.close()
            self.panel.layout.display = None if parameters else "none"
        for parameter in parameters:
            value = (
                parameter.default if chosen is None else chosen.values.get(parameter.name, parameter.default)
            )
            if self._inputs[parameter.name].value != value:
                self._inputs[parameter.name].value = value

    def _wanted(self, control: Any, name: str, settings: Mapping[str, float]) -> None:
        if not self._following:
            self._choose(control, str(StrategySpec(name, settings)))

    def _picked(self, change: Mapping[str, Any]) -> None:
        self._wanted(self.menu, change["new"], {})

    def _turned(self, change: Mapping[str, Any]) -> None:
        """A box has another value: those that stand at their default need no mention."""
        defaults = {each.name: each.default for each in parameters_of(self.menu.value)}
        settings = {name: box.value for name, box in self._inputs.items() if box.value != defaults.get(name)}
        self._wanted(change["owner"], self.menu.value, settings)

    # -- how it is made

    def _made_menu(self, strategy: str) -> Any:
        return self._w.Dropdown(
            options=self._options(strategy),
            value=strategy,
            description="Strategy",
            tooltip="How the next calls choose their server; takes effect at once",
            style={"description_width": "initial"},
            layout=self._w.Layout(width="240px"),
        )

    def _options(self, strategy: str) -> list[tuple[str, str]]:
        names = dict.fromkeys((*self._help, strategy))
        return [(shorten(f"{n} · {self._help[n]}" if self._help.get(n) else n, 60), n) for n in names]

    def _offer(self, strategy: str) -> None:
        """Make sure that a strategy is on the menu, such as an object that a cell has set."""
        if strategy not in {value for _, value in self.menu.options}:
            self.menu.options = self._options(strategy)

    def _made_box(self, parameter: Parameter) -> Any:
        kind = self._w.BoundedIntText if parameter.whole else self._w.BoundedFloatText
        bounds = f"{parameter.minimum:g} to {parameter.maximum:g}"
        box = kind(
            value=parameter.default,
            min=parameter.minimum,
            max=parameter.maximum,
            step=1 if parameter.whole else 10 ** _digits(parameter),
            description=parameter.label,
            tooltip=f"{parameter.help}; {bounds}",
            continuous_update=False,
            style={"description_width": "initial"},
            layout=self._w.Layout(width="150px"),
        )
        box.observe(self._turned, "value")
        return box


def _digits(parameter: Parameter) -> int:
    """The power of ten of a step that is fine enough for the default."""
    return (
        -2 if parameter.maximum <= 1 or abs(parameter.default) < 1 else 0 if parameter.default >= 10 else -1
    )


def _base(strategy: str) -> str:
    return strategy.partition("(")[0]


def _known(strategy: str) -> StrategySpec | None:
    """A strategy as it is configured; None for an object that is registered under no name."""
    try:
        return spec(strategy)
    except StrategyError:
        return None
