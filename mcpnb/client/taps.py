"""Who else has to do with a client's calls: listeners that note them, and a stand-in that answers them.

It owns the two places at which a call can be met from outside: between what its name means and its routing,
and at its end. It decides nothing and keeps nothing of a call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from mcpnb.client.documents import Job, Question
from mcpnb.model import Request
from mcpnb.routing import Finish

__all__ = ["Route", "StandIn", "Tap", "Taps"]

Route = Callable[[Request], Awaitable[Finish]]
"""Lets routing carry the call out; the request may name fewer servers than it came with."""

StandIn = Callable[[Request, Question, Route], Awaitable[Finish]]
"""Answers calls in place of the servers, or has them routed after all.

Whatever it answers itself it also reports to `Taps.conclude`, as routing does.
"""


class Tap(Protocol):
    """Hears of every call that is routed. Called on the event loop; what it raises ends the call."""

    def began(self, request: Request, question: Question) -> None:
        """A call comes."""
        ...

    def ended(self, finish: Finish) -> None:
        """A call is over, whoever still waits for it. Also told of calls that began before it listened."""
        ...


class Taps:
    """The listeners and the stand-in of one client.

    Args:
        now: Monotonic seconds, as calls' times are counted.
        log: Told of every call that is over, before the listeners are.
    """

    def __init__(self, now: Callable[[], float], log: Callable[[Finish], None]) -> None:
        self.now, self._log = now, log
        self._taps: tuple[Tap, ...] = ()
        self.stand_in: StandIn | None = None
        """Answers calls in place of the servers; None lets all be routed."""

    def listen(self, tap: Tap) -> Callable[[], None]:
        """Have a listener told from now on. Returns what ends that."""
        self._taps = (*self._taps, tap)

        def leave() -> None:
            self._taps = tuple(each for each in self._taps if each is not tap)

        return leave

    def run(
        self, request: Request, job: Job, drive: Callable[[Request, Job], Awaitable[Finish]]
    ) -> Awaitable[Finish]:
        """One call, by whoever answers it; `drive` has it routed."""
        if self._taps:
            question = job.question
            for tap in self._taps:
                tap.began(request, question)
        if self.stand_in is None:
            return drive(request, job)
        return self.stand_in(request, job.question, lambda routed: drive(routed, job))

    def conclude(self, finish: Finish) -> None:
        """A call is over."""
        self._log(finish)
        for tap in self._taps:
            tap.ended(finish)
