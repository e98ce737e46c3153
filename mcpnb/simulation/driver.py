"""The dispatcher's third body: carries its actions out on a virtual clock.

It owns the loop and nothing that decides: who takes a call and what happens after a fault is the
dispatcher's, the same object that runs live.
"""

from __future__ import annotations

import random
from itertools import repeat

from mcpnb.model import Attempt, Outcome, Request
from mcpnb.routing import Action, BreakerChanged, Cancel, Dispatcher, Finish, Send, WaitUntil
from mcpnb.routing.call import Call
from mcpnb.routing.strategies import Strategy, StrategySpec, spec
from mcpnb.simulation import stability
from mcpnb.simulation.chance import Streams
from mcpnb.simulation.clock import Clock
from mcpnb.simulation.decisions import Decisions
from mcpnb.simulation.demand import Demand
from mcpnb.simulation.ledger import Ledger
from mcpnb.simulation.run import Run
from mcpnb.simulation.scenario import Scenario
from mcpnb.simulation.stations import station

Choice = str | Strategy | type[Strategy] | StrategySpec
"""What a user may say for a strategy."""

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
        raise ValueError("a server that never answers needs calls with an end: give the workload a timeout")
    return _Simulation(scenario, strategy, demand, seed).run()


class _Simulation:
    """One run: the clock, the stations, the dispatcher, and what was seen."""

    def __init__(self, scenario: Scenario, strategy: Choice, demand: Demand, seed: int) -> None:
        self._scenario, self._demand = scenario, demand
        self._strategy = spec(strategy)
        self._dispatcher = Dispatcher(
            self._strategy,
            rng=random.Random(seed),
            resilience=scenario.resilience,
            home=scenario.home,
            distances=scenario.distances,
        )
        self._clock, chance = Clock(), Streams(seed)
        sessions = scenario.resilience.affinity
        self._keys = repeat(None) if sessions is None else chance.sessions(sessions)
        retry = scenario.resilience.retry
        self._retries = 0 if retry is None else retry.retries
        self._repeatable = retry is not None or scenario.resilience.hedge is not None
        self._group = scenario.names  # one object: the dispatcher finds the pool by its identity
        self._stations = {
            server.name: station(server, self._clock, chance, self._answered) for server in scenario.servers
        }
        self._sent = dict.fromkeys(self._group, 0)
        absent = scenario.absent
        self._away = {name: "has not joined yet" if name in absent else "" for name in self._sent}
        self._ledger, self._decisions = Ledger(self._group, demand.times), Decisions()
        self._events: list[tuple[float, str, str]] = []
        self._ring_at: float | None = None
        self._left = 0  # calls that have not ended; in a closed loop, callers that have not given up calling
        self._instability = stability.overload(scenario, demand.rate)

    def run(self) -> Run:
        """Let every call start and end."""
        for server in self._scenario.servers:
            self._dispatcher.add(server.endpoint, unavailable=self._away[server.name])
        for number, at in enumerate(self._scenario.timeline):
            self._clock.at(at.t, self._change, number)
        if self._demand.times is None:
            self._start_callers()
        else:
            self._start_calls(self._demand.times.tolist())
        # No further: alarms of breakers and detectors may ring for ever.
        self._clock.run_while(lambda: self._left > 0)
        return self._result()

    # -- who calls, and when

    def _start_calls(self, times: list[float]) -> None:
        self._left = len(times)
        advance, call = self._clock.run, self._call
        for number, at in enumerate(times):
            advance(at)
            call(number, at)
        self._instability += stability.backlog(self._scenario, self._sent, self._in_flight())

    def _start_callers(self) -> None:
        self._left = self._demand.callers
        self._clock.run(0.0)  # what the timeline changes at the start comes before the first call
        for _ in range(self._demand.callers):
            self._call_next(0, 0.0)

    def _call_next(self, _: int, now: float) -> None:
        limit = self._demand.requests
        if now < self._demand.seconds and (limit is None or len(self._ledger.starts) < limit):
            self._call(self._ledger.begin(now), now)
        else:
            self._left -= 1

    def _call(self, number: int, now: float) -> None:
        demand = self._demand
        timeout = demand.timeout
        request = Request(
            number,
            next(demand.tools),
            self._group,
            None if timeout is None else now + timeout,
            timeout,
            self._repeatable,
            self._retries,
            None,
            None,
            next(self._keys),
            next(demand.priorities),
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
        here = self._stations[at.server]
        before = here.server.endpoint
        here.change(at, now)  # first: calls that wait for this server may be sent to it at once
        if at.goes or at.comes:
            self._away[at.server] = "left" if at.leave else "crashed" if at.crash else ""
            self._carry_out(self._dispatcher.mark(at.server, self._away[at.server], now), now)
        if here.server.endpoint != before:
            known = self._dispatcher.add(here.server.endpoint, unavailable=self._away[at.server], now=now)
            self._carry_out(known, now)

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
            elif isinstance(action, BreakerChanged):
                self._events.append((now, action.server, action.state))
            else:
                self._events.append((now, action.server, "ejected" if action.out else "readmitted"))

    def _send(self, attempt: Attempt, now: float) -> None:
        server = attempt.server
        self._decisions.sent(attempt.request, attempt.number, server)
        self._sent[server] += 1
        self._stations[server].send(attempt.id, now)

    def _cancel(self, attempt: Attempt, now: float) -> None:
        self._decisions.cancelled(attempt.request, attempt.number)
        self._stations[attempt.server].cancel(attempt.id, now)

    def _finish(self, call: Call, outcome: Outcome, now: float) -> None:
        self._decisions.finished(call.request.id, outcome.kind)
        self._ledger.end(call, outcome.kind, now)
        if self._demand.times is not None:
            self._left -= 1
        else:
            breath = _BREATH if now == call.arrived else 0.0
            self._clock.at(now + breath, self._call_next, 0)

    # -- what was seen

    def _in_flight(self) -> dict[str, int]:
        return {name: self._dispatcher.in_flight(name) for name in self._sent}

    def _result(self) -> Run:
        return Run.of(
            self._ledger,
            strategy=str(self._strategy),
            names=self._group,
            warmup=self._demand.warmup,
            decisions_digest=self._decisions.digest(),
            events=tuple(self._events),
            instability=tuple(self._instability),
            in_flight_after=sum(self._in_flight().values()),
        )
