"""What can be compared live, and what one of its calls tells.

It owns two small protocols and the value between them. It knows no fleet and no MCP; whoever has calls to
offer satisfies these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, runtime_checkable

from mcpnb.errors import (
    CallTimeout,
    ConnectError,
    McpnbError,
    NoServerAvailable,
    Overloaded,
    ServerDisconnected,
    ToolError,
)
from mcpnb.model import AttemptRecord, Explanation, OutcomeKind, Priority

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sample:
    """One call of an experiment, as the target saw it."""

    server: str | None
    """Who gave the answer (or the last failure); None when nobody was asked."""
    outcome: OutcomeKind
    latency: float = math.nan
    """Seconds from the start of `probe` to its end, retries and queueing included; nan: measured outside."""
    attempts: int = 1
    hedges: int = 0
    retries: int = 0
    error: str = ""
    records: tuple[AttemptRecord, ...] = field(default=(), compare=False, repr=False)
    """Its attempts, where they are known; their `sent_at` is on the clock of `arrived`."""
    arrived: float = field(default=0.0, compare=False, repr=False)

    @classmethod
    def of(cls, outcome: OutcomeKind, explanation: Explanation, *, error: str = "") -> Sample:
        """The sample of a call whose explanation is known."""
        records = explanation.attempts
        won = [record for record in records if record.outcome == outcome] or list(records)
        hedges = sum(record.attempt.hedge for record in records)
        return cls(
            server=won[-1].attempt.server if won else None,
            outcome=outcome,
            latency=explanation.total,
            attempts=len(records),
            hedges=hedges,
            retries=max(len(records) - hedges - 1, 0),
            error=error,
            records=records,
            arrived=explanation.arrived,
        )


_OUTCOME_OF: tuple[tuple[type[McpnbError], OutcomeKind], ...] = (
    (ToolError, "tool_error"),
    (CallTimeout, "timeout"),
    (ServerDisconnected, "disconnected"),
    (ConnectError, "refused"),
    (NoServerAvailable, "rejected"),
    (Overloaded, "rejected"),
)


def outcome_of(error: McpnbError) -> OutcomeKind | None:
    """The outcome that an error of a call stands for; None when it is a mistake in the experiment itself."""
    return next((outcome for kind, outcome in _OUTCOME_OF if isinstance(error, kind)), None)


class ExperimentView(Protocol):
    """Calls under one strategy whose state nobody else touches."""

    async def probe(
        self,
        tool: str,
        arguments: Mapping[str, object],
        *,
        timeout: float | None,  # noqa: ASYNC109 - passed on to the server
        priority: Priority,
    ) -> Sample:
        """Make one call. A call that fails is a `Sample`; what raises ends the comparison.

        It raises for mistakes that every strategy would repeat: `ToolNotFound`, `ArgumentError`.
        """
        ...

    def close(self) -> None:
        """Forget the strategy and what it learned. Called once, on the loop, when all calls have ended."""
        ...


@runtime_checkable
class LiveTarget(Protocol):
    """What can be compared live: a fleet, or a test's stand-in for one."""

    def experiment_view(self, strategy: object) -> ExperimentView:
        """A view with a fresh state of `strategy` (a name or an object). Sends nothing.

        Raises:
            StrategyError: When there is no such strategy.
        """
        ...

    def run(self, function: Callable[..., Coroutine[Any, Any, T]], /, *args: object) -> T:
        """Run a coroutine function to its end on the target's event loop, from any other thread.

        On KeyboardInterrupt it cancels the coroutine and raises at once.
        """
        ...
