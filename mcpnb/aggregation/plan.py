"""Which fields of objects are the same field under another name or in another unit, and what becomes of them.

It decides by names, declared units and the numbers of sources; it looks at no value but a unit's text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple, cast

from mcpnb.aggregation.beside import text_of_unit
from mcpnb.aggregation.names import parted, words_of
from mcpnb.aggregation.reading import number_of
from mcpnb.aggregation.rules import Rules
from mcpnb.aggregation.shapes import is_number
from mcpnb.aggregation.units import (
    convert,
    difference_of,
    dimension_of,
    known_unit,
    place_of,
    shown,
    units_of,
)

_DIFFERENCES = frozenset({"anomaly", "change", "delta", "diff", "difference", "drop", "range", "rise"})


class Population(NamedTuple):
    """One object of a source, by the source's place among the answers."""

    source: int
    fields: Mapping[str, object]


class Move(NamedTuple):
    """What becomes of one field of one source."""

    name: str
    """Its name from now on."""
    unit: str = ""
    to: str = ""
    """The unit it is in and the one it gets; empty without conversion."""
    text: str | None = None
    """Set instead of the value: the unit's own text, once its number is converted."""

    def value(self, value: object) -> object:
        """The field's value from now on."""
        if self.text is not None:
            return self.text
        return value if self.unit == self.to else _converted(value, self.unit, self.to)

    def words(self, name: str) -> str:
        """What happened, for people; empty for nothing worth telling."""
        renamed = f"read as {self.name}" if self.name != name else ""
        converted = f"{shown(self.unit)} converted to {shown(self.to)}" if self.unit != self.to else ""
        return ", ".join(part for part in (renamed, converted) if part)


class _Member(NamedTuple):
    """A name that a source gives a field."""

    source: int
    name: str
    units: tuple[str, ...]
    """The units it may be in; empty when nothing is known."""


Moves = dict[int, dict[str, Move]]
"""Source → name → what becomes of it."""


def moves(
    population: Sequence[Population], path: str, units: Sequence[Mapping[str, str]], rules: Rules
) -> Moves:
    """What becomes of the fields of these objects, which stand at one place of their answers.

    Args:
        population: The objects.
        path: Where they stand.
        units: What each source's output schema declares.
        rules: What was declared.
    """
    renamed = {alias: name for name, aliases in rules.aliases.items() for alias in aliases}
    planned: Moves = {}
    for members in _groups(population, path, units, rules, renamed):
        for part in _unambiguous(members, population):
            wanted = next((renamed[m.name] for m in part if m.name in renamed), None)
            for source, name, move in _planned(part, wanted, rules):
                planned.setdefault(source, {})[name] = move
    _tell_units(planned, population)
    return planned


def _groups(
    population: Sequence[Population],
    path: str,
    units: Sequence[Mapping[str, str]],
    rules: Rules,
    renamed: Mapping[str, str],
) -> Iterator[list[_Member]]:
    """The members that are about the same thing by the words of their names."""
    groups: dict[tuple[str, ...], dict[tuple[int, str], _Member]] = {}
    for source, fields in population:
        for name in fields:
            # What is no JSON may have keys of any kind.
            if not isinstance(cast("object", name), str):
                continue
            stem = parted(renamed.get(name, name))[0]
            members = groups.setdefault(stem, {})
            known = _units(name, fields, f"{path}.{name}" if path else name, units[source], rules)
            before = members.get((source, name))
            # A source that speaks of several units under one name is left alone.
            known = known if before is None or before.units == known else ()
            members[source, name] = _Member(source, name, known)
    yield from (list(members.values()) for members in groups.values())


def _units(
    name: str, fields: Mapping[str, object], path: str, schema: Mapping[str, str], rules: Rules
) -> tuple[str, ...]:
    """The units that a field may be in: as declared, by the schema, by a field beside it, by its name."""
    known = _stated_units(name, fields, path, schema, rules)
    if known and not _DIFFERENCES.isdisjoint(words_of(name)):
        return tuple(map(difference_of, known))
    return known


def _stated_units(
    name: str, fields: Mapping[str, object], path: str, schema: Mapping[str, str], rules: Rules
) -> tuple[str, ...]:
    declared = known_unit(rules.units[name]) if name in rules.units else schema.get(path)
    if declared:
        return (declared,)
    beside = text_of_unit(name, fields)
    text = fields.get(beside) if beside else None
    told = units_of(text) if isinstance(text, str) else ()
    return told or _written(fields[name]) or parted(name)[1]


