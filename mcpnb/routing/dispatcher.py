"""The state machine of calls: what to send where, when to send it again, when it is over.

Sans-I/O. A driver (live client, replayer, simulator) reports what happened and when, and carries out the
actions it gets back. Everything that decides is in here or below, so all drivers decide alike.

    submit ──▶ admit ──▶ pick ──▶ Send ──▶ on_outcome ──▶ ok, tool_error ──────────▶ Finish
                 │ all full  ▲      │           │
                 ▼           │      │ slow:     ├── another attempt is still out ──▶ (wait for it)
               queue ────────┤      │ hedge     ├── fault that may be repeated ──┐
                             │ ◀────┘           │                                │ another server: at once
                             └──────────────────┼────────────────────────────────┤ the same: after a backoff
                                                │                                └ none: the next alternative
                                                └── any other fault ────────────────▶ Finish
    on_timer: the deadline passed ──▶ Cancel what is out, Finish(timeout)
    on_cancel: the caller gave up ──▶ Cancel what is out, Finish(cancelled)

An attempt is a lease on its server: it ends exactly once, at its outcome or when it is cancelled,
whichever is first. What comes later for the same attempt is ignored.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial

from mcpnb.errors import CallTimeout, ConnectError, McpnbError, NoServerAvailable, Overloaded
from mcpnb.model import FAULTS, NOT_EXECUTED, Attempt, AttemptRecord, Endpoint, Outcome, OutcomeKind, Request
from mcpnb.resilience.breaker import Breaker
from mcpnb.resilience.hedge import HedgeDelay, HedgePolicy
from mcpnb.resilience.retry import Backoff
from mcpnb.resilience.settings import Resilience
from mcpnb.routing.actions import Action, Cancel, Finish, Send, WaitUntil
from mcpnb.routing.call import Call
from mcpnb.routing.guards import Fuse, Guards
from mcpnb.routing.node import Node
from mcpnb.routing.picker import Pick, Picker
from mcpnb.routing.pool import Pool
from mcpnb.routing.roster import Distances, Roster
from mcpnb.routing.strategies import Strategy, StrategySpec
from mcpnb.routing.timers import Timers


class _Lease:
    """What has to be given back when an attempt ends."""

    __slots__ = ("attempt", "call", "fuse", "generation", "node", "strategy")

    def __init__(
        self, attempt: Attempt, call: Call, node: Node, strategy: Strategy, fuse: Fuse | None, generation: int
    ) -> None:
        self.attempt, self.call, self.node, self.strategy = attempt, call, node, strategy
        self.fuse, self.generation = fuse, generation


class Dispatcher:
    """Decides for every call which server takes it, and what happens when that fails.

    Args:
        strategy: The strategy of calls that name no other: a name, a class, an object or a `StrategySpec`.
        rng: The only source of chance.
        resilience: Which protections are on.
        home: The region that `nearest` measures from, for calls that name none.
        distances: How far regions are from each other.
    """

    def __init__(
        self,
        strategy: str | StrategySpec = "p2c",
        *,
        rng: random.Random,
        resilience: Resilience | None = None,
        home: str | None = None,
        distances: Distances | None = None,
    ) -> None:
        chosen = resilience or Resilience()
        breaker = chosen.breaker
        self._rng, self._timers = rng, Timers()
        self._roster = Roster(distances, per_tool=breaker is not None and breaker.per_tool)
        self._guards = Guards(chosen, self._roster, self._timers, rng)
        self._picker = Picker(strategy, self._roster, rng, home=home, distances=distances)
        self._panic, self._queue = chosen.panic, chosen.queue
        self._backoff = Backoff() if chosen.retry is None else chosen.retry.backoff
        self._budget = None if chosen.retry is None else chosen.retry.new_budget()
        self._hedges = chosen.hedge is not None
        self._delays = HedgeDelay(chosen.hedge or HedgePolicy())
        self._learning = self._hedges  # from the first call on that asks for it: it costs a little per call
        self._calls: dict[int, Call] = {}
        self._leases: dict[int, _Lease] = {}
        self._attempts = 0
        self._late: list[Pool] = []

    # -- servers

    def add(self, endpoint: Endpoint, *, unavailable: str = "", now: float = 0.0) -> list[Action]:
        """A server joins, or changes its properties. `unavailable` says why it takes no calls yet."""
        node = self._roster.add(endpoint, now)
        self._guards.sized(node, now)
        actions: list[Action] = []
        if self._roster.block(node, "connection", unavailable, now) and not unavailable:
            self._guards.renewed(node, now, actions)
        return self._announce(actions, now)

    def remove(self, server: str, now: float) -> list[Action]:
        """A server leaves. Attempts that are out at it still end as usual."""
        self._roster.remove(server, now)
        self._guards.forget(server)
        return self._announce([], now)

    def mark(self, server: str, unavailable: str, now: float) -> list[Action]:
        """A server takes calls from now on (empty text), or does not and why."""
        node = self._roster.nodes.get(server)
        actions: list[Action] = []
        if node is None:
            return actions
        if self._roster.block(node, "connection", unavailable, now) and not unavailable:
            self._guards.renewed(node, now, actions)
        return self._announce(actions, now)

    def endpoint(self, server: str) -> Endpoint | None:
        """What is known of a server; None for an unknown one."""
        node = self._roster.nodes.get(server)
        return None if node is None else node.endpoint

    def in_flight(self, server: str) -> int:
        """Attempts that are out at a server; 0 for an unknown one."""
        node = self._roster.nodes.get(server)
        return 0 if node is None else node.in_flight

    def queued(self, server: str) -> int:
        """Calls that wait and could go to this server; 0 for an unknown one."""
        node = self._roster.nodes.get(server)
        return 0 if node is None else sum(len(pool.waiting or ()) for pool in node.pools)

    def breaker(self, server: str) -> Breaker | None:
        """A server's breaker, to look at: the worst where each tool has its own; None when it has none."""
        worst = {"open": 0, "half_open": 1, "closed": 2}
        found = self._guards.breakers(server).values()
        return min(found, key=lambda breaker: worst[breaker.state], default=None)

    def breakers(self, server: str) -> Mapping[str, Breaker]:
        """A server's breakers by tool; the empty name is the server's own."""
        return self._guards.breakers(server)

    def trip(self, server: str, now: float, tool: str | None = None) -> list[Action]:
        """Open a server's breaker by hand; with `tool`, only that tool's where each has its own."""
        actions: list[Action] = []
        self._guards.trip(server, tool, now, actions)
        return self._announce(actions, now)

    def reset(self, server: str, now: float, tool: str | None = None) -> list[Action]:
        """Close a server's breaker by hand and forget what it counted."""
        actions: list[Action] = []
        self._guards.reset(server, tool, now, actions)
        return self._announce(actions, now)

    # -- strategies

    @property
    def strategy(self) -> StrategySpec:
        """The strategy of calls that name no other."""
        return self._picker.default

    def use(self, choice: str | Strategy | StrategySpec, now: float) -> None:
        """Switch the default strategy, also for calls that are running: their next pick is made by it."""
        self._picker.use(choice, now)

    def define(self, name: str, choice: str | Strategy | StrategySpec) -> None:
        """Let requests name a strategy with a state of its own (`Request.strategy`)."""
        self._picker.define(name, choice)

    def undefine(self, name: str, now: float) -> None:
        """Drop a strategy made by `define` with all that it learned."""
        self._picker.undefine(name, now)

    # -- events

    def submit(self, request: Request, now: float) -> list[Action]:
        """A call arrives.

        Raises:
            StrategyError: It names a strategy that there is not; nothing has happened then.
        """
        if request.strategy is not None:
            self._picker.check(request.strategy)
        call = Call(request, now)
        self._calls[request.id] = call
        if self._budget is not None:
            self._budget.deposit(now)
        if request.deadline is not None:
            self._timers.set(request.deadline, partial(self._expire, call), call)
        actions: list[Action] = []
        if request.deadline is not None and now >= request.deadline:
            self._expire(call, now, actions)
        else:
            self._send(call, "first", now, actions)
        return self._announce(actions, now)

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
            deadline = call.request.deadline
            if deadline is not None and now >= deadline:
                self._expire(call, now, actions)
            elif not call.out:  # else the other attempt may still answer
                self._failed(call, lease.attempt.server, outcome, now, actions)
        else:
            self._finish(call, outcome, now, actions)
        return self._announce(actions, now)

    def on_timer(self, now: float) -> list[Action]:
        """The time that `WaitUntil` asked for has come."""
        actions: list[Action] = []
        self._timers.ring(now, actions)
        return self._announce(actions, now)

    def on_cancel(self, request: int, now: float) -> list[Action]:
        """The caller gave a call up."""
        call = self._calls.get(request)
        actions: list[Action] = []
        if call is not None:
            self._finish(call, Outcome("cancelled"), now, actions)
        return self._announce(actions, now)

    # -- admission

    def _send(self, call: Call, why: str, now: float, actions: list[Action]) -> None:
        """Send to whom the strategy picks, or wait until somebody is free, or end the call."""
        pool = self._roster.pool(call.servers, call.request.requirement, call.tool, now)
        if call.sent == 0 and pool.excluded:
            call.excluded, call.out_of = pool.reasons(), pool.excluded
        if pool.eligible and not self._roster.freed:
            self._place(call, pool, why, now, actions)
        elif pool.eligible or pool.busy:  # those who wait go first
            self._wait(call, pool, now, actions, behind=bool(pool.eligible))
        else:
            self._nobody(call, pool, now, actions)

    def _place(self, call: Call, pool: Pool, why: str, now: float, actions: list[Action]) -> None:
        pick = self._picker.pick(call, pool, now)
        actions.append(Send(self._lease(call, pick, why, now)))

    def _wait(self, call: Call, pool: Pool, now: float, actions: list[Action], *, behind: bool) -> None:
        queue = pool.queue(self._queue)
        # In the order of arrival: a retry has waited before.
        if queue.push(call, call.request.priority, call.arrived):
            call.pool = pool
            if behind:  # others have the first choice; somebody may be left
                self._late.append(pool)
                self._roster.stirred = True
            return
        count = len(queue)
        waiting = (f"{count} calls wait" if count > 1 else "1 call waits") + " already"
        shed = Overloaded(call.tool, f"every server is full, and {waiting if count else 'no call may wait'}")
        self._end_or_turn(call, Outcome("rejected", error=shed), now, actions)

    def _admit(self, now: float, actions: list[Action]) -> None:
        """Servers got free, or will not: let calls in that wait, or tell them."""
        roster = self._roster
        while roster.freed or roster.lost or roster.orphans or self._late:
            if roster.orphans:
                self._send_anew(roster.orphans.pop(0), now, actions)
            elif roster.lost:
                self._give_up_waiting(roster.lost.pop(), now, actions)
            elif roster.freed:
                self._fill(roster.freed.pop(), now, actions)
            else:
                self._let_in(self._late.pop(), now, actions)
        roster.stirred = False

    def _fill(self, node: Node, now: float, actions: list[Action]) -> None:
        """Give a server's free places to the calls that wait for it, across all pools that it is in."""
        while not node.unavailable:
            heads = [
                (head[0], head[1], pool) for pool in node.pools if pool.eligible and (head := _head(pool))
            ]
            if not heads:
                return
            pool = min(heads, key=lambda head: head[:2])[2]
            call = pool.waiting.pop() if pool.waiting else None
            if call is None:
                return
            call.pool = None
            with pool.without(call.tried, now):
                if pool.eligible:
                    self._place(call, pool, self._why(call), now, actions)
                    continue
            self._rest(call, now)

    def _let_in(self, pool: Pool, now: float, actions: list[Action]) -> None:
        """Calls that stood back have their turn."""
        while pool.eligible and pool.waiting:
            self._fill(pool.eligible[0], now, actions)

    @staticmethod
    def _why(call: Call) -> str:
        return "first" if call.sent == 0 else "retry: a server is free"

    def _give_up_waiting(self, pool: Pool, now: float, actions: list[Action]) -> None:
        """Nobody will get free in this pool any more: calls that wait for it end or try something else."""
        while not pool.eligible and not pool.busy and pool.waiting:
            if not pool.judged and self._panics(pool):
                return  # all of them have to get free first
            call = pool.waiting.pop()
            if call is not None:
                call.pool = None
                self._nobody(call, pool, now, actions)
        if not pool.busy:
            self._let_in(pool, now, actions)

    def _send_anew(self, call: Call, now: float, actions: list[Action]) -> None:
        """The pool that a call waited in is no more."""
        call.pool = None
        if call.finished is None:
            self._send(call, self._why(call), now, actions)

    def _nobody(self, call: Call, pool: Pool, now: float, actions: list[Action]) -> None:
        """Nobody is eligible: send all the same where breakers alone are in the way of most, else give up."""
        if not self._panics(pool):
            self._end_or_turn(call, _unavailable(call, pool), now, actions)
        elif not pool.judged:
            self._wait(call, pool, now, actions, behind=False)
        else:
            fresh = pool.judged
            if call.tried:
                fresh = [node for node in fresh if node.name not in call.tried]
            if not fresh:
                self._rest(call, now)
                return
            pick = self._picker.by_chance(call, pool, fresh, now)
            actions.append(Send(self._lease(call, pick, "panic: every breaker is in the way", now)))

    def _panics(self, pool: Pool) -> bool:
        """Whether breakers alone are in the way of so many that they are better ignored."""
        shut = len(pool.judged) + len(pool.jammed)
        return self._panic is not None and 0 < shut >= self._panic * len(pool.nodes)

    # -- attempts

    def _lease(self, call: Call, pick: Pick, why: str, now: float, *, hedge: bool = False) -> Attempt:
        self._attempts += 1
        call.sent += 1
        node = pick.node
        waited = now - call.since if call.since < now and not hedge else 0.0
        attempt = Attempt(
            self._attempts, call.request.id, call.sent, node.name, call.tool, pick.name, now,
            waited, hedge, f"{why}; {pick.note}" if pick.note else why, pick.saw,
        )  # fmt: skip
        fuse, generation = self._guards.lease(node, call.tool, now)
        self._leases[attempt.id] = _Lease(attempt, call, node, pick.strategy, fuse, generation)
        call.out.append(attempt)
        call.tried += (node.name,)
        try:
            pick.strategy.started(node, now)
        except Exception as problem:  # noqa: BLE001 - a third party's strategy may raise anything
            self._roster.complaints.of(pick.strategy, f"`started` raised {problem!r}")
        if call.repeatable and not hedge:
            self._plan_hedge(call, now)
        return attempt

    def _end(self, lease: _Lease, outcome: Outcome, now: float, actions: list[Action]) -> None:
        """Give a lease back."""
        attempt, call = lease.attempt, lease.call
        del self._leases[attempt.id]
        call.out.remove(attempt)
        latency = now - attempt.sent_at
        try:
            lease.strategy.finished(lease.node, outcome.kind, latency, now)
        except Exception as problem:  # noqa: BLE001 - a third party's strategy may raise anything
            self._roster.complaints.of(lease.strategy, f"`finished` raised {problem!r}")
        self._guards.release(lease.node, lease.fuse, lease.generation, outcome, now, actions)
        if self._learning and call.repeatable and not attempt.hedge and _tells_how_slow(call, outcome):
            self._delays.record(attempt.tool, latency)
        error = "" if outcome.error is None else _reason(outcome.error)
        call.ended.append(AttemptRecord(attempt, outcome.kind, latency, error))

    # -- hedges

    def _plan_hedge(self, call: Call, now: float) -> None:
        """Set the alarm after which an attempt counts as slow, if this call is to be hedged."""
        wish = call.request.hedge
        if wish is False or (wish is None and not self._hedges) or call.hedges:
            return
        self._learning = self._learning or wish is True
        delay = self._delays.delay(call.tool) if wish is None or wish is True else wish
        if delay is not None:
            self._timers.set(now + delay, partial(self._hedge, call, call.sent, delay), call)

    def _hedge(self, call: Call, number: int, delay: float, now: float, actions: list[Action]) -> None:
        """The attempt is slow: send a second one to another server, if there is one and the budget has it."""
        if not any(attempt.number == number for attempt in call.out) or call.hedges:
            return
        pool = self._roster.pool(call.servers, call.request.requirement, call.tool, now)
        with pool.without(call.tried, now):
            if pool.eligible and not self._roster.freed and self._affordable(now):
                call.hedges += 1
                pick = self._picker.pick(call, pool, now)
                why = f"hedge: no answer after {delay * 1000:.0f} ms"
                actions.append(Send(self._lease(call, pick, why, now, hedge=True)))

    # -- after a fault

    def _failed(self, call: Call, server: str, outcome: Outcome, now: float, actions: list[Action]) -> None:
        """An attempt failed and no other is out: try again if that is allowed, else an alternative."""
        may_repeat = outcome.kind in NOT_EXECUTED or call.repeatable
        if not may_repeat:
            self._finish(call, outcome, now, actions)
        elif call.retries_left <= 0 or not self._affordable(now):
            self._end_or_turn(call, outcome, now, actions)
        else:
            self._again(call, f"retry: {outcome.kind} on {server}", now, actions)

    def _again(self, call: Call, why: str, now: float, actions: list[Action]) -> None:
        """Another server at once, else the same one after a backoff."""
        pool = self._roster.pool(call.servers, call.request.requirement, call.tool, now)
        call.since = now
        with pool.without(call.tried, now):
            if pool.eligible and not self._roster.freed:
                self._place(call, pool, why, now, actions)
                return
            free = bool(pool.eligible)  # but others have the first choice
            others = free or any(node.name not in call.tried for node in pool.busy)
        if others:
            self._wait(call, pool, now, actions, behind=free)
        elif pool.eligible or pool.busy:  # only servers that had their chance: give them time
            self._rest(call, now)
        else:
            self._nobody(call, pool, now, actions)

    def _rest(self, call: Call, now: float) -> None:
        """Give the servers that had their chance time before they get the call again."""
        pause = self._backoff.delay(call.sent - call.spent - 1, self._rng)
        self._timers.set(now + pause, partial(self._rested, call), call)

    def _rested(self, call: Call, now: float, actions: list[Action]) -> None:
        call.since = now
        pool = self._roster.pool(call.servers, call.request.requirement, call.tool, now)
        with pool.without(call.tried, now):
            if pool.eligible and not self._roster.freed:
                self._place(call, pool, "retry: after a backoff", now, actions)
                return
        call.tried = ()  # they had their time
        self._send(call, "retry: after a backoff", now, actions)

    def _affordable(self, now: float) -> bool:
        return self._budget is None or self._budget.withdraw(now)

    def _end_or_turn(self, call: Call, outcome: Outcome, now: float, actions: list[Action]) -> None:
        """Nobody answers for this tool: try the next alternative, or end the call."""
        before = call.tool
        if call.failure is None:
            call.failure = outcome
        if call.turn_to_next():
            call.since = now
            self._send(call, f"fallback: {before} ended as {outcome.kind}", now, actions)
        else:
            self._finish(call, outcome, now, actions)

    # -- the end

    def _expire(self, call: Call, now: float, actions: list[Action]) -> None:
        """The deadline of a call passed."""
        if call.pool is not None and not call.sent:
            shed = Overloaded(
                call.tool, f"every server was full for {now - call.arrived:.3g} s, its whole time"
            )
            self._finish(call, Outcome("rejected", error=shed), now, actions)
            return
        server = call.out[-1].server if call.out else None
        late = CallTimeout(call.tool, call.request.timeout, server=server)
        self._finish(call, Outcome("timeout", error=late), now, actions)

    def _finish(self, call: Call, outcome: Outcome, now: float, actions: list[Action]) -> None:
        """End a call and everything of it that is still out."""
        kind: OutcomeKind = "timeout" if outcome.kind == "timeout" else "cancelled"
        call.finished = now
        for attempt in list(call.out):
            self._end(self._leases[attempt.id], Outcome(kind), now, actions)
            actions.append(Cancel(attempt))
        if call.pool is not None and call.pool.waiting is not None:
            call.pool.waiting.remove(call)
            call.pool = None
        if call.alarms:
            self._timers.over(call)
        self._calls.pop(call.request.id, None)
        actions.append(Finish(call, outcome))

    def _announce(self, actions: list[Action], now: float) -> list[Action]:
        if self._roster.stirred:
            self._admit(now, actions)
        at = self._timers.next()
        if at is not None:
            actions.append(WaitUntil(at))
        return actions


