"""The playground's state as Python source: what a cell would say to ask the same question.

It owns how values are written. Running what it writes gives the same scenario, workload and strategies, and
so the same decisions. It knows no widgets and no cells.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, cast

from mcpnb.experiment.workload import Workload
from mcpnb.notebook.playground.state import PROTECTIONS, Choice, State
from mcpnb.resilience.admission import QueuePolicy
from mcpnb.resilience.breaker import BreakerPolicy
from mcpnb.resilience.hedge import HedgePolicy
from mcpnb.resilience.outlier import OutlierPolicy
from mcpnb.resilience.retry import Backoff, RetryPolicy
from mcpnb.resilience.settings import Resilience
from mcpnb.routing.strategies import spec
from mcpnb.simulation import At, SimServer
from mcpnb.simulation import service as services

PUBLIC = frozenset(
    {SimServer, At, Workload, BreakerPolicy, RetryPolicy, Backoff, HedgePolicy, OutlierPolicy, QueuePolicy}
)
"""Values that are had as `mcpnb.` and their name."""
_WIDTH = 88
"""Characters of a line before a call is spread over several."""


def source(state: State) -> str:
    """A cell that runs the comparison and shows it, ending without a line break.

    Raises:
        ValueError: A distribution or policy of the user's own, which has no source to be written.
    """
    load = state.load
    workload = Workload(
        arrivals=load.arrivals, rate=load.rate, duration=load.seconds, warmup=load.warmup,
        timeout=load.timeout, burst_ratio=load.burst_ratio, burst_share=load.burst_share,
        burst_seconds=load.burst_seconds,
    )  # fmt: skip
    compared = [
        "scenario", literal([_strategy(choice) for choice in state.strategies]), "workload=workload",
        f"seed={state.seed}", f"repeats={state.repeats}",
    ]  # fmt: skip
    return "\n".join(
        [
            "import mcpnb",
            "",
            f"scenario = {_scenario(state)}",
            f"workload = {literal(workload)}",
            f"comparison = {_call('mcpnb.compare', compared)}",
            "comparison",
        ]
    )


def _scenario(state: State) -> str:
    protected = [] if state.resilience == Resilience() else [f"resilience={_resilience(state.resilience)}"]
    if state.ready_made:
        return _call(f"mcpnb.scenarios.{state.preset}", protected)
    parts = [f"servers={_rows(state.servers)}"]
    if state.timeline:
        parts.append(f"timeline={_rows(state.timeline)}")
    parts += protected
    if state.home is not None:
        parts.append(f"home={literal(state.home)}")
    if state.distances:
        parts.append(f"distances={literal(state.distances)}")
    if title := state.scenario().title:
        parts.append(f"title={literal(title)}")
    return _spread("mcpnb.Scenario", parts)


def _rows(values: Iterable[object]) -> str:
    """A list with a line per value, indented as an argument of a call."""
    lines = "".join(f"        {literal(value)},\n" for value in values)
    return f"[\n{lines}    ]"


def _resilience(given: Resilience) -> str:
    usual: dict[str, Any] = {key: value for each in PROTECTIONS.values() for key, value in each.items()}
    parts: list[str] = []
    for name in (*usual, "queue"):
        policy, default = getattr(given, name), getattr(Resilience(), name)
        if policy == default:
            continue
        as_usual = name in usual and policy == getattr(Resilience(**{name: usual[name]}), name)
        parts.append(f"{name}={literal(usual[name] if as_usual else policy)}")
    return _call("mcpnb.Resilience", parts)


def _strategy(choice: Choice) -> str:
    """`peak_ewma(tau=5)`: the label that people read, unless it leaves out digits."""
    if spec(choice.label) == choice.spec:
        return choice.label
    return _call(choice.name, [f"{name}={literal(value)}" for name, value in choice.values])


def literal(value: object) -> str:
    """The source of a value: numbers, texts, containers, and the public values of this package.

    Raises:
        ValueError: It is something else.
    """
    if value is None or isinstance(value, bool | int):
        return repr(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f'float("{value}")'
    if isinstance(value, str):
        plain = value.isprintable() and not {'"', "\\"} & {*value}
        return f'"{value}"' if plain else repr(value)
    if isinstance(value, Mapping):
        known = cast("Mapping[object, object]", value)
        return "{" + ", ".join(f"{literal(key)}: {literal(known[key])}" for key in known) + "}"
    if isinstance(value, tuple | list | frozenset | set):
        return _items(cast("Iterable[object]", value), type(value))  # pyright: ignore[reportUnknownArgumentType]
    return _constructed(value)


def _items(values: Iterable[object], kind: type) -> str:
    inside = ", ".join(literal(item) for item in values)
    if kind is tuple:
        return f"({inside},)" if inside and "," not in inside else f"({inside})"
    return f"[{inside}]" if kind is list else f"{kind.__name__}([{inside}])"


def _constructed(value: object) -> str:
    """One of our dataclasses, by its public name; what is as usual is left out."""
    name = type(value).__name__
    if not is_dataclass(value):
        raise ValueError(f"there is no source for {value!r}: write it into the cell by hand")
    if getattr(services, name, None) is type(value):
        return _call(
            f"mcpnb.service.{name.lower()}", [literal(getattr(value, f.name)) for f in fields(value)]
        )
    if type(value) not in PUBLIC:
        raise ValueError(f"there is no source for {value!r}: write it into the cell by hand")
    parts: list[str] = []
    for f in fields(value):
        given = getattr(value, f.name)
        default = f.default_factory() if f.default_factory is not MISSING else f.default
        if default is MISSING:
            parts.append(literal(given))
        elif given != default:
            parts.append(f"{f.name}={literal(given)}")
    return _call(f"mcpnb.{name}", parts)


def _call(name: str, parts: Iterable[str]) -> str:
    line = f"{name}({', '.join(parts)})"
    if (
        len(line) <= _WIDTH
        or "\n" in line
        or name.startswith(("mcpnb.SimServer", "mcpnb.At", "mcpnb.service"))
    ):
        return line
    return _spread(name, parts)


def _spread(name: str, parts: Iterable[str]) -> str:
    lines = "".join(f"    {part},\n" for part in parts)
    return f"{name}(\n{lines})"
