"""`mean`, `median`, `weighted`, `vote` and `merge`: answers made one field by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from mcpnb.aggregation.draft import Draft
from mcpnb.aggregation.numbers import average, weighted_average
from mcpnb.aggregation.numbers import median as middle
from mcpnb.aggregation.pick import taken_whole
from mcpnb.aggregation.rules import Rules
from mcpnb.aggregation.shapes import alike
from mcpnb.aggregation.voices import Voice, in_turn
from mcpnb.aggregation.walk import Walk


def mean(voices: Sequence[Voice], rules: Rules) -> Draft:
    """Numbers averaged, without those that are far from the others; words voted on."""
    return _walked(voices, Walk(rules, numbers=lambda numbers, _: average(numbers), robust=True), "mean")


def weighted(voices: Sequence[Voice], rules: Rules) -> Draft:
    """As `mean`, where a number counts by the confidence in its source."""
    return _walked(voices, Walk(rules, numbers=weighted_average, robust=True), "weighted")


def median(voices: Sequence[Voice], rules: Rules) -> Draft:
    """The number in the middle; words voted on."""
    return _walked(voices, Walk(rules, numbers=lambda numbers, _: middle(numbers)), "median")


def merge(voices: Sequence[Voice], rules: Rules) -> Draft:
    """Objects deep in one, lists united; where two say something else, what weighs more."""
    return _walked(voices, Walk(rules, unite=True), "merge", complete=True)


def vote(voices: Sequence[Voice], rules: Rules) -> Draft:
    """What most sources say, each counting by the confidence in it.

    An answer that more than half of them give is taken whole; else every field is voted on for itself.
    """
    given = [voice for voice in in_turn(voices) if voice.value is not None]
    weights: Counter[object] = Counter()
    for voice in given:
        weights[alike(voice.value)] += Fraction(voice.weight)  # pyright: ignore[reportArgumentType] - exact
    most = next((voice for voice in given if weights[alike(voice.value)] * 2 > sum(weights.values())), None)
    return _walked(voices, Walk(rules), "vote") if most is None else taken_whole(most, voices, rules, "vote")


def _walked(voices: Sequence[Voice], walk: Walk, method: str, *, complete: bool = False) -> Draft:
    value = walk.fuse("", in_turn(voices)) if voices else None
    return Draft.of(walk, value, method, complete=complete)
