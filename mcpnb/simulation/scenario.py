"""What is simulated: servers as they are at the start, and what changes when.

Values only, checked once. They know no events and no randomness, so that a scenario can be shown, compared
and run again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal, get_args

from mcpnb.simulation.service import Service

Discipline = Literal["fcfs", "ps"]
"""`fcfs`: workers take one call each, the others wait in line; `ps`: all calls share the workers equally."""


@dataclass(frozen=True, slots=True)
class SimServer:
    """A server that exists only as a queue.

    Raises:
        ValueError: For a number out of its bounds. The message names the field.
    """

    name: str
    service: Service
    """How long one worker is busy with one call."""
    workers: int = 1
    discipline: Discipline = "fcfs"
    rtt: float = 0.0
    """Seconds of network, half on the way there and half on the way back."""
    error_rate: float = 0.0
    """The share of calls that fail without taking a worker; an outcome of `disconnected`."""
    fail_time: float = 0.0
    """Seconds after which a failing call says so; `math.inf` is a black hole that never answers."""
    weight: float = 1.0
    region: str | None = None
    priority: int = 0
    max_queue: int | None = None
    """Calls that may wait beside those that are worked on; more are `refused`. None is unbounded."""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a server needs a name")
        if self.workers < 1:
            raise ValueError(f"{self.name}: workers must be at least 1, not {self.workers!r}")
        if self.discipline not in get_args(Discipline):
            raise ValueError(
                f"{self.name}: discipline must be one of {', '.join(get_args(Discipline))},"
                f" not {self.discipline!r}"
            )
        if not 0 < self.weight < math.inf:
            raise ValueError(f"{self.name}: weight must be a number above 0, not {self.weight!r}")
        if self.max_queue is not None and self.max_queue < 0:
            raise ValueError(f"{self.name}: max_queue must be at least 0, not {self.max_queue!r}")
        _check_faults(self.name, self.error_rate, self.fail_time, self.rtt)

    @property
    def capacity(self) -> float:
        """Calls per second that it can take for ever; infinite when no call needs a worker."""
        work = self.service.mean * (1 - self.error_rate)
        return self.workers / work if work > 0 else math.inf


@dataclass(frozen=True, slots=True)
class At:
    """What changes about one server at one time; what is not named stays.

    Raises:
        ValueError: For a number out of its bounds, or when nothing changes.
    """

    t: float
    """Seconds from the start."""
    server: str
    _: KW_ONLY
    service: Service | None = None
    """For calls that are started from now on; those in work keep their time."""
    error_rate: float | None = None
    fail_time: float | None = None
    rtt: float | None = None
    fail: bool | None = None
    """True: every new call fails after `fail_time`; False: it is as it was again."""
    leave: bool = False
    """It takes no new calls; those that are out end as usual."""
    join: bool = False
    """It takes calls. A server that joins before it ever left is not there at the start."""

    def __post_init__(self) -> None:
        if not 0 <= self.t < math.inf:
            raise ValueError(f"t must be a number of at least 0, not {self.t!r}")
        if self.leave and self.join:
            raise ValueError(f"{self.server}: it cannot leave and join at the same time")
        values = (self.service, self.error_rate, self.fail_time, self.rtt, self.fail)
        if not (self.leave or self.join) and all(value is None for value in values):
            raise ValueError(f"At({self.t:g}, {self.server!r}) changes nothing: name what changes")
        _check_faults(self.server, self.error_rate or 0.0, self.fail_time or 0.0, self.rtt or 0.0)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Servers that stand in for each other, and what happens to them.

    Raises:
        ValueError: For no servers, a name given twice, or a change of a server that does not exist.
    """

    servers: Sequence[SimServer]
    timeline: Sequence[At] = ()

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

    @property
    def names(self) -> tuple[str, ...]:
        """The servers' names, in the order given."""
        return tuple(server.name for server in self.servers)

    @property
    def absent(self) -> frozenset[str]:
        """Servers that are not there at the start: they join before they leave."""
        first: dict[str, bool] = {}
        for at in sorted(self.timeline, key=lambda at: at.t):
            if at.join or at.leave:
                first.setdefault(at.server, at.join)
        return frozenset(server for server, joins in first.items() if joins)

    @property
    def may_hang(self) -> bool:
        """Whether some call may never be answered, so that calls need a timeout."""
        where: Iterable[SimServer | At] = (*self.servers, *self.timeline)
        return any(each.fail_time is not None and math.isinf(each.fail_time) for each in where)


def _check_faults(server: str, error_rate: float, fail_time: float, rtt: float) -> None:
    if not 0 <= error_rate <= 1:
        raise ValueError(f"{server}: error_rate must lie between 0 and 1, not {error_rate!r}")
    if not fail_time >= 0:
        raise ValueError(f"{server}: fail_time must be at least 0, not {fail_time!r}")
    if not 0 <= rtt < math.inf:
        raise ValueError(f"{server}: rtt must be a number of at least 0, not {rtt!r}")
