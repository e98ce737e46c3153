"""The dispatcher's second body: re-drives it from what was recorded, on a virtual clock.

    replay    the same strategy, protections and seed: the same decisions, byte for byte
    what_if   another strategy or other protections, over the recorded latencies

It owns the order of events and nothing that decides. A what-if is open-loop: recorded latencies do not react
to the new picks, so it says nothing about what more load would have done to a server.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush

import numpy as np

from mcpnb.model import Attempt, Outcome
from mcpnb.resilience.settings import Resilience
from mcpnb.routing import Action, BreakerChanged, Cancel, Dispatcher, Finish, Send, WaitUntil
from mcpnb.routing.roster import Distances
from mcpnb.routing.strategies import Strategy, StrategySpec, spec
from mcpnb.simulation.answers import Answers
from mcpnb.simulation.decisions import Decisions
from mcpnb.simulation.ledger import Ledger
from mcpnb.simulation.recorded import Arrived, Ended, GaveUp, Happened, Paused, Rang, Recorded, Resumed
from mcpnb.simulation.run import Run

Choice = str | Strategy | type[Strategy] | StrategySpec


def replay(
    recorded: Recorded,
    strategy: Choice,
    *,
    resilience: Resilience | None = None,
    seed: int = 0,
    home: str | None = None,
    distances: Distances | None = None,
) -> Run:
    """Drive a dispatcher through what was recorded.

    With the strategy, protections and seed of the recorded dispatcher it decides the same, and its
    `decisions_digest` is the recorded one's. Changes of the strategy are repeated when they were recorded.

    Returns:
        One value per recorded call, in the order of their coming. A call that was still out when the
        recording ended is `cancelled` then.

    Raises:
        StrategyError: For a strategy that does not exist.
        ValueError: A server was picked of which nothing was recorded.
    """
    brain = _brain(strategy, resilience, seed, home, distances)
    return _Replay(recorded, brain, stop=True).run()


def what_if(
    recorded: Recorded,
    strategy: Choice,
    *,
    resilience: Resilience | None = None,
    seed: int = 0,
    home: str | None = None,
    distances: Distances | None = None,
    arrivals: Sequence[Arrived] | None = None,
) -> Run:
    """What another strategy would have made of the recorded calls, all of them. Open-loop.

    An attempt that was recorded (the same call at the same server) ends as it did. Any other takes what that
    server did around that time, in turn. One that was given up is taken to have lasted longer than it was
    waited for, as long as one of the recorded ones that did; for ever when none did. A call that so never
    ends is `cancelled`.

    With `arrivals` these calls come instead of the recorded ones, and an attempt takes whatever its server
    ever did for that tool, drawn from the seed.

    Other arguments, result and errors are those of `replay`.
    """
    brain = _brain(strategy, resilience, seed, home, distances)
    told = recorded if arrivals is None else recorded.called(arrivals)
    draw = None if arrivals is None else seed
    return _Replay(told.for_one_strategy(), brain, stop=False, draw=draw).run()


def _brain(
    strategy: Choice, resilience: Resilience | None, seed: int, home: str | None, distances: Distances | None
) -> Dispatcher:
    return Dispatcher(
        spec(strategy), rng=random.Random(seed), resilience=resilience, home=home, distances=distances
    )


class _Agenda:
    """What happens later. At equal times first what was recorded, in its order; then the rest, as it came."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, float, int, Callable[[float], None]]] = []
        self._set = 0

    def at(self, time: float, happening: Callable[[float], None], order: float = math.inf) -> None:
        self._set += 1
        heappush(self._heap, (time, order, self._set, happening))

    def run(self, last: tuple[float, float]) -> float:
        """Let everything happen up to a (time, place), and what follows from it. The time at the end."""
        heap, now = self._heap, 0.0
        while heap and heap[0][:2] <= last:
            now, _, _, happening = heappop(heap)
            happening(now)
        return now


