"""How long a server works on a call: distributions of service times, in seconds.

They own shapes and their bounds. They keep no generator: randomness is an argument, drawn many at a time,
because one draw by NumPy costs as much as a hundred in bulk.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from numbers import Real
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]

FIRST_CHUNK, LAST_CHUNK = 64, 8192
"""Draws at a time: few for a server that is hardly asked, many where they are used."""


class Service(Protocol):
    """A distribution of service times. Equal ones share a stream of draws, so it has to be hashable."""

    @property
    def mean(self) -> float:
        """Seconds; infinite when the distribution has no mean."""
        ...

    def sample(self, rng: np.random.Generator, count: int) -> Times:
        """`count` independent service times, shape (count,), none negative."""
        ...


def draws(service: Service, rng: np.random.Generator) -> Iterator[float]:
    """Service times without end, drawn in growing chunks."""
    if isinstance(service, Deterministic):
        yield from repeat(service.mean)
    chunk = FIRST_CHUNK
    while True:
        yield from service.sample(rng, chunk).tolist()
        chunk = min(2 * chunk, LAST_CHUNK)


@dataclass(frozen=True, slots=True)
class Exponential:
    """Memoryless: the rest of a job is as long as a new one."""

    mean: float

    def __post_init__(self) -> None:
        _positive("mean", self.mean)

    def sample(self, rng: np.random.Generator, count: int) -> Times:
        """Shape (count,)."""
        return rng.exponential(self.mean, count)


@dataclass(frozen=True, slots=True)
class Deterministic:
    """Every job takes the same time."""

    mean: float

    def __post_init__(self) -> None:
        if not (is_number(self.mean) and 0 <= self.mean < math.inf):
            raise ValueError(f"x must be a number of at least 0, not {self.mean!r}")

    def sample(self, rng: np.random.Generator, count: int) -> Times:  # noqa: ARG002 - nothing is left to chance
        """Shape (count,)."""
        return np.full(count, self.mean)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """A heavy tail of the kind that real servers show."""

    mean: float
    cv: float

    def __post_init__(self) -> None:
        _positive("mean", self.mean)
        _positive("cv", self.cv)

    def sample(self, rng: np.random.Generator, count: int) -> Times:
        """Shape (count,)."""
        variance = math.log1p(self.cv**2)
        return rng.lognormal(math.log(self.mean) - variance / 2, math.sqrt(variance), count)


@dataclass(frozen=True, slots=True)
class Hyperexponential:
    """Each job is of one of several kinds, and exponential within its kind."""

    weights: tuple[float, ...]
    means: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.means or len(self.weights) != len(self.means):
            raise ValueError(
                f"weights and means must be as many, and some: {len(self.weights)}, {len(self.means)}"
            )
        for name, values in (("weights", self.weights), ("means", self.means)):
            for value in values:
                _positive(name, value)

    @property
    def mean(self) -> float:
        """Seconds."""
        return float(np.dot(self.weights, self.means)) / sum(self.weights)

    def sample(self, rng: np.random.Generator, count: int) -> Times:
        """Shape (count,)."""
        kinds = rng.choice(len(self.means), count, p=np.array(self.weights) / sum(self.weights))
        return rng.exponential(np.array(self.means)[kinds])


@dataclass(frozen=True, slots=True)
class Pareto:
    """A power law: P(S > x) = (minimum / x)^alpha. No mean at alpha ≤ 1, no variance at alpha ≤ 2."""

    alpha: float
    minimum: float

    def __post_init__(self) -> None:
        _positive("alpha", self.alpha)
        _positive("minimum", self.minimum)

    @property
    def mean(self) -> float:
        """Seconds; infinite for alpha ≤ 1."""
        return self.alpha * self.minimum / (self.alpha - 1) if self.alpha > 1 else math.inf

    def sample(self, rng: np.random.Generator, count: int) -> Times:
        """Shape (count,)."""
        return self.minimum * (1 + rng.pareto(self.alpha, count))


@dataclass(frozen=True, slots=True)
class Empirical:
    """What was once measured, drawn again with replacement."""

    samples: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError("samples is empty: there is nothing to draw from")
        if not all(0 <= sample < math.inf for sample in self.samples):
            raise ValueError("samples must be finite numbers of at least 0")

    @property
    def mean(self) -> float:
        """Seconds."""
        return math.fsum(self.samples) / len(self.samples)

    def sample(self, rng: np.random.Generator, count: int) -> Times:
        """Shape (count,)."""
        return rng.choice(np.array(self.samples, dtype=np.float64), count)


def exponential(mean: float) -> Exponential:
    """Exponential service times; `mean` in seconds."""
    return Exponential(mean)


def deterministic(x: float) -> Deterministic:
    """Every call takes `x` seconds."""
    return Deterministic(x)


def lognormal(mean: float, cv: float) -> Lognormal:
    """Lognormal service times; `mean` in seconds, `cv` is the standard deviation over the mean."""
    return Lognormal(mean, cv)


def hyperexponential(weights: Sequence[float], means: Sequence[float]) -> Hyperexponential:
    """A mix of exponentials; `means` in seconds, `weights` in any unit."""
    return Hyperexponential(tuple(weights), tuple(means))


def pareto(alpha: float, minimum: float) -> Pareto:
    """A power law from `minimum` seconds on with tail index `alpha`."""
    return Pareto(alpha, minimum)


def empirical(samples: Sequence[float] | Times) -> Empirical:
    """Measured seconds, drawn again with replacement."""
    return Empirical(tuple(float(sample) for sample in samples))


def is_number(value: object) -> bool:
    """Whether it can be calculated with: of Python or of NumPy, and no truth value."""
    return isinstance(value, Real) and not isinstance(cast("object", value), bool)


def _positive(name: str, value: float) -> None:
    if not (is_number(value) and 0 < value < math.inf):
        raise ValueError(f"{name} must be a number above 0, not {value!r}")
