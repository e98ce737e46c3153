"""Servers as queues: what happens to an attempt between its sending and its answer.

A station owns its line, its workers and its faults. It knows neither calls nor strategies: an attempt is a
number, and its end is reported once unless it was dropped before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from typing import Protocol

from mcpnb.model import Outcome
from mcpnb.simulation.clock import Clock
from mcpnb.simulation.servers import At, SimServer
from mcpnb.simulation.service import Service

Report = Callable[[int, Outcome, float], None]
"""Takes an attempt, how it ended, and when."""

OK = Outcome("ok")
FAILED = Outcome("disconnected")
REFUSED = Outcome("refused")
TIMED_OUT = Outcome("timeout")


class Chance(Protocol):
    """Where stations draw from."""

    def services(self, service: Service) -> Iterator[float]:
        """Service times without end; equal distributions share them."""
        ...

    def uniform(self) -> float:
        """A number in [0, 1)."""
        ...


class Station:
    """What all disciplines share: the way there and back, the faults, the bound of the line."""

    __slots__ = (
        "_chance", "_clock", "_draws", "_gone", "_hanging", "_pace", "_places", "_present", "_report",
        "_sick", "_start", "_trip", "_workers", "failing", "server",
    )  # fmt: skip

    def __init__(self, server: SimServer, clock: Clock, chance: Chance, report: Report) -> None:
        self._clock, self._chance, self._report = clock, chance, report
        self._present: int = 0
        self._start = server
        self._restart()

    def _restart(self) -> None:
        """Be what the scenario says of the start, but for what is in work."""
        self._gone = self._hanging = self.failing = False
        self._pace = 1.0
        self._become(self._start)

    def _become(self, server: SimServer) -> None:
        self.server = server
        self._workers, self._places = server.workers, server.places
        self._draws, self._trip = self._chance.services(server.service), server.rtt / 2
        self._sick = self._gone or self._hanging or self.failing or server.error_rate > 0

    @property
    def present(self) -> int:
        """Attempts in work or in line."""
        return self._present

    def send(self, attempt: int, now: float) -> None:
        """An attempt leaves for this server."""
        if self.server.timeout is not None:
            self._clock.at(now + self.server.timeout, self._time_out, attempt)
        if self._trip:
            self._clock.at(now + self._trip, self._arrive, attempt)
        else:
            self._arrive(attempt, now)

    def cancel(self, attempt: int, now: float) -> None:
        """Tell the server that nobody waits any more: it stops working when it hears of it, or never."""
        if not self.server.stops:
            return
        if self._trip:
            self._clock.at(now + self._trip, self._drop, attempt)
        else:
            self._drop(attempt, now)

    def change(self, at: At, now: float) -> None:
        """The timeline changes this server."""
        if at.recover:
            self._restart()
        self.failing = self.failing if at.fail is None else at.fail
        self._hanging = self._hanging if at.hang is None else at.hang
        self._gone = (self._gone or at.crash) and not at.comes
        self._become(self.server.changed(at))
        self._pace = at.pace(self.server.service.mean, self._pace)
        if at.crash:
            for attempt in self._evict():
                self._clock.at(now + self._trip, self._fail, attempt)

    def _arrive(self, attempt: int, now: float) -> None:
        if self._sick and self._suffers(attempt, now):
            return
        if self._present >= self._places:
            self._clock.at(now + self._trip, self._refuse, attempt)
        else:
            self._present += 1
            self._take(attempt, now)

    def _suffers(self, attempt: int, now: float) -> bool:
        """Whether this attempt comes to harm."""
        server = self.server
        if self._gone:
            self._clock.at(now + self._trip, self._fail, attempt)
        elif self.failing or (server.error_rate and self._chance.uniform() < server.error_rate):
            self._clock.at(now + server.fail_time + self._trip, self._fail, attempt)
        else:
            return self._hanging
        return True

    def _answer(self, attempt: int, now: float) -> None:
        """The work is done: the answer is on its way."""
        if self._trip:
            self._clock.at(now + self._trip, self._succeed, attempt)
        else:
            self._report(attempt, OK, now)

    def _succeed(self, attempt: int, now: float) -> None:
        self._report(attempt, OK, now)

    def _fail(self, attempt: int, now: float) -> None:
        self._report(attempt, FAILED, now)

    def _refuse(self, attempt: int, now: float) -> None:
        self._report(attempt, REFUSED, now)

    def _time_out(self, attempt: int, now: float) -> None:
        """The gateway's patience is over; the attempt may have ended long ago."""
        self._report(attempt, TIMED_OUT, now)
        self.cancel(attempt, now)

    def _take(self, attempt: int, now: float) -> None:
        """Work on an attempt, or let it wait."""
        raise NotImplementedError

    def _drop(self, attempt: int, now: float) -> None:
        """Forget an attempt if it is here."""
        raise NotImplementedError

    def _evict(self) -> list[int]:
        """Forget all attempts that are here, and say which these were, in the order of their coming."""
        raise NotImplementedError