def _written(value: object) -> tuple[str, ...]:
    """The units that a text such as `12 °C` may mean."""
    found = number_of(value) if isinstance(value, str) else None
    return () if found is None else found.units


def _unambiguous(members: Sequence[_Member], population: Sequence[Population]) -> Iterator[list[_Member]]:
    """The members at once, or by unit where an object has several of them: `temp_c` beside `temp_f`."""
    if _one_each(members, population):
        yield list(members)
        return
    ordered = sorted(members, key=lambda member: member.units)
    for _, some in groupby(ordered, key=lambda member: member.units):
        part = list(some)
        if _one_each(part, population):
            yield part


def _one_each(members: Sequence[_Member], population: Sequence[Population]) -> bool:
    names: dict[int, set[str]] = {}
    for member in members:
        names.setdefault(member.source, set()).add(member.name)
    return all(len(names.get(source, set()).intersection(fields)) < 2 for source, fields in population)


def _planned(members: Sequence[_Member], wanted: str | None, rules: Rules) -> Iterator[tuple[int, str, Move]]:
    """The moves that give one field one name and one unit; none where nothing differs."""
    measured = [member for member in members if member.units]
    declared = known_unit(rules.units[wanted]) if wanted is not None and wanted in rules.units else None
    unit = _unit(measured, declared)
    if unit is None:
        # Of a field in a known unit and one in an unknown nobody can say that they are the same.
        same = [] if measured and wanted is None else list(members)
        yield from _renamed(same, wanted)
        return
    fitting = [(member, own) for member in measured if (own := _own_unit(member, unit))]
    if wanted is None and len({member.source for member, _ in fitting}) < 2:
        return
    own_names = [member.name for member, own in fitting if own == unit]
    name = wanted or _common(own_names or [member.name for member, _ in fitting])
    for member, own in fitting:
        yield member.source, member.name, Move(name, own, unit)
    if wanted is not None:
        yield from _renamed([member for member in members if not member.units], wanted)


def _renamed(members: Sequence[_Member], wanted: str | None) -> Iterator[tuple[int, str, Move]]:
    if wanted is None and len({member.source for member in members}) < 2:
        return
    name = wanted or _common(member.name for member in members)
    yield from ((m.source, m.name, Move(name)) for m in members if m.name != name)


def _unit(measured: Sequence[_Member], declared: str | None) -> str | None:
    """The unit to convert to: the declared, else that of most sources, else the first of its dimension."""
    if declared is not None:
        return declared
    meant = [{dimension_of(unit) for unit in member.units} for member in measured]
    dimensions = Counter(dimension for each in meant for dimension in each)
    if not dimensions:
        return None
    most = min(dimensions, key=lambda each: (-dimensions[each], each))
    counts = Counter(unit for member in measured for unit in member.units if dimension_of(unit) == most)
    return min(counts, key=lambda unit: (-counts[unit], place_of(unit), unit))


def _own_unit(member: _Member, unit: str) -> str | None:
    return next((own for own in member.units if dimension_of(own) == dimension_of(unit)), None)


def _common(names: Iterable[str]) -> str:
    """The name that most use, of several the longest."""
    counts = Counter(names)
    return min(counts, key=lambda name: (-counts[name], -len(name), name))


def _tell_units(planned: Moves, population: Sequence[Population]) -> None:
    """Where a number is in another unit now, or another spelling of it, so is the text beside it."""
    for source, fields in population:
        plan = planned.get(source, {})
        for name, move in list(plan.items()):
            beside = text_of_unit(name, fields) if move.to else None
            if beside is not None:
                plan.setdefault(beside, Move(beside, text=_text_for(move.to, population)))


def _text_for(unit: str, population: Sequence[Population]) -> str:
    """How sources that use a unit write it."""
    written = Counter(
        text
        for _, fields in population
        for name in fields
        if (beside := text_of_unit(name, fields)) and unit in units_of(text := str(fields[beside]))
    )
    return min(written, key=lambda text: (-written[text], text), default=unit)


def _converted(value: object, unit: str, to: str) -> object:
    if is_number(value):
        return convert(cast("float", value), unit, to)
    if isinstance(value, list):
        return [_converted(item, unit, to) for item in cast("list[object]", value)]
    found = number_of(value) if isinstance(value, str) else None
    if found is None:
        return value
    # A text that names its own unit is read by that.
    own = next((each for each in found.units if dimension_of(each) == dimension_of(to)), unit)
    return convert(found.value, own, to)
