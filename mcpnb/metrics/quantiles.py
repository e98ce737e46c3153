"""Quantiles by linear interpolation, as NumPy's default, for one sample or for many groups at once.

It owns the arithmetic, of grouping too, and knows nothing of attempts. A quantile of nothing is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["dense", "grouped_quantiles", "quantile", "quantiles"]

Floats = npt.NDArray[np.float64]

_SORT_ABOVE = 1 << 20  # codes: counting is quicker than sorting until its table outgrows the cache


def quantile(values: npt.ArrayLike, q: float) -> float:
    """The `q` quantile (0 to 1) of `values`, in their unit, NaN values left out."""
    return float(quantiles(values, (q,))[0])


def quantiles(values: npt.ArrayLike, qs: Sequence[float]) -> Floats:
    """The quantiles `qs` (each 0 to 1) of `values`, shape (len(qs),); NaN values do not count."""
    sample = np.asarray(values, dtype=np.float64).ravel()
    sample = np.sort(sample[~np.isnan(sample)])
    return _of_sorted(sample, np.zeros(1, np.intp), np.array([sample.size]), qs)[0]


def grouped_quantiles(
    groups: npt.NDArray[np.integer[Any]], values: Floats, n: int, qs: Sequence[float]
) -> Floats:
    """The quantiles `qs` of `values` within each of `n` groups, shape (n, len(qs)).

    `groups`, of the shape of `values`, holds each value's group, 0 to n-1. NaN values do not count; a group
    without values has NaN.
    """
    known = ~np.isnan(values)
    # Two bytes a group, where they suffice, let NumPy's stable sort be a radix sort.
    codes = groups[known].astype(np.uint16 if n <= 1 << 16 else np.int64)
    sample = values[known]
    by_value = np.argsort(sample)
    order = by_value[np.argsort(codes[by_value], kind="stable")]
    counts = np.bincount(codes, minlength=n)
    return _of_sorted(sample[order], np.cumsum(counts) - counts, counts, qs)


def dense(codes: npt.NDArray[np.integer[Any]], n: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The codes (0 to n-1) that occur, ascending, and for each of `codes` its place among them."""
    if n > _SORT_ABOVE:
        present, places = np.unique(codes, return_inverse=True)
        return present.astype(np.intp), places
    occurs = np.bincount(codes, minlength=n) > 0
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[codes]


def _of_sorted(
    sample: Floats, starts: npt.NDArray[np.intp], counts: npt.NDArray[np.intp], qs: Sequence[float]
) -> Floats:
    """Quantiles of the ascending runs of `sample` that begin at `starts` and have `counts` values."""
    share = np.asarray(qs, dtype=np.float64)
    if not np.all((share >= 0) & (share <= 1)):
        raise ValueError(f"quantiles lie between 0 and 1, not {list(qs)}")
    result = np.full((counts.size, share.size), np.nan)
    filled = counts > 0
    last = (counts[filled] - 1)[:, None]
    place = share * last
    below = np.floor(place).astype(np.intp)
    low = sample[starts[filled][:, None] + below]
    high = sample[starts[filled][:, None] + np.minimum(below + 1, last)]
    result[filled] = _between(low, high, place - below)
    return result


def _between(low: Floats, high: Floats, part: Floats) -> Floats:
    """Interpolate from the nearer end, so that rounding never leaves the interval nor breaks the order."""
    step = high - low
    return np.where(part < 0.5, low + step * part, high - step * (1 - part))
