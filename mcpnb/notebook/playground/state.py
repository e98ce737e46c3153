"""What the playground's controls say at one time: a frozen value, and how one control changes it.

It owns the questions that can be asked: servers, what happens to them, load, strategies, protections, seed.
Every change gives a new value or raises one clear `ValueError`, so a state is always one that can be run. It
knows no widgets and runs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from mcpnb.notebook.playground.vocabulary import FAULTS
from mcpnb.resilience.settings import Resilience
from mcpnb.routing.strategies import StrategySpec, parameters_of, spec
from mcpnb.simulation import At, Load, Scenario, SimServer, scenarios

USUAL: Final = ("round_robin", "random", "p2c", "peak_ewma")
"""Strategies that take part unless somebody says otherwise: two that look nowhere, two that look."""
REPEATS: Final = 6
"""Runs per strategy: the fewest from which `mcpnb.compare` says how sure it is."""
SESSIONS: Final = 100
"""Sessions among which the calls are divided when affinity is on."""


class Choice(NamedTuple):
    """A strategy that takes part, with those of its parameters that differ from their defaults."""

    name: str
    values: tuple[tuple[str, float], ...] = ()

    @property
    def spec(self) -> StrategySpec:
        """What `mcpnb.compare` takes.

        Raises:
            StrategyError: There is no such strategy or parameter, or the value is out of bounds.
        """
        return spec(self.name, **dict(self.values))

    @property
    def label(self) -> str:
        """The strategy as people call it: `latency`, or `latency(tau=2)`."""
        return str(self.spec)


@dataclass(frozen=True, slots=True)
class State:
    """All that a comparison in the playground depends on: equal states give equal pictures.

    Raises:
        ValueError: It could not be run; the message names what is wrong.
    """

    servers: tuple[SimServer, ...]
    timeline: tuple[At, ...] = ()
    load: Load = field(default_factory=lambda: Load(50.0, 60.0))
    strategies: tuple[Choice, ...] = tuple(Choice(name) for name in USUAL)
    """Those that are compared; none is allowed, and gives no picture."""
    resilience: Resilience = field(default_factory=Resilience)
    seed: int = 0
    repeats: int = REPEATS
    preset: str = ""
    """The ready-made scenario that it began as; empty for one of the user's own."""
    name: str = ""
    """What the user's own scenario is called."""
    home: str | None = None
    distances: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])

    def __post_init__(self) -> None:
        if not (0 < self.load.rate < math.inf and 0 < self.load.seconds < math.inf):
            raise ValueError("the load needs a rate and a length above 0")
        if self.seed < 0 or self.repeats < 1:
            raise ValueError("the seed must be at least 0, the repeats at least 1")
        if self.scenario().may_hang and self.load.timeout is None:
            raise ValueError("a server that never answers needs calls with an end: give the load a timeout")

    @property
    def title(self) -> str:
        """What is simulated, in a word or two."""
        if not self.preset:
            return self.name or "your own scenario"
        return self.preset if self.ready_made else f"{self.preset}, changed"

    @property
    def ready_made(self) -> bool:
        """Whether servers and faults are those of the preset, untouched."""
        if not self.preset:
            return False
        known = scenarios.preset(self.preset)
        return (self.servers, self.timeline) == (known.servers, known.timeline)

    @property
    def calls(self) -> int:
        """Calls per strategy and repeat, roughly."""
        return round(self.load.rate * self.load.seconds)

    @property
    def specs(self) -> dict[str, StrategySpec]:
        """Label → strategy, for `mcpnb.compare`."""
        return {choice.label: choice.spec for choice in self.strategies}

    def scenario(self) -> Scenario:
        """What is simulated."""
        title = self.title if self.preset else self.name
        return Scenario(
            self.servers, self.timeline, self.resilience, self.home, self.distances, self.load, title
        )


def of_preset(name: str, **others: Any) -> State:
    """A ready-made scenario as a state; `others` are fields of it that are not the scenario's.

    Raises:
        ValueError: There is no such scenario; the message lists them.
    """
    return replace(of_scenario(scenarios.preset(name)), preset=name, **others)


