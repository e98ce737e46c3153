"""The log of attempts cut into buckets of time, for charts. It owns the cutting and draws nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mcpnb.metrics.log import Columns
from mcpnb.metrics.quantiles import dense, grouped_quantiles
from mcpnb.metrics.summary import answered, faulty
from mcpnb.model import OUTCOMES

__all__ = ["Series", "series"]

_REJECTED: Final = OUTCOMES.index("rejected")


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Per server and bucket of time; the arrays have the shape (servers, buckets)."""

    servers: tuple[str, ...]
    """Those with an attempt in the time shown, in the order in which the log first met them."""
    edges: npt.NDArray[np.float64]
    """Unix seconds, shape (buckets + 1,): bucket i is from edges[i] up to, not including, edges[i + 1]."""
    p95_ms: npt.NDArray[np.float64]
    """Of answered attempts; NaN where there was none."""
    count: npt.NDArray[np.intp]
    """Attempts that were sent."""
    errors: npt.NDArray[np.intp]
    """Those of them that ended in `model.FAULTS`."""


def series(columns: Columns, *, buckets: int = 60, span: float = 300.0, now: float) -> Series:
    """Cut the `span` seconds up to `now` (Unix time) into `buckets` by the time at which attempts started.

    The edges are multiples of the bucket's width, and the last bucket is the one that contains `now`: so a
    finished bucket keeps its numbers from one drawing to the next.

    Raises:
        ValueError: When `buckets` or `span` is not positive.
    """
    if buckets < 1 or not span > 0:
        raise ValueError(f"{buckets} buckets over {span} s: both must be positive")
    width = span / buckets
    first = math.floor(now / width) - buckets + 1
    edges = np.arange(first, first + buckets + 1, dtype=np.float64) * width
    return _cut(columns, _shown(columns, float(edges[0]), float(edges[-1])), edges)


def _shown(columns: Columns, begin: float, end: float) -> npt.NDArray[np.intp]:
    """The places of the attempts that were sent to a server in that time."""
    shown = (columns.started_at >= begin) & (columns.started_at < end)
    shown &= (columns.server > 0) & (columns.outcome != _REJECTED) & ~columns.cached
    return np.flatnonzero(shown)


def _cut(columns: Columns, shown: npt.NDArray[np.intp], edges: npt.NDArray[np.float64]) -> Series:
    buckets = edges.size - 1
    present, server = dense(columns.server[shown], len(columns.servers))
    cells = server * buckets + np.searchsorted(edges, columns.started_at[shown], side="right") - 1
    n, shape = present.size * buckets, (present.size, buckets)
    counted = answered(columns)[shown]
    ms = columns.latency[shown][counted] * 1000.0
    return Series(
        tuple(columns.servers[int(code)] for code in present),
        edges,
        grouped_quantiles(cells[counted], ms, n, (0.95,)).reshape(shape),
        np.bincount(cells, minlength=n).reshape(shape),
        np.bincount(cells[faulty(columns)[shown]], minlength=n).reshape(shape),
    )
