"""What is simulated: servers that stand in for each other, what happens to them, and what protects the calls.

Values only, checked once. They know no events and no randomness, so that a scenario can be shown, compared
and run again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mcpnb.resilience.settings import Resilience
from mcpnb.simulation.servers import At, SimServer

Rhythm = Literal["poisson", "constant", "bursty"]
"""How calls arrive at a rate."""


@dataclass(frozen=True, slots=True)
class Load:
    """The load under which a scenario shows what it is about."""

    rate: float
    """Calls per second."""
    seconds: float
    arrivals: Rhythm = "poisson"
    warmup: int = 0
    """The first calls, which are not counted."""
    timeout: float | None = None
    """Seconds for each call."""
    burst_ratio: float = 5.0
    """`bursty`: the rate inside a burst over the rate outside."""
    burst_share: float = 0.2
    """`bursty`: the share of time spent inside bursts."""
    burst_seconds: float = 1.0
    """`bursty`: how long a burst lasts on average."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Servers that stand in for each other, and what happens to them.

    Ready-made ones are in `mcpnb.scenarios`.

    Raises:
        ValueError: For no servers, a name given twice, or a change of a server that does not exist.
        TypeError: For resilience of another type.
    """

    servers: Sequence[SimServer]
    timeline: Sequence[At] = ()
    resilience: Resilience = field(default_factory=Resilience)
    """Breakers, retries, hedges, ...; everything is off, so that a strategy can be seen bare."""
    home: str | None = None
    """The region of those who call, for strategies that look at it."""
    distances: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    """Region → region → how far, in any unit."""
    load: Load | None = None
    """What is asked of it when no workload is named."""
    title: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "servers", tuple(self.servers))
        object.__setattr__(self, "timeline", tuple(self.timeline))
        if not self.servers:
            raise ValueError("a scenario needs at least one server")
        names = self.names
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"servers of one name: {', '.join(twice)}")
        if unknown := sorted({at.server for at in self.timeline} - set(names)):
            raise ValueError(f"the timeline changes servers that do not exist: {', '.join(unknown)}")
        _check_means(self.servers, self.timeline)
        _check_resilience(self.resilience)

    @property
    def names(self) -> tuple[str, ...]:
        """The servers' names, in the order given."""
        return tuple(server.name for server in self.servers)

    @property
    def absent(self) -> frozenset[str]:
        """Servers that are not there at the start: they join before they leave."""
        first: dict[str, bool] = {}
        for at in sorted(self.timeline, key=lambda at: at.t):
            if at.join or at.goes:
                first.setdefault(at.server, at.join)
        return frozenset(server for server, joins in first.items() if joins)

    @property
    def capacity(self) -> float:
        """Calls per second that the servers can take for ever which are there at the start."""
        absent = self.absent
        return sum(server.capacity for server in self.servers if server.name not in absent)

    @property
    def may_hang(self) -> bool:
        """Whether some call may never be answered, so that calls need a timeout."""
        where: Iterable[SimServer | At] = (*self.servers, *self.timeline)
        return any(at.hang for at in self.timeline) or any(each.fail_time == math.inf for each in where)


def _check_means(servers: Sequence[SimServer], timeline: Sequence[At]) -> None:
    """A mean can be set to some time only where there is a mean."""
    scaled = {at.server for at in timeline if at.latency_ms is not None}
    services = [(server.name, server.service) for server in servers]
    services += [(at.server, at.service) for at in timeline if at.service is not None]
    for name, service in services:
        if name in scaled and not 0 < service.mean < math.inf:
            raise ValueError(f"{name}: latency_ms needs a service time whose mean is above 0 and finite")


def _check_resilience(given: object) -> None:
    if not isinstance(given, Resilience):
        raise TypeError(f"resilience must be a mcpnb.Resilience(breaker=..., retry=..., ...), not {given!r}")
