"""Carries out what the dispatcher decides, on an event loop. It decides nothing itself.

The common case, one attempt that answers, runs in the caller's own task: no task is spawned for it. Only a
second attempt beside the first gets a task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

import anyio

from mcpnb.model import Attempt, Outcome, Request
from mcpnb.routing import Action, BreakerChanged, Cancel, Dispatcher, Finish, Send, WaitUntil

Job = TypeVar("Job")
"""What an attempt needs in order to be sent: routing does not look at it."""


class _Live(Generic[Job]):
    """A call that is running: who waits for it, and what it sends."""

    __slots__ = ("busy", "finish", "job", "next", "waiter")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.finish: Finish | None = None
        self.next: Attempt | None = None  # an attempt for the caller's own task to carry out
        self.busy = False  # the caller's own task is carrying one out
        self.waiter: asyncio.Future[None] | None = None  # the caller's own task has nothing to do

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class Driver(Generic[Job]):
    """Runs calls through a dispatcher.

    Args:
        dispatcher: What decides.
        send: Carries out one attempt and says how it ended; it raises only when it is cancelled.
        on_finish: Told of every call that is over, whoever still waits for it.
        on_breaker: Told of every change of a breaker's state.
        clock: Monotonic seconds; the loop's own clock, so that timers agree with it.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        send: Callable[[Attempt, Job], Awaitable[Outcome]],
        on_finish: Callable[[Finish], None],
        on_breaker: Callable[[BreakerChanged], None],
        clock: Callable[[], float],
    ) -> None:
        self._brain, self._send, self.now = dispatcher, send, clock
        self._on_finish, self._on_breaker = on_finish, on_breaker
        self._live: dict[int, _Live[Job]] = {}
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, request: Request, job: Job) -> Finish:
        """One call, from its arrival to its end. Cancelling the caller cancels the call."""
        live = self._live[request.id] = _Live(job)
        try:
            self.carry_out(self._brain.submit(request, self.now()))
            while live.finish is None:
                if live.next is not None:
                    await self._inline(live)
                else:
                    live.waiter = asyncio.get_running_loop().create_future()
                    await live.waiter
        except BaseException:
            self.carry_out(self._brain.on_cancel(request.id, self.now()))
            raise
        finally:
            del self._live[request.id]
        return live.finish

    def carry_out(self, actions: Iterable[Action]) -> None:
        """Do what the dispatcher said, in its order."""
        for action in actions:
            if isinstance(action, Send):
                self._place(action.attempt)
            elif isinstance(action, Finish):
                self._conclude(action)
            elif isinstance(action, WaitUntil):
                self._ring_at(action.at)
            elif isinstance(action, Cancel):
                self._give_up(action.attempt)
            else:
                self._on_breaker(action)

    def _conclude(self, finish: Finish) -> None:
        live = self._live.get(finish.call.request.id)
        if live is not None:
            live.finish = finish
            live.wake()
        self._on_finish(finish)

    def close(self) -> None:
        """Stop the timer and whatever still runs."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._tasks.values():
            task.cancel()

    def _place(self, attempt: Attempt) -> None:
        live = self._live[attempt.request]
        if live.busy or live.next is not None:
            task = asyncio.get_running_loop().create_task(self._attempt(attempt, live.job))
            self._tasks[attempt.id] = task
            task.add_done_callback(lambda _: self._tasks.pop(attempt.id, None))
        else:
            live.next = attempt
            live.wake()

    async def _inline(self, live: _Live[Job]) -> None:
        attempt, live.next = live.next, None
        if attempt is None:
            return
        live.busy = True
        try:
            outcome = await self._within_scope(attempt, live.job)
        finally:
            live.busy = False
        # Told when no longer busy: a retry then runs in this task again.
        if outcome is not None:
            self.carry_out(self._brain.on_outcome(attempt.id, outcome, self.now()))

    async def _attempt(self, attempt: Attempt, job: Job) -> None:
        outcome = await self._within_scope(attempt, job)
        if outcome is not None:
            self.carry_out(self._brain.on_outcome(attempt.id, outcome, self.now()))

    async def _within_scope(self, attempt: Attempt, job: Job) -> Outcome | None:
        """The attempt's outcome, or None when the dispatcher gave it up."""
        outcome: Outcome | None = None
        with anyio.CancelScope() as scope:
            self._scopes[attempt.id] = scope
            try:
                outcome = await self._send(attempt, job)
            finally:
                del self._scopes[attempt.id]
        return outcome

    def _give_up(self, attempt: Attempt) -> None:
        scope = self._scopes.get(attempt.id)
        if scope is not None:
            scope.cancel()
            return
        if task := self._tasks.get(attempt.id):  # its first step is still to come
            task.cancel()
            return
        live = self._live.get(attempt.request)
        if live is not None and live.next == attempt:  # placed, not yet begun
            live.next = None

    def _ring_at(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.carry_out(self._brain.on_timer(self.now()))
