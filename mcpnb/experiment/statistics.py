"""Numbers that say how sure one may be: bootstrap intervals, fairness, goodput.

It owns estimators on NumPy arrays. It knows no frames, no strategies' names and no clock; randomness is
an argument. Latencies come in any unit and leave in the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

QUANTILES: dict[str, float] = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
METRICS: tuple[str, ...] = ("mean", *QUANTILES)
"""The statistics that get intervals."""

MIN_BLOCKS = 6
"""Fewer blocks than this cannot carry an interval: five have only 126 different resamples."""

_CELLS = 4_000_000  # resampled cells in memory at a time: 32 MB


def resamples_for(n: int) -> int:
    """How many resamples n calls can afford: 2 000, fewer above 100 000 calls, never below 400."""
    return int(np.clip(200_000_000 // max(n, 1), 400, 2_000))


def point(values: Floats) -> dict[str, float]:
    """Mean and quantiles (linear interpolation) of `values`; nan when there are none."""
    if not len(values):
        return dict.fromkeys((*METRICS, "p999"), math.nan)
    quantiles = np.quantile(values, [*QUANTILES.values(), 0.999])
    return {
        "mean": float(values.mean()),
        **dict(zip((*QUANTILES, "p999"), map(float, quantiles), strict=True)),
    }


def block_draws(blocks: int, resamples: int, rng: np.random.Generator) -> Ints:
    """How often each block is in each resample, shape (resamples, blocks).

    Give the same draws to every strategy: then the difference of their replicates is paired by block, and
    what a block did to all of them (a slow minute of the machine) cancels.
    """
    return rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples)


def block_replicates(values: Floats, known: Ints, blocks: Ints, draws: Ints) -> dict[str, Floats]:
    """Each metric of `values` under each resample of whole blocks: metric → shape (resamples,).

    Calls of one block lean on each other (they shared a queue), so blocks are what is drawn, not calls.

    Args:
        values: Latencies, shape (n,).
        known: The numbers of all blocks, ascending, shape (b,).
        blocks: The block of each value, shape (n,).
        draws: From `block_draws`, shape (resamples, b).
    """
    order = np.argsort(values, kind="stable")
    values, column = values[order], known.searchsorted(blocks[order])
    rows = max(1, _CELLS // max(len(values), 1))
    chunks = (draws[start : start + rows][:, column] for start in range(0, len(draws), rows))
    return _replicates(values, chunks)


def call_replicates(values: Floats, resamples: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Like `block_replicates`, but every call is drawn by itself: for too few blocks to draw from."""
    values = np.sort(values)
    return _replicates(values, _call_counts(len(values), resamples, rng))


def _call_counts(n: int, resamples: int, rng: np.random.Generator) -> Iterator[Ints]:
    rows = max(1, _CELLS // max(n, 1))
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = rng.integers(0, max(n, 1), size=(size, n)) + np.arange(size)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)


def _replicates(values: Floats, chunks: Iterator[Ints]) -> dict[str, Floats]:
    parts = [_weighted(values, counts) for counts in chunks]
    return {metric: np.concatenate([part[metric] for part in parts]) for metric in METRICS}


def _weighted(values: Floats, counts: Ints) -> dict[str, Floats]:
    """Mean and quantiles of ascending `values`, each taken `counts` times; a row per resample."""
    rows = len(counts)
    if not len(values):
        return {metric: np.full(rows, math.nan) for metric in METRICS}
    upto = np.cumsum(counts, axis=1, dtype=np.int64)
    total = upto[:, -1]
    empty = total == 0
    found = {"mean": (counts @ values) / np.where(empty, 1, total)}
    for name, q in QUANTILES.items():
        place = np.maximum(total - 1, 0) * q
        below = _order_statistic(values, upto, np.floor(place).astype(np.int64))
        above = _order_statistic(values, upto, np.ceil(place).astype(np.int64))
        found[name] = below + (above - below) * (place - np.floor(place))
    return {metric: np.where(empty, math.nan, numbers) for metric, numbers in found.items()}


def _order_statistic(values: Floats, upto: Ints, rank: Ints) -> Floats:
    """The value of rank `rank` (from 0) of each row: one search over all rows, laid end to end."""
    rows, n = upto.shape
    step = int(upto[:, -1].max()) + 1
    shift: Ints = np.arange(rows, dtype=np.int64) * step
    flat: Ints = (upto + shift[:, None]).ravel()
    index: Ints = np.searchsorted(flat, rank + shift, side="right") - np.arange(rows, dtype=np.int64) * n
    return values[np.minimum(index, n - 1)]


def interval(replicates: Floats, *, units: int, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval of bootstrap replicates, widened for few units; nan when there are none.

    Percentile intervals are too narrow for small samples; the tails are moved to where Student's t would
    put them (the "expanded percentile interval" of Hesterberg, The American Statistician 69(4), 2015).
    """
    replicates = replicates[np.isfinite(replicates)]
    if not len(replicates) or units < 2:
        return math.nan, math.nan
    tail = _expanded_tail(level, units)
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return float(low), float(high)


def _expanded_tail(level: float, units: int) -> float:
    z, v = NormalDist().inv_cdf(0.5 + level / 2), units - 1
    t = (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )  # Student's quantile, Abramowitz & Stegun 26.7.5
    return NormalDist().cdf(-t * math.sqrt(units / v))


def wilson(events: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share, which stays sensible at 0 and at 1."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + level / 2)
    centre = (events + z * z / 2) / (n + z * z)
    reach = z / (n + z * z) * math.sqrt(events * (n - events) / n + z * z / 4)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def jain(shares: Floats) -> float:
    """Jain's index of fairness: 1 when all have the same, 1/n when one has all; nan without any."""
    squares = float(np.square(shares).sum())
    return float(shares.sum()) ** 2 / (len(shares) * squares) if squares else math.nan


def busy_seconds(ends: Floats, latencies: Floats, span: float) -> float:
    """How long a block took to answer its calls, without the wait for its last few stragglers.

    Over a block the last call's end is a matter of one slow answer, not of pace. So: the time in which nine
    tenths of the answers came, scaled to all of them, less the shortest latency; and never less than `span`.

    Args:
        ends: Seconds from the block's start to each answer, shape (n,).
        latencies: Seconds, shape (n,).
        span: Seconds over which the calls were sent.
    """
    if not len(ends):
        return span
    n = len(ends)
    most = math.ceil(0.9 * n)
    return max(span, (float(np.sort(ends)[most - 1]) - float(latencies.min())) * n / most)
