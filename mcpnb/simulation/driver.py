"""The dispatcher's third body: carries its actions out on a virtual clock.

It owns the loop, the record of each call and nothing that decides: who takes a call and what happens after
a fault is the dispatcher's, the same object that runs live.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Iterator
from typing import Self

import numpy as np

from mcpnb.model import OUTCOMES, Attempt, Endpoint, Outcome, Request
from mcpnb.routing import Action, Cancel, Dispatcher, Finish, Send, WaitUntil
from mcpnb.routing.call import Call
from mcpnb.routing.strategies import Strategy, StrategySpec, spec
from mcpnb.simulation import stability
from mcpnb.simulation.clock import Clock
from mcpnb.simulation.decisions import Decisions
from mcpnb.simulation.demand import Demand
from mcpnb.simulation.run import Run
from mcpnb.simulation.scenario import Scenario, SimServer
from mcpnb.simulation.service import Service, draws
from mcpnb.simulation.stations import station

Choice = str | Strategy | type[Strategy] | StrategySpec
"""What a user may say for a strategy."""

_OUTCOME = {kind: index for index, kind in enumerate(OUTCOMES)}
_NOBODY = -1
_BREATH = 1e-3
"""Seconds that a caller waits after an answer that took no time, or a closed loop would never end."""


def simulate(
    scenario: Scenario,
    strategy: Choice,
    demand: Demand,
    *,
    seed: int = 0,
) -> Run:
    """Run a demand against a scenario until every call has ended.

    Raises:
        StrategyError: For a strategy that does not exist.
        ValueError: For a server that never answers and calls without a timeout.
    """
    if scenario.may_hang and demand.timeout is None:
        raise ValueError("fail_time=inf never answers: give the workload a timeout")
    return _Simulation(scenario, strategy, demand, seed).run()


class _Chance:
    """All randomness of the servers, in streams of their own, so that adding one leaves the others alone."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._services: dict[Service, Iterator[float]] = {}
        self.uniform: Callable[[], float] = random.Random(f"{seed} faults").random

    def services(self, service: Service) -> Iterator[float]:
        """The stream of a distribution; it is numbered by when it was first asked for."""
        if service not in self._services:
            rng = np.random.default_rng([self._seed, 1 + len(self._services)])
            self._services[service] = draws(service, rng)
        return self._services[service]


class _Group(tuple[str, ...]):  # noqa: SLOT001 - a tuple's subclass cannot have slots
    """The servers' names with a hash that is computed once: the dispatcher finds the pool by it, per call."""

    _known: int

    def __new__(cls, names: tuple[str, ...]) -> Self:
        group = super().__new__(cls, names)
        group._known = hash(names)
        return group

    def __hash__(self) -> int:
        return self._known


class _Records:
    """One entry per call, in the order of their starts."""

    __slots__ = ("attempts", "latencies", "outcomes", "servers", "starts")

    def __init__(self) -> None:
        self.starts, self.latencies = array("d"), array("d")
        self.outcomes, self.servers, self.attempts = array("b"), array("q"), array("q")

    def begin(self, now: float) -> int:
        """A call starts: its number."""
        self.starts.append(now)
        self.latencies.append(0.0)
        self.outcomes.append(0)
        self.servers.append(_NOBODY)
        self.attempts.append(0)
        return len(self.starts) - 1

    def end(self, number: int, call: Call, outcome: Outcome, server: int, now: float) -> None:
        """A call is over."""
        self.latencies[number] = now - call.arrived
        self.outcomes[number] = _OUTCOME[outcome.kind]
        self.servers[number] = server
        self.attempts[number] = call.sent