class FirstCome(Station):
    """First come, first served: each worker has one attempt, the others wait in line."""

    __slots__ = ("_line", "_serving")

    def __init__(self, server: SimServer, clock: Clock, chance: Chance, report: Report) -> None:
        super().__init__(server, clock, chance, report)
        self._line: deque[int] = deque()
        self._serving: dict[int, None] = {}  # a set that keeps its order

    def change(self, at: At, now: float) -> None:
        """The timeline changes this server; workers that are new go to work."""
        super().change(at, now)
        self._fill(now)

    def _take(self, attempt: int, now: float) -> None:
        if len(self._serving) < self._workers:
            self._serving[attempt] = None
            self._clock.at(now + next(self._draws) * self._pace, self._done, attempt)
        else:
            self._line.append(attempt)

    def _done(self, attempt: int, now: float) -> None:
        if attempt in self._serving:  # else it was dropped, and its worker is busy with another one
            del self._serving[attempt]
            self._present -= 1
            if self._line:
                self._fill(now)
            self._answer(attempt, now)

    def _fill(self, now: float) -> None:
        """Give work to workers that have none."""
        while self._line and len(self._serving) < self._workers:
            self._take(self._line.popleft(), now)

    def _drop(self, attempt: int, now: float) -> None:
        if attempt in self._serving:
            del self._serving[attempt]
            self._present -= 1
            self._fill(now)
        elif attempt in self._line:
            self._line.remove(attempt)
            self._present -= 1

    def _evict(self) -> list[int]:
        here = [*self._serving, *self._line]
        self._serving.clear()
        self._line.clear()
        self._present = 0
        return here


class Sharing(Station):
    """Processor sharing: everybody is served at once, at min(1, workers / present) of a worker's speed.

    Work is measured on an axis of its own that runs at that speed, on which an attempt ends at a point known
    when it comes. So an arrival changes when the next one ends, and nothing else.
    """

    __slots__ = ("_ends", "_plan", "_since", "_work")

    def __init__(self, server: SimServer, clock: Clock, chance: Chance, report: Report) -> None:
        super().__init__(server, clock, chance, report)
        self._ends: list[tuple[float, int]] = []  # a heap: (point on the axis of work, attempt)
        self._work, self._since = 0.0, 0.0
        self._plan = 0  # only the newest planned end is good

    def change(self, at: At, now: float) -> None:
        """The timeline changes this server; another number of workers changes the speed."""
        self._go_on(now, self._present)
        super().change(at, now)
        self._plan_next(now)

    def _take(self, attempt: int, now: float) -> None:
        self._go_on(now, self._present - 1)
        heappush(self._ends, (self._work + next(self._draws) * self._pace, attempt))
        self._plan_next(now)

    def _go_on(self, now: float, present: int) -> None:
        """Account for the work done since the last change, when `present` attempts shared it."""
        # From zero again when idle: on an axis that grows for ever, short jobs would drown in rounding.
        self._work = self._work + (now - self._since) * self._speed(present) if present else 0.0
        self._since = now

    def _speed(self, present: int) -> float:
        return min(1.0, self._workers / present)

    def _plan_next(self, now: float) -> None:
        self._plan += 1
        if self._ends:
            left = max(0.0, self._ends[0][0] - self._work)
            self._clock.at(now + left / self._speed(self._present), self._done, self._plan)

    def _done(self, plan: int, now: float) -> None:
        if plan != self._plan:
            return
        self._go_on(now, self._present)
        end, attempt = heappop(self._ends)
        self._work = end
        self._present -= 1
        self._plan_next(now)
        self._answer(attempt, now)

    def _drop(self, attempt: int, now: float) -> None:
        kept = [end for end in self._ends if end[1] != attempt]
        if len(kept) < len(self._ends):
            self._go_on(now, self._present)
            heapify(kept)
            self._ends = kept
            self._present -= 1
            self._plan_next(now)

    def _evict(self) -> list[int]:
        here = sorted(attempt for _, attempt in self._ends)
        self._ends.clear()
        self._present = 0
        return here


def station(server: SimServer, clock: Clock, chance: Chance, report: Report) -> Station:
    """The server as a queue of its discipline."""
    kind = Sharing if server.discipline == "ps" else FirstCome
    return kind(server, clock, chance, report)
