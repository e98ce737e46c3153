"""A log of attempts read as a record: enough for a what-if, not for an exact replay.

It owns what is guessed where the log does not know: membership, deadlines, and who could have taken a call.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from mcpnb.metrics import Columns
from mcpnb.model import OUTCOMES, Endpoint, OutcomeKind, Request
from mcpnb.simulation.recorded import Arrived, Ended, Happened, Joined, Recorded

_Numbers = tuple[int, int, float, float, float, int, int, int]
_GIVEN_UP = frozenset({"cancelled", "timeout"})
"""Outcomes that say how long somebody waited, not how long the server took."""


def recorded_in(
    log: Columns,
    *,
    endpoints: Iterable[Endpoint] = (),
    timeout: float | None = None,
    retries: int = 2,
    repeatable: bool = True,
) -> Recorded:
    """The calls of a log: when they came, and how long each server took.

    A tool's candidates are the servers that were asked for it, all of them there all the time.

    Args:
        log: The attempts; answers from a cache are left out.
        endpoints: The servers' properties; those that are not named have none but their names.
        timeout: Seconds for each call; None: no end.
        retries: Attempts of each call after the first.
        repeatable: Whether calls may be sent again although they may have run.
    """
    rows = _rows(log)
    calls = _calls(rows)
    groups = _groups(rows)
    arrivals = [
        Arrived(
            at,
            Request(
                number,
                tool,
                groups[tool],
                deadline=None if timeout is None else at + timeout,
                timeout=timeout,
                repeatable=repeatable,
                retries=retries,
            ),
        )
        for number, (at, tool) in calls.items()
    ]
    ends = [row.end for row in rows if row.attempt]
    begin = min((arrival.at for arrival in arrivals), default=0.0)
    happened: list[Happened] = sorted([*arrivals, *ends], key=lambda event: event.at)
    return Recorded((*_joined(rows, endpoints, begin), *happened))


@dataclass(frozen=True, slots=True)
class _Row:
    """One attempt, or a call of which none was sent (`attempt` is 0)."""

    call: int
    attempt: int
    started: float
    """Seconds since the first row."""
    latency: float
    queued: float
    tool: str
    server: str
    kind: OutcomeKind

    @property
    def arrived(self) -> float:
        """When its call came, as far as this row knows."""
        return self.started - self.queued if self.attempt else self.started

    @property
    def end(self) -> Ended:
        at, given_up = self.started + self.latency, self.kind in _GIVEN_UP
        return Ended(
            at, self.call, self.attempt, self.server, self.tool, self.started, self.kind, given_up=given_up
        )


def _rows(log: Columns) -> list[_Row]:
    log = log.where(~log.cached)
    # Unix time eats the digits of small differences; seconds since the first row keep most of them.
    begin = float(log.started_at.min()) if len(log) else 0.0
    columns = (
        log.call, log.attempt, log.started_at - begin, log.latency, log.queued,
        log.tool, log.server, log.outcome,
    )  # fmt: skip
    rows = cast("Iterable[_Numbers]", zip(*(column.tolist() for column in columns), strict=True))
    return [
        _Row(call, attempt, started, latency, queued, log.tools[tool], log.servers[server], OUTCOMES[kind])
        for call, attempt, started, latency, queued, tool, server, kind in rows
    ]


def _calls(rows: list[_Row]) -> dict[int, tuple[float, str]]:
    """Call → when it came, and for which tool: what its first attempt was for."""
    calls: dict[int, tuple[float, str]] = {}
    for row in rows:
        if row.call not in calls or row.arrived < calls[row.call][0]:
            calls[row.call] = (row.arrived, row.tool)
    return calls


def _groups(rows: list[_Row]) -> dict[str, tuple[str, ...]]:
    """Tool → who was asked for it."""
    groups: dict[str, dict[str, None]] = {}
    for row in rows:
        group = groups.setdefault(row.tool, {})
        if row.server:
            group[row.server] = None
    return {tool: tuple(group) for tool, group in groups.items()}


def _joined(rows: list[_Row], endpoints: Iterable[Endpoint], at: float) -> list[Joined]:
    known = {endpoint.name: endpoint for endpoint in endpoints}
    names = dict.fromkeys([*known, *(row.server for row in rows if row.server)])
    return [Joined(at, known.get(name, Endpoint(name))) for name in names]
