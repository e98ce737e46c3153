"""What is asked, and when: schedules of calls, drawn from a seed.

It owns arrival processes, tool mixes and arguments. It knows no servers, no strategies, no event loop and
no clock: times are seconds from the start of the workload, and somebody else waits for them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
from numpy.typing import NDArray

from mcpnb.experiment import arrivals
from mcpnb.experiment.arrivals import CHUNK
from mcpnb.model import PRIORITIES, Priority

__all__ = ["Arguments", "Arrivals", "PlannedCall", "Workload"]

Arrivals = Literal["poisson", "constant", "bursty", "closed"]
"""`closed` keeps a number of callers busy; the others send at their own times, whatever the answers do."""

ArgumentsOf = (
    Mapping[str, object]
    | Sequence[Mapping[str, object]]
    | Callable[[int, np.random.Generator], Mapping[str, object]]
)
"""One dict for every call; a list of dicts, used in turn; or a function of the call's number and an rng."""

Arguments = ArgumentsOf | Mapping[str, ArgumentsOf]
"""Arguments for every tool; with a mix of tools also a dict with an entry for each tool of the mix."""


class PlannedCall(NamedTuple):
    """One call of the schedule."""

    i: int
    """From 0, in the order of sending."""
    at: float
    """Seconds from the workload's start at which it is meant to start; nan in a closed loop."""
    tool: str
    arguments: Mapping[str, object]
    warmup: bool
    """True: sent, but left out of every summary."""
    priority: Priority = "normal"