class _Replay:
    """One replay: the recorded events, the dispatcher, and what was seen.

    With `stop` it ends where the recording ends, and does not ring what was not rung by then. With `draw`, a
    seed, servers do anything that they ever did.
    """

    def __init__(self, recorded: Recorded, brain: Dispatcher, *, stop: bool, draw: int | None = None) -> None:
        arrivals = recorded.arrivals
        self._brain, self._agenda, self._decisions = brain, _Agenda(), Decisions()
        self._numbers = {arrived.request.id: number for number, arrived in enumerate(arrivals)}
        self._answers = Answers(recorded, self._numbers, seed=draw)
        # A real clock rings late; whoever asks for the same time again hears it at the same time again.
        self._rings: defaultdict[float, deque[tuple[float, int]]] = defaultdict(deque)
        self._due: float | None = None
        self._never = recorded.due if stop else None
        self._names = recorded.servers
        events = recorded.events
        self._begin = begin = events[0].at if events else 0.0
        self._last = (events[-1].at, float(len(events))) if stop and events else (math.inf, math.inf)
        self._ledger = Ledger(self._names, np.array([each.at - begin for each in arrivals], np.float64))
        self._seen: list[tuple[float, str, str]] = []
        self._open: set[int] = set()
        # Attempts whose servers ask something, by call and number; their ids once they were sent.
        self._asking: dict[tuple[int, int], int | None] = {
            (self._numbers[each.call], each.number): None for each in events if isinstance(each, Paused)
        }
        self._strategy = str(brain.strategy)
        for order, event in enumerate(events):
            self._plan(event, order)

    def _plan(self, event: Happened, order: int) -> None:
        if isinstance(event, Rang):
            self._rings[event.due].append((event.at, order))
        elif isinstance(event, Arrived):
            self._agenda.at(event.at, lambda now: self._arrive(event, now), order)
        elif isinstance(event, GaveUp):
            call = self._numbers[event.call]
            self._agenda.at(
                event.at, lambda now: self._carry_out(self._brain.on_cancel(call, now), now), order
            )
        elif isinstance(event, Paused | Resumed):
            self._agenda.at(event.at, lambda now: self._ask(event, now), order)
        elif not isinstance(event, Ended):
            self._agenda.at(event.at, lambda now: self._carry_out(event.tell(self._brain), now), order)

    def run(self) -> Run:
        """Let every call start and end."""
        end = self._agenda.run(self._last)
        for call in sorted(self._open):
            # For its row alone: whoever drove the recorded dispatcher never told it so.
            for action in self._brain.on_cancel(call, end):
                if isinstance(action, Finish):
                    self._ledger.end(action.call, action.outcome.kind, end)
        return Run.of(
            self._ledger,
            strategy=self._strategy,
            names=self._names,
            decisions_digest=self._decisions.digest(),
            events=tuple(self._seen),
            in_flight_after=sum(self._brain.in_flight(name) for name in self._names),
        )

    # -- what the dispatcher is told

    def _arrive(self, arrived: Arrived, now: float) -> None:
        number = self._numbers[arrived.request.id]
        self._open.add(number)
        self._carry_out(self._brain.submit(arrived.request._replace(id=number), now), now)

    def _ask(self, event: Paused | Resumed, now: float) -> None:
        """A question comes, or is done with; unless its attempt was not sent, this time."""
        attempt = self._asking.get((self._numbers[event.call], event.number))
        if attempt is not None:
            tell = self._brain.on_paused if isinstance(event, Paused) else self._brain.on_resumed
            self._carry_out(tell(attempt, now), now)

    def _ring(self, due: float, now: float) -> None:
        if due != self._due:  # another time was asked for since
            return
        self._due = None
        if self._rings[due]:
            self._rings[due].popleft()
        self._carry_out(self._brain.on_timer(now), now)

    # -- what it wants done

    def _carry_out(self, actions: list[Action], now: float) -> None:
        for action in actions:
            if isinstance(action, Send):
                self._send(action.attempt, now)
            elif isinstance(action, Finish):
                number = action.call.request.id
                self._open.discard(number)
                self._decisions.finished(number, action.outcome.kind)
                self._ledger.end(action.call, action.outcome.kind, now)
            elif isinstance(action, Cancel):
                self._decisions.cancelled(action.attempt.request, action.attempt.number)
            elif isinstance(action, WaitUntil):
                self._wait_until(action.at)
            elif isinstance(action, BreakerChanged):
                self._seen.append((now - self._begin, action.server, action.state))
            else:
                change = "ejected" if action.out else "readmitted"
                self._seen.append((now - self._begin, action.server, change))

    def _send(self, attempt: Attempt, now: float) -> None:
        self._decisions.sent(attempt.request, attempt.number, attempt.server)
        if self._asking and (attempt.request, attempt.number) in self._asking:
            self._asking[attempt.request, attempt.number] = attempt.id
        answer = self._answers.to(attempt, now)
        if answer is None:
            return
        outcome = Outcome(answer.kind)
        self._agenda.at(
            answer.at,
            lambda at: self._carry_out(self._brain.on_outcome(attempt.id, outcome, at), at),
            answer.order,
        )

    def _wait_until(self, due: float) -> None:
        self._due = due
        rings = self._rings.get(due)
        if rings or due != self._never:
            at, order = rings[0] if rings else (due, math.inf)
            self._agenda.at(at, lambda now: self._ring(due, now), order)
