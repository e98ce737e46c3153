"""Simulated servers: what they are at the start, and what changes about one of them at some time.

Values only, checked once. They know no events and no randomness.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, replace
from typing import Literal, get_args

from mcpnb.model import Endpoint
from mcpnb.simulation.service import Service, is_number

Discipline = Literal["fcfs", "ps"]
"""`fcfs`: workers take one call each, the others wait in line; `ps`: all calls share the workers equally."""


@dataclass(frozen=True, slots=True)
class SimServer:
    """A server that exists only as a queue.

    Raises:
        ValueError: For a number out of its bounds. The message names the field.
        TypeError: For a service that is no distribution.
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
    """Seconds after which a failing call says so; `math.inf` never does."""
    weight: float = 1.0
    region: str | None = None
    priority: int = 0
    max_in_flight: int | None = None
    """Calls that the router has out here at once, the others wait at the router; None is unbounded."""
    max_queue: int | None = None
    """Calls that may wait: with `max_in_flight` at the router, where more are `rejected`; else at the server,
    beside those that are worked on, where more are `refused`. None is unbounded at the server, and what the
    scenario's queue policy says at the router."""
    timeout: float | None = None
    """Seconds after which a gateway in front of it answers an attempt in its place, with `timeout`."""
    stops: bool = True
    """Whether it stops working on calls that were given up; many servers do not."""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a server needs a name")
        if not callable(getattr(self.service, "sample", None)):
            raise TypeError(
                f"{self.name}: service must be a distribution, such as mcpnb.service.exponential(0.1),"
                f" not {self.service!r}"
            )
        if self.discipline not in get_args(Discipline):
            raise ValueError(
                f"{self.name}: discipline must be one of {', '.join(get_args(Discipline))},"
                f" not {self.discipline!r}"
            )
        _check_bounds(self)

    @property
    def capacity(self) -> float:
        """Calls per second that it can take for ever; infinite when no call needs a worker."""
        work = self.service.mean * (1 - self.error_rate)
        if work <= 0:
            return math.inf
        if self.max_in_flight is None:
            return self.workers / work
        # Behind a bulkhead a place stays taken on the way there and back, too.
        return min(self.workers / work, self.max_in_flight / (work + self.rtt))

    @property
    def places(self) -> float:
        """Calls that it holds at most, in work and in line."""
        if self.max_queue is None or self.max_in_flight is not None:
            return math.inf
        return self.workers + self.max_queue

    @property
    def endpoint(self) -> Endpoint:
        """The server as the router knows it."""
        return Endpoint(
            self.name,
            weight=self.weight,
            priority=self.priority,
            region=self.region,
            max_in_flight=self.max_in_flight,
            max_queue=None if self.max_in_flight is None else self.max_queue,
        )

    def changed(self, at: At) -> SimServer:
        """This server with the properties that the change names; pace and faults are not among them."""
        values = {name: getattr(at, name) for name in _PROPERTIES if getattr(at, name) is not None}
        return replace(self, **values)


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
    slow: float | None = None
    """Times as long as usual, for calls that are started from now on; 1 is the usual pace."""
    latency_ms: float | None = None
    """Mean service time in ms, spread as before: another way to say `slow`, which ends it."""
    workers: int | None = None
    """Fewer: those that are busy finish first."""
    rtt: float | None = None
    error_rate: float | None = None
    fail_time: float | None = None
    fail: bool | None = None
    """True: every new call fails after `fail_time`; False: it is as it was again."""
    hang: bool | None = None
    """True: new calls are never answered; False: they are again."""
    weight: float | None = None
    max_in_flight: int | None = None
    leave: bool = False
    """It takes no new calls; those that are out end as usual."""
    crash: bool = False
    """It is gone at once: what it has ends as `disconnected`, and it takes no calls until it joins."""
    join: bool = False
    """It takes calls. A server that joins before it ever left is not there at the start."""
    recover: bool = False
    """All is as it was at the start, and it takes calls; other changes named here come on top."""

    def __post_init__(self) -> None:
        if not (is_number(self.t) and 0 <= self.t < math.inf):
            raise ValueError(f"t must be a number of at least 0, not {self.t!r}")
        if self.leave + self.crash + (self.join or self.recover) > 1:
            raise ValueError(f"{self.server}: it cannot go and come at the same time")
        if not self.words:
            raise ValueError(f"At({self.t:g}, {self.server!r}) changes nothing: name what changes")
        for name, value in (("slow", self.slow), ("latency_ms", self.latency_ms)):
            if value is not None and not (is_number(value) and 0 < value < math.inf):
                raise ValueError(f"{self.server}: {name} must be a number above 0, not {value!r}")
        if self.slow is not None and self.latency_ms is not None:
            raise ValueError(f"{self.server}: slow and latency_ms are two ways to say one thing: give one")
        _check_bounds(self)

    def pace(self, mean: float, before: float) -> float:
        """Times as long as usual from now on, where a call usually takes `mean` s and it was `before`."""
        if self.latency_ms is not None:
            return self.latency_ms / 1000 / mean
        return before if self.slow is None else self.slow

    @property
    def goes(self) -> bool:
        """Whether it takes no calls from now on."""
        return self.leave or self.crash

    @property
    def comes(self) -> bool:
        """Whether it takes calls from now on."""
        return self.join or self.recover

    @property
    def words(self) -> str:
        """What changes, in a few words."""
        said = [verb for verb in ("recover", "leave", "crash", "join") if getattr(self, verb)]
        if self.slow is not None:
            said.append("usual pace" if self.slow == 1 else f"{self.slow:g}\N{MULTIPLICATION SIGN} as slow")
        if self.latency_ms is not None:
            said.append(f"{self.latency_ms:g} ms per call")
        said += [
            f"{'' if value else 'no '}{name}"
            for name in ("fail", "hang")
            if (value := getattr(self, name)) is not None
        ]
        if self.service is not None:
            said.append(f"service of {self.service.mean:g} s")
        numbers = ((name, getattr(self, name)) for name in _PROPERTIES if name != "service")
        return ", ".join([*said, *(f"{name} {value:g}" for name, value in numbers if value is not None)])


