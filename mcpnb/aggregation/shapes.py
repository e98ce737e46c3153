"""What kind of thing an answer is, when two are alike, and which method their shapes ask for."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Literal, cast

# Deeper values are compared by identity: Python's own recursion limit must not end a fusion.
MAX_DEPTH = 60

Kind = Literal["number", "object", "list", "other"]

WORDS = {"number": "a number", "object": "an object", "list": "a list", "other": "something else"}


def is_number(value: object) -> bool:
    """Whether it is a finite number. Truth values are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and _is_finite(value)


def kind_of(value: object) -> Kind:
    """What can be done with it."""
    if is_number(value):
        return "number"
    if isinstance(value, dict):
        return "object"
    return "list" if isinstance(value, list) else "other"


def described(value: object) -> str:
    """The value's kind in a word, for the reason why it was left out."""
    if value is None:
        return "null"
    if isinstance(value, (bool, float)):
        return f"{value}"
    return "text" if isinstance(value, str) else WORDS[kind_of(value)]


def alike(value: object, depth: int = 0) -> Hashable:
    """A key that is equal for equal JSON: 1 and 1.0 are, 1 and True are not, NaN and NaN are."""
    if value is None or isinstance(value, (bool, str, bytes)):
        return (type(value).__name__, value)
    if isinstance(value, (int, float)):
        return ("number", "nan" if value != value else value)  # noqa: PLR0124 - NaN alone differs from itself
    if depth < MAX_DEPTH and isinstance(value, dict):
        members = cast("dict[Hashable, object]", value)
        return ("object", frozenset((name, alike(part, depth + 1)) for name, part in members.items()))
    if depth < MAX_DEPTH and isinstance(value, list):
        return ("list", tuple(alike(part, depth + 1) for part in cast("list[object]", value)))
    return (type(value).__name__, id(value))


def wrapped_list(value: object) -> tuple[str, list[object]] | None:
    """The name and the list of an object that is nothing but a wrapper of one list."""
    if not isinstance(value, dict) or len(cast("dict[str, object]", value)) != 1:
        return None
    ((name, inner),) = cast("dict[str, object]", value).items()
    return (name, cast("list[object]", inner)) if isinstance(inner, list) else None


def method_for(values: Sequence[object]) -> str:
    """`concat` for lists, `mean` for numbers and for objects that are mostly numbers, else `first`."""
    given = [value for value in values if value is not None]
    half = len(given) / 2
    lists = sum(isinstance(value, list) or wrapped_list(value) is not None for value in given)
    if lists and lists >= half:
        return "concat"
    numbers = sum(is_number(value) or _is_mostly_numbers(value) for value in given)
    return "mean" if numbers and numbers >= half else "first"


def _is_mostly_numbers(value: object) -> bool:
    """Whether it is an object of which at least half the leaves are numbers."""
    if not isinstance(value, dict):
        return False
    pending, numbers, leaves = [cast("object", value)], 0, 0
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            pending.extend(cast("dict[str, object]", part).values())
        elif isinstance(part, list):
            pending.extend(cast("list[object]", part))
        else:
            leaves += 1
            numbers += is_number(part)
    return numbers * 2 >= leaves > 0


def _is_finite(value: float) -> bool:
    # math.isfinite would turn a huge integer into a float, and fail.
    return isinstance(value, int) or math.isfinite(value)
