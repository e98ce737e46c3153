"""Numbers made one: mean, median, weighted mean, and which of them are far off.

Exact arithmetic throughout, so that the order of the answers cannot matter and huge numbers cannot overflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

# The scale that makes a median deviation comparable to a standard deviation, and the usual cut beyond which
# a value is taken for an outlier (Iglewicz and Hoaglin, 1993).
_SCALE = Fraction(1.4826)
_CUT = Fraction(3.5)

# Of two that differ nobody can tell which is off.
_ENOUGH = 3


def average(numbers: Sequence[float]) -> float:
    """The mean: the number itself when all are equal, whole when it is and all are, else a float."""
    return weighted_average(numbers, [1.0] * len(numbers))


def weighted_average(numbers: Sequence[float], weights: Sequence[float]) -> float:
    """The mean in which each number counts by its weight; all alike when no weight is above zero."""
    if all(number == numbers[0] for number in numbers):
        return numbers[0]
    shares = list(map(Fraction, weights)) if any(weights) else [Fraction(1)] * len(numbers)
    pairs = zip(numbers, shares, strict=True)
    exact = sum((Fraction(number) * share for number, share in pairs), Fraction(0)) / sum(shares)
    return _plain(exact, whole=all(isinstance(number, int) for number in numbers))


def median(numbers: Sequence[float]) -> float:
    """The number in the middle; of an even count the mean of the two in the middle."""
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else average(ordered[middle - 1 : middle + 1])


def outliers(numbers: Sequence[float], tolerance: Fraction) -> frozenset[int]:
    """The places of those that are far from where most are, by their median deviation.

    Differences that the tolerance allows (a share of the median) never make one.
    """
    if len(numbers) < _ENOUGH:
        return frozenset()
    exact = list(map(Fraction, numbers))
    centre = _middle(exact)
    apart = [abs(number - centre) for number in exact]
    scale = max(_SCALE * _middle(apart), tolerance * abs(centre))
    # Without a scale every difference would be one: `0, 0, 0.1`.
    return frozenset(i for i, far in enumerate(apart) if scale and far > _CUT * scale)


def relative_spread(numbers: Sequence[float]) -> Fraction:
    """The greatest difference over the greatest magnitude, 0 to 2; 0 when all are zero."""
    least, greatest = Fraction(min(numbers)), Fraction(max(numbers))
    scale = max(abs(least), abs(greatest))
    return (greatest - least) / scale if scale else Fraction(0)


def close(left: float, right: float, tolerance: float) -> bool:
    """Whether two numbers differ by no more than this share of the greater of them."""
    if left == right:
        return True
    try:
        return abs(left - right) <= tolerance * max(abs(left), abs(right))
    except OverflowError:
        return relative_spread((left, right)) <= tolerance


def _middle(numbers: Sequence[Fraction]) -> Fraction:
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _plain(exact: Fraction, *, whole: bool) -> float:
    if whole and exact.denominator == 1:
        return exact.numerator
    try:
        return float(exact)
    except OverflowError:
        # Beyond the floats there are only whole numbers.
        return round(exact)
