"""Who is sent at once, who waits until a server is free, and who goes first: the admission of calls.

It owns the way between a call and a pick. Leases, retries and the ends of calls are the dispatcher's.
"""

from __future__ import annotations

import random

from mcpnb.errors import Overloaded
from mcpnb.model import Attempt, Outcome
from mcpnb.resilience.settings import Resilience
from mcpnb.routing.actions import Action, Send
from mcpnb.routing.call import Call
from mcpnb.routing.node import Node
from mcpnb.routing.picker import Pick
from mcpnb.routing.pool import Pool
from mcpnb.routing.roster import Distances
from mcpnb.routing.servers import Servers
from mcpnb.routing.strategies import StrategySpec
from mcpnb.routing.words import unavailable


class Admission(Servers):
    """Lets calls in, or has them wait. Arguments: see `Dispatcher`."""

    def __init__(
        self,
        strategy: str | StrategySpec,
        rng: random.Random,
        resilience: Resilience,
        home: str | None,
        distances: Distances | None,
    ) -> None:
        super().__init__(strategy, rng, resilience, home, distances)
        self._panic, self._queue = resilience.panic, resilience.queue
        self._late: list[Pool] = []

    def _lease(self, call: Call, pick: Pick, why: str, now: float, *, hedge: bool = False) -> Attempt:
        """An attempt leaves for the server that was picked."""
        raise NotImplementedError

    def _rest(self, call: Call, now: float) -> None:
        """Give the servers that had their chance time before they get the call again."""
        raise NotImplementedError

    def _end_or_turn(self, call: Call, outcome: Outcome, now: float, actions: list[Action]) -> None:
        """Nobody answers for this tool: try the next alternative, or end the call."""
        raise NotImplementedError

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
            self._end_or_turn(call, unavailable(call, pool), now, actions)
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


def _head(pool: Pool) -> tuple[float, int] | None:
    """Where the first call that waits in a pool stands: its time, and its number where times are equal."""
    head = pool.waiting.peek() if pool.waiting else None
    return None if head is None else (head[0], head[2].request.id)