@dataclass(frozen=True, slots=True)
class Workload:
    """Calls to send: which tools, with which arguments, when and how many.

    Give `rate` (calls per second) for open arrivals or `concurrency` for `arrivals="closed"`, and either
    `requests` or `duration`.

    Raises:
        ValueError: For a combination that says nothing, or too much. The message names the field.
        TypeError: For a tool or arguments of another type.
    """

    tool: str | Mapping[str, float] = "tool"
    """A tool's name, or a mix: name → weight. A simulation need not name one."""
    arguments: Arguments = field(default_factory=dict[str, object])
    _: KW_ONLY
    arrivals: Arrivals = "poisson"
    rate: float | None = None
    """Mean calls per second."""
    concurrency: int | None = None
    """Callers that each send their next call when the last one was answered."""
    requests: int | None = None
    """Calls in all, the warm-up among them."""
    duration: float | None = None
    """Seconds."""
    warmup: int = 0
    """The first calls of a strategy that are sent but not counted."""
    timeout: float | None = None
    """Seconds for each call; None takes the fleet's."""
    priorities: Mapping[Priority, float] | None = None
    """A mix of `high`, `normal` and `low`: priority → weight. None makes all calls `normal`."""
    burst_ratio: float = 5.0
    """`bursty`: the rate inside a burst over the rate outside."""
    burst_share: float = 0.2
    """`bursty`: the share of time spent inside bursts."""
    burst_seconds: float = 1.0
    """`bursty`: how long a burst lasts on average."""
    seed: int = 0

    def __post_init__(self) -> None:
        _check_tool(self.tool)
        _check_priorities(self.priorities)
        _check_arguments(self.arguments)
        _check_pace(self)
        _check_length(self)

    @property
    def open_loop(self) -> bool:
        """Whether calls start at times of their own, and latency counts from those."""
        return self.arrivals != "closed"

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools that it calls."""
        return (self.tool,) if isinstance(self.tool, str) else tuple(self.tool)

    def times(self, *, seed: int = 0, repeat: int = 0) -> NDArray[np.float64] | None:
        """When calls start, in seconds, ascending; None in a closed loop, where the answers decide."""
        if not self.open_loop:
            return None
        rng = self._streams(seed, repeat)[0]
        span = arrivals.Span(self.requests, self.duration)
        rate = cast("float", self.rate)
        if self.arrivals == "constant":
            return arrivals.constant(rate, span)
        if self.arrivals == "poisson":
            return arrivals.poisson(rate, span, rng)
        bursts = arrivals.Bursts(self.burst_ratio, self.burst_share, self.burst_seconds)
        return arrivals.bursty(rate, span, bursts, rng)

    def calls(self, *, seed: int = 0, repeat: int = 0) -> Iterator[PlannedCall]:
        """The calls in order, the same for the same seed; endless when a closed loop has a duration."""
        times = self.times(seed=seed, repeat=repeat)
        mixed, argument_rng = not isinstance(self.tool, str), self._streams(seed, repeat)[2]
        tools, priorities = (
            self.each_tool(seed=seed, repeat=repeat),
            self.each_priority(seed=seed, repeat=repeat),
        )
        for i in self._numbers(times):
            tool = next(tools)
            arguments = _arguments(self.arguments, tool, i, argument_rng, mix=mixed)
            at = math.nan if times is None else float(times[i])
            yield PlannedCall(i, at, tool, arguments, i < self.warmup, next(priorities))

    def each_tool(self, *, seed: int = 0, repeat: int = 0) -> Iterator[str]:
        """The tool of each call in turn, without end."""
        return _mixed(self.tool, self._streams(seed, repeat)[1])

    def each_priority(self, *, seed: int = 0, repeat: int = 0) -> Iterator[Priority]:
        """The priority of each call in turn, without end."""
        mix: Priority | Mapping[Priority, float] = self.priorities or "normal"
        return cast("Iterator[Priority]", _mixed(mix, self._streams(seed, repeat)[3]))

    def count(self, *, seed: int = 0, repeat: int = 0) -> int | None:
        """How many calls there are; None when a closed loop runs for a duration."""
        times = self.times(seed=seed, repeat=repeat)
        return self.requests if times is None else len(times)

    def describe(self) -> str:
        """One line: what is sent and how."""
        what = " + ".join(self.tools)
        how = (
            f"{self.arrivals} {self.rate:g}/s"
            if self.rate is not None
            else f"{self.concurrency} callers in turn"
        )
        return f"{what} · {how}"

    def _numbers(self, times: NDArray[np.float64] | None) -> Iterator[int]:
        if times is not None:
            return iter(range(len(times)))
        return itertools.count() if self.requests is None else iter(range(self.requests))

    def _streams(self, seed: int, repeat: int) -> list[np.random.Generator]:
        # Arrivals, tools, arguments and priorities draw from streams of their own: changing one leaves the
        # others alone.
        return np.random.default_rng([self.seed, seed, repeat]).spawn(4)


def _check_tool(tool: object) -> None:
    if isinstance(tool, str) and tool:
        return
    if not isinstance(tool, Mapping) or not tool:
        raise TypeError(f"tool must be a name or a mix {{name: weight}}, not {tool!r}")
    for name, weight in cast("Mapping[object, object]", tool).items():
        if not isinstance(name, str) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
            raise ValueError(f"tool: the mix needs names with weights above 0, not {name!r}: {weight!r}")


def _check_priorities(priorities: object) -> None:
    if priorities is None:
        return
    if not isinstance(priorities, Mapping) or not priorities:
        raise TypeError(f"priorities must be a mix {{'high': weight, ...}}, not {priorities!r}")
    for name, weight in cast("Mapping[object, object]", priorities).items():
        if name not in PRIORITIES:
            raise ValueError(f"priorities: {name!r} is none of {', '.join(PRIORITIES)}")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
            raise ValueError(f"priorities: the weight of {name} must be a number above 0, not {weight!r}")


def _check_arguments(arguments: object) -> None:
    if callable(arguments) or isinstance(arguments, Mapping):
        return
    if not isinstance(arguments, Sequence) or isinstance(arguments, str):
        raise TypeError(f"arguments must be a dict, a list of dicts or a function, not {arguments!r}")
    rows = cast("Sequence[object]", arguments)
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        raise ValueError("arguments: a list needs at least one row, and every row must be a dict")


def _check_pace(w: Workload) -> None:
    if w.arrivals not in get_args(Arrivals):
        raise ValueError(f"arrivals must be one of {', '.join(get_args(Arrivals))}, not {w.arrivals!r}")
    if w.open_loop:
        if w.concurrency is not None:
            raise ValueError('concurrency belongs to arrivals="closed"; open arrivals take rate=')
        _positive("rate", w.rate)
    else:
        if w.rate is not None:
            raise ValueError('rate belongs to open arrivals; arrivals="closed" takes concurrency=')
        _whole("concurrency", w.concurrency, at_least=1)
    _positive("burst_ratio", w.burst_ratio)
    _positive("burst_seconds", w.burst_seconds)
    if not 0 < w.burst_share < 1:
        raise ValueError(f"burst_share must lie between 0 and 1, not {w.burst_share!r}")


def _check_length(w: Workload) -> None:
    if (w.requests is None) == (w.duration is None):
        raise ValueError("give either requests= or duration=")
    if w.requests is None:
        _positive("duration", w.duration)
    else:
        _whole("requests", w.requests, at_least=1)
    _whole("warmup", w.warmup, at_least=0)
    if w.requests is not None and w.warmup >= w.requests:
        raise ValueError(f"warmup={w.warmup} leaves nothing of requests={w.requests} to count")
    if w.timeout is not None:
        _positive("timeout", w.timeout)


def _positive(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a number above 0, not {value!r}")


def _whole(name: str, value: object, *, at_least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise ValueError(f"{name} must be a whole number of at least {at_least}, not {value!r}")


def _mixed(mix: str | Mapping[Any, float], rng: np.random.Generator) -> Iterator[str]:
    """One name for ever, or names in proportion to their weights."""
    if isinstance(mix, str):
        yield from itertools.repeat(mix)
        return
    names = list(mix)
    weights = np.array([float(mix[name]) for name in names])
    while True:
        for index in rng.choice(len(names), size=CHUNK, p=weights / weights.sum()):
            yield names[int(index)]


def _arguments(
    arguments: Arguments, tool: str, i: int, rng: np.random.Generator, *, mix: bool
) -> Mapping[str, object]:
    if callable(arguments):
        return arguments(i, rng)
    if not isinstance(arguments, Mapping):
        return arguments[i % len(arguments)]
    if mix and tool in arguments:
        return _arguments(cast("ArgumentsOf", arguments[tool]), tool, i, rng, mix=False)
    return cast("Mapping[str, object]", arguments)
