"""Carries out what the dispatcher decides, on an event loop. It decides nothing itself.

The common case, one attempt that answers, runs in the caller's own task: no task is spawned for it. Only a
second attempt beside the first gets a task.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

from mcpnb.behalf import SENDER
from mcpnb.model import Attempt, Outcome, Request
from mcpnb.routing import Action, BreakerChanged, Cancel, Dispatcher, Ejected, Finish, Send, WaitUntil

Job = TypeVar("Job")
"""What an attempt needs in order to be sent: routing does not look at it."""


_INSIST = 1.0
"""Seconds after which a task is asked anew to give an attempt up: code that runs in it, of a server in this
process, may swallow one request. Not sooner: the SDK tells the server first."""


class _Live(Generic[Job]):
    """A call that is running: who waits for it, and what it sends."""

    __slots__ = ("asked", "cancelling", "context", "finish", "job", "next", "own", "task", "waiter")

    def __init__(self, job: Job) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a call is made from a task")
        self.job = job
        self.task, self.cancelling = task, task.cancelling()
        self.context = contextvars.copy_context()  # the caller's: what he traces reaches every attempt
        self.finish: Finish | None = None
        self.next: Attempt | None = None  # an attempt for the caller's own task to carry out
        self.own: Attempt | None = None  # the one that it is carrying out
        self.asked = 0  # how often we asked it to give that one up
        self.waiter: asyncio.Future[None] | None = None  # the caller's own task has nothing to do

    def take_back(self) -> bool:
        """Take back what we asked of the caller's task. True when nobody else wants it cancelled."""
        asked, self.asked = self.asked, 0
        for _ in range(asked):
            self.task.uncancel()
        return asked > 0 and self.task.cancelling() <= self.cancelling

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class Driver(Generic[Job]):
    """Runs calls through a dispatcher.

    Args:
        dispatcher: What decides.
        send: Carries out one attempt and says how it ended; it raises only when it is cancelled.
        on_finish: Told of every call that is over, whoever still waits for it.
        on_change: Told when a breaker changes its state, and when a server is ejected or comes back.
        clock: Monotonic seconds; the loop's own clock, so that timers agree with it.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        send: Callable[[Attempt, Job], Awaitable[Outcome]],
        on_finish: Callable[[Finish], None],
        on_change: Callable[[BreakerChanged | Ejected], None],
        clock: Callable[[], float],
    ) -> None:
        self._brain, self._send, self.now = dispatcher, send, clock
        self._on_finish, self._on_change = on_finish, on_change
        self._live: dict[int, _Live[Job]] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, request: Request, job: Job) -> Finish:
        """One call, from its arrival to its end. Cancelling the caller cancels the call."""
        live = self._live[request.id] = _Live(job)
        try:
            self.carry_out(self._brain.submit(request, self.now()))
            while live.finish is None:
                if live.next is not None:
                    await self._inline(live, live.next)
                else:
                    live.waiter = asyncio.get_running_loop().create_future()
                    await live.waiter
        except BaseException:
            self.carry_out(self._brain.on_cancel(request.id, self.now()))
            raise
        finally:
            del self._live[request.id]
        return live.finish

    def pause(self, attempt: Attempt) -> None:
        """Somebody is asked something for the server of this attempt: its call's clock stands."""
        self.carry_out(self._brain.on_paused(attempt.id, self.now()))

    def resume(self, attempt: Attempt) -> None:
        """One of these questions is done with. Once for each `pause`."""
        self.carry_out(self._brain.on_resumed(attempt.id, self.now()))

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
                self._on_change(action)

    def _conclude(self, finish: Finish) -> None:
        live = self._live.get(finish.call.request.id)
        if live is not None:
            live.finish = finish
            if live.waiter is not None:
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
        if live.own is not None or live.next is not None:
            attempting, context = self._attempt(attempt, live.job), live.context.copy()
            task = asyncio.get_running_loop().create_task(attempting, context=context)
            self._tasks[attempt.id] = task
            task.add_done_callback(lambda _: self._tasks.pop(attempt.id, None))
        else:
            live.next = attempt
            if live.waiter is not None:
                live.wake()

    async def _inline(self, live: _Live[Job], attempt: Attempt) -> None:
        """One attempt, in the caller's own task. A scope of anyio around it would cost 8 µs of each call."""
        live.next, live.own = None, attempt
        sender = SENDER.set(attempt)
        try:
            outcome = await self._send(attempt, live.job)
        except asyncio.CancelledError:
            if live.take_back():
                return
            raise
        finally:
            SENDER.reset(sender)
            live.own = None
        if live.asked:  # it ended all the same
            live.take_back()
        # Told when nothing is carried out any more: a retry then runs in this task again.
        self.carry_out(self._brain.on_outcome(attempt.id, outcome, self.now()))

    async def _attempt(self, attempt: Attempt, job: Job) -> None:
        """One attempt in a task of its own, beside the caller's."""
        SENDER.set(attempt)
        outcome = await self._send(attempt, job)
        self.carry_out(self._brain.on_outcome(attempt.id, outcome, self.now()))

    def _give_up(self, attempt: Attempt) -> None:
        if task := self._tasks.get(attempt.id):
            task.cancel()
            return
        live = self._live.get(attempt.request)
        if live is not None and live.next is attempt:  # placed, not yet begun
            live.next = None
        elif live is not None:
            self._ask(live, attempt)

    def _ask(self, live: _Live[Job], attempt: Attempt) -> None:
        """Have the caller's own task give an attempt up."""
        if live.own is attempt:
            live.asked += 1
            live.task.cancel()
            asyncio.get_running_loop().call_later(_INSIST, self._ask, live, attempt)

    def _ring_at(self, at: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= at:  # who listens may have asked for a sooner ring meanwhile
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.carry_out(self._brain.on_timer(self.now()))
