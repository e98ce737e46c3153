"""Numbers that say how sure one may be: bootstrap intervals, fairness, goodput.

It owns estimators on NumPy arrays. It knows no frames, no strategies' names and no clock; randomness is
an argument. Latencies come in any unit and leave in the same.
"""

from __future__ import annotations

import math
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

RESAMPLES = 2_000

LONG = 10
"""So many times the calls that lean on each other make a batch that does not lean on its neighbours."""

_FEWEST = 20  # calls below which nothing can be said of how they lean
_CELLS = 2_000_000  # resampled calls in memory at a time: 16 MB
_MANY = 20_000  # calls from which on the mean of a resample is as good as normal


def point(values: Floats) -> dict[str, float]:
    """Mean and quantiles (linear interpolation) of `values`; nan when there are none."""
    if not len(values):
        return dict.fromkeys((*METRICS, "p999"), math.nan)
    quantiles = np.quantile(values, [*QUANTILES.values(), 0.999])
    return {
        "mean": float(values.mean()),
        **dict(zip((*QUANTILES, "p999"), map(float, quantiles), strict=True)),
    }


def lateness(lags: Floats) -> dict[str, float]:
    """How late calls were started: median, p99 and the worst; 0 when there are none."""
    if not len(lags):
        return dict.fromkeys(("p50", "p99", "max"), 0.0)
    p50, p99, worst = np.quantile(lags, [0.5, 0.99, 1.0]).tolist()
    return {"p50": p50, "p99": p99, "max": worst}


def block_draws(blocks: int, rng: np.random.Generator, resamples: int = RESAMPLES) -> Ints:
    """How often each block is in each resample, shape (resamples, blocks).

    Give the same draws to every strategy: then the difference of their replicates is paired by block, and
    what a block did to all of them (a slow minute of the machine) cancels.
    """
    return rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples)


def block_replicates(values: Floats, known: Ints, blocks: Ints, draws: Ints) -> dict[str, Floats]:
    """Each metric of `values` under each resample of whole blocks: metric → shape (resamples,).

    Calls of one block lean on each other (they shared a queue), so blocks are what is drawn, not calls.
    A resample is never written out; its cost does not grow with the number of calls, but for a logarithm.

    Args:
        values: Latencies, shape (n,).
        known: The numbers of all blocks, ascending, shape (b,).
        blocks: The block of each value, shape (n,).
        draws: From `block_draws`, shape (resamples, b).
    """
    if not len(values):
        return {metric: np.full(len(draws), math.nan) for metric in METRICS}
    order = np.argsort(values, kind="stable")
    values, column = values[order], known.searchsorted(blocks[order])
    upto: NDArray[np.int32] = np.cumsum(column[:, None] == np.arange(len(known)), axis=0, dtype=np.int32)
    total = draws @ upto[-1].astype(np.int64)
    sums = draws @ np.bincount(column, weights=values, minlength=len(known))
    found = {"mean": sums / np.maximum(total, 1)}
    for name, q in QUANTILES.items():
        place = np.maximum(total - 1, 0) * q
        below = values[_ranked(upto, draws, np.floor(place).astype(np.int64))]
        above = values[_ranked(upto, draws, np.ceil(place).astype(np.int64))]
        found[name] = below + (above - below) * (place - np.floor(place))
    return {metric: np.where(total == 0, math.nan, numbers) for metric, numbers in found.items()}


def _ranked(upto: NDArray[np.int32], draws: Ints, rank: Ints) -> Ints:
    """Where in the ascending values the one of rank `rank` (from 0) of each resample is, by bisection.

    Args:
        upto: How many of the values up to each are in each block, shape (n, b).
        draws: Shape (resamples, b).
        rank: Shape (resamples,).
    """
    low = np.zeros(len(draws), dtype=np.int64)
    high = np.full(len(draws), len(upto) - 1, dtype=np.int64)
    while (low < high).any():
        middle = (low + high) // 2
        enough = np.einsum("rb,rb->r", upto[middle], draws) > rank
        high = np.where(enough, middle, high)
        low = np.where(enough, low, np.minimum(middle + 1, high))
    return low


def leaning_calls(values: Floats) -> float:
    """Over how many consecutive calls one leans on the others: 1 when they are independent, nan when unknown.

    The integrated autocorrelation time, 1 + 2·Σρ(k), of whether a call was slow (above the p95, which is what
    is judged) or of its latency, whichever lasts longer. Summed up to the first k ≥ 5·τ(k) (Sokal, "Monte
    Carlo Methods in Statistical Mechanics", 1997, section 3).

    Args:
        values: Latencies in the order of the calls, shape (n,).
    """
    if len(values) < _FEWEST:
        return math.nan
    slow = (values > np.quantile(values, QUANTILES["p95"])).astype(np.float64)
    return max(_integrated(values), _integrated(slow))


def _integrated(values: Floats) -> float:
    centred = values - values.mean()
    n = len(values)
    spectrum = np.fft.rfft(centred, 2 * n)
    covariance = np.fft.irfft(spectrum * spectrum.conj())[:n]
    if not covariance[0] > 0:
        return 1.0
    times = 2 * np.cumsum(covariance / covariance[0]) - 1
    far_enough = np.arange(n) >= 5 * times
    return max(float(times[int(np.argmax(far_enough)) if far_enough.any() else n - 1]), 1.0)


def call_replicates(
    values: Floats, rng: np.random.Generator, resamples: int = RESAMPLES
) -> dict[str, Floats]:
    """Like `block_replicates`, but every call is drawn by itself: for too few blocks to draw from."""
    values = np.sort(values)
    if not len(values):
        return {metric: np.full(resamples, math.nan) for metric in METRICS}
    found = {name: _resampled_quantile(values, q, rng, resamples) for name, q in QUANTILES.items()}
    return {"mean": _resampled_mean(values, rng, resamples), **found}


def _resampled_mean(values: Floats, rng: np.random.Generator, resamples: int) -> Floats:
    n = len(values)
    if n > _MANY:
        return rng.normal(values.mean(), values.std() / math.sqrt(n), size=resamples)
    rows = max(1, _CELLS // n)
    sizes = [min(rows, resamples - start) for start in range(0, resamples, rows)]
    return np.concatenate([values[rng.integers(0, n, size=(size, n))].mean(axis=1) for size in sizes])


def _resampled_quantile(values: Floats, q: float, rng: np.random.Generator, resamples: int) -> Floats:
    """The quantile of each resample, drawn from its distribution without drawing the resample.

    A resample's indices are n uniform numbers; the k-th smallest of these is Beta(k, n + 1 - k), and the next
    one is the smallest of the n - k that are left above it.
    """
    n = len(values)
    place = (n - 1) * q
    k = math.floor(place) + 1
    below = rng.beta(k, n + 1 - k, size=resamples)
    above = 1 - (1 - below) * rng.random(resamples) ** (1 / max(n - k, 1)) if k < n else below
    first, second = (values[np.minimum((u * n).astype(np.int64), n - 1)] for u in (below, above))
    return first + (second - first) * (place - math.floor(place))


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
