"""The state machine of calls: what to send where, when to send it again, when it is over.

Sans-I/O. A driver (live client, replayer, simulator) reports what happened and when, and carries out the
actions it gets back. Everything that decides is in here or below, so all drivers decide alike.

    submit ──▶ admit ──▶ pick ──▶ Send ──▶ on_outcome ──▶ ok, tool_error ──────────▶ Finish
                 │ all full  ▲      │           │
                 ▼           │      │ slow:     ├── another attempt is still out ──▶ (wait for it)
               queue ────────┤      │ hedge     ├── fault that may be repeated ──┐
                             │ ◀────┘           │                                │ another server: at once
                             └──────────────────┼────────────────────────────────┤ the same: after a backoff
                                                │                                └ none, too late: the next
                                                └── any other fault ────────────────▶ Finish
    on_timer: the deadline passed ──▶ Cancel what is out, Finish(timeout)
    on_cancel: the caller gave up ──▶ Cancel what is out, Finish(cancelled)
    on_paused, on_resumed: an attempt's server asks a person; meanwhile the call's clock stands

An attempt is a lease on its server: it ends exactly once, at its outcome or when it is cancelled,
whichever is first. What comes later for the same attempt is ignored.
"""

from __future__ import annotations

import math
import random
from functools import partial

from mcpnb.errors import CallTimeout, ConnectError, Overloaded
from mcpnb.model import (
    ANSWERS,
    FAULTS,
    NOT_EXECUTED,
    Attempt,
    AttemptRecord,
    Outcome,
    OutcomeKind,
    Request,
)
from mcpnb.resilience.hedge import HedgeDelay, HedgePolicy
from mcpnb.resilience.retry import Backoff
from mcpnb.resilience.settings import Resilience
from mcpnb.routing.actions import Action, Cancel, Finish, Send
from mcpnb.routing.admission import Admission
from mcpnb.routing.call import Call
from mcpnb.routing.guards import Fuse
from mcpnb.routing.node import Node
from mcpnb.routing.pause import Pause
from mcpnb.routing.picker import Pick
from mcpnb.routing.roster import Distances
from mcpnb.routing.strategies import Strategy, StrategySpec
from mcpnb.routing.words import reason


class _Lease:
    """What has to be given back when an attempt ends."""

    __slots__ = ("attempt", "call", "fuse", "generation", "node", "strategy")

    def __init__(
        self, attempt: Attempt, call: Call, node: Node, strategy: Strategy, fuse: Fuse | None, generation: int
    ) -> None:
        self.attempt, self.call, self.node, self.strategy = attempt, call, node, strategy
        self.fuse, self.generation = fuse, generation


