"""Strategies by name: ours, those that others register, and how a user says which one."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast, overload

from mcpnb.errors import StrategyError
from mcpnb.routing.strategies import plugins
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

Factory = Callable[..., Strategy]
"""What makes a fresh strategy out of its parameters, given by keyword: its class, or a function."""
F = TypeVar("F", bound=Factory)


@dataclass(frozen=True, slots=True)
class Registered:
    """A strategy that can be chosen by name."""

    name: str
    factory: Factory
    parameters: tuple[Parameter, ...] = ()
    aliases: tuple[str, ...] = ()
    help: str = ""
    looks_at: str = ""
    """What the numbers are that it compares, with their unit."""

    def check(self, values: Mapping[str, object]) -> dict[str, float]:
        """Settings as numbers within their bounds.

        Raises:
            StrategyError: An unknown parameter, or a value that it does not take.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        return {name: self._check(name, known, value) for name, value in values.items()}

    def _check(self, name: str, known: Mapping[str, Parameter], value: object) -> float:
        if name not in known:
            raise StrategyError(self.name, f"it has no parameter {name!r}, but {sorted(known) or 'none'}")
        try:
            return known[name].check(value)
        except (TypeError, ValueError) as problem:
            raise StrategyError(self.name, str(problem)) from None

    def build(self, values: Mapping[str, float]) -> Strategy:
        """A fresh strategy with these settings and the defaults of all others.

        Raises:
            StrategyError: The factory returned something else.
        """
        make: Callable[..., object] = self.factory
        strategy = make(**{**{p.name: p.default for p in self.parameters}, **values})
        if not isinstance(strategy, Strategy):  # pyright: ignore[reportUnnecessaryIsInstance] - somebody else's function
            raise StrategyError(self.name, f"its factory made {strategy!r}, which is no Strategy")
        if strategy.name != self.name:  # a function may configure a strategy that has a name already
            vars(strategy)["name"] = self.name
        return strategy


_registered: dict[str, Registered] = {}
_aliases: dict[str, str] = {}


class _Plugins:
    """Whether the entry points were loaded: once, and not before a name is asked for that is not ours."""

    asked = False


@overload
def register(
    strategy: F,
    /,
    *,
    name: str = "",
    parameters: Sequence[Parameter] = (),
    aliases: Sequence[str] = (),
    help: str = "",
) -> F: ...
@overload
def register(
    *,
    name: str = "",
    parameters: Sequence[Parameter] = (),
    aliases: Sequence[str] = (),
    help: str = "",
) -> Callable[[F], F]: ...
def register(
    strategy: F | None = None,
    /,
    *,
    name: str = "",
    parameters: Sequence[Parameter] = (),
    aliases: Sequence[str] = (),
    help: str = "",  # noqa: A002 - as in Parameter
) -> F | Callable[[F], F]:
    """Make a strategy known by name, so that it can be chosen, listed and configured like the others.

    A class says all that itself. A function that returns a strategy is told by keyword, and so are its
    `parameters`, which it takes by their names; a class may be told otherwise than it says. Usable as a
    decorator, with or without keywords. Registering the same again changes nothing.

    Raises:
        StrategyError: No name, a name that is taken, or a parameter that the factory does not take.
    """

    def enter(factory: F) -> F:
        _enter(_described(factory, name, tuple(parameters), tuple(aliases), help))
        return factory

    return enter if strategy is None else enter(strategy)


def _described(
    factory: Factory, name: str, parameters: tuple[Parameter, ...], aliases: tuple[str, ...], text: str
) -> Registered:
    if isinstance(factory, type) and issubclass(factory, Strategy):
        return Registered(
            name or factory.name,
            factory,
            parameters or factory.parameters,
            aliases or factory.aliases,
            text or factory.help,
            factory.looks_at,
        )
    if isinstance(factory, type) or not callable(factory):
        raise StrategyError(
            name or repr(factory), "it is neither a Strategy class nor a function that makes one"
        )
    return Registered(
        name, factory, parameters, aliases, text or (inspect.getdoc(factory) or "").partition("\n")[0]
    )


