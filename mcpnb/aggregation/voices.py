"""What servers gave at one place, and which of it weighs most."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

from mcpnb.aggregation.beside import text_of_unit
from mcpnb.aggregation.shapes import Kind, alike, kind_of, meaning
from mcpnb.aggregation.units import units_of


class Voice(NamedTuple):
    """What a server gave at one place, and how much it counts."""

    server: str
    value: object
    weight: float = 1.0
    latency: float = math.nan


def in_turn(voices: Sequence[Voice]) -> list[Voice]:
    """By the servers' names, so that the order in which they answered does not matter."""
    return sorted(voices, key=lambda voice: voice.server)


def heaviest(said: Sequence[Voice]) -> Voice:
    """One that says what weighs most; of equals what more say, then what the first says."""
    winners = _most(said, meaning)
    # `Rain` and `rain` are one in the count; which it is to be is counted again.
    return _most(winners, alike)[0]


def _most(said: Sequence[Voice], key: Callable[[object], Hashable]) -> list[Voice]:
    support: dict[Hashable, list[Voice]] = {}
    for each in said:
        support.setdefault(key(each.value), []).append(each)
    # max keeps the first of equals.
    return max(support.values(), key=lambda those: (weight_of(those), len(those)))


def weight_of(voices: Sequence[Voice]) -> float:
    """What they weigh together, the same in whatever order."""
    return math.fsum(voice.weight for voice in voices)


def heaviest_kind(given: Sequence[Voice]) -> Kind:
    """The kind of what weighs most, where numbers and words are of one kind: that of what can be voted on."""
    weights: dict[Kind, tuple[float, int]] = {}
    kinds: tuple[Kind, ...] = ("object", "list", "other")
    for kind in kinds:
        those = [each for each in given if each.value is not None and votes_as(each.value) == kind]
        weights[kind] = (weight_of(those), len(those))
    if not any(count for _, count in weights.values()):
        return "other"
    return max(kinds, key=lambda kind: weights[kind])


def votes_as(value: object) -> Kind:
    """The kind of a value where numbers are voted on like words."""
    kind = kind_of(value)
    return "other" if kind == "number" else kind


_FUSABLE: tuple[Kind, ...] = ("number", "object", "list")


def kind_of_most(given: Sequence[Voice]) -> Kind:
    """The kind of most, of equals numbers, then objects; words only where they are more than half."""
    counts = Counter(kind_of(each.value) for each in given)
    # max keeps the first of equals.
    most = max(_FUSABLE, key=lambda kind: counts[kind])
    words = sum(isinstance(each.value, (str, bool)) for each in given)
    return "other" if not counts[most] or words * 2 > len(given) else most


def units_told(members: Sequence[tuple[Voice, Mapping[str, object]]]) -> dict[str, list[Voice]]:
    """Field → the unit that each server names beside it."""
    told: dict[str, list[Voice]] = {}
    for each, fields in members:
        for name in fields:
            if beside := text_of_unit(name, fields):
                told.setdefault(name, []).append(each._replace(value=fields[beside]))
    return told


def unit_said(text: object) -> Hashable:
    """What a unit's text says, however it is spelt."""
    return units_of(text) or meaning(text) if isinstance(text, str) else meaning(text)


def servers_of(given: Sequence[Voice]) -> tuple[str, ...]:
    """Who they are."""
    return tuple(each.server for each in given)
