"""The two kinds of rows that every comparison is made of, live or not."""

from __future__ import annotations

from typing import NamedTuple

from mcpnb.model import OutcomeKind


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