def _enter(entry: Registered) -> None:
    if not entry.name:
        raise StrategyError(getattr(entry.factory, "__qualname__", "?"), "a strategy needs a name")
    for name in (entry.name, *entry.aliases):
        owner = _registered.get(_aliases.get(name, name))
        if owner is not None and owner.factory is not entry.factory:
            raise StrategyError(
                name, f"the name is taken by {getattr(owner.factory, '__qualname__', owner.name)}"
            )
    try:
        inspect.signature(entry.factory).bind(**{p.name: p.default for p in entry.parameters})
    except TypeError as problem:
        raise StrategyError(entry.name, f"its factory and its parameters do not fit: {problem}") from None
    _registered[entry.name] = entry
    _aliases.update(dict.fromkeys(entry.aliases, entry.name))


def _plug_in(found: object, name: str) -> None:
    """What an entry point leads to; a module that registers its strategies itself has done so by now."""
    if any(entry.factory is found for entry in _registered.values()):
        return
    if not callable(found):
        raise TypeError(f"{found!r} is neither a Strategy class nor a function that makes one")
    register(cast("Factory", found), name=getattr(found, "name", "") or name)


def _load_plugins() -> None:
    if not _Plugins.asked:
        _Plugins.asked = True
        plugins.load(_plug_in)


def available() -> Mapping[str, Registered]:
    """Name → what is registered under it, in alphabetical order."""
    _load_plugins()
    return dict(sorted(_registered.items()))


def parameters_of(name: str) -> tuple[Parameter, ...]:
    """The typed parameters of a strategy, by name or alias."""
    return _lookup(name).parameters


def _lookup(name: str) -> Registered:
    known = _registered.get(_aliases.get(name, name))
    if known is None:
        _load_plugins()
        known = _registered.get(_aliases.get(name, name))
    if known is None:
        raise StrategyError(name, "there is no such strategy", [*sorted(_registered), *sorted(_aliases)])
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
        return _lookup(self.name).build(self.values)

    def __str__(self) -> str:
        settings = ", ".join(f"{key}={value:.12g}" for key, value in self.values.items())
        return f"{self.name}({settings})" if settings else self.name


def spec(choice: str | Strategy | type[Strategy] | StrategySpec, /, **values: float) -> StrategySpec:
    """What the user means by a strategy: a name or alias, a class, an object, or a spec.

    A name may come with its settings, as a spec's text does: `"peak_ewma(tau=5)"`.

    Raises:
        StrategyError: An unknown name, an unknown parameter, one out of bounds, or something else altogether.
    """
    if isinstance(choice, str):
        name, settings = _read(choice)
        known = _lookup(name)
        return StrategySpec(known.name, known.check({**settings, **values}))
    if isinstance(choice, type):
        return _of_class(choice, values)
    if values:
        raise StrategyError(_name(choice), f"it is configured already; {sorted(values)} cannot be set")
    given: object = choice
    if isinstance(given, StrategySpec):
        return given
    if isinstance(given, Strategy):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
        return StrategySpec(_name(given), prototype=given)
    raise StrategyError(repr(given), "give a strategy's name, its class or an object of it")


def _read(text: str) -> tuple[str, dict[str, float]]:
    """Name and settings of what `str(StrategySpec)` writes.

    Raises:
        StrategyError: A setting is not of the form `name=number` or set twice, or the bracket stays open.
    """
    name, bracket, rest = text.partition("(")
    if bracket and not rest.rstrip().endswith(")"):
        raise StrategyError(name.strip(), f"its settings end with `)`, unlike {text!r}")
    settings: dict[str, float] = {}
    for setting in filter(str.strip, rest.rstrip().removesuffix(")").split(",")):
        parameter, _, value = setting.partition("=")
        if parameter.strip() in settings:
            raise StrategyError(name.strip(), f"{parameter.strip()} is set twice")
        try:
            settings[parameter.strip()] = float(value)
        except ValueError:
            raise StrategyError(
                name.strip(), f"a setting reads `parameter=number`, not {setting.strip()!r}"
            ) from None
    return name.strip(), settings


def _of_class(choice: type, values: Mapping[str, float]) -> StrategySpec:
    if not issubclass(choice, Strategy):
        raise StrategyError(choice.__name__, "the class is not a Strategy")
    name = choice.name or choice.__name__
    checked = Registered(name, choice, choice.parameters).check(values)
    return StrategySpec(name, checked, prototype=choice(**checked))


def _name(choice: object) -> str:
    return getattr(choice, "name", "") or type(choice).__name__


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
