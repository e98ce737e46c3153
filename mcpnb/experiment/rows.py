"""The kinds of rows that every comparison is made of, live or not."""

from __future__ import annotations

from typing import NamedTuple, Self

from mcpnb.model import Attempt, AttemptRecord, OutcomeKind


class CallRow(NamedTuple):
    """One call, as `Comparison.calls` shows it."""

    strategy: str
    block: int
    i: int
    intended_at: float
    started_lag_ms: float
    latency_ms: float
    server: str | None
    outcome: OutcomeKind
    attempts: int
    error: str
    tool: str
    repeat: int
    retries: int
    hedges: int
    warmup: bool


class BlockRow(NamedTuple):
    """One strategy's turn, as `Comparison.blocks` shows it."""

    strategy: str
    block: int
    repeat: int
    position: int
    """Whose turn it was within the round, from 0."""
    began_at: float
    """Seconds since the comparison began."""
    base_s: float
    """The workload's own time at which the block starts."""
    span_s: float
    """Seconds over which its calls were sent."""
    seconds: float
    """Seconds until the last answer was there."""


class AttemptRow(NamedTuple):
    """One sending of one call, as `Comparison.attempts` shows it."""

    strategy: str
    repeat: int
    i: int
    attempt: int
    """From 1, in the order of sending."""
    server: str
    tool: str
    why: str
    hedge: bool
    sent_ms: float
    """Since the call came."""
    queued_ms: float
    latency_ms: float
    outcome: OutcomeKind

    @classmethod
    def of(cls, strategy: str, repeat: int, i: int, record: AttemptRecord) -> Self:
        """The row of an attempt whose `sent_at` counts from its call."""
        a = record.attempt
        return cls(
            strategy, repeat, i, a.number, a.server, a.tool, a.why, a.hedge,
            a.sent_at * 1e3, a.queued * 1e3, record.latency * 1e3, record.outcome,
        )  # fmt: skip

    def record(self) -> AttemptRecord:
        """The attempt, as explanations have it."""
        attempt = Attempt(
            0, self.i, self.attempt, self.server, self.tool, self.strategy,
            self.sent_ms / 1e3, self.queued_ms / 1e3, self.hedge, self.why, (),
        )  # fmt: skip
        return AttemptRecord(attempt, self.outcome, self.latency_ms / 1e3)
