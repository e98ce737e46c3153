"""Numbers made one: mean, median, weighted mean, and which of them are far off.

The order of the answers cannot matter and huge numbers cannot overflow: sums are exact, and what floats
cannot hold with ease is counted in fractions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

Number = Any
"""Floats, or fractions where floats will not do: never both at once."""

# The scale that makes a median deviation comparable to a standard deviation, and the usual cut beyond which
# a value is taken for an outlier (Iglewicz and Hoaglin, 1993).
_SCALE = 1.4826
_CUT = 3.5

# Of numbers below this, sums, differences and products with each other are far from both ends of the floats.
_EASY = 1e100
_WHOLE = 2**53
"""Up to here a float holds every whole number."""

# Of two that differ nobody can tell which is off.
_ENOUGH = 3


def average(numbers: Sequence[float]) -> float:
    """The mean: the number itself when all are equal, whole when it is and all are, else a float."""
    return weighted_average(numbers, [1.0] * len(numbers))


def weighted_average(numbers: Sequence[float], weights: Sequence[float]) -> float:
    """The mean in which each number counts by its weight; all alike when no weight is above zero."""
    if all(number == numbers[0] for number in numbers):
        return numbers[0]
    if len(set(weights)) == 1 and _are_easy(numbers):
        return _easy_average(numbers)
    shares = list(map(Fraction, weights)) if any(weights) else [Fraction(1)] * len(numbers)
    pairs = zip(numbers, shares, strict=True)
    exact = sum((Fraction(number) * share for number, share in pairs), Fraction(0)) / sum(shares)
    return _plain(exact, whole=all(isinstance(number, int) for number in numbers))


def median(numbers: Sequence[float]) -> float:
    """The number in the middle; of an even count the mean of the two in the middle."""
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else average(ordered[middle - 1 : middle + 1])


def outliers(numbers: Sequence[float], tolerance: float) -> frozenset[int]:
    """The places of those that are far from where most are, by their median deviation.

    Differences that the tolerance allows (a share of the median) never make one.
    """
    if len(numbers) < _ENOUGH:
        return frozenset()
    if _are_easy(numbers):
        return _far(list(map(float, numbers)), _SCALE, _CUT, tolerance)
    return _far(list(map(Fraction, numbers)), Fraction(_SCALE), Fraction(_CUT), Fraction(tolerance))


def _far(numbers: Sequence[Number], deviation: Number, cut: Number, tolerance: Number) -> frozenset[int]:
    centre = _middle(numbers)
    apart = [abs(number - centre) for number in numbers]
    scale = max(deviation * _middle(apart), tolerance * abs(centre))
    # Without a scale every difference would be one: `0, 0, 0.1`.
    return frozenset(i for i, far in enumerate(apart) if scale and far > cut * scale)


def relative_spread(numbers: Sequence[float]) -> float:
    """The greatest difference over the greatest magnitude, 0 to 2; 0 when all are zero."""
    least, greatest = min(numbers), max(numbers)
    if not _are_easy((least, greatest)):
        return float(_share_apart(Fraction(least), Fraction(greatest)))
    return _share_apart(float(least), float(greatest))


def _share_apart(least: Number, greatest: Number) -> Number:
    scale = max(abs(least), abs(greatest))
    return (greatest - least) / scale if scale else scale


def close(left: float, right: float, tolerance: float) -> bool:
    """Whether two numbers differ by no more than this share of the greater of them."""
    if left == right:
        return True
    try:
        return abs(left - right) <= tolerance * max(abs(left), abs(right))
    except OverflowError:
        return relative_spread((left, right)) <= tolerance


def neighbours(ordered: Sequence[float], tolerance: float) -> Iterator[range]:
    """For each of these sorted numbers the places of those that are close to it, itself included."""
    first = last = 0
    for number in ordered:
        while not close(ordered[first], number, tolerance):
            first += 1
        while last < len(ordered) and close(number, ordered[last], tolerance):
            last += 1
        yield range(first, last)


def _middle(numbers: Sequence[Number]) -> Number:
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _are_easy(numbers: Sequence[float]) -> bool:
    """Whether floats hold them, and what is worked out of them."""
    return all(
        -_WHOLE < number < _WHOLE if isinstance(number, int) else -_EASY < number < _EASY
        for number in numbers
    )


def _easy_average(numbers: Sequence[float]) -> float:
    if all(isinstance(number, int) for number in numbers):
        total = sum(numbers)
        return total // len(numbers) if total % len(numbers) == 0 else total / len(numbers)
    # Rounding must not carry it beyond the numbers themselves.
    return min(max(math.fsum(numbers) / len(numbers), min(numbers)), max(numbers))


def _plain(exact: Fraction, *, whole: bool) -> float:
    if whole and exact.denominator == 1:
        return exact.numerator
    try:
        return float(exact)
    except OverflowError:
        # Beyond the floats there are only whole numbers.
        return round(exact)
