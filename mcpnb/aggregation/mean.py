"""`mean`: numbers averaged field by field; of what is no number, that which most sources say.

Exact arithmetic throughout, so that the order of the answers cannot matter and huge numbers cannot overflow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple, cast

from mcpnb.aggregation.shapes import MAX_DEPTH, WORDS, Kind, alike, described, kind_of
from mcpnb.aggregation.values import Answer, Disagreement, Fused, FusedRow, LeftOut, confidence_of


class _Given(NamedTuple):
    """What a server gave at one place."""

    server: str
    value: object


def mean(answers: Sequence[Answer], tolerance: float) -> Fused:
    """Numbers, objects and lists of equal length averaged part by part.

    Args:
        answers: What the servers said.
        tolerance: Numbers further apart than this share of the greatest of them are a disagreement.
    """
    ordered = sorted(
        (_Given(answer.server, answer.value) for answer in answers), key=lambda given: given.server
    )
    work = _Mean(tolerance)
    value = work.fuse("", ordered, 0) if ordered else None
    rows = tuple(work.rows)
    agreement = 1 - len(work.conflicts) / len(rows) if rows else 0.0
    contributing = {server for row in rows for server in row.servers}
    return Fused(
        value=value,
        method="mean",
        rows=rows,
        conflicts=tuple(work.conflicts),
        confidence=confidence_of(answers, contributing, agreement),
        left_out=tuple(work.left_out),
    )


class _Mean:
    """One fusion while it walks through the answers; `given` is never empty, and in the servers' order."""

    def __init__(self, tolerance: float) -> None:
        self._tolerance = Fraction(tolerance)
        self.rows: list[FusedRow] = []
        self.conflicts: list[Disagreement] = []
        self.left_out: list[LeftOut] = []

    def fuse(self, key: str, given: Sequence[_Given], depth: int) -> object:
        """The fused value at one place."""
        kind = _fusable(given) if depth < MAX_DEPTH else "other"
        if kind == "other":
            return self._agreed(key, given)
        fitting = [each for each in given if kind_of(each.value) == kind]
        self._leave_out(key, [each for each in given if kind_of(each.value) != kind], kind)
        if kind == "number":
            return self._number(key, fitting)
        return self._object(key, fitting, depth) if kind == "object" else self._list(key, fitting, depth)

    def _number(self, key: str, given: Sequence[_Given]) -> object:
        numbers = [cast("float", each.value) for each in given]
        value = average(numbers)
        self.rows.append(FusedRow(key, value, _servers(given)))
        spread = relative_spread(numbers)
        if spread > self._tolerance:
            self.conflicts.append(Disagreement(key, dict(given), float(spread)))
        return value

    def _object(self, key: str, given: Sequence[_Given], depth: int) -> object:
        members = [(each.server, cast("dict[str, object]", each.value)) for each in given]
        names = dict.fromkeys(name for _, fields in members for name in fields)
        if not names:
            return self._agreed(key, given)
        empty = [server for server, fields in members if not fields]
        self.left_out += [LeftOut(server, key, "an object without fields") for server in empty]
        return {
            name: self.fuse(
                f"{key}.{name}" if key else f"{name}",
                [_Given(server, fields[name]) for server, fields in members if name in fields],
                depth + 1,
            )
            for name in names
        }

    def _list(self, key: str, given: Sequence[_Given], depth: int) -> object:
        lists = [(each.server, cast("list[object]", each.value)) for each in given]
        lengths = {len(items) for _, items in lists}
        if len(lengths) > 1 or 0 in lengths:
            return self._agreed(key, given)
        return [
            self.fuse(f"{key}[{i}]", [_Given(server, items[i]) for server, items in lists], depth + 1)
            for i in range(lengths.pop())
        ]

    def _agreed(self, key: str, given: Sequence[_Given]) -> object:
        """What most sources say; the first of them by name where as many say something else."""
        said = [each for each in given if each.value is not None] or list(given)
        if len(said) < len(given):
            silent = [each for each in given if each.value is None]
            self.left_out += [LeftOut(each.server, key, "null") for each in silent]
        keys = [alike(each.value) for each in said]
        # most_common keeps the order of the servers among equals.
        winner, count = Counter(keys).most_common(1)[0]
        value = said[keys.index(winner)].value
        alike_ones = [each for each, its_key in zip(said, keys, strict=True) if its_key == winner]
        self.rows.append(FusedRow(key, value, _servers(alike_ones)))
        if count < len(said):
            self.conflicts.append(Disagreement(key, dict(said)))
        return value

    def _leave_out(self, key: str, given: Sequence[_Given], kind: Kind) -> None:
        for each in given:
            reason = f"{described(each.value)}, where others gave {WORDS[kind]}"
            self.left_out.append(LeftOut(each.server, key, "null" if each.value is None else reason))


def _fusable(given: Sequence[_Given]) -> Kind:
    """The kind that most sources gave, of those that can be fused; numbers before objects before lists."""
    counts = Counter(kind_of(each.value) for each in given)
    kinds: tuple[Kind, ...] = ("number", "object", "list")
    best = max(kinds, key=lambda kind: counts[kind])
    return best if counts[best] else "other"


def _servers(given: Sequence[_Given]) -> tuple[str, ...]:
    return tuple(each.server for each in given)


def average(numbers: Sequence[float]) -> float:
    """The mean: the number itself when all are equal, whole when it is and all are, else a float."""
    if all(number == numbers[0] for number in numbers):
        return numbers[0]
    exact = sum(map(Fraction, numbers), Fraction(0)) / len(numbers)
    if exact.denominator == 1 and all(isinstance(number, int) for number in numbers):
        return exact.numerator
    try:
        return float(exact)
    except OverflowError:
        # Beyond the floats there are only whole numbers.
        return round(exact)


def relative_spread(numbers: Sequence[float]) -> Fraction:
    """The greatest difference over the greatest magnitude, 0 to 2; 0 when all are zero."""
    least, greatest = Fraction(min(numbers)), Fraction(max(numbers))
    scale = max(abs(least), abs(greatest))
    return (greatest - least) / scale if scale else Fraction(0)
