"""The record of one call while it runs, and its story afterwards."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from mcpnb.model import Attempt, AttemptRecord, Explanation, Outcome, Request

if TYPE_CHECKING:
    from mcpnb.routing.pause import Pause
    from mcpnb.routing.pool import Pool

_NOBODY: Mapping[str, str] = MappingProxyType({})


class Call:
    """One request on its way: what is out, what was tried, how it ended.

    Attributes:
        arrived: Monotonic seconds.
        tool, servers, repeatable: What is tried now: the request's own, or an alternative's.
        stage: How many alternatives were taken so far.
        out: Attempts that have not ended.
        tried: Servers that already had an attempt for this tool.
        welcome: Monotonic seconds from which on the first of them takes it again, as far as they said so.
        sent: Attempts so far; `spent` of them came before this tool, `hedges` of them were hedges.
        excluded, out_of: Who was filtered out at the first pick and why (some of many), and how many.
        looked_at: What the strategy's numbers mean.
        failure: The last attempt's fault.
        pool: Where it waits for a server that is free; `since` when.
        alarms: Timers that are set for it.
        pause: What its servers asked a person; None when nothing was asked.
        finished: Monotonic seconds, once over.
    """

    __slots__ = (
        "alarms", "arrived", "ended", "excluded", "failure", "finished", "hedges", "looked_at", "out",
        "out_of", "pause", "pool", "repeatable", "request", "sent", "servers", "since", "spent", "stage",
        "tool", "tried", "welcome",
    )  # fmt: skip

    def __init__(self, request: Request, arrived: float, finished: float | None = None) -> None:
        self.request, self.arrived = request, arrived
        self.tool, self.servers, self.repeatable = request.tool, request.servers, request.repeatable
        self.stage = self.sent = self.spent = self.hedges = self.alarms = self.out_of = 0
        self.out: list[Attempt] = []
        self.tried: tuple[str, ...] = ()
        self.ended: list[AttemptRecord] = []
        self.excluded: Mapping[str, str] = _NOBODY
        self.looked_at = ""
        self.failure: Outcome | None = None
        self.pool: Pool | None = None
        self.pause: Pause | None = None
        self.since = arrived
        self.welcome = math.inf
        self.finished = finished

    @property
    def retries_left(self) -> int:
        """Attempts that may still be sent for this tool, hedges aside."""
        return 1 + self.request.retries - (self.sent - self.spent - self.hedges)

    @property
    def stood(self) -> float:
        """Seconds of a call that is over in which its clock stood, because a person was asked."""
        return 0.0 if self.pause is None else self.pause.stood

    @property
    def answered(self) -> AttemptRecord | None:
        """The attempt that the tool answered; None when none was. A hedge that lost ends after it."""
        for record in reversed(self.ended):
            if record.outcome == "ok" or record.outcome == "tool_error":  # noqa: PLR1714 - twice per call
                return record
        return None

    def turn_to_next(self) -> bool:
        """Try the next alternative from now on; False when there is none left."""
        if self.stage == len(self.request.alternatives):
            return False
        self.tool, self.servers, self.repeatable = self.request.alternatives[self.stage]
        self.stage += 1
        self.spent, self.hedges = self.sent, 0
        self.forgive()
        return True

    def refused(self, until: float) -> None:
        """A server that was tried wants to be left alone until then, or for no time at all."""
        self.welcome = min(self.welcome, until)

    def forgive(self) -> None:
        """Every server may be tried again."""
        self.tried, self.welcome = (), math.inf

    def explanation(self, resolution: str = "") -> Explanation:
        """The story of this call, for `Result.explain()`."""
        records = tuple(self.ended)
        end = self.arrived if self.finished is None else self.finished
        return Explanation(
            tool=self.request.tool,
            candidates=self.request.servers,
            excluded=self.excluded,
            out_of=self.out_of,
            strategy=records[0].attempt.strategy if records else "",
            looked_at=self.looked_at,
            attempts=records,
            resolution=resolution,
            queued=sum(record.attempt.queued for record in records) if records else end - self.arrived,
            total=end - self.arrived,
            arrived=self.arrived,
        )
