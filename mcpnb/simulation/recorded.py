"""What a dispatcher was told, in order: enough to drive another one through the same again.

It owns the shapes of that record. It knows no files, no answers' contents and no clock; times are the
monotonic seconds of whoever recorded them, and only their differences mean something.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from mcpnb.model import Attempt, Endpoint, OutcomeKind, Request
from mcpnb.routing import Action, Dispatcher
from mcpnb.routing.strategies import StrategySpec


class Joined(NamedTuple):
    """A server joined, or changed its properties."""

    at: float
    endpoint: Endpoint
    unavailable: str = ""

    def tell(self, to: Dispatcher) -> list[Action]:
        """Tell a dispatcher the same."""
        return to.add(self.endpoint, unavailable=self.unavailable, now=self.at)


class Left(NamedTuple):
    """A server left."""

    at: float
    server: str

    def tell(self, to: Dispatcher) -> list[Action]:
        """Tell a dispatcher the same."""
        return to.remove(self.server, self.at)


class Marked(NamedTuple):
    """A server took calls from now on, or did not any more."""

    at: float
    server: str
    unavailable: str

    def tell(self, to: Dispatcher) -> list[Action]:
        """Tell a dispatcher the same."""
        return to.mark(self.server, self.unavailable, self.at)


class Tripped(NamedTuple):
    """Somebody opened a breaker by hand."""

    at: float
    server: str
    tool: str | None

    def tell(self, to: Dispatcher) -> list[Action]:
        """Tell a dispatcher the same."""
        return to.trip(self.server, self.at, self.tool)


class Restored(NamedTuple):
    """Somebody closed a breaker by hand."""

    at: float
    server: str
    tool: str | None

    def tell(self, to: Dispatcher) -> list[Action]:
        """Tell a dispatcher the same."""
        return to.reset(self.server, self.at, self.tool)


class Switched(NamedTuple):
    """Another default strategy (empty name), one under a name, or no more one under that name (None)."""

    at: float
    name: str
    strategy: StrategySpec | None

    def tell(self, to: Dispatcher) -> list[Action]:
        """Tell a dispatcher the same."""
        if self.strategy is None:
            to.undefine(self.name, self.at)
        elif self.name:
            to.define(self.name, self.strategy)
        else:
            to.use(self.strategy, self.at)
        return []


class Arrived(NamedTuple):
    """A call came."""

    at: float
    request: Request


class GaveUp(NamedTuple):
    """The caller gave a call up."""

    at: float
    call: int


class Paused(NamedTuple):
    """A person was asked something for the server of an attempt, or something more."""

    at: float
    call: int
    number: int
    """The attempt's, within its call."""


class Resumed(NamedTuple):
    """One of the questions of an attempt had its answer, or would have none."""

    at: float
    call: int
    number: int


class Rang(NamedTuple):
    """The dispatcher was told that the time it had asked for had come."""

    at: float
    due: float
    """What it had asked for; a real clock rings a little later."""


class Ended(NamedTuple):
    """An attempt ended, or was given up by the dispatcher before it did."""

    at: float
    call: int
    number: int
    server: str
    tool: str
    sent_at: float
    kind: OutcomeKind
    given_up: bool = False
    asked: float = 0.0
    """Seconds in which its server waited for a person."""

    @classmethod
    def of(
        cls, attempt: Attempt, at: float, kind: OutcomeKind, *, given_up: bool = False, asked: float = 0.0
    ) -> Ended:
        """The end of an attempt."""
        sent = (attempt.request, attempt.number, attempt.server, attempt.tool, attempt.sent_at)
        return cls(at, *sent, kind, given_up, asked)

    @property
    def latency(self) -> float:
        """The server's own seconds; of one that was given up: how long it was waited for."""
        return self.at - self.sent_at - self.asked


Change = Joined | Left | Marked | Tripped | Restored | Switched
"""What happened around the calls; each can tell another dispatcher the same."""

Happened = Change | Arrived | GaveUp | Paused | Resumed | Rang | Ended


@dataclass(frozen=True, slots=True)
class Recorded:
    """Everything that a dispatcher was told, in that order, and the attempts that it gave up.

    Made by a `Recorder`; a log of attempts gives a poorer one (`recorded_in`). Of outcomes the
    kind alone is kept: a breaker whose policy judges errors itself (`BreakerPolicy.failure`) may decide
    differently in a replay.
    """

    events: tuple[Happened, ...]
    due: float | None = None
    """The time that the dispatcher had asked for when the recording ended, and was not told of."""

    @property
    def arrivals(self) -> list[Arrived]:
        """The calls, in the order of their coming."""
        return [event for event in self.events if isinstance(event, Arrived)]

    @property
    def servers(self) -> tuple[str, ...]:
        """Every server that was ever there, in the order of joining."""
        return tuple(dict.fromkeys(event.endpoint.name for event in self.events if isinstance(event, Joined)))

    def called(self, arrivals: Iterable[Arrived]) -> Recorded:
        """The same servers, doing what they did, with other calls: none of these was recorded.

        Args:
            arrivals: In order; the numbers of their requests must not be those of recorded calls.
        """
        others = Arrived | GaveUp | Rang | Paused | Resumed
        kept = [event for event in self.events if not isinstance(event, others)]
        return Recorded(tuple(sorted([*kept, *arrivals], key=lambda event: event.at)))

    def for_one_strategy(self) -> Recorded:
        """The same without any choice of a strategy: neither changes of it nor calls that name their own.

        Nor is anybody asked anything: another strategy sends other attempts, which took no person's time.
        """
        kept = (event for event in self.events if not isinstance(event, Switched | Paused | Resumed))
        plain = tuple(_by_default(event) if isinstance(event, Arrived) else event for event in kept)
        return Recorded(plain, self.due)


def _by_default(arrived: Arrived) -> Arrived:
    return arrived._replace(request=arrived.request._replace(strategy=None))
