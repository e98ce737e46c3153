"""Strategies by name: ours, those that others register, and how a user says which one."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

from mcpnb.errors import StrategyError
from mcpnb.routing.strategies.base import Parameter, Strategy
from mcpnb.routing.strategies.bounded_hash import BoundedHash
from mcpnb.routing.strategies.c3 import C3
from mcpnb.routing.strategies.latency import Latency
from mcpnb.routing.strategies.least_request import LeastRequest
from mcpnb.routing.strategies.nearest import Nearest
from mcpnb.routing.strategies.p2c import P2C
from mcpnb.routing.strategies.peak_ewma import PeakEwma
from mcpnb.routing.strategies.prequal import Prequal
from mcpnb.routing.strategies.priority import Priority
from mcpnb.routing.strategies.random_choice import RandomChoice
from mcpnb.routing.strategies.rendezvous import Rendezvous
from mcpnb.routing.strategies.round_robin import RoundRobin
from mcpnb.routing.strategies.thompson import Thompson
from mcpnb.routing.strategies.weighted import Weighted
from mcpnb.routing.strategies.weighted_round_robin import WeightedRoundRobin

_classes: dict[str, type[Strategy]] = {}
_aliases: dict[str, str] = {}


def register(strategy: type[Strategy]) -> type[Strategy]:
    """Make a strategy known by its `name` and `aliases`; usable as a class decorator.

    Raises:
        StrategyError: The name is empty or taken by another class.
    """
    if not strategy.name:
        raise StrategyError(strategy.__name__, "a strategy needs a name")
    for name in (strategy.name, *strategy.aliases):
        owner = _classes.get(_aliases.get(name, name))
        if owner is not None and owner is not strategy:
            raise StrategyError(name, f"the name is taken by {owner.__qualname__}")
    _classes[strategy.name] = strategy
    _aliases.update(dict.fromkeys(strategy.aliases, strategy.name))
    return strategy


def available() -> Mapping[str, type[Strategy]]:
    """Name → class of every registered strategy, in alphabetical order."""
    return dict(sorted(_classes.items()))


def parameters_of(name: str) -> tuple[Parameter, ...]:
    """The typed parameters of a strategy, by name or alias."""
    return _lookup(name).parameters


def _lookup(name: str) -> type[Strategy]:
    known = _classes.get(_aliases.get(name, name))
    if known is None:
        raise StrategyError(name, "there is no such strategy", sorted(_classes))
    return known


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """A strategy chosen and configured, ready to be built afresh for each pool."""

    name: str
    values: Mapping[str, float] = field(default_factory=dict[str, float])
    prototype: Strategy | None = None
    """A user's own object; every pool works on a copy of it."""

    def build(self) -> Strategy:
        """A fresh strategy without any history."""
        if self.prototype is not None:
            return copy.deepcopy(self.prototype)
        return _lookup(self.name)(**self.values)

    def __str__(self) -> str:
        settings = ", ".join(f"{key}={value:g}" for key, value in self.values.items())
        return f"{self.name}({settings})" if settings else self.name


def spec(choice: str | Strategy | type[Strategy] | StrategySpec, /, **values: float) -> StrategySpec:
    """What the user means by a strategy: a name or alias, a class, an object, or a spec.

    Raises:
        StrategyError: An unknown name, an unknown parameter, or one out of bounds.
    """
    if isinstance(choice, StrategySpec):
        return choice
    if isinstance(choice, Strategy):
        return StrategySpec(choice.name or type(choice).__name__, prototype=choice)
    if isinstance(choice, type):
        return spec(choice(**values))
    known = _lookup(choice)
    return StrategySpec(known.name, _checked(known, values))


def _checked(strategy: type[Strategy], values: Mapping[str, float]) -> dict[str, float]:
    parameters = {parameter.name: parameter for parameter in strategy.parameters}
    checked: dict[str, float] = {}
    for name, value in values.items():
        if name not in parameters:
            raise StrategyError(
                strategy.name, f"it has no parameter {name!r}, but {sorted(parameters) or 'none'}"
            )
        try:
            checked[name] = parameters[name].check(value)
        except (TypeError, ValueError) as problem:
            raise StrategyError(strategy.name, str(problem)) from None
    return checked


_OURS = (
    RandomChoice,
    RoundRobin,
    WeightedRoundRobin,
    Weighted,
    LeastRequest,
    P2C,
    PeakEwma,
    Latency,
    C3,
    Prequal,
    Thompson,
    Priority,
    Nearest,
    Rendezvous,
    BoundedHash,
)
for _strategy in _OURS:
    register(_strategy)
