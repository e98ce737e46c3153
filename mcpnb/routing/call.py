"""The record of one call while it runs, and its story afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field

from mcpnb.model import Attempt, AttemptRecord, Explanation, Outcome, Request


@dataclass(slots=True, eq=False)
class Call:
    """One request on its way: what is out, what was tried, how it ended."""

    request: Request
    arrived: float
    """Monotonic seconds."""
    out: list[Attempt] = field(default_factory=list[Attempt])
    """Attempts that have not ended."""
    tried: set[str] = field(default_factory=set[str])
    """Servers that already had an attempt."""
    sent: int = 0
    """Attempts so far."""
    ended: list[AttemptRecord] = field(default_factory=list[AttemptRecord])
    excluded: dict[str, str] = field(default_factory=dict[str, str])
    """Who was filtered out at the first pick, and why."""
    looked_at: str = ""
    """What the strategy's numbers mean."""
    failure: Outcome | None = None
    """The last attempt's fault."""
    finished: float | None = None
    """Monotonic seconds, once over."""

    @property
    def retries_left(self) -> int:
        """Attempts that may still be sent."""
        return 1 + self.request.retries - self.sent

    def explanation(self, resolution: str = "") -> Explanation:
        """The story of this call, for `Result.explain()`."""
        records = tuple(self.ended)
        end = self.arrived if self.finished is None else self.finished
        return Explanation(
            tool=self.request.tool,
            candidates=self.request.servers,
            excluded=self.excluded,
            strategy=records[0].attempt.strategy if records else "",
            looked_at=self.looked_at,
            attempts=records,
            resolution=resolution,
            queued=records[0].attempt.queued if records else 0.0,
            total=end - self.arrived,
        )