def _tells_how_slow(call: Call, outcome: Outcome) -> bool:
    """Whether the end of a first attempt says something about its tool's latency.

    One that lost to its own hedge does: it took at least so long. Learning from those that were quick enough
    alone would pull the quantile down, hedge more, and so learn from still quicker ones.
    """
    if outcome.kind == "cancelled":
        return bool(call.hedges) and call.answered is not None
    return outcome.kind in {"ok", "tool_error"}


def _head(pool: Pool) -> tuple[float, int] | None:
    """Where the first call that waits in a pool stands: its time, and its number where times are equal."""
    head = pool.waiting.peek() if pool.waiting else None
    return None if head is None else (head[0], head[2].request.id)


def _unavailable(call: Call, pool: Pool) -> Outcome:
    """No server can take the call: say why, per server; what a tried one did comes first."""
    reasons = dict.fromkeys(call.servers, "")
    reasons.update(pool.reasons(None))
    reasons.update(
        {r.attempt.server: f"{r.outcome}: {r.error}" if r.error else r.outcome for r in call.ended}
    )
    error = NoServerAvailable(call.tool, {server: why for server, why in reasons.items() if why})
    if call.failure is not None:
        error.__cause__ = call.failure.error
    return Outcome("rejected", error=error)


def _reason(error: BaseException) -> str:
    """An error in a few words: without the server's name where the attempt names it already."""
    if isinstance(error, ConnectError):
        return error.reason
    return str(error) if isinstance(error, McpnbError) else f"{type(error).__name__}: {error}"
