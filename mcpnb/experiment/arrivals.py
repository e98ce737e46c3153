"""When calls arrive: point processes on a time axis that starts at 0.

It owns the distributions. It knows no calls and no clock; times are seconds, ascending, shape (n,).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]

CHUNK = 1024  # draws at a time: large enough to be vectorised, small enough to waste nothing; even, see below


@dataclass(frozen=True, slots=True)
class Span:
    """How long to go on: for a number of arrivals, or else for a time."""

    count: int | None
    seconds: float | None

    @property
    def until(self) -> float:
        """Seconds; infinite when it is the count that ends it."""
        return math.inf if self.seconds is None else self.seconds


@dataclass(frozen=True, slots=True)
class Bursts:
    """How the rate of bursty arrivals goes up and down."""

    ratio: float
    """The rate inside a burst over the rate outside."""
    share: float
    """The part of time that is inside bursts, between 0 and 1."""
    seconds: float
    """The mean length of a burst."""


def constant(rate: float, span: Span) -> Times:
    """Every 1/rate seconds, the first after one such gap, the last on the end."""
    # The slack keeps the call that falls exactly on the end, whatever the rounding of the product.
    count = math.floor(span.until * rate + 1e-9) if span.count is None else span.count
    return np.arange(1, count + 1) / rate


def poisson(rate: float, span: Span, rng: np.random.Generator) -> Times:
    """Independent arrivals: exponential gaps with mean 1/rate."""
    if span.count is not None:
        return np.cumsum(rng.exponential(1 / rate, size=span.count))
    parts, reached = [np.zeros(0)], 0.0
    while reached < span.until:
        parts.append(reached + np.cumsum(rng.exponential(1 / rate, size=CHUNK)))
        reached = float(parts[-1][-1])
    times = np.concatenate(parts)
    return times[times < span.until]


def bursty(rate: float, span: Span, bursts: Bursts, rng: np.random.Generator) -> Times:
    """A two-state Markov-modulated Poisson process whose mean rate is `rate`.

    A Poisson process of rate 1 runs in "work" time; work accrues at the rate of the state that real time
    is in, so mapping its arrivals back through that piecewise linear function gives the modulated process.
    """
    arrivals_rng, state_rng = rng.spawn(2)
    if span.count is not None:
        unit = poisson(1.0, span, arrivals_rng)
        time, work = _path(rate, bursts, state_rng, work_needed=float(unit[-1]))
    else:
        time, work = _path(rate, bursts, state_rng, seconds_needed=span.until)
        whole = float(np.interp(span.until, time, work))
        unit = poisson(1.0, Span(None, whole), arrivals_rng)
    return np.interp(unit, work, time)


def _path(
    rate: float,
    bursts: Bursts,
    rng: np.random.Generator,
    *,
    work_needed: float = 0.0,
    seconds_needed: float = 0.0,
) -> tuple[Times, Times]:
    """Knots (seconds, work done) of calm and burst in turn, until both needs are met."""
    calm_rate = rate / (1 - bursts.share + bursts.share * bursts.ratio)
    rates = np.array([calm_rate, calm_rate * bursts.ratio])
    stays = np.array([bursts.seconds * (1 - bursts.share) / bursts.share, bursts.seconds])
    # The chunk is even, so that each one starts in the state in which the first one did.
    states = (np.arange(CHUNK) + (rng.random() < bursts.share)) % 2
    time, work = np.zeros(1), np.zeros(1)
    while time[-1] < seconds_needed or work[-1] < work_needed:
        lengths = rng.exponential(stays[states])
        time = np.concatenate([time, time[-1] + np.cumsum(lengths)])
        work = np.concatenate([work, work[-1] + np.cumsum(lengths * rates[states])])
    return time, work
