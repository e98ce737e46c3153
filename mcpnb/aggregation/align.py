"""Answers read alike: one name and one unit for a field, numbers and dates out of text, JSON out of text.

Something is changed only where sources differ or somebody declared it, so that one source alone, and sources
that agree, are taken as they are. What was changed is told. The answers themselves are never touched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, cast

from mcpnb.aggregation.plan import Move, Population, moves
from mcpnb.aggregation.reading import Measured, date_of, json_of, number_of, truth_of
from mcpnb.aggregation.rules import Rules
from mcpnb.aggregation.shapes import MAX_DEPTH, alike, is_number
from mcpnb.aggregation.units import convert, dimension_of, place_of, shown
from mcpnb.aggregation.values import Answer, Reading


class _Given(NamedTuple):
    """What a source, by its place among the answers, gave at one place of its answer."""

    source: int
    value: object


def align(answers: Sequence[Answer], rules: Rules) -> tuple[list[Answer], tuple[Reading, ...]]:
    """The answers in one language, and how they were read."""
    work = _Alignment(answers, rules)
    values = work.align("", [_Given(i, answer.value) for i, answer in enumerate(answers)], 0)
    read = [
        answer if value is answer.value else replace(answer, value=value)
        for answer, value in zip(answers, values, strict=True)
    ]
    return read, tuple(dict.fromkeys(work.readings))


class _Alignment:
    """One alignment while it walks through all answers at once; items of lists stand at one place, `[]`."""

    def __init__(self, answers: Sequence[Answer], rules: Rules) -> None:
        self._answers, self._rules = answers, rules
        self.readings: list[Reading] = []

    def align(self, path: str, given: Sequence[_Given], depth: int) -> list[object]:
        """What each of these becomes, in the same order."""
        values = [each.value for each in given]
        if depth >= MAX_DEPTH or not (self._declares or _differ(given)):
            return values
        values = self._parsed(path, given)
        for fits, aligned in ((_is_object, self._objects), (_is_list, self._lists), (_is_leaf, self._leaves)):
            places = [i for i, value in enumerate(values) if fits(value)]
            if places:
                these = [_Given(given[i].source, values[i]) for i in places]
                for i, value in zip(places, aligned(path, these, depth), strict=True):
                    values[i] = value
        return values

    @property
    def _declares(self) -> bool:
        return bool(self._rules.aliases)

    def _tell(self, source: int, path: str, what: str) -> None:
        self.readings.append(Reading(self._answers[source].server, path, what))

    # -- JSON in text

    def _parsed(self, path: str, given: Sequence[_Given]) -> list[object]:
        """Text that is JSON, where sources differ and none of them means plain text."""
        values = [each.value for each in given]
        parsed = [json_of(value) if isinstance(value, str) else None for value in values]
        pairs = list(zip(parsed, values, strict=True))
        plain = any(found is None and isinstance(value, str) for found, value in pairs)
        told = {each.source for each in given if each.value is not None}
        if plain or len(told) < 2:
            return values
        for each, found in zip(given, parsed, strict=True):
            if found is not None:
                self._tell(each.source, path, "text read as JSON")
        return [value if found is None else found for found, value in pairs]

    # -- containers

    def _lists(self, path: str, given: Sequence[_Given], depth: int) -> list[object]:
        lists = [cast("list[object]", each.value) for each in given]
        pairs = zip(given, lists, strict=True)
        items = [_Given(each.source, item) for each, its_items in pairs for item in its_items]
        aligned = iter(self.align(f"{path}[]", items, depth + 1))
        return [[next(aligned) for _ in its_items] for its_items in lists]

    def _objects(self, path: str, given: Sequence[_Given], depth: int) -> list[object]:
        population = [Population(each.source, cast("dict[str, object]", each.value)) for each in given]
        plans = moves(population, path, [answer.units for answer in self._answers], self._rules)
        self._tell_moves(path, plans)
        objects = [_moved(fields, plans.get(source, {})) for source, fields in population]
        for name in dict.fromkeys(name for fields in objects for name in fields):
            having = [i for i, fields in enumerate(objects) if name in fields]
            these = [_Given(given[i].source, objects[i][name]) for i in having]
            below = f"{path}.{name}" if path else f"{name}"
            for i, value in zip(having, self.align(below, these, depth + 1), strict=True):
                objects[i][name] = value
        return list(objects)

    def _tell_moves(self, path: str, plans: Mapping[int, Mapping[str, Move]]) -> None:
        for source, plan in plans.items():
            for name, move in plan.items():
                what = move.words(name)
                if what:
                    self._tell(source, f"{path}.{name}" if path else name, what)

    # -- leaves

    def _leaves(self, path: str, given: Sequence[_Given], depth: int) -> list[object]:  # noqa: ARG002 - one face
        values = [each.value for each in given]
        told = [each for each in given if each.value is not None]
        if not any(isinstance(value, str) for value in values) or not _differ(told):
            return values
        return self._numbers(path, given) or self._dates(path, given) or self._truths(path, given) or values

    def _numbers(self, path: str, given: Sequence[_Given]) -> list[object] | None:
        """Numbers in text, where another source gives numbers there or the texts have units."""
        read = [_measured(each.value) for each in given]
        told = [(each, found) for each, found in zip(given, read, strict=True) if each.value is not None]
        if any(found is None for _, found in told):
            return None
        measured = [(each.source, cast("Measured", found)) for each, found in told]
        unit = _unit_of_most(measured)
        if unit is None and not _in_turn(given):
            return None
        return [
            each.value if found is None else self._number(path, each, found, unit)
            for each, found in zip(given, read, strict=True)
        ]

    def _number(self, path: str, given: _Given, found: Measured, unit: str | None) -> float:
        own = _fitting(found.units, unit)
        value = convert(found.value, own, unit) if own and unit else found.value
        if isinstance(given.value, str):
            where = f" in {shown(unit)}" if own and unit else ""
            lost = f", its {shown(found.units[0])} put aside" if found.units and not own else ""
            self._tell(given.source, path, f"text read as a number{where}{lost}")
        return value

    def _dates(self, path: str, given: Sequence[_Given]) -> list[object] | None:
        """Dates in ISO 8601, where the texts of several sources are dates."""
        found = [date_of(each.value) if isinstance(each.value, str) else None for each in given]
        if len({each.source for each, date in zip(given, found, strict=True) if date}) < 2:
            return None
        for each, date in zip(given, found, strict=True):
            if date not in {None, each.value}:
                self._tell(each.source, path, "date written as ISO 8601")
        return [date or each.value for each, date in zip(given, found, strict=True)]

    def _truths(self, path: str, given: Sequence[_Given]) -> list[object] | None:
        """Truth values in text, where another source gives true ones."""
        if not any(isinstance(each.value, bool) for each in given):
            return None
        read = [truth_of(each.value) if isinstance(each.value, str) else each.value for each in given]
        if any(not isinstance(found, bool | None) for found in read):
            return None
        for each, found in zip(given, read, strict=True):
            if isinstance(each.value, str) and found is not None:
                self._tell(each.source, path, "text read as a truth value")
        return [each.value if found is None else found for each, found in zip(given, read, strict=True)]


def _moved(fields: Mapping[str, object], plan: Mapping[str, Move]) -> dict[str, object]:
    """A copy of an object under other names and in other units."""
    made: dict[str, object] = {}
    for name, value in fields.items():
        move = plan.get(name)
        made[name if move is None else move.name] = value if move is None else move.value(value)
    return made


def _differ(given: Sequence[_Given]) -> bool:
    """Whether there are several sources and they do not all give the same."""
    by_source: dict[int, list[object]] = {}
    for each in given:
        by_source.setdefault(each.source, []).append(each.value)
    if len(by_source) < 2:
        return False
    return len({tuple(alike(value) for value in values) for values in by_source.values()}) > 1


def _in_turn(given: Sequence[_Given]) -> bool:
    """Whether some sources give numbers only and the others texts only."""
    kinds: dict[int, set[bool]] = {}
    for each in given:
        if each.value is not None:
            kinds.setdefault(each.source, set()).add(isinstance(each.value, str))
    return all(len(kind) == 1 for kind in kinds.values()) and len(set(map(frozenset, kinds.values()))) == 2


def _measured(value: object) -> Measured | None:
    if isinstance(value, str):
        return number_of(value)
    return Measured(cast("float", value), ()) if is_number(value) else None


def _unit_of_most(measured: Iterable[tuple[int, Measured]]) -> str | None:
    """The unit into which texts with units convert: that of most sources; None when they have none."""
    by_source = {source: found.units for source, found in measured}
    if not all(by_source.values()) or len(by_source) < 2:
        return None
    meant = [{dimension_of(unit) for unit in units} for units in by_source.values()]
    common = sorted(meant[0].intersection(*meant[1:]))
    if not common:
        return None
    counts = Counter(_in_dimension(units, common[0]) for units in by_source.values())
    return min(counts, key=lambda unit: (-counts[unit], place_of(unit), unit))


def _in_dimension(units: Sequence[str], dimension: str) -> str:
    return next(unit for unit in units if dimension_of(unit) == dimension)


def _fitting(units: Sequence[str], unit: str | None) -> str | None:
    if unit is None:
        return None
    return next((each for each in units if dimension_of(each) == dimension_of(unit)), None)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_leaf(value: object) -> bool:
    return not isinstance(value, (dict, list))