class _Simulation:
    """One run: the clock, the stations, the dispatcher, and what was seen."""

    def __init__(self, scenario: Scenario, strategy: Choice, demand: Demand, seed: int) -> None:
        self._scenario, self._demand = scenario, demand
        self._strategy = spec(strategy)
        self._dispatcher = Dispatcher(self._strategy, rng=random.Random(seed))
        self._clock, self._chance = Clock(), _Chance(seed)
        self._group = _Group(scenario.names)
        self._index = {name: index for index, name in enumerate(scenario.names)}
        self._stations = [
            station(server, self._clock, self._chance, self._answered) for server in scenario.servers
        ]
        self._sent = [0] * len(self._stations)
        self._records, self._decisions = _Records(), Decisions()
        self._ring_at: float | None = None
        self._instability = stability.overload(scenario, demand.rate)

    def run(self) -> Run:
        """Let every call start and end."""
        for server in self._scenario.servers:
            away = "has not joined yet" if server.name in self._scenario.absent else ""
            self._dispatcher.add(_endpoint(server), unavailable=away)
        for number, at in enumerate(self._scenario.timeline):
            self._clock.at(at.t, self._change, number)
        if self._demand.times is None:
            self._start_callers()
        else:
            self._start_calls(self._demand.times.tolist())
        self._clock.run()
        return self._result()

    # -- who calls, and when

    def _start_calls(self, times: list[float]) -> None:
        advance = self._clock.run
        for at in times:
            advance(at)
            self._call(at)
        self._instability += stability.backlog(self._scenario, self._sent, self._in_flight())

    def _start_callers(self) -> None:
        self._clock.run(0.0)  # what the timeline changes at the start comes before the first call
        for _ in range(self._demand.callers):
            self._call_next(0, 0.0)

    def _call_next(self, _: int, now: float) -> None:
        limit = self._demand.requests
        if now < self._demand.seconds and (limit is None or len(self._records.starts) < limit):
            self._call(now)

    def _call(self, now: float) -> None:
        demand = self._demand
        timeout = demand.timeout
        request = Request(
            self._records.begin(now),
            next(demand.tools),
            self._group,
            None if timeout is None else now + timeout,
            timeout,
            demand.retries > 0,
            demand.retries,
        )
        self._carry_out(self._dispatcher.submit(request, now), now)

    # -- what the dispatcher is told

    def _answered(self, attempt: int, outcome: Outcome, now: float) -> None:
        self._carry_out(self._dispatcher.on_outcome(attempt, outcome, now), now)

    def _ring(self, _: int, now: float) -> None:
        if now == self._ring_at:  # else another time was asked for since
            self._ring_at = None
            self._carry_out(self._dispatcher.on_timer(now), now)

    def _change(self, number: int, now: float) -> None:
        at = self._scenario.timeline[number]
        if at.join or at.leave:
            self._dispatcher.mark(at.server, "left" if at.leave else "", now)
        self._stations[self._index[at.server]].change(at)

    # -- what it wants done

    def _carry_out(self, actions: list[Action], now: float) -> None:
        for action in actions:
            if isinstance(action, Send):
                self._send(action.attempt, now)
            elif isinstance(action, Finish):
                self._finish(action.call, action.outcome, now)
            elif isinstance(action, Cancel):
                self._cancel(action.attempt, now)
            elif isinstance(action, WaitUntil):
                self._ring_at = action.at
                self._clock.at(action.at, self._ring, 0)

    def _send(self, attempt: Attempt, now: float) -> None:
        self._decisions.sent(attempt.request, attempt.number, attempt.server)
        index = self._index[attempt.server]
        self._sent[index] += 1
        self._stations[index].send(attempt.id, now)

    def _cancel(self, attempt: Attempt, now: float) -> None:
        self._decisions.cancelled(attempt.request, attempt.number)
        self._stations[self._index[attempt.server]].cancel(attempt.id, now)

    def _finish(self, call: Call, outcome: Outcome, now: float) -> None:
        number = call.request.id
        self._decisions.finished(number, outcome.kind)
        server = self._index[call.ended[-1].attempt.server] if call.ended else _NOBODY
        self._records.end(number, call, outcome, server, now)
        if self._demand.times is None:
            breath = _BREATH if now == call.arrived else 0.0
            self._clock.at(now + breath, self._call_next, 0)

    # -- what was seen

    def _in_flight(self) -> list[int]:
        return [self._dispatcher.in_flight(server.name) for server in self._scenario.servers]

    def _result(self) -> Run:
        seen = self._records
        return Run(
            strategy=str(self._strategy),
            names=self._scenario.names,
            all_starts=np.array(seen.starts),
            all_latencies=np.array(seen.latencies),
            all_outcomes=np.array(seen.outcomes),
            all_servers=np.array(seen.servers),
            all_attempts=np.array(seen.attempts),
            warmup=self._demand.warmup,
            decisions_digest=self._decisions.digest(),
            instability=tuple(self._instability),
            in_flight_after=sum(self._in_flight()),
        )


def _endpoint(server: SimServer) -> Endpoint:
    return Endpoint(server.name, weight=server.weight, priority=server.priority, region=server.region)
