"""Answers a client's calls from a recording: each as it was answered, or routed anew among those who know.

It owns which recorded answer a call gets, and how long it takes. It sends nothing.

- As recorded (the strategy a replay begins with): a call goes as the recorded call that asked the same went,
  attempts, errors and all. Of several that asked the same it takes one after the other, in the order in which
  they ended, and then the last one again and again.
- Under any other strategy calls are routed, retried and hedged by the dispatcher, among the servers that the
  recording has an answer of; each server gives its own recorded answers in the same way.
- Calls that were given up have no answer.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from mcpnb.client import MultiServerClient
from mcpnb.client.documents import Question
from mcpnb.client.taps import Route
from mcpnb.config import ServerConfig
from mcpnb.errors import (
    CallTimeout,
    ConnectError,
    McpnbError,
    ServerDisconnected,
)
from mcpnb.experiment.recording.reader import SeenServer
from mcpnb.experiment.recording.recalled import RecordedCall
from mcpnb.experiment.recording.recording import Asked, Recording
from mcpnb.experiment.recording.stand_in import server_of
from mcpnb.model import AttemptRecord, Event, Outcome, Request
from mcpnb.routing import Finish
from mcpnb.routing.call import Call
from mcpnb.routing.node import Node
from mcpnb.routing.strategies import Strategy

__all__ = ["AsRecorded", "Player"]

T = TypeVar("T")

_ASKED: ContextVar[Question | None] = ContextVar("mcpnb_recorded_question", default=None)
"""What the call asks that is being routed: the stand-ins for servers are told no more than a tool's name."""


class AsRecorded(Strategy):
    """Each call goes where it went when it was recorded. What it asks for by itself goes to the first."""

    name = "as_recorded"
    help = "as it was recorded: the same servers, attempts and errors"

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:  # noqa: ARG002 - a strategy's face
        """The first; it is hardly ever asked."""
        return eligible[0]


@dataclass(frozen=True, slots=True)
class _Given:
    """One server's answer to a question."""

    call: RecordedCall
    attempt: AttemptRecord
    final: bool
    """Whether the call ended with it, so that its answer or error is known whole."""


