"""The figures behind the playground's pictures: from runs to curves, bands and shares.

Arrays in, arrays out. It knows no colours, no SVG and no widgets. Times are in milliseconds unless a field
says seconds; what failed is in no latency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mcpnb.experiment.simulate import Run

Floats = NDArray[np.float64]

_CURVE = 90
"""Points of a curve."""
_BUCKETS = 40
"""Stretches of the time axis, at most."""
_CALLS = 15
"""Calls of a stretch and a repeat, at least, where there are as many: fewer have no p95 worth the name."""
BANDED = 3
"""Repeats from which on their range is drawn as a band."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A line with the range of its repeats, shape (n,) each; NaN where nothing is known."""

    x: Floats
    y: Floats
    low: Floats
    high: Floats

    @property
    def banded(self) -> bool:
        """Whether there were repeats enough for a band."""
        return bool(np.isfinite(self.low).any())


@dataclass(frozen=True)
class Figures:
    """What the runs of one strategy say, a run per repeat."""

    label: str
    runs: tuple[Run, ...]

    @cached_property
    def latencies(self) -> Floats:
        """Of all answered calls, ascending."""
        return np.sort(np.concatenate([run.latencies[run.ok] for run in self.runs])) * 1e3

    @cached_property
    def points(self) -> dict[str, float]:
        """`p50`, `p95`, `p99`; NaN when nothing was answered."""
        return {name: quantile(self.latencies, q) for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}

    def each(self, q: float) -> list[float]:
        """A quantile of each repeat."""
        return [quantile(run.latencies[run.ok] * 1e3, q) for run in self.runs]

    @property
    def calls(self) -> int:
        """In all repeats together."""
        return sum(len(run.latencies) for run in self.runs)

    @property
    def errors(self) -> int:
        """Calls that were not answered."""
        return self.calls - len(self.latencies)

    @property
    def goodput(self) -> float:
        """Answers per second, the mean over repeats."""
        return float(np.mean([float(run.figures()["goodput"]) for run in self.runs]))

    @property
    def fairness(self) -> float:
        """Jain's index over the servers that were asked: 1 when all have the same."""
        shares = self.shares[self.shares > 0]
        return (
            float(shares.sum()) ** 2 / (len(shares) * float(np.square(shares).sum()))
            if len(shares)
            else np.nan
        )

    @cached_property
    def shares(self) -> Floats:
        """The part of the calls that each server ended, shape (servers,)."""
        return self.shares_between(0.0, np.inf)

    def shares_between(self, begin: float, end: float) -> Floats:
        """The same of the calls that started between two times, in seconds."""
        counts = np.zeros(len(self.runs[0].names))
        for run in self.runs:
            asked = run.servers[(run.servers >= 0) & (run.starts >= begin) & (run.starts < end)]
            counts += np.bincount(asked, minlength=len(counts))
        return counts / max(counts.sum(), 1.0)

    @property
    def instability(self) -> str:
        """Why it has no steady state, in the words of its first unstable run; empty when it is stable."""
        return next((run.instability[0] for run in self.runs if run.unstable), "")


def quantile(values: Floats, q: float) -> float:
    """Linear interpolation; NaN of nothing."""
    return float(np.quantile(values, q)) if len(values) else np.nan


def slower_than(figures: Figures, floor: float, x: Floats) -> Curve:
    """The share of answered calls slower than each latency of `x`, not drawn below `floor`."""
    pooled = _slower(figures.latencies, x)
    each = [_slower(np.sort(run.latencies[run.ok]) * 1e3, x) for run in figures.runs]
    low, high = _range(each, pooled)
    seen = pooled >= floor
    return Curve(
        x, np.where(seen, pooled, np.nan), np.maximum(low, floor), np.where(high >= floor, high, np.nan)
    )


def _slower(ordered: Floats, x: Floats) -> Floats:
    return 1 - ordered.searchsorted(x, side="right") / max(len(ordered), 1)


def _range(each: Sequence[Floats], like: Floats) -> tuple[Floats, Floats]:
    """From the lowest to the highest of the repeats; NaN while there are too few."""
    if len(each) < BANDED:
        return np.full_like(like, np.nan), np.full_like(like, np.nan)
    table = np.array(each)
    known = np.isfinite(table).any(axis=0)
    low = np.where(known, np.min(np.where(np.isfinite(table), table, np.inf), axis=0), np.nan)
    high = np.where(known, np.max(np.where(np.isfinite(table), table, -np.inf), axis=0), np.nan)
    return low, high


def latency_grid(all_figures: Sequence[Figures], floor: float) -> Floats:
    """Latencies in equal steps of their logarithm, from the quickest few to the slowest that is drawn."""
    known = [figures.latencies for figures in all_figures if len(figures.latencies)]
    if not known:
        return np.array([1.0, 10.0])
    begin = max(min(quantile(values, 0.01) for values in known), 1e-3)
    end = max(*(quantile(values, 1 - floor) for values in known), begin * 2)
    return np.geomspace(begin * 0.9, end * 1.05, _CURVE)


def edges(run: Run, seconds: float) -> Floats:
    """Where the stretches of the time axis begin and end, in seconds: with calls enough in each."""
    count = int(np.clip(len(run.starts) // _CALLS, 4, _BUCKETS))
    return np.linspace(0.0, seconds, count + 1)


def p95_over_time(figures: Figures, cuts: Floats) -> Curve:
    """p95 of the calls that started in each stretch; `x` is its middle, in seconds."""
    each = [_p95(run.starts[run.ok], run.latencies[run.ok] * 1e3, cuts) for run in figures.runs]
    starts = np.concatenate([run.starts[run.ok] for run in figures.runs])
    values = np.concatenate([run.latencies[run.ok] for run in figures.runs]) * 1e3
    pooled = _p95(starts, values, cuts)
    low, high = _range(each, pooled)
    return Curve((cuts[:-1] + cuts[1:]) / 2, pooled, low, high)


def _p95(starts: Floats, values: Floats, cuts: Floats) -> Floats:
    """p95 of the values that start in each stretch, all at once: one by one costs many times as much."""
    which = cuts.searchsorted(starts, side="right") - 1
    ordered = values[np.lexsort((values, which))]
    counts = np.bincount(which[which >= 0], minlength=len(cuts))[: len(cuts) - 1]
    firsts = np.concatenate(([0], np.cumsum(counts)[:-1])) + int((which < 0).sum())
    place = firsts + np.maximum(counts - 1, 0) * 0.95
    below = np.minimum(np.floor(place).astype(np.int64), max(len(ordered) - 1, 0))
    above = np.minimum(np.ceil(place).astype(np.int64), max(len(ordered) - 1, 0))
    if not len(ordered):
        return np.full(len(counts), np.nan)
    found = ordered[below] + (ordered[above] - ordered[below]) * (place - below)
    return np.where(counts > 0, found, np.nan)


def of_runs(runs: Mapping[str, tuple[Run, ...]]) -> list[Figures]:
    """A strategy's figures each, in the order given."""
    return [Figures(label, seen) for label, seen in runs.items()]
