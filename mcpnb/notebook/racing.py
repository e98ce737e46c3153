"""Racing strategies on a live fleet: one call under each of them, one after the other, and the picture of it.

It owns which calls may be raced, the `Race` that comes of it, and the dashboard's panel. Routing is the
client's, the picture `race`'s.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from mcpnb.errors import McpnbError
from mcpnb.model import Explanation
from mcpnb.notebook.background import in_background
from mcpnb.notebook.cards import card, head
from mcpnb.notebook.face import Panel, widgets
from mcpnb.notebook.markup import bundle, compact, cut, join, name, shorten
from mcpnb.notebook.race import strip, strip_text, winner

if TYPE_CHECKING:
    from mcpnb.client import MultiServerClient

__all__ = ["Race", "race_panel", "run_race"]

USUAL: Final = ("round_robin", "least_request", "p2c", "peak_ewma")
"""Strategies that run beside the fleet's own unless others are named."""
_ARGUMENTS: Final = 60
"""Characters of the arguments in a title."""
_TOOL: Final = 60


@dataclass(frozen=True, slots=True, repr=False)
class Race:
    """One query under several strategies; shows itself as a strip with a lane per server.

    Attributes:
        tool: Its name.
        arguments: Those of every call.
        explanations: Label of a strategy → why its call went where it went, and how it ended.
        at: Unix time of its start, for display; 0 where nobody looked.
    """

    tool: str
    arguments: Mapping[str, Any]
    explanations: Mapping[str, Explanation]
    at: float = 0.0

    @property
    def winners(self) -> dict[str, str | None]:
        """Label → the server that answered; None when none did."""
        found = {label: winner(e) for label, e in self.explanations.items()}
        return {label: None if won is None else won.attempt.server for label, won in found.items()}

    @property
    def latencies(self) -> dict[str, float]:
        """Label → seconds from the call's start to its end."""
        return {label: e.total for label, e in self.explanations.items()}

    def __repr__(self) -> str:
        return (
            f"Race of {self.tool} under {len(self.explanations)} strategies\n{strip_text(self.explanations)}"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002
        return bundle(race_card(self), repr(self))


def race_card(race: Race) -> str:
    """The strip in a card."""
    return card(head(f"Race: {name(_asked(race))}", _about(race)), _drawn(race))


def _asked(race: Race) -> str:
    """The call as a line of Python would have it, cut."""
    said = ", ".join(f"{key}={compact(value)}" for key, value in race.arguments.items())
    return f"{shorten(race.tool, _TOOL)}({shorten(said, _ARGUMENTS)})"


def _about(race: Race) -> Sequence[str]:
    when = time.strftime("at %H:%M:%S", time.localtime(race.at)) if race.at else ""
    return f"{len(race.explanations)} strategies, one call each", when


def _drawn(race: Race) -> str:
    return strip(race.explanations, title=f"race of {race.tool}")


async def run_race(
    client: MultiServerClient,
    tool: str,
    arguments: Mapping[str, Any],
    strategies: Sequence[Any] | None,
    repeatable: bool,
) -> Race:
    """Send one call under each strategy, one after the other, each with a history of its own: none.

    Raises:
        McpnbError: The tool may change something, and nobody said that it may be called again.
        ToolNotFound, ArgumentError, StrategyError: Before anything is sent.
    """
    require_repeatable(client, tool, repeatable)
    labelled = _labelled(client, strategies)
    trials = {label: client.trial(choice) for label, choice in labelled.items()}
    explanations: dict[str, Explanation] = {}
    began = time.time()
    try:
        for label, trial in trials.items():
            finish = await trial.trace(tool, arguments)
            explanations[label] = finish.call.explanation()
    finally:
        for trial in trials.values():
            trial.close()
    return Race(tool, dict(arguments), explanations, began)


def require_repeatable(client: MultiServerClient, tool: str, repeatable: bool) -> None:
    """Return when a tool may be called several times.

    Raises:
        McpnbError: Neither the tool nor the caller says so.
        ToolNotFound: There is no such tool.
    """
    if not repeatable and not client.catalog.resolve(tool).entry.idempotent:
        raise McpnbError(
            f"{tool} does not say that it only reads, and a race calls it once per strategy:"
            " repeatable=True, if it may be"
        )


def _labelled(client: MultiServerClient, strategies: Sequence[Any] | None) -> dict[str, Any]:
    if strategies is None:
        return {name: name for name in (client.strategy, *USUAL)}
    if isinstance(strategies, str) or not strategies:
        raise ValueError("strategies is a list of names or strategies, with at least one")
    return {_label(choice, strategies[:place]): choice for place, choice in enumerate(strategies)}


def _label(choice: Any, before: Sequence[Any]) -> str:
    said = choice if isinstance(choice, str) else str(getattr(choice, "name", "") or choice)
    twice = sum(1 for other in before if other == choice)
    return f"{said} ({twice + 1})" if twice else said


# -- on the dashboard


class Raceable(Protocol):
    """A fleet, as far as the panel needs it."""

    def race(
        self, tool: str, arguments: Mapping[str, Any] | None = None, /, *, repeatable: bool = False
    ) -> Race:
        """One call under several strategies."""
        ...

    def safe_tools(self) -> Mapping[str, Sequence[str]]:
        """Tools that only read, each with the arguments that it needs."""
        ...


def race_panel(fleet: Raceable) -> Panel:
    """The panel for a dashboard. It is there while some tool only reads."""
    return Panel.of("Race: one call under several strategies", lambda: _Track(fleet))


def _blank(tools: Mapping[str, Sequence[str]], tool: str | None) -> str:
    """A tool's arguments, to be filled in."""
    return json.dumps(dict.fromkeys(tools.get(tool or "", ()), ""))


class _Track:
    """The panel's widgets: which tool, with what, and the last race."""

    def __init__(self, fleet: Raceable, *, run: Callable[[Callable[[], None]], None] = in_background) -> None:
        w = widgets()
        self._fleet, self._run = fleet, run
        self.tool: Any = w.Dropdown(
            options=list(fleet.safe_tools()), description="Tool", tooltip="Tools that only read",
            style={"description_width": "initial"}, layout=w.Layout(width="260px"),
        )  # fmt: skip
        self.arguments: Any = w.Text(
            value=_blank(fleet.safe_tools(), self.tool.value), description="Arguments",
            tooltip='A JSON object, such as {"location": "London"}',
            continuous_update=False, style={"description_width": "initial"}, layout=w.Layout(width="380px"),
        )  # fmt: skip
        self.tool.observe(self._chosen, "value")
        self.button: Any = w.Button(
            description="Race",
            tooltip="Send this call once under each strategy",
            layout=w.Layout(width="72px"),
        )
        self.button.on_click(self._pressed)
        self.shown: Any = w.HTML(layout=w.Layout(width="auto", margin="6px 0 0"))
        layout = w.Layout(flex_flow="row wrap", align_items="center")
        self.widget: Any = w.VBox(
            [w.HBox([self.tool, self.arguments, self.button], layout=layout), self.shown]
        )

    def refresh(self) -> bool:
        """Offer the tools that there are; whether there are any. Sends nothing when they are the same."""
        tools = tuple(self._fleet.safe_tools())
        if tools != tuple(self.tool.options):
            chosen = self.tool.value
            self.tool.options = list(tools)
            if chosen in tools:
                self.tool.value = chosen
        return bool(tools)

    def _chosen(self, change: Mapping[str, Any]) -> None:
        """Another tool takes other arguments."""
        self.arguments.value = _blank(self._fleet.safe_tools(), change["new"])

    def _pressed(self, _: object) -> None:
        self.button.disabled = True
        self._run(self._race)

    def _race(self) -> None:
        try:
            said = self._raced()
        except Exception as error:  # noqa: BLE001 - a control has no caller; its user is told instead
            said = f'<span class="mcpnb-bad">✕ that did not work</span> {cut(str(error))}'
        finally:
            self.button.disabled = False
        self.shown.value = f'<div class="mcpnb">{said}</div>'

    def _raced(self) -> str:
        arguments: object = json.loads(self.arguments.value or "{}")
        if not isinstance(arguments, dict):
            raise TypeError('arguments are a JSON object, such as {"location": "London"}')
        race = self._fleet.race(self.tool.value, cast("dict[str, Any]", arguments))
        said = f'<b>{name(_asked(race))}</b> <span class="mcpnb-dim">{join(_about(race))}</span>'
        return f"<p>{said}</p>{_drawn(race)}"