class Player:
    """Stands in for the servers of one client.

    Args:
        recording: Where the answers are.
        latencies: Whether they take as long as they took.
    """

    def __init__(self, recording: Recording, *, latencies: bool) -> None:
        self._recording, self._latencies = recording, latencies
        self._turns: dict[tuple[bytes, str | None], Iterator[RecordedCall]] = {}
        self._own: dict[tuple[bytes, str], Iterator[_Given]] = {}
        self._knowing: dict[bytes, frozenset[str]] = {}
        self._client: MultiServerClient | None = None

    def configs(self) -> list[ServerConfig]:
        """The recorded servers, as a source to connect to."""
        return [self._config(seen) for seen in self._recording.seen]

    def _config(self, seen: SeenServer) -> ServerConfig:
        endpoint = seen.endpoint
        return ServerConfig(
            seen.name,
            "in-process",
            target=server_of(seen, self.answer, self._changes(seen.name)),
            timeout=seen.fields.number_or_none("timeout"),
            region=endpoint.region,
            tags=endpoint.tags,
            weight=endpoint.weight,
            priority=endpoint.priority,
            max_in_flight=endpoint.max_in_flight,
            max_queue=endpoint.max_queue,
            rate_limit=endpoint.rate_limit,
            replicas=seen.fields.text_or_none("replicas"),
        )

    def _changes(self, server: str) -> list[tuple[float, str]]:
        """(seconds from the beginning, URI) of every change that the server told of."""
        told = (update for update in self._recording.contents.updates if update.server == server)
        return [(update.at if self._latencies else 0.0, update.uri) for update in told]

    def serve(self, client: MultiServerClient, *, at: float) -> None:
        """Answer a client's calls from now on; `at` is Unix time, for what there is to say first."""
        self._client = client
        client.taps.stand_in = self
        for note in self._recording.notes:
            client.events.append(Event(at, "recording", None, f"{self._recording.path.name}: {note}"))

    async def __call__(self, request: Request, question: Question, route: Route) -> Finish:
        """See `mcpnb.client.taps.StandIn`.

        Raises:
            NotRecorded: There is no answer.
        """
        client = self._client
        assert client is not None  # noqa: S101 - it is the one that calls
        if request.strategy is None and client.strategy == AsRecorded.name:
            return await self._as_recorded(client, request, question)
        asked = self._recording.asked(question)
        known = tuple(server for server in request.servers if asked and server in self._answered(asked))
        only = request.requirement.server if request.requirement else None
        if not known or (only is not None and only not in known):
            raise self._recording.no_answer(question, only)
        token = _ASKED.set(question)
        try:
            return await route(request._replace(servers=known))
        finally:
            _ASKED.reset(token)

    def _answered(self, asked: Asked) -> frozenset[str]:
        if asked.key not in self._knowing:
            self._knowing[asked.key] = self._recording.answered(asked)
        return self._knowing[asked.key]

    # -- a whole call

    async def _as_recorded(self, client: MultiServerClient, request: Request, question: Question) -> Finish:
        recorded, arrived = self._next(request, question), client.taps.now()
        try:
            finish = await self._played(recorded, request, question, arrived)
        except asyncio.CancelledError:
            given_up = Call(request, arrived, finished=client.taps.now())
            client.taps.conclude(Finish(given_up, Outcome("cancelled")))
            raise
        client.taps.conclude(finish)
        return finish

    async def _played(
        self, recorded: RecordedCall, request: Request, question: Question, arrived: float
    ) -> Finish:
        if not self._latencies:
            await asyncio.sleep(0)  # calls that run at once take turns, as they would
            return recorded.finish(request, arrived, pace=0.0)
        timeout = request.timeout
        if timeout is not None and timeout < recorded.latency:
            await asyncio.sleep(timeout)
            late = CallTimeout(question.name, timeout, server=recorded.server)
            return Finish(Call(request, arrived, finished=arrived + timeout), Outcome("timeout", error=late))
        await asyncio.sleep(recorded.latency)
        return recorded.finish(request, arrived, pace=1.0)

    def _next(self, request: Request, question: Question) -> RecordedCall:
        only = request.requirement.server if request.requirement else None
        asked = self._recording.asked(question)
        if asked is None:
            raise self._recording.no_answer(question, only)
        key = (asked.key, only)
        if key not in self._turns:
            self._turns[key] = self._in_turn(asked.calls, only)
        recorded = next(self._turns[key], None)
        if recorded is None:
            raise self._recording.no_answer(question, only)
        return recorded

    def _in_turn(self, calls: Sequence[int], only: str | None) -> Iterator[RecordedCall]:
        """The calls that asked the same of the same server, or else any whose answer fits; then the last."""
        fits: tuple[Callable[[RecordedCall], bool], ...] = (
            lambda call: call.only == only,
            lambda call: only is None or call.server == only,
        )
        last = None
        for fit in fits:
            for ordinal in calls:
                call = self._recording.recall(ordinal)
                if call.kind != "cancelled" and fit(call):
                    yield (last := call)
            while last is not None:
                yield last

    # -- one attempt

    async def answer(self, server: str) -> object:
        """What a server answers to the call that is being routed, after as long as it took.

        Raises:
            McpnbError: What it did instead of answering.
        """
        question = _ASKED.get()
        asked = None if question is None else self._recording.asked(question)
        if question is None or asked is None:
            raise ConnectError(server, "it is a recording: only calls reach it")
        key = (asked.key, server)
        if key not in self._own:
            self._own[key] = self._given(asked.calls, server)
        given = next(self._own[key], None)
        if given is None:
            raise self._recording.no_answer(question, server)
        if self._latencies:
            await asyncio.sleep(given.attempt.latency)
        return _said(given, question)

    def _given(self, calls: Sequence[int], server: str) -> Iterator[_Given]:
        """The server's own answers in order, then the last."""
        last = None
        for ordinal in calls:
            call = self._recording.recall(ordinal)
            for attempt in call.attempts:
                if attempt.attempt.server == server and attempt.outcome != "cancelled":
                    final = call.server == server and call.kind == attempt.outcome
                    yield (last := _Given(call, attempt, final))
        while last is not None:
            yield last


def _said(given: _Given, question: Question) -> object:
    """The answer, or the error that stood in its place."""
    outcome, attempt = given.call.outcome, given.attempt
    if given.final and outcome.value is not None:
        return outcome.value
    server, why = attempt.attempt.server, attempt.error or attempt.outcome
    if given.final and isinstance(outcome.error, McpnbError) and attempt.outcome == "tool_error":
        raise outcome.error
    if attempt.outcome == "disconnected":
        raise ServerDisconnected(server, question.name, why)
    if attempt.outcome == "timeout":
        raise CallTimeout(question.name, attempt.latency, server=server)
    raise ConnectError(server, why)
