"""What the log of attempts says about each server, tool or strategy: counts, error rates, latencies.

It owns the definitions, and they are the same wherever mcpnb shows these numbers:

- `count`: every attempt in the log, however it ended. Answers from a cache are no attempts: nothing was
  sent, so they say nothing about any server.
- `errors`: attempts that ended in one of `model.FAULTS` (timeout, disconnected, refused), which speak
  against the server. A tool's own error is an answer; rejections and cancellations are nobody's fault.
- latencies: over *answered* attempts, those that were sent and ended `ok` or `tool_error`.
- `throughput`: answered attempts per second.

It knows no clock (`now` is an argument) and no frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcpnb.metrics.log import AttemptLog, Columns
from mcpnb.metrics.quantiles import dense, grouped_quantiles
from mcpnb.model import FAULTS, OUTCOMES

__all__ = ["Summary", "answered", "faulty", "summaries_by_server", "summarise", "summarise_window"]

Codes = npt.NDArray[np.integer[Any]]
Flags = npt.NDArray[np.bool_]

GROUPINGS = ("server", "tool", "strategy")
_QS = (0.5, 0.9, 0.95, 0.99, 1.0)

_IS_ANSWER = np.array([kind in {"ok", "tool_error"} for kind in OUTCOMES])
_IS_FAULT = np.array([kind in FAULTS for kind in OUTCOMES])


@dataclass(frozen=True, slots=True)
class Summary:
    """One group of attempts. Latencies are in milliseconds and NaN when nothing was answered."""

    key: tuple[str, ...]
    """The group's name in each of the columns that were grouped by."""
    count: int
    errors: int
    error_rate: float
    """errors / count."""
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    throughput: float
    """Answered attempts per second; NaN when the time they took is unknown."""


def answered(columns: Columns) -> Flags:
    """Which attempts, shape (n,), a server answered, so that their latency says something about it."""
    return _IS_ANSWER[columns.outcome] & ~columns.cached & ~np.isnan(columns.latency)


def faulty(columns: Columns) -> Flags:
    """Which attempts, shape (n,), ended in a way that speaks against the server."""
    return _IS_FAULT[columns.outcome]


def summarise(
    columns: Columns, by: str | Sequence[str] = "server", *, span: float | None = None
) -> list[Summary]:
    """One summary for each group that has attempts, in the order in which its names first came up.

    Args:
        columns: The attempts.
        by: `server`, `tool`, `strategy`, or several of them. Attempts without a name in one of these (such
            as calls that were rejected before a server was picked) belong to no group, nor do cached answers.
        span: Seconds that the attempts cover, for the throughput; by default from the first one's start to
            the last one's end.

    Raises:
        ValueError: For anything else to group by.
    """
    names = _grouping(by)
    counted = np.logical_and.reduce([~columns.cached, *(columns.coded(name)[0] > 0 for name in names)])
    if not counted.all():
        columns = columns.where(counted)
    keys, groups = _groups(columns, names)
    seconds = _extent(columns) if span is None else span
    return _summaries(columns, keys, groups, seconds)


def summarise_window(
    log: AttemptLog,
    by: str | Sequence[str] = "server",
    *,
    window: float | None,
    now: float | None,
    last: int | None = None,
) -> list[Summary]:
    """Summaries of the attempts that started within `window` seconds before `now` (Unix time).

    `window=None` takes the whole log; `now=None` is the end of the newest attempt. Rates are over the part
    of the window that the log covers, so that a young fleet does not look idle. `last` bounds the cost.
    """
    if window is None:
        return summarise(log.columns(last=last), by)
    _check_window(window)
    if last is None:
        now = _newest_end(log.columns(last=1)) if now is None else now
        columns, oldest = log.columns(since=now - window), log.oldest()
    else:
        recent = log.columns(last=last)
        now = _newest_end(recent) if now is None else now
        oldest = float(recent.started_at.min()) if len(recent) else None
        columns = recent.where(recent.started_at >= now - window)
    covered = window if oldest is None else now - oldest
    # Under a second the first call alone would look like a storm.
    return summarise(columns, by, span=min(window, max(covered, 1.0)))


def summaries_by_server(
    log: AttemptLog, window: float = 60.0, *, now: float | None = None, last: int = 2000
) -> dict[str, Summary]:
    """Server → its summary over the last `window` seconds before `now` (Unix time).

    Made to be called several times a second: it looks at the newest `last` rows of the log only. Without
    `now` the window ends where the newest attempt ended, so an idle fleet keeps its last numbers.
    """
    rows = summarise_window(log, "server", window=window, now=now, last=last)
    return {row.key[0]: row for row in rows}


def _check_window(window: object) -> None:
    if isinstance(window, bool) or not isinstance(window, int | float) or not window > 0:
        raise ValueError(f"window must be seconds above 0, not {window!r}")


def _grouping(by: str | Sequence[str]) -> tuple[str, ...]:
    listed = isinstance(by, Iterable)  # pyright: ignore[reportUnnecessaryIsInstance] - people pass others
    names = (by,) if isinstance(by, str) else tuple(by) if listed else ()
    if not names or len(set(names)) < len(names) or not set(names) <= set(GROUPINGS):
        raise ValueError(f"cannot group attempts by {by!r}: choose among {', '.join(GROUPINGS)}")
    return names


def _groups(columns: Columns, names: tuple[str, ...]) -> tuple[list[tuple[str, ...]], Codes]:
    """The groups' keys, and for each row the number of its group."""
    coded = [columns.coded(name) for name in names]
    sizes = [len(table) for _, table in coded]
    combined = np.ravel_multi_index([codes.astype(np.intp) for codes, _ in coded], sizes)
    present, groups = dense(combined, math.prod(sizes))
    tables = [np.array(table, dtype=object) for _, table in coded]
    parts: list[list[str]] = [
        table[codes].tolist() for table, codes in zip(tables, np.unravel_index(present, sizes), strict=True)
    ]
    return list(zip(*parts, strict=True)), groups


def _summaries(columns: Columns, keys: list[tuple[str, ...]], groups: Codes, seconds: float) -> list[Summary]:
    n = len(keys)
    counts = np.bincount(groups, minlength=n)
    errors = np.bincount(groups[faulty(columns)], minlength=n)
    counted = answered(columns)
    of_answered, ms = groups[counted], columns.latency[counted] * 1000.0
    answers = np.bincount(of_answered, minlength=n)
    sums = np.bincount(of_answered, weights=ms, minlength=n)
    means = np.divide(sums, answers, out=np.full(n, np.nan), where=answers > 0)
    latencies = grouped_quantiles(of_answered, ms, n, _QS)
    rates = answers / seconds if seconds > 0 else np.full(n, np.nan)
    columns_of_rows = (counts, errors, errors / counts, means, *latencies.T, rates)
    rows = zip(*(column.tolist() for column in columns_of_rows), strict=True)
    return [Summary(key, *row) for key, row in zip(keys, rows, strict=True)]


def _ends(columns: Columns) -> npt.NDArray[np.float64]:
    return columns.started_at + np.nan_to_num(columns.latency)


def _extent(columns: Columns) -> float:
    return float(_ends(columns).max() - columns.started_at.min()) if len(columns) else 0.0


def _newest_end(columns: Columns) -> float:
    return float(_ends(columns)[-1]) if len(columns) else 0.0