_PROPERTIES = ("service", "workers", "rtt", "error_rate", "fail_time", "weight", "max_in_flight")
"""What a change may set and a server has, under the same names."""


_NUMBERS = (
    "workers", "max_in_flight", "max_queue", "weight", "priority", "error_rate", "fail_time", "timeout",
    "rtt",
)  # fmt: skip


def _check_bounds(of: SimServer | At) -> None:
    """The bounds that a server's properties and their changes share; None is within all of them."""
    name = of.name if isinstance(of, SimServer) else of.server
    for field in _NUMBERS:
        value = getattr(of, field, None)
        if value is not None and not is_number(value):
            raise ValueError(f"{name}: {field} must be a number, not {value!r}")
    for field, least in (("workers", 1), ("max_in_flight", 1), ("max_queue", 0)):
        value = getattr(of, field, None)
        if value is not None and (value < least or value % 1):
            raise ValueError(f"{name}: {field} must be a whole number of at least {least}, not {value!r}")
    if of.weight is not None and not 0 < of.weight < math.inf:
        raise ValueError(f"{name}: weight must be a number above 0, not {of.weight!r}")
    if of.error_rate is not None and not 0 <= of.error_rate <= 1:
        raise ValueError(f"{name}: error_rate must lie between 0 and 1, not {of.error_rate!r}")
    if of.fail_time is not None and not of.fail_time >= 0:
        raise ValueError(f"{name}: fail_time must be at least 0, not {of.fail_time!r}")
    if isinstance(of, SimServer) and of.timeout is not None and not of.timeout > 0:
        raise ValueError(f"{name}: timeout must be a number above 0, not {of.timeout!r}")
    if of.rtt is not None and not 0 <= of.rtt < math.inf:
        raise ValueError(f"{name}: rtt must be a number of at least 0, not {of.rtt!r}")