def of_scenario(scenario: Scenario, **others: Any) -> State:
    """Somebody's own scenario as a state. One without a load gets one of 70 % of its capacity for 60 s.

    Raises:
        ValueError: It cannot be run; the message says why.
    """
    capacity = scenario.capacity if math.isfinite(scenario.capacity) else 100.0
    load = scenario.load or Load(0.7 * capacity, 60.0, timeout=10.0 if scenario.may_hang else None)
    return State(
        tuple(scenario.servers),
        tuple(scenario.timeline),
        load,
        resilience=scenario.resilience,
        name=scenario.title,
        home=scenario.home,
        distances=scenario.distances,
        **others,
    )


# -- servers


def edit_server(state: State, place: int, **fields: Any) -> State:
    """The state with another server at `place`; a new name is carried into the faults.

    Raises:
        ValueError: A value that the server cannot have, or a name that is taken.
    """
    before = state.servers[place]
    after = replace(before, **fields)
    servers = (*state.servers[:place], after, *state.servers[place + 1 :])
    timeline = tuple(
        replace(at, server=after.name) if at.server == before.name else at for at in state.timeline
    )
    return replace(state, servers=servers, timeline=timeline)


def add_server(state: State) -> State:
    """One more server, like the last one, under a name that is free."""
    names = {server.name for server in state.servers}
    free = next(name for n in range(len(names) + 1) if (name := f"s{len(names) + n}") not in names)
    return replace(state, servers=(*state.servers, replace(state.servers[-1], name=free)))


def remove_server(state: State, place: int) -> State:
    """The state without a server and without what happens to it.

    Raises:
        ValueError: It is the last one.
    """
    gone = state.servers[place].name
    return replace(
        state,
        servers=(*state.servers[:place], *state.servers[place + 1 :]),
        timeline=tuple(at for at in state.timeline if at.server != gone),
    )


# -- faults


def edit_fault(state: State, place: int, at: At) -> State:
    """The state with another change at `place`.

    Raises:
        ValueError: There is no such server, or calls need a timeout now.
    """
    return replace(state, timeline=(*state.timeline[:place], at, *state.timeline[place + 1 :]))


def add_fault(state: State) -> State:
    """One more change: the first server that is well all along gets slower for the middle third."""
    hurt = {at.server for at in state.timeline}
    server = next((each.name for each in state.servers if each.name not in hurt), state.servers[0].name)
    begin, end = round(state.load.seconds / 3, 1), round(state.load.seconds * 2 / 3, 1)
    more = (FAULTS["slower by"].make(begin, server, 6.0), FAULTS["recovers"].make(end, server, 0.0))
    return replace(state, timeline=(*state.timeline, *more))


def remove_fault(state: State, place: int) -> State:
    """The state without a change."""
    return replace(state, timeline=(*state.timeline[:place], *state.timeline[place + 1 :]))


# -- strategies and protections


def toggle_strategy(state: State, name: str, on: bool) -> State:
    """The state with or without a strategy."""
    others = tuple(choice for choice in state.strategies if choice.name != name)
    if not on:
        return replace(state, strategies=others)
    return (
        state if len(others) < len(state.strategies) else replace(state, strategies=(*others, Choice(name)))
    )


def set_parameter(state: State, name: str, parameter: str, value: float) -> State:
    """The state with another setting of a strategy that takes part; a default is not written down.

    Raises:
        StrategyError: The parameter does not exist, or the value is out of bounds.
    """
    known = {each.name: each.default for each in parameters_of(name)}
    spec(name, **{parameter: value})
    strategies = tuple(
        Choice(name, _settings(dict(choice.values) | {parameter: value}, known))
        if choice.name == name
        else choice
        for choice in state.strategies
    )
    return replace(state, strategies=strategies)


def _settings(values: Mapping[str, float], defaults: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted((key, value) for key, value in values.items() if value != defaults.get(key)))


PROTECTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "breaker": {"breaker": True, "panic": True},
    "retry": {"retry": True},
    "hedge": {"hedge": True},
    "outlier": {"outlier": True},
    "affinity": {"affinity": SESSIONS},
}
"""What a toggle turns on, as arguments of `mcpnb.Resilience`."""


def protect(state: State, name: str, on: bool) -> State:
    """The state with a protection on, as usual, or off; one that is on already keeps its policy."""
    if on == (getattr(state.resilience, name) is not None):
        return state
    r = state.resilience
    now: dict[str, Any] = {each: getattr(r, each) for each in (*PROTECTIONS, "panic", "queue")}
    now |= PROTECTIONS[name] if on else dict.fromkeys(PROTECTIONS[name])
    return replace(state, resilience=Resilience(**now))
