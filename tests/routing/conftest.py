"""A dispatcher driven by hand: events in, actions out."""

from __future__ import annotations

import random

import pytest

from mcpnb.model import Attempt, Endpoint, Outcome, Request
from mcpnb.resilience.settings import Resilience
from mcpnb.routing import Cancel, Dispatcher, Finish, Send, WaitUntil


class Bench:
    """A dispatcher with servers, and what it has asked for so far."""

    def __init__(self, *servers: str | Endpoint, strategy: object = "round_robin", **options) -> None:
        protections = {k: v for k, v in options.items() if k not in {"home", "distances"}}
        self.brain = Dispatcher(
            strategy,
            rng=random.Random(1),
            resilience=Resilience(**protections),
            home=options.get("home"),
            distances=options.get("distances"),
        )
        self.names = tuple(each if isinstance(each, str) else each.name for each in servers)
        for each in servers:
            self.brain.add(Endpoint(each) if isinstance(each, str) else each)
        self.now = 0.0
        self.out: dict[int, Attempt] = {}
        self.sent: list[Attempt] = []
        self.cancelled: list[Attempt] = []
        self.ends: dict[int, Outcome] = {}
        self.stories: dict[int, object] = {}
        self.told: list[object] = []
        self.ring: float | None = None

    def call(self, number: int = 1, **fields) -> list[Attempt]:
        """Submit a call; the attempts that this led to."""
        servers = fields.pop("servers", self.names)
        return self.take(
            self.brain.submit(Request(number, fields.pop("tool", "t"), servers, **fields), self.now)
        )

    def end(self, attempt: Attempt, kind: str = "ok", error: BaseException | None = None) -> list[Attempt]:
        """An attempt ends; the attempts that this led to."""
        return self.take(self.brain.on_outcome(attempt.id, Outcome(kind, error=error), self.now))

    def wait(self, until: float) -> list[Attempt]:
        """Let time pass, ringing when asked to; the attempts that this led to."""
        begun = len(self.sent)
        while self.ring is not None and self.ring <= until:
            self.now, self.ring = max(self.now, self.ring), None
            self.take(self.brain.on_timer(self.now))
        self.now = until
        return self.sent[begun:]

    def take(self, actions) -> list[Attempt]:
        begun = len(self.sent)
        for action in actions:
            if isinstance(action, Send):
                self.out[action.attempt.id] = action.attempt
                self.sent.append(action.attempt)
            elif isinstance(action, Cancel):
                self.cancelled.append(action.attempt)
            elif isinstance(action, Finish):
                number = action.call.request.id
                assert number not in self.ends, "a call finished twice"
                self.ends[number] = action.outcome
                self.stories[number] = action.call.explanation()
            elif isinstance(action, WaitUntil):
                self.ring = action.at
            else:
                self.told.append(action)
        return self.sent[begun:]

    def idle(self) -> bool:
        """Whether no lease is out and no call waits."""
        return all(self.brain.in_flight(s) == 0 and self.brain.queued(s) == 0 for s in self.names)


@pytest.fixture
def bench() -> type[Bench]:
    return Bench
