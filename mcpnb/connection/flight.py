"""Requests in flight: who waits for each, what went wrong on its way, and how it is cut short.

A flight runs in its caller's task. It can be ended from outside (its deadline, the death of the session)
without a `CancelledError` ever leaving it; only the caller's own cancellation does. This room knows no MCP
and no HTTP.

`anyio.CancelScope` and `asyncio.timeout` do the same for 10 to 14 µs a call, which every call would pay;
this costs 2. One timer serves all deadlines of a session: set for the nearest, it is seldom set anew.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Self

from mcpnb.behalf import SENDER

from .faults import NOT_EXECUTED, Fault

__all__ = ["FLIGHT", "Flight", "Flights"]


class Flight:
    """A context manager around the one request of one caller.

    After the block, `cut_by` says what ended it from outside: a fault, `"deadline"`, or None. A block that
    was cut and did not finish ends without an exception (look at `cut_by`).
    """

    __slots__ = (
        "_cancelling",
        "_done",
        "_flights",
        "_task",
        "cut_by",
        "deadline",
        "fault",
        "number",
        "ours",
        "sender",
        "status",
        "timeout",
    )

    def __init__(self, flights: Flights, timeout: float | None, *, ours: bool = False) -> None:
        self._flights = flights
        self.timeout = timeout
        self.ours = ours
        """Not a caller's: a listing, a health check."""
        self.sender = SENDER.get()
        """The attempt that it is made for, as far as that is known."""
        self.number = 0
        """In the order of departure, from 1."""
        self.deadline = math.inf
        """On the loop's clock."""
        self.fault: Fault | None = None
        """What the transport saw go wrong with this request, even if the SDK tells another story."""
        self.status: int | None = None
        """The HTTP status it was answered with, if any."""
        self.cut_by: Fault | str | None = None
        self._done = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is made from a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._flights.depart(self)
        return self

    def met(self, fault: Fault) -> None:
        """Note a fault; the first one counts. Once an answer has begun, it may have been executed."""
        if self.fault is None:
            begun = self.status is not None and self.status < 300
            self.fault = Fault("broken", fault.reason) if begun and fault.kind in NOT_EXECUTED else fault

    def cut(self, by: Fault | str) -> None:
        """End the block from outside. Without effect when it has ended or was cut before."""
        if not self._done and self.cut_by is None:
            self.cut_by = by
            self._task.cancel()

    def stand(self) -> bool:
        """Somebody is asked something for this request: its deadline waits. Once for each question.

        False, and nothing else, for whom somebody did not answer before: nobody is there.
        """
        return self._flights.stand(self)

    def go_on(self, *, answered: bool) -> None:
        """One of its questions is done with: the deadline has moved by the time in which any was open."""
        self._flights.go_on(self, answered=answered)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._done = True
        self._flights.land(self)
        if self.cut_by is not None:
            # Take back exactly our own request to cancel. What is left over is the caller's.
            ours = self._task.uncancel() <= self._cancelling
            return ours and kind is asyncio.CancelledError
        if kind is asyncio.CancelledError and self._task.cancelling() <= self._cancelling:
            # Nobody asked for it: it leaked out of a server that runs in this process.
            self.cut_by = Fault("broken", "the server cancelled the call")
            return True
        return False


class _Standing:
    """The questions that were asked for one request."""

    __slots__ = ("deserted", "open", "since")

    def __init__(self) -> None:
        self.open, self.since = 0, 0.0
        self.deserted = False
        """Nobody answered one of them in time."""


class Flights:
    """All requests of one session, and the timer for their deadlines."""

    def __init__(self) -> None:
        self.callers = 0
        """How many of them callers wait for."""
        self.departed = 0
        """How many there have been."""
        self._on_idle: Callable[[], None] | None = None
        self._all: set[Flight] = set()
        self._standing: dict[Flight, _Standing] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._closed = False

    def depart(self, flight: Flight) -> None:
        """Take a flight in; its deadline begins to run."""
        self._all.add(flight)
        self.departed += 1
        flight.number = self.departed
        if not flight.ours:
            self.callers += 1
        if flight.timeout is not None:
            loop = asyncio.get_running_loop()
            flight.deadline = loop.time() + flight.timeout
            if flight.deadline < self._timer_at:
                self._set_timer(loop, flight.deadline)

    def land(self, flight: Flight) -> None:
        """Let a flight go. The timer stays: whoever it finds overdue is cut, usually nobody."""
        self._all.discard(flight)
        if self._standing:
            self._standing.pop(flight, None)
        if self._closed and not self._all:
            self._drop_timer()
        if not flight.ours:
            self.callers -= 1
            if self._on_idle is not None and not self.callers:
                self._on_idle()

    @property
    def asking(self) -> bool:
        """Whether a question of theirs is open."""
        return any(standing.open for standing in self._standing.values())

    def asked_for(self, sender: object) -> list[Flight]:
        """The requests of callers for which a question may be that came in the context of `sender`.

        Where that is none of theirs, the question names no request, and it may belong to each that is out:
        a deadline that moves in vain is late, one that does not move ends a call under the person who reads.
        """
        callers = [flight for flight in sorted(self._all, key=lambda each: each.number) if not flight.ours]
        mine = [flight for flight in callers if flight.sender is sender] if sender is not None else []
        return mine or callers

    def stand(self, flight: Flight) -> bool:
        """See `Flight.stand`."""
        standing = self._standing.setdefault(flight, _Standing())
        if standing.deserted:
            return False
        if not standing.open:
            standing.since = asyncio.get_running_loop().time()
        standing.open += 1
        return True

    def go_on(self, flight: Flight, *, answered: bool) -> None:
        """See `Flight.go_on`."""
        standing = self._standing.get(flight)
        if standing is None:  # it has landed
            return
        standing.open -= 1
        standing.deserted = standing.deserted or not answered
        loop = asyncio.get_running_loop()
        if not standing.open:
            flight.deadline += loop.time() - standing.since
            if flight.deadline < self._timer_at:
                self._set_timer(loop, flight.deadline)

    def any_of_first(self, number: int) -> bool:
        """Whether a caller still waits for one of the first `number` that departed."""
        return any(not flight.ours and flight.number <= number for flight in self._all)

    def when_idle(self, call: Callable[[], None]) -> None:
        """Call it once no caller waits any more: now, or when the last of them has what he waits for."""
        self._on_idle = call
        if not self.callers:
            call()

    def cut(self, by: Fault) -> None:
        """Cut every flight short."""
        for flight in tuple(self._all):
            flight.cut(by)

    def cut_broken(self) -> None:
        """Cut those that have met a fault: the SDK may be trying to resume them where nobody is left."""
        for flight in tuple(self._all):
            if flight.fault is not None:
                flight.cut(flight.fault)

    def close(self) -> None:
        """No more will come: the timer goes with the last flight."""
        self._closed = True
        if not self._all:
            self._drop_timer()

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, math.inf

    def _set_timer(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        self._drop_timer()
        self._timer, self._timer_at = loop.call_at(at, self._on_timer, loop), at

    def _on_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        now, self._timer, self._timer_at = self._timer_at, None, math.inf
        waiting = math.inf
        for flight in tuple(self._all):
            if flight in self._standing and self._standing[flight].open:
                continue
            if flight.deadline <= now:
                flight.cut("deadline")
            else:
                waiting = min(waiting, flight.deadline)
        if waiting < math.inf:
            self._set_timer(loop, waiting)


FLIGHT: ContextVar[Flight | None] = ContextVar("mcpnb_flight", default=None)
"""The flight whose request is being sent. The SDK carries the sender's context to the task that posts it."""
