"""What a server would have answered, as far as a recording knows.

It owns the lookup: the same call at the same server, else what that server did around that time. It decides
nothing and keeps no clock.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from mcpnb.model import Attempt, OutcomeKind
from mcpnb.simulation.recorded import Ended, Recorded

AROUND = 16
"""Recorded attempts that stand for what a server was like at one time."""

_sent_at, _latency = attrgetter("sent_at"), attrgetter("latency")


class Answer(NamedTuple):
    """When and how an attempt ends."""

    at: float
    kind: OutcomeKind
    order: float
    """Its place among the recorded events; infinity when it never happened."""


@dataclass(slots=True)
class _Behaviour:
    """What one server did, for one tool or for all."""

    ends: list[Ended] = field(default_factory=list[Ended])
    """In the order of sending."""
    by_latency: list[Ended] = field(default_factory=list[Ended])
    """Those that ended by themselves, the quickest first."""
    turn: int = 0
    rng: random.Random | None = None
    """Draws one of all, whenever they were."""

    def settle(self) -> None:
        self.ends.sort(key=_sent_at)
        self.by_latency = sorted((end for end in self.ends if not end.given_up), key=_latency)

    def next(self, now: float) -> Ended:
        """One of those that were recorded around that time, in turn; with an rng any of them."""
        if self.rng is not None:
            return self.ends[int(self.rng.random() * len(self.ends))]
        first = min(bisect_left(self.ends, now, key=_sent_at) - AROUND // 2, len(self.ends) - AROUND)
        first = max(first, 0)
        self.turn += 1
        return self.ends[first + (self.turn - 1) % min(AROUND, len(self.ends))]

    def longer(self, than: float) -> Ended | None:
        """One of those that took longer, in turn; None when none did."""
        first = bisect_right(self.by_latency, than, key=_latency)
        rest = len(self.by_latency) - first
        if not rest:
            return None
        self.turn += 1
        return self.by_latency[first + (self.turn - 1) % rest]


class Answers:
    """Looks up how attempts end.

    Args:
        recorded: What happened.
        numbers: A call's id in the recording → its number in the replay. Attempts of calls that are not among
            them say what their server is like, and no more.
        seed: Draws from all that a server did; None keeps to what it did around the time.
    """

    def __init__(self, recorded: Recorded, numbers: dict[int, int], *, seed: int | None = None) -> None:
        own: defaultdict[tuple[int, str, str], list[tuple[int, Ended]]] = defaultdict(list)
        self._by_server: defaultdict[tuple[str, str], _Behaviour] = defaultdict(_Behaviour)
        for order, event in enumerate(recorded.events):
            if isinstance(event, Ended):
                if event.call in numbers:
                    own[numbers[event.call], event.server, event.tool].append((order, event))
                for tool in (event.tool, ""):
                    self._by_server[event.server, tool].ends.append(event)
        self._own = {key: deque(sorted(ends, key=_number)) for key, ends in own.items()}
        for key, behaviour in self._by_server.items():
            behaviour.settle()
            if seed is not None:  # a stream for each: what one is asked leaves the others alone
                behaviour.rng = random.Random(f"{seed} {key}")

    def to(self, attempt: Attempt, now: float) -> Answer | None:
        """How an attempt ends that is sent now; None: never.

        Raises:
            ValueError: Nothing was ever recorded of its server.
        """
        own = self._own.get((attempt.request, attempt.server, attempt.tool))
        if own:
            order, end = own.popleft()
            return self._again(end, order, now)
        behaviour = self._behaviour(attempt)
        end = behaviour.next(now)
        if end.given_up:
            return _after(behaviour, end.latency, now)
        return Answer(now + end.latency, end.kind, math.inf)

    def _again(self, end: Ended, order: int, now: float) -> Answer | None:
        """The same call went to the same server: the same end."""
        same_time = now == end.sent_at
        if not end.given_up:
            # `at` itself where possible: a sum of differences may miss it by a rounding.
            return Answer(end.at if same_time else now + end.latency, end.kind, order)
        answer = _after(self._by_server[end.server, end.tool], end.latency, now)
        if answer is not None and same_time:
            return answer._replace(at=max(answer.at, math.nextafter(end.at, math.inf)))
        return answer

    def _behaviour(self, attempt: Attempt) -> _Behaviour:
        for tool in (attempt.tool, ""):
            if (attempt.server, tool) in self._by_server:
                return self._by_server[attempt.server, tool]
        raise ValueError(
            f"nothing is known of {attempt.server}: no call went there while this was recorded. Record with a"
            " strategy that asks every server, such as round_robin"
        )


def _after(behaviour: _Behaviour, waited: float, now: float) -> Answer | None:
    """The end of an attempt of which only is known that it was still out after so many seconds."""
    longer = behaviour.longer(waited)
    return None if longer is None else Answer(now + longer.latency, longer.kind, math.inf)


def _number(entry: tuple[int, Ended]) -> int:
    return entry[1].number
