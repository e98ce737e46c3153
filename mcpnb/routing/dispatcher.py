"""The state machine of calls: what to send where, when to send it again, when it is over.

Sans-I/O. A driver (live client, replayer, simulator) reports what happened and when, and carries out the
actions it gets back. Everything that decides is in here or below, so all drivers decide alike.

    submit ──▶ pick ──▶ Send ──▶ on_outcome ──▶ ok, tool_error ──────────▶ Finish
                ▲                    │
                │                    ├── fault that may be repeated ──┐
                │                    │                                │ another server: at once
                └────────────────────┼────────────────────────────────┤ the same one: after a backoff
                                     │                                └ none left: Finish(no server)
                                     └── any other fault ────────────────▶ Finish
    on_timer: the deadline passed ──▶ Cancel what is out, Finish(timeout)
    on_cancel: the caller gave up ──▶ Cancel what is out, Finish(cancelled)

An attempt is a lease on its server: it ends exactly once, at its outcome or when it is cancelled,
whichever is first. What comes later for the same attempt is ignored.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterable

from mcpnb.errors import CallTimeout, ConnectError, McpnbError, NoServerAvailable, StrategyError
from mcpnb.model import (
    FAULTS,
    NOT_EXECUTED,
    Attempt,
    AttemptRecord,
    Endpoint,
    Outcome,
    OutcomeKind,
    Request,
    Requirement,
)
from mcpnb.resilience.breaker import Breaker, BreakerPolicy
from mcpnb.resilience.retry import Backoff, RetryBudget
from mcpnb.routing.actions import Action, BreakerChanged, Cancel, Finish, Send, WaitUntil
from mcpnb.routing.call import Call
from mcpnb.routing.node import Node
from mcpnb.routing.pool import Pool
from mcpnb.routing.strategies import Strategy, StrategySpec, spec
from mcpnb.routing.timers import Timers

_UNKNOWN_SERVER = "is not part of this fleet"


class _Lease:
    """What has to be given back when an attempt ends."""

    __slots__ = ("attempt", "call", "generation", "node", "strategy")

    def __init__(self, attempt: Attempt, call: Call, node: Node, strategy: Strategy) -> None:
        self.attempt, self.call, self.node, self.strategy = attempt, call, node, strategy
        self.generation = 0 if node.breaker is None else node.breaker.admit()


class Dispatcher:
    """Decides for every call which server takes it, and what happens when that fails.

    Args:
        strategy: The strategy of calls that name no other: a name, a class, an object or a `StrategySpec`.
        rng: The only source of chance.
        backoff: How long to wait before a call goes to the same server again.
        budget: What retries may cost in all; None is unlimited.
        breaker: When a server's breaker opens; None does without breakers.
        panic: With at least this share of a tool's servers shut out by breakers, and nobody else to take a
            call, breakers are ignored for it: a bad minute must not become a total outage.
    """

    def __init__(
        self,
        strategy: str | StrategySpec = "p2c",
        *,
        rng: random.Random,
        backoff: Backoff | None = None,
        budget: RetryBudget | None = None,
        breaker: BreakerPolicy | None = None,
        panic: float = 0.5,
    ) -> None:
        self._default = spec(strategy)
        self._specs: dict[str, StrategySpec] = {}
        self._rng, self._budget = rng, budget
        self._policy, self._panic = breaker, panic
        self._backoff = backoff or Backoff()
        self._nodes: dict[str, Node] = {}
        self._joined = 0
        self._pools: dict[tuple[tuple[str, ...], Requirement | None], Pool] = {}
        self._calls: dict[int, Call] = {}
        self._leases: dict[int, _Lease] = {}
        self._attempts = 0
        self._timers = Timers()
        self._warned: set[str] = set()

    # -- servers

    def add(self, endpoint: Endpoint, *, unavailable: str = "") -> None:
        """A server joins, or changes its properties. `unavailable` says why it takes no calls yet."""
        self._dissolve(endpoint.name)
        known = self._nodes.get(endpoint.name)
        if known is None:
            self._joined += 1
            breaker = None if self._policy is None else Breaker(self._policy, self._rng)
            known = self._nodes[endpoint.name] = Node(endpoint, self._joined, breaker)
        else:  # the same node: attempts that are out hold a lease on it
            known.endpoint, known.weight = endpoint, endpoint.weight
        known.block("connection", unavailable)

    def remove(self, server: str, now: float) -> None:
        """A server leaves. Attempts that are out at it still end as usual."""
        node = self._nodes.get(server)
        if node is not None:
            self._block(node, "connection", "left the fleet", now)
        self._nodes.pop(server, None)
        self._dissolve(server)

    def mark(self, server: str, unavailable: str, now: float) -> list[Action]:
        """A server takes calls from now on (empty text), or does not and why."""
        node = self._nodes.get(server)
        actions: list[Action] = []
        if node is None:
            return actions
        self._block(node, "connection", unavailable, now)
        # A new session is a reason to probe at once instead of sitting an opening out.
        if not unavailable and node.breaker is not None and node.breaker.probe():
            self._changed(node, now, actions)
        return actions

    def _block(self, node: Node, by: str, why: str, now: float) -> None:
        if node.block(by, why):
            for pool in node.pools:
                pool.refresh(node, now)

    # -- circuit breakers

    def breaker(self, server: str) -> Breaker | None:
        """A server's breaker, to look at; None when it has none."""
        node = self._nodes.get(server)
        return None if node is None else node.breaker

    def trip(self, server: str, now: float) -> list[Action]:
        """Open a server's breaker by hand."""
        return self._by_hand(server, lambda breaker: breaker.trip(now), now)

    def reset(self, server: str, now: float) -> list[Action]:
        """Close a server's breaker by hand and forget what it counted."""
        return self._by_hand(server, lambda breaker: breaker.reset(), now)

    def _by_hand(self, server: str, act: Callable[[Breaker], None], now: float) -> list[Action]:
        actions: list[Action] = []
        node = self._nodes.get(server)
        if node is not None and node.breaker is not None:
            act(node.breaker)
            self._changed(node, now, actions)
        return self._announce(actions)

    def _changed(self, node: Node, now: float, actions: list[Action]) -> None:
        """A breaker changed its state: let its pools know, and set the alarm for its next probe."""
        breaker = node.breaker
        if breaker is None:
            return
        if breaker.state == "open":
            self._timers.set(breaker.until, "breaker", node)
        self._gate(node, now)
        actions.append(BreakerChanged(node.name, breaker.state, breaker.reason))

    def _gate(self, node: Node, now: float) -> None:
        """Make eligibility follow what the breaker admits."""
        breaker = node.breaker
        if breaker is not None and breaker.state != "closed":
            state = breaker.state.replace("_", "-")
            self._block(node, "breaker", "" if breaker.admits else f"breaker {state}: {breaker.reason}", now)
        else:
            self._block(node, "breaker", "", now)

    def in_flight(self, server: str) -> int:
        """Attempts that are out at a server; 0 for an unknown one."""
        node = self._nodes.get(server)
        return 0 if node is None else node.in_flight

    def _dissolve(self, server: str) -> None:
        """Drop the pools that name a server: they were built from what it was before."""
        for key in [key for key in self._pools if server in key[0]]:
            self._pools.pop(key).dissolve()

    # -- strategies

    @property
    def strategy(self) -> StrategySpec:
        """The strategy of calls that name no other."""
        return self._default

    def use(self, choice: str | Strategy | StrategySpec, now: float) -> None:
        """Switch the default strategy, also for calls that are running: their next pick is made by it."""
        self._default = spec(choice)
        for pool in self._pools.values():
            pool.forget("", now)

    def define(self, name: str, choice: str | Strategy | StrategySpec) -> None:
        """Let requests name a strategy with a state of its own (`Request.strategy`)."""
        self._specs[name] = spec(choice)

    def undefine(self, name: str, now: float) -> None:
        """Drop a strategy made by `define` with all that it learned."""
        self._specs.pop(name, None)
        for pool in self._pools.values():
            pool.forget(name, now)

    def _strategy(self, pool: Pool, name: str | None, now: float) -> Strategy:
        key = name or ""
        strategy = pool.strategy(key)
        if strategy is None:
            chosen = self._default if not key else self._specs.get(key) or spec(key)
            strategy = pool.adopt(key, chosen.build(), now)
        return strategy

    # -- events

    def submit(self, request: Request, now: float) -> list[Action]:
        """A call arrives."""
        call = Call(request, now)
        self._calls[request.id] = call
        if self._budget is not None:
            self._budget.deposit()
        if request.deadline is not None:
            self._timers.set(request.deadline, "deadline", call)
        actions: list[Action] = []
        self._send(call, "first", now, actions)
        return self._announce(actions)

    def on_outcome(self, attempt: int, outcome: Outcome, now: float) -> list[Action]:
        """An attempt ended. Unknown and already ended ones are ignored."""
        lease = self._leases.get(attempt)
        if lease is None:
            return []
        call = lease.call
        actions: list[Action] = []
        self._end(lease, outcome, now, actions)
        if outcome.kind in FAULTS or outcome.kind == "rejected":
            call.failure = outcome
            if not self._again(call, lease.attempt.server, outcome, now, actions) and not call.out:
                self._finish(call, outcome, now, actions)
        else:
            self._finish(call, outcome, now, actions)
        return self._announce(actions)

    def on_timer(self, now: float) -> list[Action]:
        """The time that `WaitUntil` asked for has come."""
        actions: list[Action] = []
        for purpose, subject in self._timers.due(now):
            if isinstance(subject, Node):
                self._probe(subject, now, actions)
            elif subject.finished is not None:
                continue
            elif purpose == "retry":
                self._send(subject, "retry: after a backoff", now, actions)
            else:
                self._finish(subject, self._too_late(subject), now, actions)
        return self._announce(actions)

    def on_cancel(self, request: int, now: float) -> list[Action]:
        """The caller gave a call up."""
        call = self._calls.get(request)
        actions: list[Action] = []
        if call is not None:
            self._finish(call, Outcome("cancelled"), now, actions)
        return self._announce(actions)

    # -- how a call moves

    def _send(self, call: Call, why: str, now: float, actions: list[Action]) -> None:
        """Pick a server and send, or finish the call when there is none."""
        request = call.request
        pool = self._pool(request)
        if call.sent == 0 and len(pool.eligible) < len(request.servers):
            call.excluded = pool.reasons()
        if not pool.eligible:
            self._panicked(call, pool, now, actions)
            return
        strategy = self._strategy(pool, request.strategy, now)
        call.looked_at = strategy.looks_at
        node = self._pick(strategy, pool, request, now)
        actions.append(Send(self._lease(call, node, strategy, why, now)))

    def _panicked(self, call: Call, pool: Pool, now: float, actions: list[Action]) -> None:
        """Nobody is eligible: send all the same where breakers alone are in the way of most, else give up."""
        shut = [node for node in pool.nodes if node.blocked_only_by("breaker")]
        if not shut or len(shut) < self._panic * len(pool.nodes):
            self._finish(call, self._nobody(call, pool), now, actions)
            return
        strategy = self._strategy(pool, call.request.strategy, now)
        strategy.compared = ()
        node = shut[int(self._rng.random() * len(shut))]
        actions.append(Send(self._lease(call, node, strategy, "panic: every breaker is in the way", now)))

    def _lease(self, call: Call, node: Node, strategy: Strategy, why: str, now: float) -> Attempt:
        self._attempts += 1
        call.sent += 1
        request = call.request
        attempt = Attempt(
            self._attempts,
            request.id,
            call.sent,
            node.name,
            request.tool,
            strategy.name or type(strategy).__name__,
            now,
            now - call.arrived if call.sent == 1 else 0.0,
            False,
            why,
            tuple([(seen.name, strategy.measure(seen, now)) for seen in strategy.compared[:8]]),
        )
        self._leases[attempt.id] = _Lease(attempt, call, node, strategy)
        call.out.append(attempt)
        call.tried.add(node.name)
        node.lease()
        strategy.started(node, now)
        if node.breaker is not None and node.breaker.state != "closed":
            self._gate(node, now)
        return attempt

    def _pick(self, strategy: Strategy, pool: Pool, request: Request, now: float) -> Node:
        """Ask the strategy; one that raises or invents a server is replaced by chance for this pick."""
        eligible = pool.eligible
        if strategy.keyed:
            strategy.key = request.affinity or request.tool
        try:
            node = strategy.pick(eligible, now, self._rng)
        except Exception as problem:  # noqa: BLE001 - a third party's strategy may raise anything; the call goes on
            return self._fallback(strategy, f"it raised {type(problem).__name__}: {problem}", pool)
        if node.unavailable or pool not in node.pools:
            return self._fallback(strategy, f"it picked {node.name!r}, which is not a candidate", pool)
        return node

    def _fallback(self, strategy: Strategy, problem: str, pool: Pool) -> Node:
        name = strategy.name or type(strategy).__name__
        if name not in self._warned:
            self._warned.add(name)
            note = StrategyError(name, f"{problem}; `random` picks instead")
            warnings.warn(str(note), RuntimeWarning, stacklevel=2)
        strategy.compared = ()
        return pool.eligible[int(self._rng.random() * len(pool.eligible))]

    def _again(self, call: Call, server: str, outcome: Outcome, now: float, actions: list[Action]) -> bool:
        """Send a failed call once more if that is allowed; True when something was arranged."""
        may_repeat = outcome.kind in NOT_EXECUTED or call.request.repeatable
        if not may_repeat or call.retries_left <= 0 or not self._affordable(now):
            return False
        pool = self._pool(call.request)
        with pool.without(call.tried, now):
            if pool.eligible:
                self._send(call, f"retry: {outcome.kind} on {server}", now, actions)
                return True
        if pool.eligible:  # only servers that had their chance: give them time
            self._timers.set(now + self._backoff.delay(call.sent - 1, self._rng), "retry", call)
            return True
        if call.out:
            return False
        self._finish(call, self._nobody(call, pool), now, actions)
        return True

    def _probe(self, node: Node, now: float, actions: list[Action]) -> None:
        """The time of an opening is over, unless it was opened anew since the alarm was set."""
        breaker = node.breaker
        if breaker is not None and now >= breaker.until and breaker.probe():
            self._changed(node, now, actions)

    def _affordable(self, now: float) -> bool:
        return self._budget is None or self._budget.withdraw(now)

    def _end(self, lease: _Lease, outcome: Outcome, now: float, actions: list[Action]) -> None:
        """Give a lease back."""
        attempt, call = lease.attempt, lease.call
        del self._leases[attempt.id]
        call.out.remove(attempt)
        lease.node.release()
        latency = now - attempt.sent_at
        lease.strategy.finished(lease.node, outcome.kind, latency, now)
        self._judge(lease, outcome.kind, now, actions)
        error = "" if outcome.error is None else _reason(outcome.error)
        call.ended.append(AttemptRecord(attempt, outcome.kind, latency, error))

    def _judge(self, lease: _Lease, kind: OutcomeKind, now: float, actions: list[Action]) -> None:
        """Tell the server's breaker how an attempt ended."""
        breaker = lease.node.breaker
        if breaker is None:
            return
        if breaker.record(kind, lease.generation, now):
            self._changed(lease.node, now, actions)
        elif breaker.state == "half_open":
            self._gate(lease.node, now)

    def _finish(self, call: Call, outcome: Outcome, now: float, actions: list[Action]) -> None:
        """End a call and everything of it that is still out."""
        kind: OutcomeKind = "timeout" if outcome.kind == "timeout" else "cancelled"
        for attempt in list(call.out):
            self._end(self._leases[attempt.id], Outcome(kind), now, actions)
            actions.append(Cancel(attempt))
        call.finished = now
        self._calls.pop(call.request.id, None)
        actions.append(Finish(call, outcome))

    def _announce(self, actions: list[Action]) -> list[Action]:
        at = self._timers.next()
        if at is not None:
            actions.append(WaitUntil(at))
        return actions

    # -- candidates

    def _pool(self, request: Request) -> Pool:
        key = (request.servers, request.requirement)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = self._build(request.servers, request.requirement)
        return pool

    def _build(self, servers: Iterable[str], requirement: Requirement | None) -> Pool:
        nodes: list[Node] = []
        refused: dict[str, str] = {}
        for server in servers:
            node = self._nodes.get(server)
            why = _UNKNOWN_SERVER if node is None else requirement and requirement.refuses(node.endpoint)
            if node is None or why:
                refused[server] = why or _UNKNOWN_SERVER
            else:
                nodes.append(node)
        return Pool(nodes, refused)

    # -- ends without an answer

    def _nobody(self, call: Call, pool: Pool) -> Outcome:
        """No server can take the call: say why, per server; what a tried one did comes first."""
        reasons = dict.fromkeys(call.request.servers, "")
        reasons.update(pool.reasons())
        reasons.update(
            {r.attempt.server: f"{r.outcome}: {r.error}" if r.error else r.outcome for r in call.ended}
        )
        error = NoServerAvailable(call.request.tool, {server: why for server, why in reasons.items() if why})
        if call.failure is not None:
            error.__cause__ = call.failure.error
        return Outcome("rejected", error=error)

    def _too_late(self, call: Call) -> Outcome:
        server = call.out[-1].server if call.out else None
        return Outcome("timeout", error=CallTimeout(call.request.tool, call.request.timeout, server=server))


def _reason(error: BaseException) -> str:
    """An error in a few words: without the server's name where the attempt names it already."""
    if isinstance(error, ConnectError):
        return error.reason
    return str(error) if isinstance(error, McpnbError) else f"{type(error).__name__}: {error}"