class Dispatcher(Admission):
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
        super().__init__(strategy, rng, chosen, home, distances)
        self._backoff = Backoff() if chosen.retry is None else chosen.retry.backoff
        self._budget = None if chosen.retry is None else chosen.retry.new_budget()
        self._hedges = chosen.hedge is not None
        self._delays = HedgeDelay(chosen.hedge or HedgePolicy())
        self._learning = self._hedges  # from the first call on that asks for it: it costs a little per call
        self._calls: dict[int, Call] = {}
        self._leases: dict[int, _Lease] = {}
        self._attempts = 0

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
            self._time_out(call, now, actions)
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
            call.refused(now + _left_alone(outcome))
            deadline = call.request.deadline
            if deadline is not None and now >= deadline and self._is_late(call, deadline, now):
                self._time_out(call, now, actions)
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

    # -- questions

    def on_paused(self, attempt: int, now: float) -> list[Action]:
        """A person is asked something for the server of this attempt, or something more.

        The clock of its call stands until no attempt of the call has a question open: the deadline moves by
        that time, which is neither the server's (strategies and hedges learn from latencies without it) nor
        the call's. It is not hedged any more, or the person would be asked twice; no other timer runs for a
        call that has an attempt out. The lease stays, because the server holds the call meanwhile.

        A question that may belong to several attempts pauses each of them. One that is answered while it is
        still open was not the one that asked, and its latency is whole. Unknown and ended attempts are
        ignored.
        """
        lease = self._leases.get(attempt)
        if lease is not None:
            call = lease.call
            if call.pause is None:
                call.pause = Pause()
            call.pause.open(attempt, now)
        return []

    def on_resumed(self, attempt: int, now: float) -> list[Action]:
        """One of the questions of this attempt has its answer, or will have none. Once for each `on_paused`.

        An attempt that ends takes its questions with it: what comes later is ignored.
        """
        lease = self._leases.get(attempt)
        if lease is not None and lease.call.pause is not None:
            lease.call.pause.close(attempt, now)
            self._go_on(lease.call, lease.call.pause)
        return self._announce([], now)

    def _go_on(self, call: Call, pause: Pause) -> None:
        """Set the alarm again that rang while the clock stood."""
        deadline = call.request.deadline
        if pause.overdue and pause.since is None and deadline is not None:
            pause.overdue = False
            self._timers.set(pause.moved(deadline), partial(self._expire, call), call)

    @staticmethod
    def _is_late(call: Call, deadline: float, now: float) -> bool:
        """Whether the call's own time is over."""
        pause = call.pause
        return now >= deadline if pause is None else pause.since is None and now >= pause.moved(deadline)

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
        asked = 0.0 if call.pause is None else self._asked(attempt, call, call.pause, outcome, now)
        latency = now - attempt.sent_at - asked
        try:
            lease.strategy.finished(lease.node, outcome.kind, latency, now)
        except Exception as problem:  # noqa: BLE001 - a third party's strategy may raise anything
            self._roster.complaints.of(lease.strategy, f"`finished` raised {problem!r}")
        self._guards.release(lease.node, lease.fuse, lease.generation, outcome, now, actions)
        if self._learning and call.repeatable and not attempt.hedge and _tells_how_slow(call, outcome):
            self._delays.record(attempt.tool, latency)
        error = "" if outcome.error is None else reason(outcome.error)
        call.ended.append(AttemptRecord(attempt, outcome.kind, latency, error, asked))

    def _asked(self, attempt: Attempt, call: Call, pause: Pause, outcome: Outcome, now: float) -> float:
        """The seconds of an attempt that ends in which its server waited for a person."""
        asked = pause.end(attempt.id, now, answered=outcome.kind in ANSWERS)
        if call.finished is None:
            self._go_on(call, pause)
        return asked

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
        if not any(attempt.number == number for attempt in call.out) or call.hedges or call.pause is not None:
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
            self._again(call, server, outcome, now, actions)

    def _again(self, call: Call, server: str, outcome: Outcome, now: float, actions: list[Action]) -> None:
        """Another server at once, else the same one after a backoff, unless that is too late for the call."""
        pool = self._roster.pool(call.servers, call.request.requirement, call.tool, now)
        call.since, deadline = now, call.request.deadline
        with pool.without(call.tried, now):
            if pool.eligible and not self._roster.freed:
                self._place(call, pool, f"retry: {outcome.kind} on {server}", now, actions)
                return
            free = bool(pool.eligible)  # but others have the first choice
            others = free or any(node.name not in call.tried for node in pool.busy)
        if others:
            self._wait(call, pool, now, actions, behind=free)
        elif not pool.eligible and not pool.busy:
            self._nobody(call, pool, now, actions)
        elif deadline is not None and self._is_late(call, deadline, call.welcome):
            self._end_or_turn(call, outcome, now, actions)
        else:  # only servers that had their chance: give them time
            self._rest(call, now)

    def _rest(self, call: Call, now: float) -> None:
        """Give the servers that had their chance as much time as they want, before they get it again."""
        until = now + self._backoff.delay(call.sent - call.spent - 1, self._rng)
        if call.welcome < math.inf:
            until = max(until, call.welcome)
        self._timers.set(until, partial(self._rested, call), call)

    def _rested(self, call: Call, now: float, actions: list[Action]) -> None:
        call.since = now
        pool = self._roster.pool(call.servers, call.request.requirement, call.tool, now)
        with pool.without(call.tried, now):
            if pool.eligible and not self._roster.freed:
                self._place(call, pool, "retry: after a backoff", now, actions)
                return
        call.forgive()
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
        """The deadline of a call passed, unless its clock stands or has stood."""
        pause, deadline = call.pause, call.request.deadline
        if pause is None or deadline is None or self._is_late(call, deadline, now):
            self._time_out(call, now, actions)
        else:
            pause.overdue = True
            self._go_on(call, pause)

    def _time_out(self, call: Call, now: float, actions: list[Action]) -> None:
        """A call's time is over."""
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


def _left_alone(outcome: Outcome) -> float:
    """For how many seconds the server of an attempt that failed wants no other (`Retry-After`)."""
    asked = outcome.error.retry_after if isinstance(outcome.error, ConnectError) else None
    return asked or 0.0


def _tells_how_slow(call: Call, outcome: Outcome) -> bool:
    """Whether the end of a first attempt says something about its tool's latency.

    One that lost to its own hedge does: it took at least so long. Learning from those that were quick enough
    alone would pull the quantile down, hedge more, and so learn from still quicker ones.
    """
    if outcome.kind == "cancelled":
        return bool(call.hedges) and call.answered is not None
    return outcome.kind in ANSWERS
