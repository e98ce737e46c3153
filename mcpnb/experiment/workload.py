"""What is asked, and when: schedules of calls, drawn from a seed.

It owns arrival processes, tool mixes and arguments. It knows no servers, no strategies, no event loop and
no clock: times are seconds from the start of the workload, and somebody else waits for them.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
from numpy.typing import NDArray

from mcpnb.experiment import arrivals
from mcpnb.experiment.arguments import Arguments, arguments_for, check_arguments
from mcpnb.experiment.arrivals import CHUNK
from mcpnb.experiment.timetable import HasTimetable, Timetable
from mcpnb.model import PRIORITIES, Priority

__all__ = ["Arguments", "Arrivals", "PlannedCall", "Workload"]

Arrivals = Literal["poisson", "constant", "bursty", "closed"]
"""`closed` keeps a number of callers busy; the others send at their own times, whatever the answers do."""

_NAMED = 3
"""Tools that a line names; a mix may have many."""


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
    `requests` or `duration`. Or give a recording as `arrivals`: then its calls come again, with their tools,
    arguments, times and priorities, unless `arguments` or `priorities` say otherwise.

    Raises:
        ValueError: For a combination that says nothing, or too much. The message names the field.
        TypeError: For a tool or arguments of another type.
    """

    tool: str | Mapping[str, float] = "tool"
    """A tool's name, or a mix: name → weight. A simulation need not name one."""
    arguments: Arguments = field(default_factory=dict[str, object])
    _: KW_ONLY
    arrivals: Arrivals | HasTimetable | Timetable = "poisson"
    """`poisson`, `constant`, `bursty` or `closed`; or a `Recording`."""
    rate: float | None = None
    """Mean calls per second."""
    concurrency: int | None = None
    """Callers that each send their next call when the last one was answered."""
    requests: int | None = None
    """Calls in all, the warm-up among them. Of a recording: the first so many."""
    duration: float | None = None
    """Seconds. Of a recording: the calls of its first so many."""
    speed: float = 1.0
    """Of a recording: how many times as fast its calls come again."""
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
        for each in fields(self):  # numbers out of an array or a frame, as Python's own
            if isinstance(value := getattr(self, each.name), np.generic):
                object.__setattr__(self, each.name, value.item())
        _positive("speed", self.speed)
        if isinstance(self.arrivals, HasTimetable | Timetable):
            _take(self, self.arrivals)
        elif self.speed != 1.0:
            raise ValueError("speed is that of a recording; other arrivals take rate=")
        _check_tool(self.tool)
        _check_priorities(self.priorities)
        mix = not isinstance(self.tool, str)
        object.__setattr__(self, "arguments", check_arguments(self.arguments, mix=mix))
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
        if isinstance(self.arrivals, Timetable):
            return self.arrivals.times
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
            arguments = self._arguments(tool, i, argument_rng, mix=mixed)
            at = math.nan if times is None else float(times[i])
            yield PlannedCall(i, at, tool, arguments, i < self.warmup, next(priorities))

    def each_tool(self, *, seed: int = 0, repeat: int = 0) -> Iterator[str]:
        """The tool of each call in turn, without end."""
        if isinstance(self.arrivals, Timetable):
            return itertools.cycle(self.arrivals.tools)
        return _mixed(self.tool, self._streams(seed, repeat)[1])

    def each_priority(self, *, seed: int = 0, repeat: int = 0) -> Iterator[Priority]:
        """The priority of each call in turn, without end."""
        if isinstance(self.arrivals, Timetable) and self.priorities is None:
            return itertools.cycle(self.arrivals.priorities)
        mix: Priority | Mapping[Priority, float] = self.priorities or "normal"
        return cast("Iterator[Priority]", _mixed(mix, self._streams(seed, repeat)[3]))

    def count(self, *, seed: int = 0, repeat: int = 0) -> int | None:
        """How many calls there are; None when a closed loop runs for a duration."""
        times = self.times(seed=seed, repeat=repeat)
        return self.requests if times is None else len(times)

    def describe(self) -> str:
        """One line: what is sent and how."""
        names = self.tools
        what = " + ".join(names[:_NAMED]) + (f" + {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        if isinstance(self.arrivals, Timetable):
            how = f"as in {self.arrivals.source or 'a recording'}"
        elif self.rate is not None:
            how = f"{self.arrivals} {self.rate:g}/s"
        else:
            how = f"{self.concurrency} callers in turn"
        return f"{what} · {how}"

    @property
    def prioritised(self) -> bool:
        """Whether its calls have priorities of their own."""
        table = self.arrivals
        return self.priorities is not None or (
            isinstance(table, Timetable) and any(each != "normal" for each in table.priorities)
        )

    def _arguments(self, tool: str, i: int, rng: np.random.Generator, *, mix: bool) -> Mapping[str, object]:
        if isinstance(self.arrivals, Timetable) and not self.arguments:
            return self.arrivals.arguments[i]
        return arguments_for(self.arguments, tool, i, rng, mix=mix)

    def _numbers(self, times: NDArray[np.float64] | None) -> Iterator[int]:
        if times is not None:
            return iter(range(len(times)))
        return itertools.count() if self.requests is None else iter(range(self.requests))

    def _streams(self, seed: int, repeat: int) -> list[np.random.Generator]:
        # Arrivals, tools, arguments and priorities draw from streams of their own: changing one leaves the
        # others alone.
        return np.random.default_rng([self.seed, seed, repeat]).spawn(4)


def _take(w: Workload, given: HasTimetable | Timetable) -> None:
    """Make a recording's calls the workload's own; the frozen dataclass is still being made."""
    if w.rate is not None or w.concurrency is not None:
        raise ValueError("a recording has its own rate: give speed= instead of rate= or concurrency=")
    table = given if isinstance(given, Timetable) else given.timetable()
    if w.requests is not None:
        _whole("requests", w.requests, at_least=1)
    if w.duration is not None:
        _positive("duration", w.duration)
    table = table.cut(requests=w.requests, duration=w.duration, speed=w.speed)
    counts = Counter(table.tools)
    tool = next(iter(counts)) if len(counts) == 1 else {name: float(n) for name, n in counts.items()}
    taken = {"arrivals": table, "tool": tool, "requests": len(table), "duration": None, "speed": 1.0}
    for name, value in taken.items():
        object.__setattr__(w, name, value)


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


def _check_pace(w: Workload) -> None:
    if isinstance(w.arrivals, Timetable):
        pass
    elif not isinstance(w.arrivals, str) or w.arrivals not in get_args(Arrivals):
        known, given = ", ".join(get_args(Arrivals)), cast("object", w.arrivals)
        said = repr(given) if isinstance(given, str | None) else type(given).__name__
        raise ValueError(f"arrivals must be one of {known}, or a recording, not {said}")
    elif w.open_loop:
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
    _whole("seed", w.seed, at_least=0)


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
