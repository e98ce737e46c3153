"""A dispatcher that notes what it is told, and boils down what it decides.

It decides nothing of its own: it stands in for a `Dispatcher` wherever one is driven. Its notes grow with
every call and are kept in memory, so it is for runs that have an end.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from mcpnb.model import ANSWERS, Attempt, Endpoint, Outcome, OutcomeKind, Request
from mcpnb.resilience.settings import Resilience
from mcpnb.routing import Action, Cancel, Dispatcher, Finish, Send, WaitUntil
from mcpnb.routing.pause import Pause
from mcpnb.routing.roster import Distances
from mcpnb.routing.strategies import Strategy, StrategySpec, spec
from mcpnb.simulation.decisions import Decisions
from mcpnb.simulation.recorded import (
    Arrived,
    Ended,
    GaveUp,
    Happened,
    Joined,
    Left,
    Marked,
    Paused,
    Rang,
    Recorded,
    Restored,
    Resumed,
    Switched,
    Tripped,
)


class Digest:
    """The digest of a stream of actions. Calls are numbered as they come: drivers count them differently."""

    def __init__(self) -> None:
        self._decisions = Decisions()
        self._numbers: dict[int, int] = {}

    def came(self, request: int) -> None:
        """A call arrives."""
        self._numbers.setdefault(request, len(self._numbers))

    def take(self, actions: Iterable[Action]) -> None:
        """What the dispatcher asked for."""
        numbers, decisions = self._numbers, self._decisions
        for action in actions:
            if isinstance(action, Send):
                attempt = action.attempt
                decisions.sent(numbers[attempt.request], attempt.number, attempt.server)
            elif isinstance(action, Cancel):
                decisions.cancelled(numbers[action.attempt.request], action.attempt.number)
            elif isinstance(action, Finish):
                decisions.finished(numbers[action.call.request.id], action.outcome.kind)

    def text(self) -> str:
        """32 hexadecimal digits; equal for equal decisions, whoever drove."""
        return self._decisions.digest()


class Recorder(Dispatcher):
    """A `Dispatcher`, with a record of its events and the digest of its decisions."""

    def __init__(
        self,
        strategy: str | StrategySpec = "p2c",
        *,
        rng: random.Random,
        resilience: Resilience | None = None,
        home: str | None = None,
        distances: Distances | None = None,
    ) -> None:
        super().__init__(strategy, rng=rng, resilience=resilience, home=home, distances=distances)
        self._events: list[Happened] = []
        self._digest = Digest()
        self._out: dict[int, Attempt] = {}
        self._pauses: dict[int, Pause] = {}  # by attempt, of those whose servers asked something
        self._due: float | None = None
        self._now = 0.0

    @property
    def recorded(self) -> Recorded:
        """What was noted so far. Of attempts that are still out it says how long they have been."""
        now = self._now
        out = [self._ended(each, now, "cancelled", given_up=True) for each in self._out.values()]
        return Recorded((*self._events, *out), self._due)

    @property
    def digest(self) -> str:
        """The digest of all decisions so far."""
        return self._digest.text()

    def _noted(self, event: Happened | None, actions: list[Action], now: float) -> list[Action]:
        self._now = now
        if event is not None:
            self._events.append(event)
        self._digest.take(actions)
        for action in actions:
            if isinstance(action, Send):
                self._out[action.attempt.id] = action.attempt
            elif isinstance(action, WaitUntil):
                self._due = action.at
            elif isinstance(action, Cancel):
                self._gave_up(action.attempt, now)
        return actions

    def _gave_up(self, attempt: Attempt, now: float) -> None:
        del self._out[attempt.id]
        self._events.append(self._ended(attempt, now, "cancelled", given_up=True))
        self._pauses.pop(attempt.id, None)

    def _ended(self, attempt: Attempt, at: float, kind: OutcomeKind, *, given_up: bool = False) -> Ended:
        pause = self._pauses.get(attempt.id)
        asked = 0.0 if pause is None else pause.asked(attempt.id, at, answered=kind in ANSWERS)
        return Ended.of(attempt, at, kind, given_up=given_up, asked=asked)

    # -- servers

    def add(self, endpoint: Endpoint, *, unavailable: str = "", now: float = 0.0) -> list[Action]:
        """See `Dispatcher`."""
        actions = super().add(endpoint, unavailable=unavailable, now=now)
        return self._noted(Joined(now, endpoint, unavailable), actions, now)

    def remove(self, server: str, now: float) -> list[Action]:
        """See `Dispatcher`."""
        return self._noted(Left(now, server), super().remove(server, now), now)

    def mark(self, server: str, unavailable: str, now: float) -> list[Action]:
        """See `Dispatcher`."""
        actions = super().mark(server, unavailable, now)
        return self._noted(Marked(now, server, unavailable), actions, now)

    def trip(self, server: str, now: float, tool: str | None = None) -> list[Action]:
        """See `Dispatcher`."""
        return self._noted(Tripped(now, server, tool), super().trip(server, now, tool), now)

    def reset(self, server: str, now: float, tool: str | None = None) -> list[Action]:
        """See `Dispatcher`."""
        return self._noted(Restored(now, server, tool), super().reset(server, now, tool), now)

    # -- strategies

    def use(self, choice: str | Strategy | StrategySpec, now: float) -> None:
        """See `Dispatcher`."""
        super().use(choice, now)
        self._noted(Switched(now, "", spec(choice)), [], now)

    def define(self, name: str, choice: str | Strategy | StrategySpec) -> None:
        """See `Dispatcher`."""
        super().define(name, choice)
        self._noted(Switched(self._now, name, spec(choice)), [], self._now)

    def undefine(self, name: str, now: float) -> None:
        """See `Dispatcher`."""
        super().undefine(name, now)
        self._noted(Switched(now, name, None), [], now)

    # -- events

    def submit(self, request: Request, now: float) -> list[Action]:
        """See `Dispatcher`."""
        self._digest.came(request.id)
        self._events.append(Arrived(now, request))  # before what may raise: its caller will give it up
        return self._noted(None, super().submit(request, now), now)

    def on_outcome(self, attempt: int, outcome: Outcome, now: float) -> list[Action]:
        """See `Dispatcher`."""
        ended = self._out.pop(attempt, None)
        event = None if ended is None else self._ended(ended, now, outcome.kind)
        self._pauses.pop(attempt, None)
        return self._noted(event, super().on_outcome(attempt, outcome, now), now)

    def on_paused(self, attempt: int, now: float) -> list[Action]:
        """See `Dispatcher`."""
        out = self._out.get(attempt)
        if out is not None:
            self._pauses.setdefault(attempt, Pause()).open(attempt, now)
        event = None if out is None else Paused(now, out.request, out.number)
        return self._noted(event, super().on_paused(attempt, now), now)

    def on_resumed(self, attempt: int, now: float) -> list[Action]:
        """See `Dispatcher`."""
        out = self._out.get(attempt)
        if attempt in self._pauses:
            self._pauses[attempt].close(attempt, now)
        event = None if out is None else Resumed(now, out.request, out.number)
        return self._noted(event, super().on_resumed(attempt, now), now)

    def on_timer(self, now: float) -> list[Action]:
        """See `Dispatcher`."""
        event = None if self._due is None else Rang(now, self._due)
        self._due = None
        return self._noted(event, super().on_timer(now), now)

    def on_cancel(self, request: int, now: float) -> list[Action]:
        """See `Dispatcher`."""
        event = GaveUp(now, request) if request in self._calls else None
        return self._noted(event, super().on_cancel(request, now), now)
